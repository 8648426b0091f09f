/* snapshot: the files that hold a shard's state: state_dir/snapshot/<shard>.0 and <shard>.1, two generations
 * that take turns, so that the older is whole whatever befalls the making of the newer, or the newer itself.
 *
 *   file:   sealed (sealed_file.h), label "snapshot <shard>"
 *   inside: | head | frame | frame ... | END
 *   frame:  | struct snapshot_frame | bytes |
 *
 * A writer owns a buffer and a thread. The shard fills the buffer and gives it away; the thread seals,
 * writes, and at the last one syncs, renames, and has the journal trimmed; then it rings the shard's bell.
 * While the buffer is away the shard goes on without: it waits for nothing. Owner:   the shard has a writer.
 * Threads: writer calls on the shard's; figures from any; readers one owner. Fails:   the thread logs what
 * went wrong and drops the file in the making; the next one tries again. A reader gives ERR_CORRUPT,
 * ERR_FORMAT (a newer format), ERR_NOT_FOUND; sealed_file.h's else. */
#ifndef VIGIE_STORAGE_SNAPSHOT_H
#define VIGIE_STORAGE_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "daemon/base/buffer.h"
#include "daemon/base/cipher.h"
#include "daemon/base/err.h"
#include "daemon/base/wakeup.h"

enum { SNAPSHOT_FORMAT = 1, SNAPSHOT_GENERATIONS = 2, SNAPSHOT_PATH_MAX = 4096 };

struct snapshot_head {
    char magic[8];                  /* "VIGIESNP" */
    uint32_t format, engine_format; /* of the frames, of the bytes in them */
    uint64_t node, position;        /* the shared state is true for it */
    int64_t tick_ms;                /* last engine time before */
    uint32_t shard, pace;
    char engine[32]; /* version that made it; for the reader of a log */
};

/* Fills magic and format. */
void snapshot_head_seal(struct snapshot_head *head);

enum snapshot_kind { SNAPSHOT_SHARED = 1, SNAPSHOT_PATIENTS, SNAPSHOT_END };

struct snapshot_frame {
    uint32_t kind, count; /* patients in it; END: in all */
    uint64_t position;    /* for which they are true; END: of the last ones */
    int64_t last_id;      /* highest number among them */
    uint64_t size;        /* bytes that follow; END: 0 */
};

struct snapshot_figures {
    _Atomic uint64_t position[SNAPSHOT_GENERATIONS]; /* of the whole files; 0: none */
    _Atomic int64_t taken_ms;                        /* engine time of the newest whole one, INSTANT_NONE */
    _Atomic uint64_t bytes, made, failed, abandoned; /* bytes: of the newest */
    _Atomic uint64_t damaged;                        /* refused at the start */
    _Atomic uint64_t replayed;                       /* records replayed at the start */
    _Atomic uint64_t differences;
};

struct snapshot_options {
    const char *directory; /* made if missing */
    const struct cipher_keys *keys;
    uint32_t shard;
    struct wakeup *bell; /* rung when the buffer is back */
    struct snapshot_figures *figures;
    void (*trim)(void *context, uint32_t shard); /* on the writer's thread: now and then, and after each */
    void *context;
};

struct snapshot_writer;
MUST_CHECK enum err snapshot_writer_start(const struct snapshot_options *options,
                                          struct snapshot_writer **ret_writer);
void snapshot_writer_stop(struct snapshot_writer *writer); /* a file in the making is dropped */

/* The buffer, empty, when it is here; NULL while it is away. */
struct buffer *snapshot_writer_buffer(struct snapshot_writer *writer);
/* What came of the snapshot under way: OK, or why it was dropped. */
enum err snapshot_writer_outcome(const struct snapshot_writer *writer);
enum snapshot_part { SNAPSHOT_FIRST, SNAPSHOT_MORE, SNAPSHOT_LAST, SNAPSHOT_ONLY };
/* Gives the buffer away. FIRST drops an unfinished one; its bytes begin with the head; ONLY: first and last.
 */
void snapshot_writer_give(struct snapshot_writer *writer, enum snapshot_part part);

struct snapshot_reader;
MUST_CHECK enum err snapshot_reader_open(const struct snapshot_options *options, unsigned generation,
                                         struct snapshot_reader **ret_reader, struct snapshot_head *ret_head);
/* The next frame and its bytes, which live until the next call. ERR_EMPTY behind END. */
MUST_CHECK enum err snapshot_reader_next(struct snapshot_reader *reader, struct snapshot_frame *ret_frame,
                                         const void **ret_bytes);
void snapshot_reader_close(struct snapshot_reader *reader);

/* Oldest position that a start may need: of the older of two whole files; 0 while there are not two. */
uint64_t snapshot_trim_position(const struct snapshot_figures *figures);

#endif
