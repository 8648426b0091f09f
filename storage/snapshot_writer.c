/* snapshot_writer: one buffer goes to and fro between the shard and a thread, by one flag: whose it is. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/base/log.h"
#include "storage/snapshot_internal.h"

enum {
    BUFFER_BYTES = 1 << 20, /* a turn's part and one more patient; a bigger patient makes it grow, once */
    TRIM_EVERY_MS = 10000,  /* what keeps the journal moves by itself: the loader, and time */
};

enum holder { HELD_BY_SHARD, HELD_BY_THREAD };

struct snapshot_writer {
    struct snapshot_options options;
    struct wakeup work;
    pthread_t thread;
    _Atomic bool stopping;
    _Atomic int holder; /* of what follows, up to the thread's own */
    struct buffer buffer;
    enum snapshot_part part;
    enum err outcome; /* of the snapshot that the buffer is of */

    /* the thread's */
    struct sealed_writer *sealed;
    struct snapshot_head head;
    uint64_t bytes;
    unsigned generation;
};

static bool begins(enum snapshot_part part)
{
    return part == SNAPSHOT_FIRST || part == SNAPSHOT_ONLY;
}

static bool ends(enum snapshot_part part)
{
    return part == SNAPSHOT_LAST || part == SNAPSHOT_ONLY;
}

static void count(_Atomic uint64_t *figure, uint64_t more)
{
    atomic_fetch_add_explicit(figure, more, memory_order_relaxed);
}

static enum err open_file(struct snapshot_writer *writer)
{
    const struct snapshot_figures *figures = writer->options.figures;
    char path[SNAPSHOT_PATH_MAX], label[SEALED_LABEL_MAX + 1];
    if (writer->sealed != NULL) {
        sealed_writer_abandon(writer->sealed);
        writer->sealed = NULL;
        count(&writer->options.figures->abandoned, 1);
    }
    ensure(writer->buffer.size > sizeof writer->head);
    memcpy(&writer->head, writer->buffer.data, sizeof writer->head);
    writer->bytes = 0;
    writer->generation = atomic_load(&figures->position[0]) <= atomic_load(&figures->position[1]) ? 0 : 1;
    snapshot__path(&writer->options, writer->generation, path);
    snapshot__label(&writer->options, label);
    return sealed_writer_open(path, writer->options.keys, label, 0600, &writer->sealed);
}

static void tell(struct snapshot_writer *writer)
{
    struct snapshot_figures *figures = writer->options.figures;
    atomic_store_explicit(&figures->bytes, writer->bytes, memory_order_relaxed);
    atomic_store_explicit(&figures->taken_ms, writer->head.tick_ms, memory_order_relaxed);
    count(&figures->made, 1);
    atomic_store_explicit(&figures->position[writer->generation], writer->head.position,
                          memory_order_release);
    log_write(LOG_INFO, "snapshot", "taken shard=%u position=%llx bytes=%llu",
              (unsigned)writer->options.shard, (unsigned long long)writer->head.position,
              (unsigned long long)writer->bytes);
}

static enum err write_part(struct snapshot_writer *writer)
{
    enum err error = begins(writer->part) ? open_file(writer) : writer->outcome;
    if (error == OK)
        error = sealed_writer_write(writer->sealed, writer->buffer.data, writer->buffer.size);
    writer->bytes += writer->buffer.size;
    if (error != OK || !ends(writer->part))
        return error;
    error = sealed_writer_finish(&writer->sealed);
    if (error == OK)
        tell(writer);
    return error;
}

static void fail(struct snapshot_writer *writer, enum err error)
{
    sealed_writer_abandon(writer->sealed);
    writer->sealed = NULL;
    if (writer->outcome == error && !begins(writer->part))
        return; /* said already */
    count(&writer->options.figures->failed, 1);
    log_write(LOG_WARNING, "snapshot",
              "cannot write a snapshot shard=%u found=%s expected=a whole file "
              "hint=the journal keeps all until one succeeds; check the disk",
              (unsigned)writer->options.shard, err_text(error));
}

static void *run(void *argument)
{
    struct snapshot_writer *writer = argument;
    while (!atomic_load_explicit(&writer->stopping, memory_order_acquire)) {
        bool last = false;
        if (atomic_load_explicit(&writer->holder, memory_order_acquire) == HELD_BY_THREAD) {
            enum err error = write_part(writer);
            if (error != OK)
                fail(writer, error);
            writer->outcome = error;
            last = ends(writer->part);
            buffer_clear(&writer->buffer);
            atomic_store_explicit(&writer->holder, HELD_BY_SHARD, memory_order_release);
            wakeup_ring(writer->options.bell);
        }
        if (writer->sealed == NULL || last)
            writer->options.trim(writer->options.context, writer->options.shard);
        if (atomic_load_explicit(&writer->holder, memory_order_acquire) != HELD_BY_THREAD)
            wakeup_wait(&writer->work, TRIM_EVERY_MS);
    }
    sealed_writer_abandon(writer->sealed);
    return NULL;
}

enum err snapshot_writer_start(const struct snapshot_options *options, struct snapshot_writer **ret_writer)
{
    if (mkdir(options->directory, 0700) != 0 && errno != EEXIST)
        return err_from_errno(errno);
    struct snapshot_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return ERR_NO_MEMORY;
    writer->options = *options;
    (void)buffer_reserve(&writer->buffer, BUFFER_BYTES);
    enum err error = wakeup_open(&writer->work);
    if (error != OK)
        goto fail_free;
    if (pthread_create(&writer->thread, NULL, run, writer) != 0) {
        error = ERR_OS;
        goto fail_close;
    }
    char name[16];
    snprintf(name, sizeof name, "snapshot-%u", (unsigned)options->shard);
    pthread_setname_np(writer->thread, name);
    *ret_writer = writer;
    return OK;

fail_close:
    wakeup_close(&writer->work);
fail_free:
    buffer_deinit(&writer->buffer);
    free(writer);
    return error;
}

void snapshot_writer_stop(struct snapshot_writer *writer)
{
    if (writer == NULL)
        return;
    atomic_store_explicit(&writer->stopping, true, memory_order_release);
    wakeup_ring(&writer->work);
    pthread_join(writer->thread, NULL);
    wakeup_close(&writer->work);
    buffer_deinit(&writer->buffer);
    free(writer);
}

struct buffer *snapshot_writer_buffer(struct snapshot_writer *writer)
{
    bool here = atomic_load_explicit(&writer->holder, memory_order_acquire) == HELD_BY_SHARD;
    return here ? &writer->buffer : NULL;
}

enum err snapshot_writer_outcome(const struct snapshot_writer *writer)
{
    return writer->outcome;
}

void snapshot_writer_give(struct snapshot_writer *writer, enum snapshot_part part)
{
    ensure(atomic_load_explicit(&writer->holder, memory_order_relaxed) == HELD_BY_SHARD);
    writer->part = part;
    atomic_store_explicit(&writer->holder, HELD_BY_THREAD, memory_order_release);
    wakeup_ring(&writer->work);
}
