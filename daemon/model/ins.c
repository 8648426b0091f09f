/* ins: see the header for the number; everything here is bounded by its 15 characters. */
#include "daemon/model/ins.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "daemon/base/ensure.h"

static const char urn[] = "urn:oid:";

#define SYSTEM(oid)                                                                                          \
    {                                                                                                        \
        "urn:oid:" oid, sizeof("urn:oid:" oid) - 1                                                           \
    }
static const struct slice systems[] = {
    [INS_NIR] = SYSTEM("1.2.250.1.213.1.4.8"),
    [INS_NIA] = SYSTEM("1.2.250.1.213.1.4.9"),
    [INS_TEST] = SYSTEM("1.2.250.1.213.1.4.10"),
    [INS_DEMO] = SYSTEM("1.2.250.1.213.1.4.11"),
};

enum ins_kind ins_kind_of(struct slice system)
{
    size_t prefix = sizeof urn - 1;
    if (system.size > prefix && strncasecmp(system.data, urn, prefix) == 0)
        system = (struct slice){system.data + prefix, system.size - prefix};
    for (enum ins_kind kind = INS_NIR; kind <= INS_DEMO; kind++)
        if (systems[kind].size - prefix == system.size &&
            memcmp(systems[kind].data + prefix, system.data, system.size) == 0)
            return kind;
    return INS_NONE;
}

struct slice ins_system(enum ins_kind kind)
{
    ensure(kind >= INS_NIR && kind <= INS_DEMO);
    return systems[kind];
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool ins_is_body(const char body[INS_BODY_BYTES])
{
    for (size_t i = 0; i < INS_BODY_BYTES; i++) {
        bool corsica = i == 6 && body[5] == '2' && (body[i] == 'A' || body[i] == 'B');
        if (!is_digit(body[i]) && !corsica)
            return false;
    }
    int month = (body[3] - '0') * 10 + body[4] - '0';
    return body[0] >= '1' && body[0] <= '8' && ((month >= 1 && month <= 12) || month >= 20);
}

static unsigned key_of(const char body[INS_BODY_BYTES])
{
    int64_t number = 0;
    for (size_t i = 0; i < INS_BODY_BYTES; i++)
        number = number * 10 + (is_digit(body[i]) ? body[i] - '0' : 0);
    if (!is_digit(body[6])) /* 2A counts as 19, 2B as 18: by now it is 20 */
        number -= (body[6] == 'A' ? 1 : 2) * INT64_C(1000000);
    return (unsigned)(97 - number % 97);
}

/* Bytes of the space that begins there; 0: none does. U+00A0 and U+202F are how typed documents space. */
static size_t space_at(const char *text, size_t size)
{
    static const struct slice spaces[] = {{" ", 1}, {"\u00a0", 2}, {"\u202f", 3}};
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        if (size >= spaces[i].size && memcmp(text, spaces[i].data, spaces[i].size) == 0)
            return spaces[i].size;
    return 0;
}

enum ins_fault ins_parse(struct slice value, char ret[INS_BYTES])
{
    char text[INS_BYTES];
    size_t count = 0;
    for (size_t at = 0, space; at<value.size; at += space> 0 ? space : 1) {
        char c = value.data[at];
        space = space_at(value.data + at, value.size - at);
        if (space > 0)
            continue;
        if (count == INS_BYTES)
            return INS_BAD_SHAPE;
        text[count++] = c == 'a' ? 'A' : c == 'b' ? 'B' : c;
    }
    if (count != INS_BYTES || !ins_is_body(text) || !is_digit(text[13]) || !is_digit(text[14]))
        return INS_BAD_SHAPE;
    if (key_of(text) != (unsigned)((text[13] - '0') * 10 + text[14] - '0'))
        return INS_BAD_KEY;
    memcpy(ret, text, INS_BYTES);
    return INS_GOOD;
}
