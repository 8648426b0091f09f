/* http: a request is read in two steps. Its head is gathered into head[] byte by byte under our own rules,
 * which are stricter than http_parser's (Debian builds it lenient): lines end in CRLF, no control bytes, no
 * folded lines, names are tokens, at most 8 KiB. Only then http_parser sees it, whole, so its callbacks come
 * once a field and slices point into head[]. The body is framed here: by length, or by chunks without
 * leniency, for two readers of one stream that frame differently are how requests are smuggled.
 *
 *   head[]  POST /v1/readings HTTP/1.1 CR LF Host: x CR LF ... CR LF CR LF
 *                                                     ^line_start        ^head_size
 */
#include "daemon/ingest/http.h"

#include <http_parser.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "daemon/base/slab.h"

/* What is refused, and how. */
enum http_refusal {
    REFUSE_LINE_END,
    REFUSE_CONTROL,
    REFUSE_FOLD,
    REFUSE_TARGET,
    REFUSE_SYNTAX,
    REFUSE_NAME,
    REFUSE_VERSION,
    REFUSE_HOST,
    REFUSE_LENGTH,
    REFUSE_CODING,
    REFUSE_BOTH,
    REFUSE_UPGRADE,
    REFUSE_EXPECT,
    REFUSE_CHUNK,
    REFUSE_CHUNK_LARGE,
    REFUSE_TWICE,
    REFUSE_LARGE,
};

static const struct exchange_fault refusals[] = {
    [REFUSE_LINE_END] = {400, "bad-request", "a line does not end in CRLF"},
    [REFUSE_CONTROL] = {400, "bad-request", "a control byte in the request line or a header"},
    [REFUSE_FOLD] = {400, "bad-request", "a folded header line"},
    [REFUSE_TARGET] = {400, "bad-request", "the request target is not a path"},
    [REFUSE_SYNTAX] = {400, "bad-request", "not an HTTP request"},
    [REFUSE_NAME] = {400, "bad-request", "a header name is not a token"},
    [REFUSE_VERSION] = {400, "bad-request", "HTTP/1.1 or HTTP/1.0 is spoken here"},
    [REFUSE_HOST] = {400, "bad-request", "one Host header is needed"},
    [REFUSE_LENGTH] = {400, "bad-request", "Content-Length is not one whole number"},
    [REFUSE_CODING] = {400, "bad-request", "Transfer-Encoding can be chunked only, in HTTP/1.1"},
    [REFUSE_BOTH] = {400, "bad-request", "Content-Length and Transfer-Encoding exclude each other"},
    [REFUSE_UPGRADE] = {400, "bad-request", "Upgrade is not served"},
    [REFUSE_EXPECT] = {400, "bad-request", "Expect can be 100-continue only"},
    [REFUSE_CHUNK] = {400, "bad-request", "a chunk is not well formed"},
    [REFUSE_CHUNK_LARGE] = {413, "too-large", "the body is larger than 1 MiB"},
    [REFUSE_TWICE] = {400, "bad-request", "a header that may come once came twice"},
    [REFUSE_LARGE] = {431, "too-large", "the header is larger than 8 KiB"},
};

static enum read_step refuse(struct http_reader *reader, enum http_refusal refusal)
{
    reader->fault = refusals[refusal];
    return READ_FAULT;
}

/* Headers. */

enum header {
    HEADER_HOST,
    HEADER_CONTENT_LENGTH,
    HEADER_TRANSFER_ENCODING,
    HEADER_CONTENT_TYPE,
    HEADER_CONTENT_ENCODING,
    HEADER_ACCEPT,
    HEADER_AUTHORIZATION,
    HEADER_IF_NONE_EXIST,
    HEADER_EXPECT,
    HEADER_UPGRADE,
    HEADER_COUNT
};

static const struct {
    const char *name;
    bool may_repeat; /* the first one counts */
    enum http_refusal twice;
} headers[HEADER_COUNT] = {
    [HEADER_HOST] = {"host", false, REFUSE_HOST},
    [HEADER_CONTENT_LENGTH] = {"content-length", false, REFUSE_LENGTH},
    [HEADER_TRANSFER_ENCODING] = {"transfer-encoding", false, REFUSE_CODING},
    [HEADER_CONTENT_TYPE] = {"content-type", false, REFUSE_TWICE},
    [HEADER_CONTENT_ENCODING] = {"content-encoding", false, REFUSE_TWICE},
    [HEADER_ACCEPT] = {"accept", true, REFUSE_TWICE},
    [HEADER_AUTHORIZATION] = {"authorization", false, REFUSE_TWICE},
    [HEADER_IF_NONE_EXIST] = {"if-none-exist", false, REFUSE_TWICE},
    [HEADER_EXPECT] = {"expect", false, REFUSE_TWICE},
    [HEADER_UPGRADE] = {"upgrade", true, REFUSE_UPGRADE},
};

/* One pass of http_parser over a gathered head. */
struct head_parse {
    struct slice url, value[HEADER_COUNT];
    int current; /* header whose value comes next, -1: one that does not matter here */
    bool has_refusal, complete;
    enum http_refusal refusal;
};

static bool is_token_byte(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static struct slice trimmed(const char *data, size_t size)
{
    while (size > 0 && (*data == ' ' || *data == '\t')) {
        data++;
        size--;
    }
    while (size > 0 && (data[size - 1] == ' ' || data[size - 1] == '\t'))
        size--;
    return (struct slice){data, size};
}

static bool slice_is(struct slice slice, const char *text)
{
    return slice.size == strlen(text) && strncasecmp(slice.data, text, slice.size) == 0;
}

static int refuse_head(struct head_parse *parse, enum http_refusal refusal)
{
    parse->has_refusal = true;
    parse->refusal = refusal;
    return 1;
}

static int on_url(http_parser *parser, const char *at, size_t size)
{
    struct head_parse *parse = parser->data;
    parse->url = (struct slice){at, size};
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)at[i] <= ' ' || (unsigned char)at[i] >= 0x7f)
            return refuse_head(parse, REFUSE_TARGET);
    return 0;
}

static int on_field(http_parser *parser, const char *at, size_t size)
{
    struct head_parse *parse = parser->data;
    parse->current = -1;
    for (size_t i = 0; i < size; i++)
        if (!is_token_byte((unsigned char)at[i]))
            return refuse_head(parse, REFUSE_NAME);
    for (int i = 0; i < HEADER_COUNT; i++)
        if (slice_is((struct slice){at, size}, headers[i].name))
            parse->current = i;
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t size)
{
    struct head_parse *parse = parser->data;
    if (parse->current < 0)
        return 0;
    struct slice *value = &parse->value[parse->current];
    if (value->data != NULL)
        return headers[parse->current].may_repeat ? 0 : refuse_head(parse, headers[parse->current].twice);
    *value = trimmed(at, size);
    return 0;
}

/* 1: the body is framed by us, http_parser shall not wait for it. */
static int on_head(http_parser *parser)
{
    struct head_parse *parse = parser->data;
    parse->complete = true;
    return 1;
}

static bool parse_length(struct slice text, int64_t *ret_length)
{
    int64_t length = 0;
    if (text.size == 0 || text.size > 15)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        length = length * 10 + (text.data[i] - '0');
    }
    *ret_length = length;
    return true;
}

/* Path and query of origin-form ("/a?b") or absolute-form ("http://host/a?b"). */
static bool split_target(struct slice url, struct http_request *request)
{
    struct http_parser_url parts;
    http_parser_url_init(&parts);
    if (http_parser_parse_url(url.data, url.size, 0, &parts) != 0 || (parts.field_set & (1 << UF_PATH)) == 0)
        return false;
    request->path = (struct slice){url.data + parts.field_data[UF_PATH].off, parts.field_data[UF_PATH].len};
    if ((parts.field_set & (1 << UF_QUERY)) != 0)
        request->query =
            (struct slice){url.data + parts.field_data[UF_QUERY].off, parts.field_data[UF_QUERY].len};
    return request->path.data[0] == '/';
}

static enum exchange_method method_of(const http_parser *parser)
{
    return parser->method == HTTP_GET ? METHOD_GET : parser->method == HTTP_POST ? METHOD_POST : METHOD_OTHER;
}

/* The rules between headers; true when the request may go on. */
static bool check_head(const http_parser *parser, struct head_parse *parse, struct http_request *request)
{
    const struct slice *value = parse->value;
    bool is_11 = parser->http_major == 1 && parser->http_minor == 1;
    bool is_10 = parser->http_major == 1 && parser->http_minor == 0;
    const struct {
        bool bad;
        enum http_refusal refusal;
    } rules[] = {
        {!is_11 && !is_10, REFUSE_VERSION},
        {is_11 && value[HEADER_HOST].data == NULL, REFUSE_HOST},
        {value[HEADER_UPGRADE].data != NULL, REFUSE_UPGRADE},
        {value[HEADER_CONTENT_LENGTH].data != NULL && value[HEADER_TRANSFER_ENCODING].data != NULL,
         REFUSE_BOTH},
        {value[HEADER_CONTENT_LENGTH].data != NULL &&
             !parse_length(value[HEADER_CONTENT_LENGTH], &request->content_length),
         REFUSE_LENGTH},
        {value[HEADER_TRANSFER_ENCODING].data != NULL &&
             (is_10 || !slice_is(value[HEADER_TRANSFER_ENCODING], "chunked")),
         REFUSE_CODING},
        {value[HEADER_EXPECT].data != NULL && !slice_is(value[HEADER_EXPECT], "100-continue"), REFUSE_EXPECT},
        {!split_target(parse->url, request), REFUSE_TARGET},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (rules[i].bad)
            return refuse_head(parse, rules[i].refusal) == 0;
    return true;
}

static void fill_request(const http_parser *parser, const struct head_parse *parse,
                         struct http_request *request)
{
    const struct slice *value = parse->value;
    request->method = method_of(parser);
    request->is_head = parser->method == HTTP_HEAD;
    request->content_type = value[HEADER_CONTENT_TYPE];
    request->accept = value[HEADER_ACCEPT];
    request->authorization = value[HEADER_AUTHORIZATION];
    request->if_none_exist = value[HEADER_IF_NONE_EXIST];
    request->chunked = value[HEADER_TRANSFER_ENCODING].data != NULL;
    request->expects_continue = value[HEADER_EXPECT].data != NULL;
    request->is_encoded =
        value[HEADER_CONTENT_ENCODING].data != NULL && !slice_is(value[HEADER_CONTENT_ENCODING], "identity");
    request->keep_alive = parser->http_minor == 1 && http_should_keep_alive(parser);
}

static enum read_step parse_head(struct http_reader *reader)
{
    static const http_parser_settings settings = {.on_url = on_url,
                                                  .on_header_field = on_field,
                                                  .on_header_value = on_value,
                                                  .on_headers_complete = on_head};
    struct head_parse parse = {.current = -1};
    http_parser parser;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &parse;
    http_parser_execute(&parser, &settings, reader->head, reader->head_size);
    if (parse.has_refusal)
        return refuse(reader, parse.refusal);
    enum http_errno error = HTTP_PARSER_ERRNO(&parser);
    if (!parse.complete && (error == HPE_UNEXPECTED_CONTENT_LENGTH || error == HPE_INVALID_CONTENT_LENGTH))
        return refuse(reader,
                      parse.value[HEADER_TRANSFER_ENCODING].data != NULL ? REFUSE_BOTH : REFUSE_LENGTH);
    if (!parse.complete)
        return refuse(reader, error == HPE_INVALID_VERSION ? REFUSE_VERSION : REFUSE_SYNTAX);
    if (!check_head(&parser, &parse, &reader->request))
        return refuse(reader, parse.refusal);
    fill_request(&parser, &parse, &reader->request);
    reader->left = reader->request.chunked ? 0 : reader->request.content_length;
    reader->state = reader->request.chunked ? HTTP_IN_CHUNK : HTTP_IN_LENGTH;
    return READ_HEAD;
}

/* Gathering the head. */

enum { HEAD_FIRST = 512 };
static_assert(HTTP_HEADER_BYTES_MAX == HEAD_FIRST << 4, "doubling ends at the bound");

void http_reader_reset(struct http_reader *reader)
{
    memset(reader, 0, offsetof(struct http_reader, head));
    reader->request.content_length = -1;
}

void http_reader_deinit(struct http_reader *reader)
{
    slab_give(reader->head);
    reader->head = NULL;
    reader->head_capacity = 0;
}

/* One who sends a head slowly holds no more than has come. */
static bool head_has_room(struct http_reader *reader)
{
    if (reader->head_size < reader->head_capacity)
        return true;
    if (reader->head_size == HTTP_HEADER_BYTES_MAX)
        return false;
    size_t doubled = 2 * reader->head_capacity;
    reader->head_capacity = doubled < HEAD_FIRST ? HEAD_FIRST : doubled;
    reader->head = slab_resize(reader->head, reader->head_capacity);
    return true;
}

bool http_reader_has_begun(const struct http_reader *reader)
{
    return reader->head_size > 0 || reader->skipped > 0;
}

enum head_byte { BYTE_GOOD, BYTE_ENDS_HEAD, BYTE_BAD };

/* Judges the byte at head[head_size] by the one before it. */
static enum head_byte take_head_byte(struct http_reader *reader, unsigned char c,
                                     enum http_refusal *ret_refusal)
{
    uint32_t at = reader->head_size;
    bool after_cr = at > 0 && reader->head[at - 1] == '\r';
    bool begins_line = at == reader->line_start && at > 0;
    reader->head[reader->head_size++] = (char)c;
    if (c == '\n' || after_cr) {
        *ret_refusal = REFUSE_LINE_END;
        if (c != '\n' || !after_cr)
            return BYTE_BAD;
        bool empty = at - reader->line_start == 1;
        reader->line_start = reader->head_size;
        return empty ? BYTE_ENDS_HEAD : BYTE_GOOD;
    }
    *ret_refusal = begins_line ? REFUSE_FOLD : REFUSE_CONTROL;
    if (begins_line && (c == ' ' || c == '\t'))
        return BYTE_BAD;
    *ret_refusal = REFUSE_CONTROL;
    bool control = (c < ' ' && c != '\r' && (c != '\t' || reader->line_start == 0)) || c == 0x7f;
    return control ? BYTE_BAD : BYTE_GOOD;
}

/* RFC 9112 section 2.2: one empty line in front of a request is passed over; old clients send it after a
 * body. */
static size_t skip_empty_line(struct http_reader *reader, const char *data, size_t size)
{
    size_t used = 0;
    while (used < size && reader->skipped < 2 && data[used] == "\r\n"[reader->skipped]) {
        reader->skipped++;
        used++;
    }
    return used;
}

static enum read_step feed_head(struct http_reader *reader, const char *data, size_t size, size_t *ret_used)
{
    size_t used = reader->head_size == 0 ? skip_empty_line(reader, data, size) : 0;
    *ret_used = used;
    if (used < size && reader->skipped == 1)
        return refuse(reader, REFUSE_LINE_END);
    while (used < size) {
        enum http_refusal refusal;
        if (!head_has_room(reader))
            return refuse(reader, REFUSE_LARGE);
        enum head_byte judged = take_head_byte(reader, (unsigned char)data[used++], &refusal);
        *ret_used = used;
        if (judged == BYTE_BAD)
            return refuse(reader, refusal);
        if (judged == BYTE_ENDS_HEAD)
            return parse_head(reader);
    }
    *ret_used = used;
    return READ_MORE;
}

/* Bodies. */

static enum read_step feed_piece(struct http_reader *reader, const char *data, size_t size, size_t *ret_used)
{
    size_t piece = (int64_t)size < reader->left ? size : (size_t)reader->left;
    reader->piece = (struct slice){data, piece};
    reader->left -= (int64_t)piece;
    *ret_used = piece;
    return READ_BODY;
}

static enum read_step feed_length(struct http_reader *reader, const char *data, size_t size, size_t *ret_used)
{
    if (reader->left <= 0) { /* or none given */
        reader->state = HTTP_AFTER;
        return READ_DONE;
    }
    return size == 0 ? READ_MORE : feed_piece(reader, data, size, ret_used);
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = memchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c, 16);
    return at != NULL ? (int)(at - digits) : -1;
}

enum { CHUNK_LINE_MAX = 256 };

/* One byte of the chunk's frame; true when it fits. `left` gathers the size. Extensions are passed over; a
 * trailer would come after the answer was due, so only the empty one is taken. */
static bool take_chunk_byte(struct http_reader *reader, char c)
{
    int digit = hex_digit(c);
    switch (reader->chunk) {
    case CHUNK_SIZE:
        if (digit >= 0) {
            if (reader->left <= MESSAGE_BYTES_MAX) /* beyond, how much is of no interest */
                reader->left = reader->left * 16 + digit;
            reader->chunk_line++;
            return reader->chunk_line < CHUNK_LINE_MAX;
        }
        reader->chunk = c == '\r' ? CHUNK_SIZE_LF : CHUNK_EXTENSION;
        return reader->chunk_line > 0 && (c == '\r' || c == ';');
    case CHUNK_EXTENSION:
        if (c == '\r')
            reader->chunk = CHUNK_SIZE_LF;
        return c == '\r' || (c >= ' ' && c != 0x7f && ++reader->chunk_line < CHUNK_LINE_MAX);
    case CHUNK_SIZE_LF:
        reader->chunk = reader->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
        reader->chunk_line = 0;
        return c == '\n';
    case CHUNK_DATA_CR:
        reader->chunk = CHUNK_DATA_LF;
        return c == '\r';
    case CHUNK_DATA_LF:
        reader->chunk = CHUNK_SIZE;
        return c == '\n';
    case CHUNK_TRAILER:
        return c == "\r\n"[reader->chunk_line++];
    case CHUNK_DATA:
        break;
    }
    ensure_unreachable();
}

static enum read_step feed_chunk(struct http_reader *reader, const char *data, size_t size, size_t *ret_used)
{
    size_t used = 0;
    while (used < size) {
        if (reader->chunk == CHUNK_DATA) {
            enum read_step step = feed_piece(reader, data + used, size - used, ret_used);
            *ret_used += used;
            if (reader->left == 0)
                reader->chunk = CHUNK_DATA_CR;
            return step;
        }
        bool fits = take_chunk_byte(reader, data[used++]);
        *ret_used = used;
        if (!fits)
            return refuse(reader, REFUSE_CHUNK);
        if (reader->chunk == CHUNK_DATA && reader->left > MESSAGE_BYTES_MAX)
            return refuse(reader, REFUSE_CHUNK_LARGE);
        if (reader->chunk == CHUNK_TRAILER && reader->chunk_line == 2) {
            reader->state = HTTP_AFTER;
            return READ_DONE;
        }
    }
    return READ_MORE;
}

enum read_step http_reader_feed(struct http_reader *reader, const char *data, size_t size, size_t *ret_used)
{
    *ret_used = 0;
    if (reader->fault.status != 0)
        return READ_FAULT;
    switch (reader->state) {
    case HTTP_IN_HEAD:
        return feed_head(reader, data, size, ret_used);
    case HTTP_IN_LENGTH:
        return feed_length(reader, data, size, ret_used);
    case HTTP_IN_CHUNK:
        return feed_chunk(reader, data, size, ret_used);
    case HTTP_AFTER:
        break;
    }
    ensure_unreachable();
}

/* Small readers of header values. */

struct slice http_bearer(struct slice authorization)
{
    static const char scheme[] = "bearer ";
    size_t size = sizeof(scheme) - 1;
    if (authorization.size <= size || strncasecmp(authorization.data, scheme, size) != 0)
        return (struct slice){NULL, 0};
    return trimmed(authorization.data + size, authorization.size - size);
}

bool http_type_is(struct slice content_type, const char *type)
{
    if (content_type.data == NULL)
        return false;
    const char *end = memchr(content_type.data, ';', content_type.size);
    size_t size = end != NULL ? (size_t)(end - content_type.data) : content_type.size;
    return slice_is(trimmed(content_type.data, size), type);
}

/* Answers. */

void http_format_date(int64_t ms, char out[HTTP_DATE_TEXT])
{
    static const char days_of_week[] = "ThuFriSatSunMonTueWed",
                      months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t seconds = ms / 1000, days = seconds / 86400;
    int year, month, day, second = (int)(seconds % 86400);
    ensure(ms >= 0);
    instant_civil_from_days(days, &year, &month, &day);
    snprintf(out, HTTP_DATE_TEXT, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", days_of_week + 3 * (days % 7),
             (unsigned)day % 100, months + 3 * (month - 1), (unsigned)year % 10000,
             (unsigned)second / 3600 % 24, (unsigned)second / 60 % 60, (unsigned)second % 60);
}

static void append_number(struct buffer *out, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    buffer_append(out, digits + at, sizeof(digits) - at);
}

static void append_header(struct buffer *out, const char *name, const char *value)
{
    buffer_text(out, name);
    buffer_text(out, value);
    buffer_append(out, "\r\n", 2);
}

void http_append_answer(struct buffer *out, const struct exchange *exchange, const struct http_answer *answer)
{
    ensure(exchange->status >= 100 && exchange->status <= 999);
    buffer_text(out, "HTTP/1.1 ");
    append_number(out, (uint64_t)exchange->status);
    append_header(out, " ", http_status_str((enum http_status)exchange->status));
    append_header(out, "Date: ", answer->date);
    if (exchange->out.size > 0)
        append_header(out, "Content-Type: ", exchange->out_type);
    buffer_text(out, "Content-Length: ");
    append_number(out, exchange->out.size);
    buffer_append(out, "\r\n", 2);
    if (exchange->allow != NULL)
        append_header(out, "Allow: ", exchange->allow);
    if (exchange->status == 401)
        append_header(out, "WWW-Authenticate: ", "Bearer");
    if (exchange->location[0] != '\0')
        append_header(out, "Location: ", exchange->location);
    if (exchange->etag[0] != '\0')
        append_header(out, "ETag: ", exchange->etag);
    if (exchange->last_modified_ms != INSTANT_NONE) {
        char date[HTTP_DATE_TEXT];
        http_format_date(exchange->last_modified_ms, date);
        append_header(out, "Last-Modified: ", date);
    }
    if (exchange->retry_after_s > 0) {
        buffer_text(out, "Retry-After: ");
        append_number(out, (uint64_t)exchange->retry_after_s);
        buffer_append(out, "\r\n", 2);
    }
    if (!answer->keep_alive)
        append_header(out, "Connection: ", "close");
    buffer_append(out, "\r\n", 2);
    if (!answer->head_only)
        buffer_append(out, exchange->out.data, exchange->out.size);
}
