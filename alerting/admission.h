/* admission: one reading of a request enters the engine: quarantined, too late, a duplicate, or held.
 * Threads: the shard's alone.
 * Choices: a void is never quarantined for its value: what it takes back must not stay because of it;
 *          quarantined readings are held beside the series, to know a resend; of a series at most 1,024, the
 *          latest received. A unit that the code does not take stays the reason in the future too: such a
 *          number is never released. */
#ifndef VIGIE_ALERTING_ADMISSION_H
#define VIGIE_ALERTING_ADMISSION_H

#include "alerting/engine_state.h"

void admission_take(struct engine *engine, struct patient *patient, struct reading *reading,
                    const uint8_t *tail);

/* A quarantined reading enters after all, judged by the look-back at this moment. 0; else nothing was done,
 * for it was settled before: HELD_RELEASED or HELD_DISCARDED. */
unsigned admission_release(struct engine *engine, struct patient *patient, struct reading *reading,
                           const uint8_t *tail);
/* It never will. As above. */
unsigned admission_discard(struct patient *patient, const struct reading *reading, const uint8_t *tail);

#endif
