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

enum { CURSOR_BYTES_MAX = 4096 };

static const char cursor_title[] = "vigie-kafka-cursor 1\n";

static void cursor_path(const char *state_dir, char path[PATH_MAX])
{
    int length = snprintf(path, PATH_MAX, "%s/kafka.cursor", state_dir);
    ensure(length > 0 && length < PATH_MAX);
}

/* The check closes the text; what it covers is cut off there. */
static bool check_is_good(char *text)
{
    char *check = strstr(text, "check ");
    if (strncmp(text, cursor_title, sizeof(cursor_title) - 1) != 0 || check == NULL)
        return false;
    uint64_t stated = strtoull(check + strlen("check "), NULL, 16);
    uint64_t found = hash_xxh64(text, (size_t)(check - text));
    *check = '\0';
    return stated == found;
}

static bool parse(char *text, struct publisher_cursor *cursor)
{
    char *rest = NULL;
    if (!check_is_good(text))
        return false;
    strtok_r(text, "\n", &rest); /* the title */
    for (char *line; (line = strtok_r(NULL, "\n", &rest)) != NULL;) {
        uint32_t shard, partitions;
        uint64_t position;
        if (sscanf(line, "partitions %" SCNu32, &partitions) == 1)
            cursor->partitions = partitions;
        else if (sscanf(line, "shard %" SCNu32 " %" SCNu64, &shard, &position) == 2 && shard < cursor->shards)
            cursor->position[shard] = position;
        else
            return false;
    }
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
    buffer_printf(&text, "check %016" PRIx64 "\n", hash_xxh64(text.data, text.size));
    enum err error = file_replace(path, text.data, text.size, 0600);
    buffer_deinit(&text);
    return error;
}
