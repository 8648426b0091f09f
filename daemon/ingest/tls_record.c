/* tls_record: RFC 8446 section 5.1 (and RFC 5246 section 6.2.1): type (20 to 24), version 3.x, length of what
 * follows in two bytes, at most 2^14 + 2,048. */
#include "daemon/ingest/tls_record.h"

enum { RECORD_HEAD = 5, RECORD_BODY_MAX = 16384 + 2048, TYPE_FIRST = 20, TYPE_LAST = 24 };
enum { TYPE_CHANGE_CIPHER = 20, TYPE_HANDSHAKE = 22, MESSAGE_HEAD = 4 };

static bool may_be_record(const unsigned char *head, size_t size)
{
    return (size < 1 || (head[0] >= TYPE_FIRST && head[0] <= TYPE_LAST)) && (size < 2 || head[1] == 3) &&
           (size < RECORD_HEAD || ((size_t)head[3] << 8 | head[4]) <= RECORD_BODY_MAX);
}

size_t tls_record_whole(const char *data, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)data;
    size_t at = 0;
    for (;;) {
        size_t left = size - at;
        if (!may_be_record(bytes + at, left))
            return size;
        if (left < RECORD_HEAD)
            return at;
        size_t record = RECORD_HEAD + ((size_t)bytes[at + 3] << 8 | bytes[at + 4]);
        if (left < record)
            return at;
        at += record;
    }
}

size_t tls_record_first(const char *data, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)data;
    if (size < RECORD_HEAD || !may_be_record(bytes, size))
        return size;
    size_t record = RECORD_HEAD + ((size_t)bytes[3] << 8 | bytes[4]);
    return record < size ? record : size;
}

bool tls_record_claim_is_good(const char *data, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)data;
    size_t at = 0;
    while (at + RECORD_HEAD <= size && bytes[at] == TYPE_CHANGE_CIPHER)
        at += RECORD_HEAD + ((size_t)bytes[at + 3] << 8 | bytes[at + 4]);
    if (at >= size || bytes[at] != TYPE_HANDSHAKE)
        return true; /* not in the clear, or OpenSSL will refuse it */
    if (size - at < RECORD_HEAD + MESSAGE_HEAD || ((size_t)bytes[at + 3] << 8 | bytes[at + 4]) < MESSAGE_HEAD)
        return false; /* a claim cut over two records has no honest use */
    const unsigned char *message = bytes + at + RECORD_HEAD;
    return ((size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3]) <= HELLO_BYTES_MAX;
}
