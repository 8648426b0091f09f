/* command: what changes a shard's state and is no reading, DESIGN.md section 2: registry changes, alert
 * handling, the test clock. Its JSON is journaled as it is; the shard fills in the reply. Owner:   the sender
 * (registry thread, admin loop); the shard borrows it between the rings. Threads: one at a time, handed over
 * by the rings. */
#ifndef VIGIE_MODEL_COMMAND_H
#define VIGIE_MODEL_COMMAND_H

#include "daemon/base/buffer.h"
#include "daemon/model/ticket.h"

/* JSON objects, key "command" names the row; docs: keys beside it.
 *      id            word            journaled */
#define COMMAND_ROWS(COMMAND)                                                                                \
    COMMAND(PATIENT, "patient", true) /* patient_id ref organization line team time_zone enrolled_at */      \
    COMMAND(LEFT, "left", true)       /* patient_id at */                                                    \
    COMMAND(RULE, "rule", true)       /* layer scope version author role reason valid_from rule */           \
    COMMAND(CONFIRMATION, "confirmation", true) /* patient_id line from author role */                       \
    COMMAND(REFERENCE, "reference", true)       /* patient_id parameter name value unit from author */       \
    COMMAND(SUSPENSION, "suspension", true)     /* patient_id rule from until author reason */               \
    COMMAND(REGISTRY, "registry", true)         /* version: everything up to it has been sent */             \
    COMMAND(ACKNOWLEDGE, "acknowledge", true)   /* episode author note */                                    \
    COMMAND(HANDLE, "handle", true)             /* episode author note outcome */                            \
    COMMAND(SHELVE, "shelve", true)             /* episode author note until reason */                       \
    COMMAND(UNSHELVE, "unshelve", true)         /* episode author note */                                    \
    COMMAND(RELEASE, "release", true)           /* author reason; a quarantined reading, as below */         \
    COMMAND(DISCARD, "discard", true)           /* the same; its keys: registry_quarantine.c */              \
    COMMAND(CLOCK, "clock", false)       /* set (instant) | run; mode=test; its ticks are journaled */       \
    COMMAND(RECEIVED, "received", false) /* patient_id device from to: is a reading of it held? read only */ \
    COMMAND(CLOCK_ACCEPT, "clock-accept", true) /* wall monotonic author: the wall clock is confirmed */     \
    COMMAND(CONDITION, "condition", true)       /* alert priority note: what the node knows of itself */     \
    COMMAND(UNCONFIRMED, "unconfirmed", false)  /* patients whose rules wait for a physician, read only */   \
    COMMAND(SHOW, "show", false)                /* patient_id: effective rules, read only */

enum command_kind {
#define COMMAND_ENUM(id, word, journaled) COMMAND_##id,
    COMMAND_ROWS(COMMAND_ENUM)
#undef COMMAND_ENUM
        COMMAND_COUNT
};

struct command {
    struct job job;
    enum command_kind kind;
    struct buffer json; /* the command, journaled */
    enum err outcome;   /* what the rules said: OK, NOT_FOUND (not this shard's), REFUSED; job.result is
                           durability */
    struct buffer
        reply; /* JSON object: {"commit":…,"in_force_from":…} or {"found":…,"expected":…,"hint":…} */
    void *owner; /* the sender's own */
};

const char *command_word(enum command_kind kind);
/* By the key "command" of a command's JSON, which stands first; COMMAND_COUNT when it is none. */
enum command_kind command_kind_of(const char *json, size_t size);
bool command_is_journaled(enum command_kind kind);

#endif
