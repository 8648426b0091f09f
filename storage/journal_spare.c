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

#include "daemon/base/log.h"
#include "daemon/base/wakeup.h"
#include "storage/journal_segments.h"

enum { SPARE_LOOK_MS = 1000 }; /* nobody tells when a disk fills or empties: one statvfs a second */

struct journal_spare {
    char directory[SEGMENT_PATH_MAX], making[SEGMENT_PATH_MAX], path[SEGMENT_PATH_MAX];
    uint64_t segment_bytes;
    pthread_t thread;
    struct wakeup bell;

    _Atomic bool ready; /* thread: release when the file is whole; writer: acquire, then clears it */
    _Atomic bool stop;
    _Atomic bool starved;
    _Atomic uint64_t free_bytes;
};

static void look_at_space(struct journal_spare *spare)
{
    struct statvfs status;
    if (statvfs(spare->directory, &status) == 0)
        atomic_store_explicit(&spare->free_bytes, (uint64_t)status.f_bavail * status.f_frsize,
                              memory_order_relaxed);
}

static void make_spare(struct journal_spare *spare)
{
    enum err error = journal__make_zeros(spare->making, spare->segment_bytes);
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

enum err journal__spare_start(const char *directory, uint64_t segment_bytes, struct journal_spare **ret_spare)
{
    struct journal_spare *spare = calloc(1, sizeof(*spare));
    ensure(spare != NULL);
    spare->segment_bytes = segment_bytes;
    snprintf(spare->directory, sizeof(spare->directory), "%s", directory);
    journal__path_of(directory, "prepare.tmp", spare->making);
    journal__path_of(directory, "spare.wal", spare->path);
    enum err error = wakeup_open(&spare->bell);
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
    free(spare);
}

bool journal__spare_take(struct journal_spare *spare, uint32_t number)
{
    char path[SEGMENT_PATH_MAX];
    if (!atomic_load_explicit(&spare->ready, memory_order_acquire))
        return false;
    journal__path(spare->directory, number, path);
    bool taken = rename(spare->path, path) == 0;
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
