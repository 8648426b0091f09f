/* claims_oracle: who a reading belongs to, or why it is refused, written from DESIGN.md section 4 (steps 1
 * and 2) and INTERFACES.md section 4 alone and as plainly as can be: lists that are walked from end to end,
 * no index, no hash, no shared code with the admission that it judges. What those pages leave open is taken
 * from the headers of the product: the order of refusals, noon UTC for a date alone, nothing from the instant
 * at which a patient left. Threads: one. */
#ifndef VIGIE_TESTS_CLAIMS_ORACLE_H
#define VIGIE_TESTS_CLAIMS_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#define NEVER INT64_MAX

enum { PERSONS_MAX = 40, DEVICES_MAX = 40, SPANS_MAX = 6, SOURCES_MAX = 48, NAMES_MAX = 96, LISTED_MAX = 6 };

struct oracle_person {
    int64_t id, organization, left_ms; /* NEVER: still here */
    int offset_min;                    /* local time - UTC, always the same */
    char ref[24];
};

struct oracle_span {
    int64_t from_ms, to_ms; /* NEVER: open */
    int person;             /* index */
};

struct oracle_device {
    int64_t id;
    char ref[24], serial[24];
    struct oracle_span spans[SPANS_MAX]; /* in order of time, without overlap */
    int spans_count;
};

/* How a person is called: in its one spelling. */
struct oracle_name {
    int person;
    char system[48], value[24];
};

struct oracle_source {
    int64_t id, organization;
    char kind; /* 'd'evice, 'g'ateway, 's'ystem, 'p'atient */
    int person;
    int listed[LISTED_MAX]; /* indices of devices */
    int listed_count;
    char ref[24];
};

struct oracle_world {
    struct oracle_person persons[PERSONS_MAX];
    struct oracle_device devices[DEVICES_MAX];
    struct oracle_source sources[SOURCES_MAX];
    struct oracle_name names[NAMES_MAX];
    int persons_count, devices_count, sources_count, names_count;
    int64_t grace_ms;
};

enum { CALLED_MAX = 4 };

/* One message. In JSON a person is named by ref, in FHIR by what they are called; NULL: not named. */
struct oracle_claim {
    bool fhir;
    const char *device, *person;
    const char *systems[CALLED_MAX], *values[CALLED_MAX];
    int called_count;
    int64_t at_ms; /* of a date alone: midnight UTC of it */
    bool date_alone;
};

struct oracle_ruling {
    const char *code; /* NULL: admitted */
    int64_t person_id, device_id, measured_ms;
};

/* Whether the source exists for a sender: one whose only device went to another organisation does not. */
bool oracle_source_speaks(const struct oracle_world *world, const struct oracle_source *source);
struct oracle_ruling oracle_judge(const struct oracle_world *world, const struct oracle_source *source,
                                  const struct oracle_claim *claim);
/* The key of a matricule INS of 13 characters. */
int oracle_ins_key(const char *body);

#endif
