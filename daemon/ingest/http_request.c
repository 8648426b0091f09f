/* http_request: HTTP as a protocol of the listeners. feed() drives the reader; take_head() decides as soon as
 * the head is there, in the order of exchange.h; a refused body still passes by if it is short, so that the
 * connection can go on. */
#include "daemon/ingest/doors.h"
#include "daemon/ingest/loop.h"

enum { PIPELINE_MAX = 16 };

/* Errors of HTTP alone; the door renders them. */
enum http_refusal { REFUSE_NOT_FOUND, REFUSE_METHOD, REFUSE_NO_LENGTH, REFUSE_ENCODING, REFUSE_MEDIA_TYPE };

static const struct exchange_fault refusals[] = {
    [REFUSE_NOT_FOUND] = {404, "not-found", "nothing is served at this path"},
    [REFUSE_METHOD] = {405, "method", "this path takes another method, see Allow"},
    [REFUSE_NO_LENGTH] = {411, "length", "Content-Length or chunked transfer coding is needed"},
    [REFUSE_ENCODING] = {415, "media-type", "Content-Encoding is not served, send the body as it is"},
    [REFUSE_MEDIA_TYPE] = {415, "media-type", "this path does not take this Content-Type"},
};

static const struct registry_source *source(struct request *request)
{
    return connection_source(request->connection, request->reader.request.authorization);
}

static void refuse(struct exchange *exchange, const struct exchange_fault *fault)
{
    if (exchange->door != NULL)
        exchange->door->error(exchange, fault->status, fault->code, fault->text);
    else
        doors_error(exchange, fault->status, fault->code, fault->text);
    exchange->status = fault->status;
    exchange->allow = fault->status == 405 ? exchange->door->allow : NULL;
}

static const struct exchange_fault *judge_head(struct loop *loop, struct request *request)
{
    struct exchange *exchange = &request->exchange;
    const struct http_request *head = &request->reader.request;
    const struct door *door = exchange->door;
    if (door == NULL)
        return &refusals[REFUSE_NOT_FOUND];
    if ((door->methods & head->method) == 0)
        return &refusals[REFUSE_METHOD];
    if (!door->open && loop->context.registry == NULL)
        return request_fault(REFUSE_NOT_ACCEPTING);
    if (!door->open && source(request) == NULL)
        return request_fault(REFUSE_UNAUTHENTICATED);
    if (head->method == METHOD_POST && head->content_length < 0 && !head->chunked)
        return &refusals[REFUSE_NO_LENGTH];
    if (head->content_length > MESSAGE_BYTES_MAX)
        return request_fault(REFUSE_TOO_LARGE);
    if (head->method == METHOD_POST && head->is_encoded)
        return &refusals[REFUSE_ENCODING];
    if (head->method == METHOD_POST && door->takes != NULL && !door->takes(head->content_type))
        return &refusals[REFUSE_MEDIA_TYPE];
    return NULL;
}

/* True when the answer shall not wait for the body: it is too long to let pass by, has no known end, or the
 * peer asks before it sends. The connection cannot go on then. */
static bool must_answer_now(const struct request *request)
{
    const struct http_request *head = &request->reader.request;
    return request->refusal.status == 411 || head->content_length > MESSAGE_BYTES_MAX ||
           head->expects_continue;
}

static enum read_step answer_now(struct loop *loop, struct request *request,
                                 const struct exchange_fault *fault)
{
    request->keep_alive = false;
    request_refuse(loop, request, fault);
    return READ_FAULT;
}

static enum read_step take_head(struct loop *loop, struct request *request)
{
    struct exchange *exchange = &request->exchange;
    const struct http_request *head = &request->reader.request;
    exchange->method = head->method;
    exchange->path = head->path;
    exchange->query = head->query;
    exchange->content_type = head->content_type;
    exchange->accept = head->accept;
    exchange->if_none_exist = head->if_none_exist;
    exchange->door = doors_find(head->path);
    request->keep_alive = head->keep_alive;
    request->head_only = head->is_head;
    const struct exchange_fault *fault = judge_head(loop, request);
    if (fault == NULL && head->content_length > BODY_SMALL &&
        !request_body_reserve(loop, request, (size_t)head->content_length))
        fault = request_fault(REFUSE_BUSY);
    if (fault != NULL)
        request->refusal = *fault;
    if (fault != NULL && must_answer_now(request))
        return answer_now(loop, request, fault);
    request->wants_continue = head->expects_continue && fault == NULL;
    if (request->wants_continue)
        connection_mark(request->connection);
    return READ_MORE;
}

static enum read_step take_body(struct loop *loop, struct request *request)
{
    struct exchange *exchange = &request->exchange;
    struct slice piece = request->reader.piece;
    request->wants_continue = false;
    if (exchange->body_size + piece.size > MESSAGE_BYTES_MAX) {
        struct exchange_fault fault =
            request->refusal.status != 0 ? request->refusal : *request_fault(REFUSE_TOO_LARGE);
        return answer_now(loop, request, &fault);
    }
    if (request->refusal.status == 0 && !request_body_append(loop, request, piece.data, piece.size))
        request->refusal = *request_fault(REFUSE_BUSY);
    if (request->refusal.status != 0)
        exchange->body_size += piece.size; /* it passes by */
    return READ_MORE;
}

static enum read_step feed(struct loop *loop, struct request *request, const char *data, size_t size,
                           size_t *ret_used)
{
    size_t used = 0;
    enum read_step step;
    ensure(request->state == REQUEST_READING);
    for (;;) {
        size_t piece;
        step = http_reader_feed(&request->reader, data + used, size - used, &piece);
        used += piece;
        if (step == READ_MORE || step == READ_DONE)
            break;
        if (step == READ_FAULT) {
            step = answer_now(loop, request, &request->reader.fault);
            break;
        }
        step = step == READ_HEAD ? take_head(loop, request) : take_body(loop, request);
        if (step == READ_FAULT)
            break;
    }
    if (step == READ_DONE)
        request_dispatch(loop, request);
    *ret_used = used;
    return step;
}

static void append_interim(struct request *request, struct buffer *out)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (request->wants_continue)
        buffer_text(out, go_on);
    request->wants_continue = false;
}

static void append_answer(struct loop *loop, struct request *request, struct buffer *out)
{
    struct http_answer answer = {loop->date, request->keep_alive, request->head_only};
    http_append_answer(out, &request->exchange, &answer);
}

const struct protocol http_protocol = {
    .name = "http",
    .pipeline_max = PIPELINE_MAX,
    .feed = feed,
    .source = source,
    .refuse = refuse,
    .append_interim = append_interim,
    .append_answer = append_answer,
};
