/* exchange: one message and its answer, and the door that serves it: the seam between the network side
 * (connection.c, http.c) and the decoders (doors.c and what it calls).
 * The network side checks in this order and answers by door->error() or doors_error(): framing 400/408/431,
 * path 404, method 405, source 401, length 411/413, content type and encoding 415, accepting 503; then it
 * takes a ticket, calls handle(), pushes the chained parts, and calls answer() when every part is back
 * durable. Owner:   the loop's pool. Threads: the loop's alone. Holds:   request slices and body are valid
 * from handle() until answer() returns; `source` and whatever else belongs to the registry snapshot in
 * handle() only: the snapshot may be replaced before answer(). */
#ifndef VIGIE_DAEMON_INGEST_EXCHANGE_H
#define VIGIE_DAEMON_INGEST_EXCHANGE_H

#include "daemon/base/buffer.h"
#include "daemon/ingest/ingest.h"

enum exchange_method { METHOD_GET = 1, METHOD_POST = 2, METHOD_OTHER = 4 }; /* bits of door.methods */

/* What went wrong on the network side, in the words of HTTP whatever the protocol: others translate. */
struct exchange_fault {
    int status; /* 0: none */
    const char *code, *text;
};

/* How far a reader of bytes has come. */
enum read_step {
    READ_MORE,  /* all bytes were taken and the message goes on */
    READ_HEAD,  /* of http_reader_feed() alone: its head is whole; look at it, then feed the rest */
    READ_BODY,  /* likewise: `piece` is a part of the body, in the bytes that were fed */
    READ_DONE,  /* the message is whole; later bytes belong to the next one */
    READ_FAULT, /* it is broken, and no later byte can be understood */
};

enum door_step {
    DOOR_ANSWERED,  /* the answer is filled in; no part was chained, or none of them shall be sent */
    DOOR_SUBMITTED, /* every part with a count > 0 goes to its shard, rejected records too; answer() follows
                       (at least one part) */
};

/* What a loop lends to the doors. */
struct loop_context {
    const struct config *config;
    const struct registry *registry; /* of this turn */
    const struct node_state *node;
    struct counters *counters;
    struct foreign_inbox *foreign; /* where claims on what is not a source's are noted; NULL: nowhere */
    struct sip_key reading_key;    /* of reading_id */
    uint8_t identifier_key[32];
    uint32_t shards;
    int64_t engine_now_ms; /* engine time of this turn */
    int64_t now_ns;        /* monotonic time of this turn */
    void *doors;           /* of doors_new() */
};

struct exchange {
    /* The request. */
    const struct door *door; /* NULL: unknown path */
    enum exchange_method method;
    struct slice path, query;                         /* as sent; without '?' */
    struct slice content_type, accept, if_none_exist; /* {NULL, 0} when not sent */
    struct slice device; /* that the transport itself names (an MQTT topic); {NULL, 0} without */
    const struct registry_source *source; /* NULL on an open door and after handle() */
    char *body; /* contiguous, may be written to; body[body_size] is a readable NUL */
    size_t body_size;

    /* Between handle() and answer(). */
    struct ticket *ticket; /* empty, taken by the network side, for every POST; NULL for GET */
    struct buffer state;   /* the door's own notes; empty at handle(), keeps its memory from use to use */

    /* The answer. */
    int status;
    struct buffer out;        /* body; empty at handle() and at answer() */
    const char *out_type;     /* static text, e.g. "application/json" */
    const char *allow;        /* static text; 405 only */
    int retry_after_s;        /* 0: no such header */
    char location[160];       /* "": no such header */
    char etag[32];            /* "": no such header; sent as ETag */
    int64_t last_modified_ms; /* INSTANT_NONE: no such header */
    void *connection;         /* the network side's */
};

struct door {
    const char *path;                         /* exact, e.g. "/v1/readings" */
    unsigned methods;                         /* bits of enum exchange_method */
    const char *allow;                        /* the same as text for 405: "POST" */
    bool open;                                /* served without a source */
    bool (*takes)(struct slice content_type); /* false: 415; NULL: no body is looked at */
    enum door_step (*handle)(struct loop_context *loop, struct exchange *exchange);
    /* Renders the answer from the ticket's heads. The network side has answered 503 itself if a part failed.
     * It has set ticket->started_ns and counts the heads by verdict after this; a refused reading is a head
     * with a refusing verdict that is in no chain. */
    void (*answer)(struct loop_context *loop, struct exchange *exchange);
    /* status, out, out_type of an error in this door's dialect; codes as in INTERFACES.md section 4. */
    void (*error)(struct exchange *exchange, int status, const char *code, const char *text);
};

/* doors.h offers to the network side:
 *   const struct door *doors_find(struct slice path);        NULL: unknown
 *   void doors_error(struct exchange *, int status, const char *code, const char *text);
 *                                                            for any path: below "/fhir" an OperationOutcome
 *   MUST_CHECK enum err doors_new(const struct loop_context *loop, void **ret_doors);   what a loop's
 * decoders keep void doors_free(void *doors); */

#endif
