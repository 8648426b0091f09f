/* verdict: what became of a reading, made from verdict.def. Threads: constants. */
#ifndef VIGIE_MODEL_VERDICT_H
#define VIGIE_MODEL_VERDICT_H

enum verdict {
#define VERDICT(id, code, http, mqtt, hl7, issue, text) VERDICT_##id,
#include "daemon/model/verdict.def"
#undef VERDICT
    VERDICT_COUNT
};

const char *verdict_code(enum verdict verdict);  /* "unit-mismatch" */
int verdict_http(enum verdict verdict);          /* HTTP status when a whole message ends on it */
int verdict_mqtt(enum verdict verdict);          /* MQTT 5 reason code likewise; 0: nothing refused */
int verdict_hl7(enum verdict verdict);           /* HL7 table 0357 likewise; 0: nothing refused */
const char *verdict_issue(enum verdict verdict); /* FHIR OperationOutcome.issue.code */
const char *verdict_text(enum verdict verdict);  /* English sentence fragment */

#endif
