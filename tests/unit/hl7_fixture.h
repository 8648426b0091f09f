/* hl7_fixture: messages of HL7 v2 as C strings whose segments end with '\n', sent through the door of the
 * MLLP listeners; the answer likewise. */
#ifndef VIGIE_TESTS_HL7_FIXTURE_H
#define VIGIE_TESTS_HL7_FIXTURE_H

#include "tests/unit/ingest_fixture.h"

#define MSH_OF(type, id, version, rest)                                                                      \
    "MSH|^~\\&|DEV||||20260726120000+0200||" type "|C-1|" id "|" version rest "\n"
#define MSH     MSH_OF("ORU^R01^ORU_R01", "P", "2.6", "|||AL|NE")
#define MSH_R40 MSH_OF("ORU^R40^ORU_R40", "P", "2.6", "|||AL|NE")
#define PID     "PID|||12345\n"
#define OBR     "OBR|1||||||20260726120500+0200\n"
#define SPO2    "OBX|1|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.3.1.1|97|262688^MDC_DIM_PERCENT^MDC|||||F\n"

/* The acknowledgement, "" for none; valid until the next call. */
const char *hl7_send(const char *source, const char *message);
/* How many readings the last message left admitted. */
unsigned hl7_good(void);
/* True when every one of the fragments stands in the acknowledgement, in order; prints it otherwise. */
bool hl7_says(const char *ack, const char *first, const char *second);

#endif
