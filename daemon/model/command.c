/* command: the words of commands, and how a journaled one is told by its first key. */
#include "daemon/model/command.h"

#include <string.h>

#include "daemon/base/ensure.h"

static const struct {
    const char *word;
    bool journaled;
} rows[COMMAND_COUNT] = {
#define COMMAND_ROW(id, word, journaled) {word, journaled},
    COMMAND_ROWS(COMMAND_ROW)
#undef COMMAND_ROW
};

const char *command_word(enum command_kind kind)
{
    ensure(kind < COMMAND_COUNT);
    return rows[kind].word;
}

bool command_is_journaled(enum command_kind kind)
{
    ensure(kind < COMMAND_COUNT);
    return rows[kind].journaled;
}

static const char *skip(const char *at, const char *end, const char *wanted)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    size_t size = strlen(wanted);
    return (size_t)(end - at) >= size && memcmp(at, wanted, size) == 0 ? at + size : NULL;
}

enum command_kind command_kind_of(const char *json, size_t size)
{
    static const char *const head[] = {"{", "\"command\"", ":", "\""};
    const char *at = json, *end = json + size;

    for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
        at = skip(at, end, head[i]);
        if (at == NULL)
            return COMMAND_COUNT;
    }
    const char *quote = memchr(at, '"', (size_t)(end - at));
    if (quote == NULL)
        return COMMAND_COUNT;
    for (enum command_kind kind = 0; kind < COMMAND_COUNT; kind++)
        if (strlen(rows[kind].word) == (size_t)(quote - at) &&
            memcmp(rows[kind].word, at, (size_t)(quote - at)) == 0)
            return kind;
    return COMMAND_COUNT;
}
