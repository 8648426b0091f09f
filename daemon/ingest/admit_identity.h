/* admit_identity: whom the identifiers of a payload name (FHIR Patient and subject.identifier, HL7 PID-3):
 * looked up by their hash within the source's organisation, once each, in any order.
 * What the rules leave open, decided here:
 * - A matricule INS whose key or shape is wrong is refused (`malformed`), whatever else names the patient: a
 *   wrong digit is what mixes persons up.
 * - An INS of the test or demonstration domain in mode=production names nobody: `unknown-patient`.
 * - Identifiers that nobody enrolled count for nothing as long as another one is known: hospitals send
 * numbers of their own beside the INS.
 * - Identifiers of two patients name neither: `patient-mismatch`.
 * No identifier is ever repeated in what is answered. Threads: the loop's. */
#ifndef VIGIE_INGEST_ADMIT_IDENTITY_H
#define VIGIE_INGEST_ADMIT_IDENTITY_H

#include "daemon/ingest/admit.h"

/* Takes one identifier of the patient into the party: `patient_named`, and `patient` or `refusal`. `system`
 * is {NULL, 0} when there is none; an empty value names nobody. The first refusal stays. */
void admit_identify(const struct loop_context *loop, const struct registry_source *source,
                    struct slice system, struct slice value, struct admit_party *party);

#endif
