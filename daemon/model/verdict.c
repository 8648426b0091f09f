/* verdict: the rows of verdict.def. */
#include "daemon/model/verdict.h"

#include "daemon/base/ensure.h"

static const struct {
    const char *code, *issue, *text;
    int http, mqtt, hl7;
} rows[VERDICT_COUNT] = {
#define VERDICT(id, code, http, mqtt, hl7, issue, text) {code, issue, text, http, mqtt, hl7},
#include "daemon/model/verdict.def"
#undef VERDICT
};

const char *verdict_code(enum verdict verdict)
{
    ensure(verdict < VERDICT_COUNT);
    return rows[verdict].code;
}

int verdict_http(enum verdict verdict)
{
    ensure(verdict < VERDICT_COUNT);
    return rows[verdict].http;
}

int verdict_mqtt(enum verdict verdict)
{
    ensure(verdict < VERDICT_COUNT);
    return rows[verdict].mqtt;
}

int verdict_hl7(enum verdict verdict)
{
    ensure(verdict < VERDICT_COUNT);
    return rows[verdict].hl7;
}

const char *verdict_issue(enum verdict verdict)
{
    ensure(verdict < VERDICT_COUNT);
    return rows[verdict].issue;
}

const char *verdict_text(enum verdict verdict)
{
    ensure(verdict < VERDICT_COUNT);
    return rows[verdict].text;
}
