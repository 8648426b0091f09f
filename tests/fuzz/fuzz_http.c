/* Fuzz target: a request fed whole and the same bytes fed in pieces (the first input byte says how large)
 * must come to the same story: same head, same body, same end or fault after as many bytes. */
#include <stdlib.h>
#include <string.h>

#include "daemon/ingest/http.h"

struct story {
    struct http_request request;
    struct exchange_fault fault;
    struct buffer body;
    enum read_step last;
    size_t used;
};

static void tell(const char *data, size_t size, size_t cut, struct story *story)
{
    struct http_reader *reader = calloc(1, sizeof(*reader));
    http_reader_reset(reader);
    do {
        size_t used, offered = size - story->used < cut ? size - story->used : cut;
        story->last = http_reader_feed(reader, data + story->used, offered, &used);
        ensure(used <= offered);
        story->used += used;
        if (story->last == READ_BODY)
            buffer_append(&story->body, reader->piece.data, reader->piece.size);
        if (story->last == READ_MORE && story->used == size)
            break;
    } while (story->last != READ_DONE && story->last != READ_FAULT);
    story->request = reader->request;
    story->fault = reader->fault;
    http_reader_deinit(reader);
    free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct story whole = {0}, pieces = {0};
    tell((const char *)data + 1, size - 1, SIZE_MAX, &whole);
    tell((const char *)data + 1, size - 1, 1 + data[0] % 32, &pieces);
    ensure(whole.last == pieces.last && whole.used == pieces.used);
    ensure(whole.fault.text == pieces.fault.text);
    ensure(whole.body.size == pieces.body.size);
    ensure(whole.body.size == 0 || memcmp(whole.body.data, pieces.body.data, whole.body.size) == 0);
    ensure(whole.request.method == pieces.request.method &&
           whole.request.path.size == pieces.request.path.size);
    ensure(whole.request.content_length == pieces.request.content_length);
    buffer_deinit(&whole.body);
    buffer_deinit(&pieces.body);
    return 0;
}
