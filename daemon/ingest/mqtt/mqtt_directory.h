/* mqtt_directory: who is connected under which client identifier, and whose session lives on.
 * One thread owns the table; loops write to it and hear back by letters (daemon/base/post.h). So a client
 * that comes again, on whatever loop, takes over: the connection before is told, hands back what it holds,
 * and only then does the new one go on.
 *
 *   loop                                   directory
 *   attach(client, clean, expiry) ───────> the connection before: notice; then, and once a session that shall
 * outlive <───────────── ATTACHED         us is on the disk: a CONNACK that promises one never lies after a
 * kill,
 *   ... (notice: taken over)               for a client that is told "no session" throws away what was not
 *   detach(state) ───────────────────────> acknowledged, and that may be a reading
 *          <───────────── DETACHED
 *
 * On the disk (state_dir/mqtt-sessions, sealed): source, client identifier, expiry, subscriptions. A client
 * identifier belongs to its source: another source's never meets it.
 * Owner:   service. Threads: as said at each call.
 * Holds:   at most SESSIONS_MAX; when full, who has gone away and ends first makes room.
 * Fails:   a disk that does not take the file is logged and tried again; clients connect all the same. */
#ifndef VIGIE_DAEMON_INGEST_MQTT_DIRECTORY_H
#define VIGIE_DAEMON_INGEST_MQTT_DIRECTORY_H

#include <stdbool.h>

#include "daemon/base/cipher.h"
#include "daemon/base/post.h"

enum {
    CLIENT_BYTES_MAX = 128, /* a longer client identifier is refused: 23 is what the standard asks for */
    SUBSCRIPTIONS_MAX = 8,  /* of a session; beyond, a filter is refused */
    RECEIVE_MAX = 32,       /* messages of QoS 1 and 2 under way of one client: Receive Maximum */
    SESSIONS_MAX = 1 << 16,
};

/* What is kept between connections of one client. */
struct mqtt_state {
    uint64_t subscription[SUBSCRIPTIONS_MAX]; /* hash of a device's text; SUBSCRIBED_TO_ALL: "+" */
    uint8_t subscriptions, releases;
    uint16_t release[RECEIVE_MAX]; /* packet ids of QoS 2 whose PUBREL has not come, the oldest first */
};
#define SUBSCRIBED_TO_ALL 0

/* One connection's place in the directory; lies in the loop's session. */
struct mqtt_place {
    struct letter letter; /* attach and detach, and back */
    struct letter notice; /* from the directory at any time between ATTACHED and DETACHED, at most once */
    struct post_box *home;
    /* From the loop: */
    int64_t source_id;
    uint32_t expiry_s; /* of the session after the connection; 0: none */
    bool clean;
    uint8_t client_size;
    char client[CLIENT_BYTES_MAX];
    /* From the directory: */
    bool present;    /* there was a session */
    uint8_t refusal; /* reason code of MQTT 5; 0: attached */
    /* Both ways: */
    struct mqtt_state state;
};

enum mqtt_letter {
    MQTT_LETTER_ATTACH,
    MQTT_LETTER_DETACH,
    MQTT_LETTER_ATTACHED, /* or refused: then it is as if DETACHED had come too */
    MQTT_LETTER_DETACHED,
    MQTT_LETTER_TAKEN_OVER, /* place->notice */
    MQTT_LETTER_ERROR,      /* mqtt_errors.c, between loops */
    MQTT_LETTER_ERROR_BACK,
};

struct mqtt_directory;

/* Reads the file and starts the thread. `keys` is borrowed. ERR_CORRUPT and such are logged and begin empty:
 * a lost session costs a client no more than its resending. */
MUST_CHECK enum err mqtt_directory_start(const char *state_dir, const struct cipher_keys *keys,
                                         struct mqtt_directory **ret_directory);
/* Writes what is left to write; the loops have ended. NULL is taken. */
void mqtt_directory_stop(struct mqtt_directory *directory);

/* The loop's: the place is lent until its answer comes home. */
void mqtt_directory_attach(struct mqtt_directory *directory, struct mqtt_place *place);
void mqtt_directory_detach(struct mqtt_directory *directory, struct mqtt_place *place);

/* Any thread: sessions kept, connected ones included. */
uint64_t mqtt_directory_sessions(const struct mqtt_directory *directory);

#endif
