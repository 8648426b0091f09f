/* engine_fixture: an engine with one line, its silence rule and one patient, driven by short calls; every
 * event is kept as parsed JSON. Times are minutes after the epoch of the fixture. */
#ifndef VIGIE_TESTS_UNIT_ENGINE_FIXTURE_H
#define VIGIE_TESTS_UNIT_ENGINE_FIXTURE_H

#include <jansson.h>

#include "alerting/engine.h"
#include "tests/unit/unit.h"

#define EPOCH_MS  1780272000000LL /* 2026-06-01T00:00:00Z, a Monday */
#define MINUTE_MS 60000LL
#define HOUR_MIN  60
#define DAY_MIN   1440

enum { EVENTS_MAX = 8192, TRACE_BYTES = 1 << 16 };

struct fixture {
    struct engine *engine;
    struct alert_event heads[EVENTS_MAX];
    json_t *events[EVENTS_MAX];
    char *texts[EVENTS_MAX];
    int count, traced;
    int64_t version; /* of the last rule */
    uint8_t verdict; /* of the last reading offered */
    uint16_t flags, revision;
    char reply[512]; /* of the last command */
    char trace[TRACE_BYTES];
};

/* An engine that has done nothing yet; after its first tick, at minute 0. */
void fixture_open_empty(struct fixture *f);
void fixture_open(struct fixture *f);
/* And line "test" with its silence (31 days), and patient 17 "P-1" of organisation "O" and team "T", enrolled
 * at 0. */
void fixture_open_patient(struct fixture *f);
/* Opens `to` with what `from` saved. */
void fixture_move(const struct fixture *from, struct fixture *to);
void fixture_close(struct fixture *f);

void fixture_tick(struct fixture *f, double minute);
/* Ticks at every due instant + 1 ms up to the minute, as the test clock does. */
void fixture_run(struct fixture *f, double minute);
/* A restart: nothing was up since the last tick. */
void fixture_restart(struct fixture *f, double minute);

/* A command of a kind; single quotes in the JSON stand for double ones. */
enum err fixture_command(struct fixture *f, enum command_kind kind, double minute, const char *format, ...);
/* A rule of the patient layer, in force from `from` minutes; version counts up. */
enum err fixture_rule(struct fixture *f, double minute, double from, const char *rule);
/* "2026-06-01T00:10:00.000Z" of a minute; a ring of static texts. */
const char *fixture_time(double minute);

struct offer {
    const char *parameter, *value; /* "body-weight", "71.4", "<40" */
    double at, received;           /* minutes; received 0: at */
    const char *device, *sensor;   /* default "D" and none */
    const char *status;            /* default "final" */
    double issued;                 /* version time, minutes; 0: none */
    unsigned alias;
    uint8_t quarantine, precision;
    uint16_t flags;
};
/* One reading, a unit of its own; its verdict. */
uint8_t fixture_offer(struct fixture *f, struct offer offer);
/* One request. */
void fixture_offer_all(struct fixture *f, const struct offer *offers, int count, double received);
#define OFFER(p, v, t) fixture_offer(f, (struct offer){.parameter = p, .value = v, .at = t})

/* The events since the last trace, but those of rules named "…silence" unless asked: "raised medium 10 | …":
 * event, priority, measured minute; "~" in front when retrospective; "(reason)" behind. */
const char *fixture_trace(struct fixture *f);
const char *fixture_trace_of(struct fixture *f, const char *rule_prefix);
/* The episodes that a reader of the topic has, without ids, sorted: "rule side raised-cleared state
 * priorities". */
const char *fixture_episodes(struct fixture *f);

#define TRACE_IS(text)     CU_ASSERT_STRING_EQUAL(fixture_check(fixture_trace(f), text), text)
#define EPISODES_ARE(text) CU_ASSERT_STRING_EQUAL(fixture_check(fixture_episodes(f), text), text)
/* Prints what differs, for the reader of a failure. */
const char *fixture_check(const char *found, const char *expected);

/* The last event of a kind. */
const json_t *fixture_last(const struct fixture *f, const char *event);
const char *event_text(const json_t *event, const char *key);

#endif
