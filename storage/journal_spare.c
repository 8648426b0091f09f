/* journal_spare: prepare.tmp is filled with zeros, synced and renamed to spare.wal; the writer renames
 * spare.wal to its number. The two sides meet in `ready` alone: the thread sets it when the file is whole,
 * the writer clears it when it has taken it. */
#include "storage/journal_spare.h"
#include "daemon/base/file.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/wakeup.h"
#include "storage/journal_segments.h"

enum {
    SPARE_LOOK_MS = 1000,  /* nobody tells when a disk fills or empties: one statvfs a second */
    RATE_OVER_MS = 600000, /* a burst of a gateway is no trend */
};

struct journal_spare {
    char directory[SEGMENT_PATH_MAX], making[SEGMENT_PATH_MAX], path[SEGMENT_PATH_MAX];
    const struct cipher_keys *keys;
    uint64_t segment_bytes;
    pthread_t thread;
    struct wakeup bell;
    struct fresh_key fresh; /* the thread's until `ready`, then the writer's to take */
    bool has_fresh;
    struct segment_key retired; /* the writer's until `has_retired`, then the thread's to close */

    /* of the thread */
    int64_t started_ms, looked_ms; /* monotonic */
    uint64_t written_before;
    double rate; /* bytes an hour */

    _Atomic bool ready;       /* thread: release when the file is whole; writer: acquire, then clears it */
    _Atomic bool has_retired; /* writer: release when it is there; thread: acquire, then clears it */
    _Atomic bool stop;
    _Atomic bool starved;
    _Atomic uint64_t free_bytes, disk_bytes, bytes_per_hour, written;
};

static void look_at_rate(struct journal_spare *spare)
{
    int64_t now_ms = clock_monotonic_ms(), passed_ms = now_ms - spare->looked_ms;
    if (passed_ms < SPARE_LOOK_MS / 2)
        return;
    uint64_t written = atomic_load_explicit(&spare->written, memory_order_relaxed);
    double rate = (double)(written - spare->written_before) * 3600000.0 / (double)passed_ms;
    int64_t over_ms = now_ms - spare->started_ms < RATE_OVER_MS ? now_ms - spare->started_ms : RATE_OVER_MS;
    double weight = passed_ms < over_ms ? (double)passed_ms / (double)over_ms : 1;
    spare->rate += weight * (rate - spare->rate);
    spare->written_before = written;
    spare->looked_ms = now_ms;
    atomic_store_explicit(&spare->bytes_per_hour, (uint64_t)spare->rate, memory_order_relaxed);
}

static void look_at_space(struct journal_spare *spare)
{
    struct statvfs status;
    look_at_rate(spare);
    if (statvfs(spare->directory, &status) != 0)
        return;
    uint64_t free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
    uint64_t used = (uint64_t)(status.f_blocks - status.f_bfree) * status.f_frsize;
    atomic_store_explicit(&spare->free_bytes, free_bytes, memory_order_relaxed);
    atomic_store_explicit(&spare->disk_bytes, used + free_bytes, memory_order_relaxed);
}

static enum err make_key(struct journal_spare *spare)
{
    enum err error = spare->has_fresh ? OK : journal__key_make(spare->keys, &spare->fresh);
    spare->has_fresh = error == OK;
    return error;
}

static void drop_key(struct journal_spare *spare)
{
    if (spare->has_fresh)
        journal__key_close(&spare->fresh.key);
    spare->has_fresh = false;
}

static void close_retired(struct journal_spare *spare)
{
    if (!atomic_load_explicit(&spare->has_retired, memory_order_acquire))
        return;
    journal__key_close(&spare->retired);
    atomic_store_explicit(&spare->has_retired, false, memory_order_release);
}

static void make_spare(struct journal_spare *spare)
{
    enum err error = make_key(spare);
    if (error == OK)
        error = journal__make_zeros(spare->making, spare->segment_bytes);
    if (error == OK && rename(spare->making, spare->path) != 0)
        error = ERR_IO;
    if (error ==
        OK) /* so that a crash finds a spare, not a surprise; its number is made durable when it is taken */
        error = file_sync_directory(spare->directory);
    if (error == OK)
        atomic_store_explicit(&spare->ready, true, memory_order_release);
    else if (!atomic_load_explicit(&spare->starved, memory_order_relaxed))
        log_write(LOG_WARNING, "journal",
                  "cannot prepare the next segment file=%s error=%s hint=\"free space on this file system\"",
                  spare->making, err_name(error));
    atomic_store_explicit(&spare->starved, error != OK, memory_order_relaxed);
}

static void *spare_main(void *argument)
{
    struct journal_spare *spare = argument;
    while (!atomic_load_explicit(&spare->stop, memory_order_acquire)) {
        if (!atomic_load_explicit(&spare->ready, memory_order_acquire))
            make_spare(spare);
        close_retired(spare);
        look_at_space(spare);
        wakeup_wait(&spare->bell, SPARE_LOOK_MS);
    }
    return NULL;
}

static void adopt_leftover(struct journal_spare *spare)
{
    struct stat status;
    unlink(spare->making);
    if (stat(spare->path, &status) != 0)
        return;
    if ((uint64_t)status.st_size == spare->segment_bytes)
        atomic_store_explicit(&spare->ready, true, memory_order_relaxed);
    else
        unlink(spare->path);
}

enum err journal__spare_start(const char *directory, const struct cipher_keys *keys, uint64_t segment_bytes,
                              struct journal_spare **ret_spare)
{
    struct journal_spare *spare = calloc(1, sizeof(*spare));
    ensure(spare != NULL);
    spare->keys = keys;
    spare->started_ms = spare->looked_ms = clock_monotonic_ms();
    spare->segment_bytes = segment_bytes;
    snprintf(spare->directory, sizeof(spare->directory), "%s", directory);
    journal__path_of(directory, "prepare.tmp", spare->making);
    journal__path_of(directory, "spare.wal", spare->path);
    enum err error = make_key(spare);
    if (error == OK)
        error = wakeup_open(&spare->bell);
    if (error != OK)
        goto fail_free;
    adopt_leftover(spare);
    look_at_space(spare);
    if (pthread_create(&spare->thread, NULL, spare_main, spare) != 0) {
        error = ERR_OS;
        goto fail_close_bell;
    }
    pthread_setname_np(spare->thread, "vigie-spare");
    *ret_spare = spare;
    return OK;

fail_close_bell:
    wakeup_close(&spare->bell);
fail_free:
    drop_key(spare);
    free(spare);
    return error;
}

void journal__spare_stop(struct journal_spare *spare)
{
    if (spare == NULL)
        return;
    atomic_store_explicit(&spare->stop, true, memory_order_release);
    wakeup_ring(&spare->bell);
    pthread_join(spare->thread, NULL);
    wakeup_close(&spare->bell);
    drop_key(spare);
    close_retired(spare);
    free(spare);
}

/* One that comes while the one before still waits is closed here. */
void journal__spare_retire(struct journal_spare *spare, struct segment_key *key)
{
    if (spare == NULL || atomic_load_explicit(&spare->has_retired, memory_order_acquire)) {
        journal__key_close(key);
        return;
    }
    spare->retired = *key;
    *key = (struct segment_key){0};
    atomic_store_explicit(&spare->has_retired, true, memory_order_release);
}

bool journal__spare_take(struct journal_spare *spare, uint32_t number, struct fresh_key *ret_fresh)
{
    char path[SEGMENT_PATH_MAX];
    if (!atomic_load_explicit(&spare->ready, memory_order_acquire))
        return false;
    journal__path(spare->directory, number, path);
    bool taken = rename(spare->path, path) == 0;
    if (taken) {
        ensure(spare->has_fresh);
        *ret_fresh = spare->fresh;
        spare->has_fresh = false;
    }
    atomic_store_explicit(&spare->ready, false, memory_order_release);
    wakeup_ring(&spare->bell);
    return taken;
}

bool journal__spare_is_fed(const struct journal_spare *spare)
{
    return !atomic_load_explicit(&spare->starved, memory_order_relaxed);
}

uint64_t journal__spare_free_bytes(const struct journal_spare *spare)
{
    return atomic_load_explicit(&spare->free_bytes, memory_order_relaxed);
}

void journal__spare_disk(const struct journal_spare *spare, struct spare_disk *ret)
{
    *ret = (struct spare_disk){
        .free_bytes = atomic_load_explicit(&spare->free_bytes, memory_order_relaxed),
        .disk_bytes = atomic_load_explicit(&spare->disk_bytes, memory_order_relaxed),
        .bytes_per_hour = atomic_load_explicit(&spare->bytes_per_hour, memory_order_relaxed),
    };
}

void journal__spare_note(struct journal_spare *spare, uint64_t bytes)
{
    atomic_fetch_add_explicit(&spare->written, bytes, memory_order_relaxed);
}
