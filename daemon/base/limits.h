/* limits: every bound of the product in one place, each with its derivation.
 * Configuration may lower some of them; nothing raises them. Threads: constants only. */
#ifndef VIGIE_BASE_LIMITS_H
#define VIGIE_BASE_LIMITS_H

enum {
    LOOPS_MAX = 32,  /* one ingest loop a core; a bigger machine gains nothing on one disk */
    SHARDS_MAX = 32, /* one shard a core */

    MESSAGE_BYTES_MAX = 1 << 20,  /* INTERFACES.md section 4: 1 MiB a message */
    MESSAGE_READINGS_MAX = 10000, /* INTERFACES.md section 4 */
    BUNDLE_ENTRIES_MAX = 1000,    /* INTERFACES.md section 4 */
    HTTP_HEADER_BYTES_MAX = 8192, /* INTERFACES.md section 4: 431 beyond */
    JSON_DEPTH_MAX = 32,          /* FHIR resources nest below 12; 32 leaves room for extensions */
    TAIL_BYTES_MAX = 512,         /* DESIGN.md section 2: bounded tail of a reading */
    REF_BYTES_MAX = 64,           /* longest ref of a patient, device, source or organisation */
    RULE_ID_BYTES_MAX = 64,       /* longest rule id */

    TICKETS_PER_LOOP = 1024,       /* messages in flight on one loop; beyond, connections are parked */
    RING_SLOTS = 2048,             /* >= 2 * TICKETS_PER_LOOP: of a ticket one part a shard and what is
                                      rejected, so never full */
    COMMANDS_IN_FLIGHT_MAX = 1024, /* registry or admin commands not yet answered by one shard */

    PATIENT_BYTES_PLANNED =
        4096,                  /* five rules, four series: measured 1 KB idle, 2.9 KB with a reading each */
    HELD_BYTES_PLANNED = 16,   /* a held reading, 12 bytes, and the room its series grows into */
    MEMORY_ENROL_PERCENT = 90, /* of max_memory: beyond, nobody is enrolled, and readings go on */

    EVENT_JSON_BYTES_MAX = 16384, /* RULES.md section 5: an event is at most 16 KB */
    EVENT_READINGS_MAX = 32,      /* RULES.md section 5: readings named by one event */
    RULES_PER_PATIENT_MAX = 64,   /* RULES.md section 6 */
    OCCURRENCES_MAX = 256,        /* RULES.md section 6 */
    LEVELS_PER_SIDE_MAX = 3,      /* RULES.md section 6 */
    SERIES_HELD_MAX = 8192,       /* RULES.md section 6 */
    SERIES_HELD_CONTINUOUS_MAX = 24576,
    EPISODES_PER_RULE_MAX = 1024, /* RULES.md section 6 */
    TICK_EXPIRIES_MAX = 4096,     /* timer expiries decided in one turn; the rest waits for the next */
};

#endif
