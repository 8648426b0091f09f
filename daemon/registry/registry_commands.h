/* registry_commands: what shards must know of changed rows, as commands in an order in which each finds
 * what it names.
 * Owner:   the struct lives in its holder; registry_commands_deinit() frees the commands, none of which is
 *          out.
 * Threads: one at a time.
 * Order:   rules of line, organisation and team; patients; then by version: rules of patients,
 *          confirmations, references, suspensions, departures. */
#ifndef VIGIE_DAEMON_REGISTRY_COMMANDS_H
#define VIGIE_DAEMON_REGISTRY_COMMANDS_H

#include "daemon/model/command.h"
#include "daemon/registry/registry_changes.h"

struct registry_command {
    struct command command; /* command.owner is this struct */
    struct row *row;        /* borrowed: what it says */
    unsigned line;          /* of the import, 0 without */
    uint32_t shard;
    bool done;         /* durable and taken, or refused for good */
    int rank;          /* place in the order */
    int64_t commit_ms; /* given with the command; INSTANT_NONE: the turn that takes it */
};

struct registry_commands {
    struct registry_command **items; /* in order */
    uint32_t count, capacity;
};

struct registry_targets {
    const struct rows *rows;
    uint32_t shards;
    const int64_t
        *known; /* [shards]: rows up to this version are there already; NULL: a change while running */
};

/* At a start (`known`) commands carry the time of their transaction (INTERFACES.md section 2, commit). */
void registry_commands_add(struct registry_commands *commands, const struct registry_targets *targets,
                           const struct row_change *change);
/* "Everything up to this version has been sent", to every shard. */
void registry_commands_add_version(struct registry_commands *commands, uint32_t shards, int64_t version);
/* A question: see COMMAND_RECEIVED. INSTANT_NONE: open. */
const struct registry_command *registry_commands_add_received(struct registry_commands *commands,
                                                              uint32_t shard, int64_t patient_id,
                                                              const char *device,
                                                              const int64_t from_to_ms[2]);
void registry_commands_sort(struct registry_commands *commands);
void registry_commands_deinit(struct registry_commands *commands);

#endif
