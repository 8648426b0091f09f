/* http: what is taken, what is refused, and that neither depends on how the bytes were cut. */
#include "daemon/ingest/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

/* What a feed came to, as text: head, body and end or fault. */
static void feed(const char *data, size_t size, size_t cut, struct buffer *ret_story)
{
    struct http_reader *reader = calloc(1, sizeof(*reader));
    http_reader_reset(reader);
    size_t at = 0;
    enum read_step step = READ_MORE;
    buffer_clear(ret_story);
    while (step != READ_DONE && step != READ_FAULT) {
        size_t used, offered = size - at < cut ? size - at : cut;
        step = http_reader_feed(reader, data + at, offered, &used);
        at += used;
        if (step == READ_BODY)
            buffer_append(ret_story, reader->piece.data, reader->piece.size);
        if (step == READ_HEAD)
            buffer_printf(ret_story, "%d %.*s?%.*s %lld %d%d%d%d|", reader->request.method,
                          (int)reader->request.path.size, reader->request.path.data,
                          (int)reader->request.query.size, reader->request.query.data,
                          (long long)reader->request.content_length, reader->request.chunked,
                          reader->request.keep_alive, reader->request.expects_continue,
                          reader->request.is_encoded);
        if (step == READ_MORE && at == size)
            break;
    }
    if (step == READ_FAULT)
        buffer_printf(ret_story, "fault %d %s", reader->fault.status, reader->fault.text);
    else
        buffer_printf(ret_story, "|%s %zu", step == READ_DONE ? "done" : "more", size - at);
    buffer_append(ret_story, "", 1);
    http_reader_deinit(reader);
    free(reader);
}

#define POST_HEAD    "POST /v1/readings HTTP/1.1\r\nHost: x\r\n"
#define GET(headers) "GET /fhir/metadata HTTP/1.1\r\nHost: x\r\n" headers "\r\n"

static const struct {
    const char *text, *story;
} rows[] = {
    {GET(""), "1 /fhir/metadata? -1 0100||done 0"},
    {"GET /a?b=c%20d HTTP/1.1\r\nHost: x\r\n\r\n", "1 /a?b=c%20d -1 0100||done 0"},
    {"GET http://host:80/a?b HTTP/1.1\r\nHost: x\r\n\r\n", "1 /a?b -1 0100||done 0"},
    {"\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", "1 /a? -1 0100||done 0"},
    {"GET /a HTTP/1.0\r\n\r\n", "1 /a? -1 0000||done 0"},
    {"DELETE /a HTTP/1.1\r\nHost: x\r\n\r\n", "4 /a? -1 0100||done 0"},
    {POST_HEAD "Content-Length: 3\r\n\r\nabcGET", "2 /v1/readings? 3 0100|abc|done 3"},
    {POST_HEAD "content-length:\t 3 \r\n\r\nab", "2 /v1/readings? 3 0100|ab|more 0"},
    {POST_HEAD "Content-Length: 0\r\n\r\n", "2 /v1/readings? 0 0100||done 0"},
    {POST_HEAD "Connection: close\r\n\r\n", "2 /v1/readings? -1 0000||done 0"},
    {POST_HEAD "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx", "2 /v1/readings? 1 0110|x|done 0"},
    {POST_HEAD "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", "2 /v1/readings? 1 0101|x|done 0"},
    {POST_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\nGET",
     "2 /v1/readings? -1 1100|abc0123456789|done 3"},
    {POST_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nab", "2 /v1/readings? -1 1100|ab|more 0"},
    /* refused */
    {"GARBAGE\r\n\r\n", "fault 400 not an HTTP request"},
    {"GET /a\r\n\r\n", "fault 400 HTTP/1.1 or HTTP/1.0 is spoken here"},
    {"GET /a HTTP/2.0\r\nHost: x\r\n\r\n", "fault 400 HTTP/1.1 or HTTP/1.0 is spoken here"},
    {"GET /a HTTP/1.1\r\n\r\n", "fault 400 one Host header is needed"},
    {"GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "fault 400 one Host header is needed"},
    {"GET /a HTTP/1.1\nHost: x\r\n\r\n", "fault 400 a line does not end in CRLF"},
    {"GET /a HTTP/1.1\r\nHost: x\r\r\n\r\n", "fault 400 a line does not end in CRLF"},
    {"\rGET /a HTTP/1.1\r\nHost: x\r\n\r\n", "fault 400 a line does not end in CRLF"},
    {GET("A: b\r\n c\r\n"), "fault 400 a folded header line"},
    {GET("A: b\001c\r\n"), "fault 400 a control byte in the request line or a header"},
    {"GET /a\tb HTTP/1.1\r\nHost: x\r\n\r\n", "fault 400 a control byte in the request line or a header"},
    {"GET /\303\251 HTTP/1.1\r\nHost: x\r\n\r\n", "fault 400 the request target is not a path"},
    {"GET * HTTP/1.1\r\nHost: x\r\n\r\n", "fault 400 the request target is not a path"},
    {GET("A b: c\r\n"), "fault 400 a header name is not a token"},
    {GET("Upgrade: h2c\r\n"), "fault 400 Upgrade is not served"},
    {GET("Expect: miracles\r\n"), "fault 400 Expect can be 100-continue only"},
    {POST_HEAD "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
     "fault 400 Content-Length is not one whole number"},
    {POST_HEAD "Content-Length: 3, 3\r\n\r\nabc", "fault 400 Content-Length is not one whole number"},
    {POST_HEAD "Content-Length: +3\r\n\r\nabc", "fault 400 Content-Length is not one whole number"},
    {POST_HEAD "Content-Length: -1\r\n\r\nabc", "fault 400 Content-Length is not one whole number"},
    {POST_HEAD "Content-Length:\r\n\r\nabc", "fault 400 Content-Length is not one whole number"},
    {POST_HEAD "Content-Length: 99999999999999999999\r\n\r\n",
     "fault 400 Content-Length is not one whole number"},
    {POST_HEAD "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
     "fault 400 Content-Length and Transfer-Encoding exclude each other"},
    {POST_HEAD "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
     "fault 400 Content-Length and Transfer-Encoding exclude each other"},
    {POST_HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n",
     "fault 400 Transfer-Encoding can be chunked only, in HTTP/1.1"},
    {POST_HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     "fault 400 Transfer-Encoding can be chunked only, in HTTP/1.1"},
    {"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
     "fault 400 Transfer-Encoding can be chunked only, in HTTP/1.1"},
    {POST_HEAD "Content-Type: a\r\nContent-Type: b\r\n\r\n",
     "fault 400 a header that may come once came twice"},
    {POST_HEAD "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n",
     "2 /v1/readings? -1 1100|fault 400 a chunk is not well formed"},
    {POST_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
     "2 /v1/readings? -1 1100|abcfault 400 a chunk is not well formed"},
    {POST_HEAD "Transfer-Encoding: chunked\r\n\r\n3\rxabc\r\n",
     "2 /v1/readings? -1 1100|fault 400 a chunk is not well formed"},
    {POST_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\rx",
     "2 /v1/readings? -1 1100|abcfault 400 a chunk is not well formed"},
    {POST_HEAD "Transfer-Encoding: chunked\r\n\r\n\r\n",
     "2 /v1/readings? -1 1100|fault 400 a chunk is not well formed"},
    {POST_HEAD "Transfer-Encoding: chunked\r\n\r\n0x3\r\n",
     "2 /v1/readings? -1 1100|fault 400 a chunk is not well formed"},
    {POST_HEAD "Transfer-Encoding: chunked\r\n\r\n-3\r\n",
     "2 /v1/readings? -1 1100|fault 400 a chunk is not well formed"},
    {POST_HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n",
     "2 /v1/readings? -1 1100|fault 400 a chunk is not well formed"},
    {POST_HEAD "Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
     "2 /v1/readings? -1 1100|fault 413 the body is larger than 1 MiB"},
};

static void test_stories(void)
{
    struct buffer story = {0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        feed(rows[i].text, strlen(rows[i].text), SIZE_MAX, &story);
        CU_ASSERT_STRING_EQUAL(story.data, rows[i].story);
        if (strcmp(story.data, rows[i].story) != 0)
            printf("\nrow %zu: %s\n", i, story.data);
    }
    buffer_deinit(&story);
}

static void test_cuts(void)
{
    struct buffer story = {0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t cut = 1; cut < strlen(rows[i].text); cut++) {
            feed(rows[i].text, strlen(rows[i].text), cut, &story);
            CU_ASSERT_STRING_EQUAL(story.data, rows[i].story);
        }
    buffer_deinit(&story);
}

/* 8,192 bytes of head are taken, one more is 431, however they come. */
static void test_head_limit(void)
{
    struct buffer text = {0}, story = {0};
    for (size_t size = HTTP_HEADER_BYTES_MAX; size <= HTTP_HEADER_BYTES_MAX + 1; size++) {
        buffer_clear(&text);
        buffer_text(&text, "GET /a HTTP/1.1\r\nHost: x\r\nA: ");
        while (text.size < size - 4)
            buffer_text(&text, "b");
        buffer_text(&text, "\r\n\r\n");
        for (size_t cut = 1; cut < 9000; cut += 997) {
            feed(text.data, text.size, cut, &story);
            CU_ASSERT_STRING_EQUAL(story.data, size == HTTP_HEADER_BYTES_MAX
                                                   ? "1 /a? -1 0100||done 0"
                                                   : "fault 431 the header is larger than 8 KiB");
        }
    }
    buffer_deinit(&text);
    buffer_deinit(&story);
}

static struct slice slice_of(const char *text)
{
    return (struct slice){text, text != NULL ? strlen(text) : 0};
}

static void test_values(void)
{
    struct slice token = http_bearer(slice_of("bEarer  abc "));
    CU_ASSERT_EQUAL_FATAL(token.size, 3);
    CU_ASSERT_EQUAL(memcmp(token.data, "abc", 3), 0);
    CU_ASSERT_PTR_NULL(http_bearer(slice_of("Basic abc")).data);
    CU_ASSERT_PTR_NULL(http_bearer(slice_of("Bearer ")).data);
    CU_ASSERT_PTR_NULL(http_bearer(slice_of(NULL)).data);
    CU_ASSERT_TRUE(http_type_is(slice_of("Application/JSON ; charset=utf-8"), "application/json"));
    CU_ASSERT_FALSE(http_type_is(slice_of("application/jsonx"), "application/json"));
    CU_ASSERT_FALSE(http_type_is(slice_of(NULL), "application/json"));
}

static void test_answer(void)
{
    struct exchange exchange = {
        .status = 405, .out_type = "application/json", .allow = "POST", .last_modified_ms = INSTANT_NONE};
    struct http_answer answer = {.date = "D", .keep_alive = true};
    struct buffer out = {0};
    buffer_text(&exchange.out, "{}");
    http_append_answer(&out, &exchange, &answer);
    buffer_append(&out, "", 1);
    CU_ASSERT_STRING_EQUAL(out.data,
                           "HTTP/1.1 405 Method Not Allowed\r\nDate: D\r\nContent-Type: application/json\r\n"
                           "Content-Length: 2\r\nAllow: POST\r\n\r\n{}");
    buffer_clear(&out);
    exchange = (struct exchange){
        .status = 401, .out = exchange.out, .out_type = "a", .last_modified_ms = 0, .retry_after_s = 5};
    answer = (struct http_answer){.date = "D", .head_only = true};
    http_append_answer(&out, &exchange, &answer);
    buffer_append(&out, "", 1);
    CU_ASSERT_STRING_EQUAL(out.data,
                           "HTTP/1.1 401 Unauthorized\r\nDate: D\r\nContent-Type: a\r\nContent-Length: 2\r\n"
                           "WWW-Authenticate: Bearer\r\nLast-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                           "Retry-After: 5\r\nConnection: close\r\n\r\n");
    buffer_deinit(&out);
    buffer_deinit(&exchange.out);
}

SUITE(http) = {
    {"requests taken and refused", test_stories},
    {"cut anywhere: the same", test_cuts},
    {"8 KiB of header", test_head_limit},
    {"header values", test_values},
    {"answers", test_answer},
    {NULL, NULL},
};
