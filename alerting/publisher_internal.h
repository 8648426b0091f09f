/* publisher_internal: what publisher.c (the thread, the producer's life, the cursor) and publisher_feed.c
 * (which event goes where) share. Threads: all fields but `stop` and `bell` are the publisher thread's. */
#ifndef VIGIE_ALERTING_PUBLISHER_INTERNAL_H
#define VIGIE_ALERTING_PUBLISHER_INTERNAL_H

#include <pthread.h>

#include "alerting/publisher.h"
#include "alerting/publisher_cursor.h"
#include "alerting/publisher_producer.h"
#include "alerting/publisher_stream.h"

enum { PUBLISHER_RETRY_MS = 1000 }; /* from one attempt at broker, topic, journal or PostgreSQL to the next */

struct publisher_shard {
    int64_t retry_ms; /* the stream could not be read: not before */
    uint64_t skipped; /* events passed over for a topic that is behind, since the start */
    uint64_t careful; /* events before this position go one by one; 0: all may go in company */
    struct stream stream;
};

/* Beside cursor.behind[], the same index: what a topic needs while it catches up. */
struct publisher_behind {
    struct stream *stream; /* NULL: the topic is missing */
    int64_t retry_ms;
};

struct publisher {
    struct publisher_options options;
    pthread_t thread;
    struct wakeup bell;
    _Atomic bool stop;

    struct producer *producer; /* NULL: none can be made, or none is wanted */
    struct archive *archive;
    bool idle; /* no broker is configured */
    bool template;
    struct publisher_cursor cursor;
    bool dirty;   /* the cursor moved since it was saved */
    bool urgent;  /* and says something that must not be forgotten */
    bool waiting; /* for a broker or the one topic, at the last look */
    bool topic_missing;
    bool careful;          /* this producer sends one by one: a broker refused a batch */
    int64_t careful_ms;    /* since when */
    struct stream *parked; /* of the one parked event that is tried again, NULL without */
    uint32_t parked_next;  /* which of the cursor's comes next */
    int64_t parked_ms;     /* and not before */
    int64_t now_ms, saved_ms, retry_ms, complained_ms, progress_ms;
    struct publisher_behind behind[BEHIND_MAX];
    struct publisher_shard shards[];
};

bool publisher__may_complain(struct publisher *publisher);
uint64_t publisher__in_flight(const struct publisher *publisher);

/* Hands over what the streams have; true when there may be more at once. */
bool publisher__feed(struct publisher *publisher);
/* No broker, or no topic: says so, and when to look again. */
void publisher__wait_for(struct publisher *publisher, enum err error, const char *topic);
/* Passes the cursor over readings where nothing is open: a segment at a time, or `any` step. */
void publisher__advance_idle(struct publisher *publisher, uint32_t shard, bool any);
/* Reports of the producer. */
void publisher__delivered(void *context, struct flight *flight);
void publisher__refused(void *context, struct flight *flight, const char *why);
/* All that is not behind the cursor is in doubt: it is read and sent again. */
void publisher__rewind(struct publisher *publisher);
void publisher__free_streams(struct publisher *publisher);
uint32_t publisher__missing_topics(const struct publisher *publisher);

#endif
