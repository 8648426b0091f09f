/* publisher_cursor: a small text, replaced whole (PITFALLS F2). */
#include "alerting/publisher_cursor.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/buffer.h"
#include "daemon/base/file.h"
#include "daemon/base/hash.h"
#include "daemon/base/log.h"

enum { CURSOR_BYTES_MAX = 256 << 10 };
_Static_assert(BEHIND_MAX *(KAFKA_TOPIC_MAX + 80) + PARKED_MAX * 64 + SHARDS_MAX * 64 < CURSOR_BYTES_MAX,
               "the longest cursor can be read back");

static const char cursor_title[] = "vigie-kafka-cursor 1\n";

static void cursor_path(const char *state_dir, char path[PATH_MAX])
{
    int length = snprintf(path, PATH_MAX, "%s/kafka.cursor", state_dir);
    ensure(length > 0 && length < PATH_MAX);
}

/* The check closes the text; what it covers is cut off there. */
static bool check_is_good(char *text)
{
    char *check = strstr(text, "\ncheck ");
    if (strncmp(text, cursor_title, sizeof(cursor_title) - 1) != 0 || check == NULL)
        return false;
    check++; /* the line's end is covered */
    uint64_t stated = strtoull(check + strlen("check "), NULL, 16);
    uint64_t found = hash_xxh64(text, (size_t)(check - text));
    *check = '\0';
    return stated == found;
}

static bool parse_line(const char *line, struct publisher_cursor *cursor)
{
    struct cursor_behind behind;
    struct cursor_parked parked;
    uint32_t shard, partitions;
    uint64_t position;
    if (sscanf(line, "partitions %" SCNu32, &partitions) == 1)
        cursor->partitions = partitions;
    else if (sscanf(line, "shard %" SCNu32 " %" SCNu64, &shard, &position) == 2 && shard < cursor->shards)
        cursor->position[shard] = position;
    else if (sscanf(line, "behind %" SCNu32 " %" SCNu64 " %" SCNd64 " %250s", &behind.shard, &behind.position,
                    &behind.decided_at_ms, behind.topic) == 4 &&
             behind.shard < cursor->shards && cursor->behind_count < BEHIND_MAX)
        cursor->behind[cursor->behind_count++] = behind;
    else if (sscanf(line, "parked %" SCNu32 " %" SCNu64, &parked.shard, &parked.position) == 2 &&
             parked.shard < cursor->shards && cursor->parked_count < PARKED_MAX)
        cursor->parked[cursor->parked_count++] = parked;
    else
        return false;
    return true;
}

static bool parse(char *text, struct publisher_cursor *cursor)
{
    char *rest = NULL;
    if (!check_is_good(text))
        return false;
    strtok_r(text, "\n", &rest); /* the title */
    for (char *line; (line = strtok_r(NULL, "\n", &rest)) != NULL;)
        if (!parse_line(line, cursor))
            return false;
    return true;
}

void publisher_cursor_load(struct publisher_cursor *cursor, const char *state_dir, uint32_t shards)
{
    char path[PATH_MAX];
    struct buffer text = {0};
    cursor_path(state_dir, path);
    *cursor = (struct publisher_cursor){.shards = shards};
    enum err error = file_read(path, CURSOR_BYTES_MAX, &text);
    buffer_append(&text, "", 1);
    if (error != ERR_NOT_FOUND && (error != OK || !parse(text.data, cursor))) {
        log_write(LOG_ERROR, "kafka",
                  "cursor is damaged file=%s error=%s hint=\"events are published again from the oldest; "
                  "consumers drop them by ce_id\"",
                  path, err_name(error));
        *cursor = (struct publisher_cursor){.shards = shards};
    }
    buffer_deinit(&text);
}

enum err publisher_cursor_save(const struct publisher_cursor *cursor, const char *state_dir)
{
    char path[PATH_MAX];
    struct buffer text = {0};
    cursor_path(state_dir, path);
    buffer_printf(&text, "%spartitions %" PRIu32 "\n", cursor_title, cursor->partitions);
    for (uint32_t shard = 0; shard < cursor->shards; shard++)
        buffer_printf(&text, "shard %" PRIu32 " %" PRIu64 "\n", shard, cursor->position[shard]);
    for (uint32_t i = 0; i < cursor->behind_count; i++)
        buffer_printf(&text, "behind %" PRIu32 " %" PRIu64 " %" PRId64 " %s\n", cursor->behind[i].shard,
                      cursor->behind[i].position, cursor->behind[i].decided_at_ms, cursor->behind[i].topic);
    for (uint32_t i = 0; i < cursor->parked_count; i++)
        buffer_printf(&text, "parked %" PRIu32 " %" PRIu64 "\n", cursor->parked[i].shard,
                      cursor->parked[i].position);
    buffer_printf(&text, "check %016" PRIx64 "\n", hash_xxh64(text.data, text.size));
    enum err error = file_replace(path, text.data, text.size, 0600);
    buffer_deinit(&text);
    return error;
}

bool publisher_cursor_has_parked(const struct publisher_cursor *cursor, uint32_t shard, uint64_t position)
{
    for (uint32_t i = 0; i < cursor->parked_count; i++)
        if (cursor->parked[i].shard == shard && cursor->parked[i].position == position)
            return true;
    return false;
}
