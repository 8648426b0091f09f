/* cbor_write: see the header. */
#include "bench/cbor_write.h"

#include <string.h>

/* Integer keys of a reading. */
enum { KEY_TIME = 3, KEY_CODE = 5, KEY_VALUE = 6, KEY_UNIT = 7 };

void cbor_write_head(struct buffer *out, unsigned major, uint64_t number)
{
    int log = number < 24 ? -1 : number < 0x100 ? 0 : number < 0x10000 ? 1 : number < 0x100000000 ? 2 : 3;
    uint8_t head[9] = {(uint8_t)(major << 5 | (log < 0 ? (unsigned)number : 24u + (unsigned)log))};
    size_t size = log < 0 ? 0 : (size_t)1 << log;
    for (size_t i = 0; i < size; i++)
        head[1 + i] = (uint8_t)(number >> 8 * (size - 1 - i));
    buffer_append(out, head, 1 + size);
}

void cbor_write_text(struct buffer *out, unsigned key, const char *text)
{
    cbor_write_head(out, CBOR_UNSIGNED, key);
    cbor_write_head(out, CBOR_TEXT, strlen(text));
    buffer_text(out, text);
}

void cbor_write_reading(struct buffer *out, const char *code, unsigned tenths, const char *unit,
                        int64_t time_ms)
{
    cbor_write_head(out, CBOR_MAP, 4);
    cbor_write_text(out, KEY_CODE, code);
    cbor_write_head(out, CBOR_UNSIGNED, KEY_VALUE);
    cbor_write_head(out, CBOR_TAG, 4);
    cbor_write_head(out, CBOR_ARRAY, 2);
    cbor_write_head(out, CBOR_NEGATIVE, 0); /* 10^-1 */
    cbor_write_head(out, CBOR_UNSIGNED, tenths);
    cbor_write_text(out, KEY_UNIT, unit);
    cbor_write_head(out, CBOR_UNSIGNED, KEY_TIME);
    cbor_write_head(out, CBOR_UNSIGNED, (uint64_t)time_ms);
}
