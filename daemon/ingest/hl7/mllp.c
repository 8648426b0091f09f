/* mllp: frames, and the listeners that take them. */
#include "daemon/ingest/hl7/mllp.h"

#include <string.h>

#include "daemon/base/log.h"
#include "daemon/ingest/hl7/hl7.h"
#include "daemon/ingest/loop.h"

enum { START_BLOCK = 0x0b, END_BLOCK = 0x1c, END_FRAME = '\r', PIPELINE_MAX = 16 };

/* ---- frames ---- */

static size_t reach(const char *data, size_t size, char wanted)
{
    const char *found = memchr(data, wanted, size);
    return found != NULL ? (size_t)(found - data) : size;
}

static enum mllp_event step_between(struct mllp_reader *reader, const char *data, size_t size,
                                    size_t *ret_used)
{
    size_t before = reach(data, size, START_BLOCK);
    for (size_t i = 0; i < before; i++)
        reader->junk += data[i] != '\r' && data[i] != '\n' && data[i] != ' ';
    if (reader->junk > MLLP_JUNK_BYTES_MAX) {
        *ret_used = before;
        return MLLP_BROKEN;
    }
    *ret_used = before < size ? before + 1 : size;
    if (before == size)
        return MLLP_MORE;
    reader->junk = 0;
    reader->phase = MLLP_INSIDE;
    return MLLP_BEGIN;
}

static enum mllp_event step_inside(struct mllp_reader *reader, const char *data, size_t size,
                                   size_t *ret_used)
{
    size_t whole = reach(data, size, END_BLOCK), anew = reach(data, whole, START_BLOCK);
    if (anew < whole) {
        *ret_used = anew + 1;
        return MLLP_BEGIN;
    }
    reader->piece = (struct slice){data, whole};
    *ret_used = whole < size ? whole + 1 : size;
    if (whole < size)
        reader->phase = MLLP_ENDING;
    return MLLP_MORE;
}

enum mllp_event mllp_step(struct mllp_reader *reader, const char *data, size_t size, size_t *ret_used)
{
    ensure(size > 0);
    reader->piece = (struct slice){NULL, 0};
    switch (reader->phase) {
    case MLLP_BETWEEN:
        return step_between(reader, data, size, ret_used);
    case MLLP_INSIDE:
        return step_inside(reader, data, size, ret_used);
    default:
        *ret_used = 1;
        reader->phase = MLLP_BETWEEN;
        return *data == END_FRAME ? MLLP_WHOLE : MLLP_BROKEN;
    }
}

/* ---- the protocol ---- */

static const struct registry_source *source_of(struct connection *conn)
{
    const char *ref = conn->loop->context.config->listen_mllp_source;
    if (conn->listener->with_tls)
        return connection_source(conn, (struct slice){NULL, 0});
    return connection_source_by_ref(conn, ref);
}

static const struct registry_source *source(struct request *request)
{
    return source_of(request->connection);
}

/* Without a registry nobody is known yet; messages are told so then. */
static void open_connection(struct connection *conn)
{
    if (conn->loop->context.registry == NULL || source_of(conn) != NULL)
        return;
    counter_add(conn->loop->context.counters, COUNTER_MLLP_STRANGERS, 1);
    log_write(LOG_WARNING, "ingest", "MLLP peer closed, nobody known speaks listener=%s hint=\"%s\"",
              listener_name(conn->listener->kind),
              conn->listener->with_tls ? "it shows a certificate of [tls] client_ca that names a source"
                                       : "[listen] mllp_source names no enrolled source");
    connection_drain(conn);
}

/* What one frame needs of its connection's past lies in `session`: the junk since the last frame. */
static size_t junk_of(const struct connection *conn)
{
    return (size_t)(uintptr_t)conn->session;
}

static void set_junk(struct connection *conn, size_t junk)
{
    conn->session = (void *)(uintptr_t)junk;
}

/* Nothing is answered: to nothing but line ends between frames, and to what cannot be understood. */
static enum read_step end_silently(struct request *request, bool is_broken)
{
    request->keep_alive = !is_broken;
    request->exchange.status = is_broken ? 400 : 200;
    request_ready(request);
    return is_broken ? READ_FAULT : READ_DONE;
}

static enum read_step refuse_now(struct loop *loop, struct request *request, enum request_refusal refusal)
{
    request->keep_alive = false;
    request_refuse(loop, request, request_fault(refusal));
    return READ_FAULT;
}

static void begin(struct loop *loop, struct request *request, bool is_anew)
{
    if (is_anew)
        counter_add(loop->context.counters, COUNTER_MLLP_BROKEN, 1);
    request->exchange.body_size = 0;
    request->refusal = (struct exchange_fault){0};
}

static bool take_piece(struct loop *loop, struct request *request, struct slice piece)
{
    if (piece.size > MESSAGE_BYTES_MAX - request->exchange.body_size)
        return false;
    if (request->refusal.status == 0 && piece.size > 0 &&
        !request_body_append(loop, request, piece.data, piece.size))
        request->refusal = *request_fault(REFUSE_BUSY); /* the rest passes by */
    return true;
}

static enum read_step dispatch(struct loop *loop, struct request *request)
{
    request->exchange.door = &hl7_door;
    request->exchange.method = METHOD_POST;
    request->keep_alive = true;
    if (loop->context.registry == NULL)
        request->refusal = *request_fault(REFUSE_NOT_ACCEPTING);
    else if (source(request) == NULL)
        return refuse_now(loop, request, REFUSE_UNAUTHENTICATED);
    request_dispatch(loop, request);
    return READ_DONE;
}

static enum read_step feed(struct loop *loop, struct request *request, const char *data, size_t size,
                           size_t *ret_used)
{
    struct connection *conn = request->connection;
    struct mllp_reader reader = {.phase = request->phase, .junk = junk_of(conn)};
    enum read_step step = READ_MORE;
    *ret_used = 0;
    while (step == READ_MORE && *ret_used < size) {
        size_t used;
        bool is_anew = reader.phase == MLLP_INSIDE;
        enum mllp_event event = mllp_step(&reader, data + *ret_used, size - *ret_used, &used);
        *ret_used += used;
        if (event == MLLP_BEGIN)
            begin(loop, request, is_anew);
        else if (event == MLLP_WHOLE)
            step = dispatch(loop, request);
        else if (event == MLLP_BROKEN)
            step = end_silently(request, true);
        else if (!take_piece(loop, request, reader.piece))
            step = refuse_now(loop, request, REFUSE_TOO_LARGE);
        if (event == MLLP_BROKEN)
            counter_add(loop->context.counters, COUNTER_MLLP_BROKEN, 1);
    }
    set_junk(conn, reader.junk);
    request->phase = (uint8_t)reader.phase;
    if (step == READ_MORE && reader.phase == MLLP_BETWEEN)
        step =
            end_silently(request, false); /* its next byte may be long in coming: no message waits for it */
    return step;
}

/* The words of the network side; a peer that is gone needs none. */
static void refuse(struct exchange *exchange, const struct exchange_fault *fault)
{
    const struct connection *conn = exchange->connection;
    exchange->status = fault->status;
    if (conn != NULL)
        hl7_refuse(&conn->loop->context, exchange, fault);
}

static void append_answer(struct loop *loop, struct request *request, struct buffer *out)
{
    const struct buffer *answer = &request->exchange.out;
    (void)loop;
    if (answer->size == 0)
        return;
    buffer_append(out, (char[]){START_BLOCK}, 1);
    buffer_append(out, answer->data, answer->size);
    buffer_append(out, (char[]){END_BLOCK, END_FRAME}, 2);
}

const struct protocol mllp_protocol = {
    .name = "mllp",
    .pipeline_max = PIPELINE_MAX,
    .open = open_connection,
    .feed = feed,
    .source = source,
    .refuse = refuse,
    .append_answer = append_answer,
};
