/* foresight: fetches the memory of patients whose readings are about to be decided, while others are: a
 * shard's patients lie in gigabytes, a decision touches a dozen places that hang one on another, and without
 * this it waits for each. Pure speed: nothing is decided or changed here, and what is foreseen need not come.
 * Owner:   the engine has one. Threads: the shard's alone. */
#ifndef VIGIE_ALERTING_FORESIGHT_H
#define VIGIE_ALERTING_FORESIGHT_H

#include "daemon/base/limits.h"
#include "daemon/model/reading.h"

enum { FORESIGHT_PLACES = 8, FORESIGHT_PARAMETERS = 6 };

struct patient;
struct foreseen {
    int64_t patient_id;
    struct patient *patient;
    uint16_t parameters[FORESIGHT_PARAMETERS];
    unsigned count;
};
struct foresight {
    struct foreseen places[FORESIGHT_PLACES]; /* a ring; each step is one stage further for all of them */
    unsigned next;
};

struct engine;
/* A unit that is ENGINE_FORESIGHT calls ahead of its decision: its readings from heads[first] on. */
void foresight_look(struct engine *engine, const struct reading *heads, uint32_t first);

#endif
