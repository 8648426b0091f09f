/* kafka_topic: one pass over the template; "_" escapes and is escaped, which makes the mapping injective. */
#include "alerting/kafka_topic.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/ensure.h"
#include "daemon/base/limits.h"

static const char hole[] = "{organization}";
enum { HOLE_SIZE = sizeof(hole) - 1, ESCAPED_MAX = 3 * REF_BYTES_MAX + 1 };

bool kafka_topic_is_template(const char *topic)
{
    return strstr(topic, hole) != NULL;
}

static size_t escape(const char *organization, size_t size, char out[ESCAPED_MAX])
{
    size_t length = 0;
    ensure(size <= REF_BYTES_MAX);
    if (size == 0)
        out[length++] = '_';
    for (size_t index = 0; index < size; index++) {
        unsigned char byte = (unsigned char)organization[index];
        bool plain = byte < 128 && (isalnum(byte) || byte == '-');
        length += (size_t)snprintf(out + length, ESCAPED_MAX - length, plain ? "%c" : "_%02x", byte);
    }
    out[length] = '\0';
    return length;
}

enum err kafka_topic_name(const char *template, const char *organization, size_t organization_size,
                          char ret_name[KAFKA_TOPIC_MAX + 2])
{
    char escaped[ESCAPED_MAX];
    size_t size = 0, escaped_size = escape(organization, organization_size, escaped);
    while (*template != '\0' && size <= KAFKA_TOPIC_MAX) {
        bool filled = strncmp(template, hole, HOLE_SIZE) == 0;
        const char *from = filled ? escaped : template;
        size_t count = filled ? escaped_size : 1;
        template += filled ? HOLE_SIZE : 1;
        if (count > KAFKA_TOPIC_MAX + 1 - size)
            count = KAFKA_TOPIC_MAX + 1 - size;
        memcpy(ret_name + size, from, count);
        size += count;
    }
    ret_name[size] = '\0';
    return size <= KAFKA_TOPIC_MAX ? OK : ERR_LIMIT;
}

/* What an organisation can become: "_", or plain bytes and escapes. */
static bool is_escaped(const char *text, size_t size)
{
    if (size == 1 && *text == '_')
        return true;
    for (size_t index = 0; index < size; index++) {
        unsigned char byte = (unsigned char)text[index];
        if (byte == '_' && index + 2 < size && isxdigit((unsigned char)text[index + 1]) &&
            isxdigit((unsigned char)text[index + 2]))
            index += 2;
        else if (byte >= 128 || !(isalnum(byte) || byte == '-'))
            return false;
    }
    return size > 0;
}

bool kafka_topic_fits(const char *template, const char *name)
{
    const char *at = strstr(template, hole);
    if (at == NULL)
        return strcmp(template, name) == 0;
    size_t before = (size_t)(at - template), after = strlen(at + HOLE_SIZE), size = strlen(name);
    return size > before + after && strncmp(name, template, before) == 0 &&
           strcmp(name + size - after, at + HOLE_SIZE) == 0 &&
           is_escaped(name + before, size - before - after);
}
