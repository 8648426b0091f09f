/* journal_trim: see the header. */
#include "storage/journal_trim.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/file.h"
#include "daemon/base/instant.h"
#include "daemon/base/log.h"
#include "daemon/base/sealed_file.h"

enum { KEPT_MIN = 2 }; /* the newest may be empty: then its predecessor says where the journal ends */

static const char mark_label[] = "journal trimmed";

/* --- the mark ---------------------------------------------------------------------------------------------
 */

enum err journal__trim_mark_load(const char *directory, const struct cipher_keys *keys,
                                 struct trim_mark *ret_mark)
{
    char path[SEGMENT_PATH_MAX];
    struct sealed_reader *reader;
    struct trim_mark mark = {.first = 0};
    size_t got = 0;
    journal__path_of(directory, "trimmed", path);
    if (access(path, F_OK) != 0 && errno == ENOENT) { /* the usual case, at every look of a reader */
        *ret_mark = mark;
        return OK;
    }
    enum err error = sealed_reader_open(path, keys, mark_label, &reader);
    if (error != OK)
        return error == ERR_FORMAT ? ERR_CORRUPT : error;
    error = sealed_reader_read(reader, &mark, sizeof(mark), &got);
    sealed_reader_close(reader);
    if (error == OK && got != sizeof(mark))
        error = ERR_CORRUPT;
    if (error == OK)
        *ret_mark = mark;
    return error;
}

static enum err write_mark(const char *directory, const struct cipher_keys *keys,
                           const struct trim_mark *mark)
{
    char path[SEGMENT_PATH_MAX];
    journal__path_of(directory, "trimmed", path);
    return sealed_file_replace(path, keys, mark_label, mark, sizeof(*mark), 0600);
}

/* --- trim -------------------------------------------------------------------------------------------------
 */

/* Links before this one end at or before the position. */
static size_t first_kept(const struct journal_chain *chain, uint64_t position)
{
    size_t kept = 0;
    while (kept + KEPT_MIN < chain->count && chain->links[kept + 1].header.previous_end <= position)
        kept++;
    return kept;
}

static enum err remove_links(const char *directory, const struct journal_chain *chain, size_t count,
                             struct journal_trimmed *trimmed)
{
    char path[SEGMENT_PATH_MAX];
    for (size_t index = 0; index < count; index++) {
        journal__path(directory, chain->links[index].header.number, path);
        if (unlink(path) != 0 && errno != ENOENT)
            return err_from_errno(errno);
        trimmed->segments++;
        trimmed->bytes += chain->links[index].file_bytes;
    }
    return file_sync_directory(directory);
}

enum err journal__trim(const char *directory, const struct cipher_keys *keys, uint64_t position,
                       struct journal_trimmed *ret_trimmed)
{
    struct journal_chain chain;
    *ret_trimmed = (struct journal_trimmed){.first = 0};
    enum err error = journal__chain_load(directory, keys, &chain);
    if (error != OK)
        return error;
    size_t kept = first_kept(&chain, position);
    if (kept > 0) {
        const struct segment_header *header = &chain.links[kept].header;
        const struct trim_mark mark = {.node = header->node, .shard = header->shard, .first = header->number};
        error = write_mark(directory, keys, &mark);
        if (error == OK) {
            ret_trimmed->first = mark.first;
            error = remove_links(directory, &chain, kept, ret_trimmed);
        }
        log_write(error == OK ? LOG_INFO : LOG_WARNING, "journal",
                  "trimmed directory=%s segments=%" PRIu64 " bytes=%" PRIu64 " first=%08" PRIx32 " error=%s",
                  directory, ret_trimmed->segments, ret_trimmed->bytes, mark.first, err_name(error));
    }
    journal__chain_free(&chain);
    return error;
}

enum err journal__position_before(const char *directory, const struct cipher_keys *keys, int64_t engine_ms,
                                  uint64_t *ret_position)
{
    struct journal_chain chain;
    enum err error = journal__chain_load(directory, keys, &chain);
    if (error != OK)
        return error;
    uint64_t position = 0;
    for (size_t index = 0; index < chain.count; index++) {
        const struct segment_header *header = &chain.links[index].header;
        if (header->started_ms != INSTANT_NONE && header->started_ms <= engine_ms)
            position = header->previous_end;
    }
    journal__chain_free(&chain);
    *ret_position = position;
    return OK;
}
