/* fhir_kept: what stays of an Observation beside its readings: what was refused among good values, and that
 * the clock of a device is not to be trusted. Choices: a clock fault is told in a bundle by an Observation of
 * the code of a clock with a dataAbsentReason (PHD coincident timestamp); the readings of the same bundle
 * whose device is referred to by the same text have the context {"clock":"fault"}. Alone it is answered as
 * information and counted. Threads: the loop's. */
#ifndef VIGIE_INGEST_FHIR_KEPT_H
#define VIGIE_INGEST_FHIR_KEPT_H

#include "daemon/ingest/fhir/fhir.h"

/* Of the Observation whose NOTE_ENTRY stands at `place`: each refused component, or its own value `own`, goes
 * to ticket_reject() when another value of it was taken. One that is refused as a whole is told so. */
void fhir_keep_refused(struct fhir *fhir, size_t place, const struct pull_field *components,
                       struct slice own);

/* Notes which devices of the bundle have a clock fault; before its Observations are decoded. */
void fhir_find_clock_faults(struct fhir *fhir);
/* The context of a reading by this device; {NULL, 0}: nothing to say. */
struct slice fhir_clock_context(struct fhir *fhir, const struct pull_field *device);
bool fhir_is_clock(struct slice code); /* as a claim has it */

#endif
