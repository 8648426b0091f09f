/* ledger: the published episodes of one rule and side, as values. What is done with them:
 * alerting/episodes.h. Owner:   tracks and technical alerts hold ledgers, ledgers own episodes. Threads: the
 * shard's alone. */
#ifndef VIGIE_ALERTING_LEDGER_H
#define VIGIE_ALERTING_LEDGER_H

#include "alerting/rulebook.h"
#include "alerting/series.h"

struct patient;

/* What a decision rests on. */
enum basis {
    BASIS_STRETCH, /* the readings from `first` to the deciding one */
    BASIS_PAIR,    /* these two */
    BASIS_READING, /* the deciding one alone */
    BASIS_COUNTED, /* the occurrences counted at it, from `first` */
    BASIS_DAYS,    /* the days from `first` to the deciding one, by their numbers in .ms */
    BASIS_COUNT,
};

struct transition {         /* one step of an episode */
    int64_t at_ms;          /* measured; clock for silence, technical alerts and ends of rules */
    enum event_kind kind;   /* RAISED ESCALATED DEESCALATED CLEARED CLOSED */
    enum priority priority; /* after it; of CLEARED and CLOSED the one before */
    bool has_reading;
    uint8_t comparator, basis; /* enum basis */
    struct reading_key deciding, first;
    int64_t value, received_ms; /* received_ms INSTANT_NONE: no reading decided */
    int64_t in_force_from_ms;
    const struct rule_version *version; /* NULL: built-in rule */
    const char *reason;                 /* static; NULL without */
};

struct story {                /* an episode as E has it */
    struct reading_key began; /* what began it: the run's first reading; last_seen or a day in .ms */
    struct transition *items;
    size_t count, capacity;
    uint32_t in_breach;
};

enum outcome { OUTCOME_NONE, OUTCOME_RELEVANT, OUTCOME_NOT_RELEVANT, OUTCOME_TECHNICAL, OUTCOME_COUNT };

struct episode { /* published */
    uint8_t id[UUID_BYTES];
    struct reading_key id_began; /* what its id was made from */
    struct story story;          /* as published */
    uint32_t sequence;
    uint32_t number; /* counts the episodes of the ledger in order of their first publication */
    enum priority published, paged;
    bool cancelled, acknowledged;
    bool open_at_cancel;
    int64_t newest_at_cancel_ms; /* of the series, INT64_MIN without */
    enum outcome outcome;        /* of the last handling */
    uint64_t handling;           /* what was said then: the same again is no event; 0: it is asked again */
    int64_t handled_ms;          /* the last handling, INSTANT_NONE without */
    int64_t shelved_until_ms;    /* INSTANT_NONE: not shelved */
    uint32_t unit, event;        /* of its last event, in this process: unit and place in it */
};

enum beginning { BEGAN_READING, BEGAN_DAY, BEGAN_LAST_SEEN, BEGAN_EVENT };

struct ledger { /* the published episodes of one rule and side of a patient, in order of raised_at, then of
                   their first publication */
    struct patient *patient; /* NULL: of the node */
    const char *rule_id;
    enum rule_side side;
    enum alert_class class;
    enum beginning beginning;
    enum parameter parameter; /* PARAMETER_COUNT: none */
    int technical;            /* row of technical.def, -1: a rule of the patient */
    const char *detail;       /* technical: what tells it from its likes, NULL without */
    struct episode **items;
    size_t count, capacity;
    uint32_t numbers;  /* given so far; BEGAN_EVENT, a ledger of one device episode: uses of its beginning */
    int64_t frozen_ms; /* raised at or before and over: no longer held, INT64_MIN at first */
};

#endif
