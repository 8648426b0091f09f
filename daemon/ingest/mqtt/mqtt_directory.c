/* mqtt_directory: a table of entries, a thread that answers letters, a file that is replaced whole.
 * Letters are taken in batches: what has to be on the disk first is written once for all of them, and their
 * answers wait for it. What can wait (an expiry that has changed, an entry that has gone) is written within a
 * second. */
#include "daemon/ingest/mqtt/mqtt_directory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/base/sealed_file.h"
#include "daemon/ingest/mqtt/mqtt_packet.h"

enum { BUCKETS = 1 << 14, LAZY_MS = 1000, FILE_BYTES_MAX = 32 << 20, PATH_BYTES = 4096 };

struct entry {
    struct entry *next;                 /* of the bucket */
    int64_t source_id, until_ms;        /* until_ms: while nobody is connected */
    struct mqtt_place *owner, *waiting; /* connected; waits for the owner to go */
    uint32_t expiry_s;
    bool has_state, is_stored; /* there is a session to resume; the file has it */
    uint8_t client_size;
    char client[CLIENT_BYTES_MAX];
    struct mqtt_state state;
};

struct mqtt_directory {
    struct post_box box;
    struct wakeup bell;
    pthread_t thread;
    _Atomic bool stopping;
    _Atomic uint64_t sessions; /* written by the thread */
    const struct cipher_keys *keys;
    char path[PATH_BYTES];
    struct entry *bucket[BUCKETS];
    uint32_t count;
    bool is_urgent, is_dirty, write_failed;
    int64_t now_ms, written_ms;
    struct letter *held, **held_end; /* answers that wait for the disk */
    struct buffer image;
};

static void count(struct mqtt_directory *directory, int more)
{
    directory->count += (uint32_t)more;
    atomic_store_explicit(&directory->sessions, directory->count, memory_order_relaxed);
}

static struct entry **bucket_of(struct mqtt_directory *directory, int64_t source_id, const char *client,
                                size_t size)
{
    uint64_t hash = hash_xxh64(client, size) ^ hash_mix64((uint64_t)source_id);
    return &directory->bucket[hash % BUCKETS];
}

static struct entry *find(struct mqtt_directory *directory, const struct mqtt_place *place)
{
    struct entry *entry = *bucket_of(directory, place->source_id, place->client, place->client_size);
    while (entry != NULL &&
           (entry->source_id != place->source_id || entry->client_size != place->client_size ||
            memcmp(entry->client, place->client, place->client_size) != 0))
        entry = entry->next;
    return entry;
}

static void remove_entry(struct mqtt_directory *directory, struct entry *entry)
{
    struct entry **at = bucket_of(directory, entry->source_id, entry->client, entry->client_size);
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    directory->is_dirty |= entry->is_stored;
    count(directory, -1);
    free(entry);
}

static bool is_over(const struct mqtt_directory *directory, const struct entry *entry)
{
    return entry->owner == NULL && entry->waiting == NULL && entry->until_ms <= directory->now_ms;
}

/* Drops what is over; if there is none, who has gone away and ends first. */
static void make_room(struct mqtt_directory *directory)
{
    struct entry *first = NULL;
    uint32_t before = directory->count;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry *next, *entry = directory->bucket[i]; entry != NULL; entry = next) {
            next = entry->next;
            if (is_over(directory, entry))
                remove_entry(directory, entry);
            else if (entry->owner == NULL && entry->waiting == NULL &&
                     (first == NULL || entry->until_ms < first->until_ms))
                first = entry;
        }
    if (directory->count == before && first != NULL)
        remove_entry(directory, first);
}

/* NULL: everybody is connected and the table is full, or there is no memory. */
static struct entry *add(struct mqtt_directory *directory, const struct mqtt_place *place)
{
    if (directory->count >= SESSIONS_MAX)
        make_room(directory);
    struct entry *entry = directory->count < SESSIONS_MAX ? calloc(1, sizeof(*entry)) : NULL;
    if (entry == NULL)
        return NULL;
    struct entry **bucket = bucket_of(directory, place->source_id, place->client, place->client_size);
    entry->source_id = place->source_id;
    entry->client_size = place->client_size;
    memcpy(entry->client, place->client, place->client_size);
    entry->next = *bucket;
    *bucket = entry;
    count(directory, 1);
    return entry;
}

/* The file. */

static const char label[] = "mqtt sessions 1";

struct stored {
    int64_t source_id, until_ms; /* until_ms 0: connected when it was written */
    uint32_t expiry_s;
    uint8_t client_size, subscriptions, zero[2];
    uint64_t subscription[SUBSCRIPTIONS_MAX];
    char client[CLIENT_BYTES_MAX];
};
_Static_assert(sizeof(struct stored) == 24 + 8 * SUBSCRIPTIONS_MAX + CLIENT_BYTES_MAX, "no hole in the file");
_Static_assert((size_t)SESSIONS_MAX * sizeof(struct stored) < FILE_BYTES_MAX,
               "a full table can be read again");

static void store(struct mqtt_directory *directory, struct entry *entry)
{
    const struct mqtt_state *state = &entry->state; /* of one who is connected: as it was at CONNECT */
    struct stored stored = {.source_id = entry->source_id,
                            .until_ms = entry->owner != NULL || entry->waiting != NULL ? 0 : entry->until_ms,
                            .expiry_s = entry->expiry_s,
                            .client_size = entry->client_size,
                            .subscriptions = state->subscriptions};
    memcpy(stored.subscription, state->subscription, sizeof(stored.subscription));
    memcpy(stored.client, entry->client, entry->client_size);
    buffer_append(&directory->image, &stored, sizeof(stored));
}

static void write_file(struct mqtt_directory *directory)
{
    buffer_clear(&directory->image);
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry *entry = directory->bucket[i]; entry != NULL; entry = entry->next) {
            entry->is_stored = entry->has_state && entry->expiry_s > 0 && !is_over(directory, entry);
            if (entry->is_stored)
                store(directory, entry);
        }
    enum err error = sealed_file_replace(directory->path, directory->keys, label, directory->image.data,
                                         directory->image.size, 0600);
    if (error != OK && !directory->write_failed)
        log_write(LOG_ERROR, "mqtt",
                  "sessions cannot be written path=%s error=\"%s\" hint=\"free the disk; until then a "
                  "restart forgets "
                  "new sessions\"",
                  directory->path, err_text(error));
    directory->write_failed = error != OK;
    directory->is_dirty = error != OK;
    directory->is_urgent = false;
    directory->written_ms = directory->now_ms;
}

/* Who was connected is taken as having gone away now: a session lives rather too long. */
static void take_stored(struct mqtt_directory *directory, const struct stored *stored)
{
    struct mqtt_place place = {.source_id = stored->source_id, .client_size = stored->client_size};
    if (stored->client_size > CLIENT_BYTES_MAX || stored->subscriptions > SUBSCRIPTIONS_MAX)
        return;
    memcpy(place.client, stored->client, stored->client_size);
    struct entry *entry = add(directory, &place);
    if (entry == NULL)
        return;
    entry->has_state = entry->is_stored = true;
    entry->expiry_s = stored->expiry_s;
    entry->until_ms =
        stored->until_ms != 0 ? stored->until_ms : directory->now_ms + stored->expiry_s * INT64_C(1000);
    entry->state.subscriptions = stored->subscriptions;
    memcpy(entry->state.subscription, stored->subscription, sizeof(stored->subscription));
}

static void read_file(struct mqtt_directory *directory)
{
    enum err error =
        sealed_file_read(directory->path, directory->keys, label, FILE_BYTES_MAX, &directory->image);
    if (error != OK && error != ERR_NOT_FOUND)
        log_write(LOG_ERROR, "mqtt",
                  "sessions cannot be read, every client begins a new one path=%s error=\"%s\" "
                  "hint=\"nothing to do: "
                  "clients send again what was not acknowledged\"",
                  directory->path, err_text(error));
    for (size_t at = 0; error == OK && at + sizeof(struct stored) <= directory->image.size;
         at += sizeof(struct stored)) {
        struct stored stored;
        memcpy(&stored, directory->image.data + at, sizeof(stored));
        take_stored(directory, &stored);
    }
}

/* Letters. */

static void answer(struct mqtt_directory *directory, struct mqtt_place *place, enum mqtt_letter kind,
                   bool waits)
{
    place->letter.kind = kind;
    place->letter.next = NULL;
    if (!waits) {
        post_send(place->home, &place->letter);
        return;
    }
    *directory->held_end = &place->letter;
    directory->held_end = &place->letter.next;
}

static void refuse(struct mqtt_directory *directory, struct mqtt_place *place, enum mqtt_reason reason)
{
    place->refusal = reason;
    answer(directory, place, MQTT_LETTER_ATTACHED, false);
}

/* Nobody else is connected under the identifier. */
static void complete(struct mqtt_directory *directory, struct entry *entry, struct mqtt_place *place)
{
    bool lives = entry->has_state && (entry->owner != NULL || entry->until_ms > directory->now_ms);
    place->present = lives && !place->clean;
    if (!place->present)
        entry->state = (struct mqtt_state){0};
    place->state = entry->state;
    place->refusal = MQTT_SUCCESS;
    entry->owner = place;
    entry->expiry_s = place->expiry_s;
    entry->has_state = true;
    bool waits = entry->is_stored != (entry->expiry_s > 0);
    directory->is_urgent |= waits;
    answer(directory, place, MQTT_LETTER_ATTACHED, waits);
}

static void attach(struct mqtt_directory *directory, struct mqtt_place *place)
{
    struct entry *entry = find(directory, place);
    if (entry == NULL)
        entry = add(directory, place);
    if (entry == NULL) {
        refuse(directory, place, MQTT_QUOTA_EXCEEDED);
        return;
    }
    if (entry->waiting != NULL)
        refuse(directory, entry->waiting, MQTT_TAKEN_OVER);
    else if (entry->owner != NULL) {
        entry->owner->notice.kind = MQTT_LETTER_TAKEN_OVER;
        post_send(entry->owner->home, &entry->owner->notice);
    }
    entry->waiting = entry->owner != NULL ? place : NULL;
    if (entry->waiting == NULL)
        complete(directory, entry, place);
}

static void detach(struct mqtt_directory *directory, struct mqtt_place *place)
{
    struct entry *entry = find(directory, place);
    ensure(entry != NULL && entry->owner == place);
    struct mqtt_place *waiting = entry->waiting;
    entry->owner = entry->waiting = NULL;
    entry->state = place->state;
    entry->expiry_s = place->expiry_s;
    entry->has_state = entry->expiry_s > 0;
    entry->until_ms = directory->now_ms + entry->expiry_s * INT64_C(1000);
    directory->is_dirty |= entry->is_stored;
    if (waiting == NULL && entry->expiry_s == 0)
        remove_entry(directory, entry);
    answer(directory, place, MQTT_LETTER_DETACHED, false);
    if (waiting != NULL)
        complete(directory, entry, waiting);
}

static void take_letters(struct mqtt_directory *directory)
{
    for (struct letter *next, *letter = post_take(&directory->box); letter != NULL; letter = next) {
        struct mqtt_place *place = (struct mqtt_place *)letter; /* letter is its first member */
        next = letter->next;
        (letter->kind == MQTT_LETTER_ATTACH ? attach : detach)(directory, place);
    }
}

static void release_held(struct mqtt_directory *directory)
{
    struct letter *next, *letter = directory->held;
    directory->held = NULL;
    directory->held_end = &directory->held;
    for (; letter != NULL; letter = next) {
        next = letter->next;
        post_send(((struct mqtt_place *)letter)->home, letter);
    }
}

static void *run(void *context)
{
    struct mqtt_directory *directory = context;
    bool stopping = false;
    while (!stopping) {
        wakeup_wait(&directory->bell, directory->is_dirty ? LAZY_MS : -1);
        stopping = atomic_load_explicit(&directory->stopping, memory_order_acquire);
        directory->now_ms = clock_wall_ms();
        take_letters(directory);
        bool lazy_due = directory->is_dirty && directory->now_ms - directory->written_ms >= LAZY_MS;
        if (directory->is_urgent || lazy_due || (stopping && directory->is_dirty))
            write_file(directory);
        release_held(directory);
    }
    return NULL;
}

/* Start and stop. */

static void directory_free(struct mqtt_directory *directory)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry *next, *entry = directory->bucket[i]; entry != NULL; entry = next) {
            next = entry->next;
            free(entry);
        }
    buffer_deinit(&directory->image);
    wakeup_close(&directory->bell);
    free(directory);
}

enum err mqtt_directory_start(const char *state_dir, const struct cipher_keys *keys,
                              struct mqtt_directory **ret_directory)
{
    struct mqtt_directory *directory = calloc(1, sizeof(*directory));
    if (directory == NULL)
        return ERR_NO_MEMORY;
    directory->keys = keys;
    directory->held_end = &directory->held;
    directory->box.bell = &directory->bell;
    directory->now_ms = clock_wall_ms();
    snprintf(directory->path, sizeof(directory->path), "%s/mqtt-sessions", state_dir);
    enum err error = wakeup_open(&directory->bell);
    if (error != OK) {
        free(directory);
        return error;
    }
    read_file(directory);
    if (pthread_create(&directory->thread, NULL, run, directory) != 0) {
        directory_free(directory);
        return ERR_OS;
    }
    (void)pthread_setname_np(directory->thread, "mqtt-sessions");
    *ret_directory = directory;
    return OK;
}

void mqtt_directory_stop(struct mqtt_directory *directory)
{
    if (directory == NULL)
        return;
    atomic_store_explicit(&directory->stopping, true, memory_order_release);
    wakeup_ring(&directory->bell);
    ensure(pthread_join(directory->thread, NULL) == 0);
    directory_free(directory);
}

void mqtt_directory_attach(struct mqtt_directory *directory, struct mqtt_place *place)
{
    place->letter.kind = MQTT_LETTER_ATTACH;
    post_send(&directory->box, &place->letter);
}

void mqtt_directory_detach(struct mqtt_directory *directory, struct mqtt_place *place)
{
    place->letter.kind = MQTT_LETTER_DETACH;
    post_send(&directory->box, &place->letter);
}

uint64_t mqtt_directory_sessions(const struct mqtt_directory *directory)
{
    return atomic_load_explicit(&directory->sessions, memory_order_relaxed);
}
