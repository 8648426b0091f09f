/* fuzz_doors: any bytes through decoder, admission and answer of every door. The first byte picks door and
 * source; what must hold: a status that the interface knows, an answer that jansson takes, and no chain
 * without an admitted head. */
#include <jansson.h>
#include <string.h>

#include "daemon/base/ensure.h"
#include "tests/unit/ingest_fixture.c" /* a fuzz target is one file and the library */

static void check_status(int status)
{
    static const int known[] = {200, 201, 400, 403, 413, 422};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (status == known[i])
            return;
    ensure_unreachable();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"/v1/readings", "/fhir/Observation", "/fhir", "/fhir"};
    static const char *const sources[] = {"dev", "gw", "sys", "pat"};
    if (size < 1)
        return 0;
    fixture_forget();
    struct exchange *exchange = fixture_send_as(sources[data[0] >> 2 & 3], paths[data[0] & 3], NULL,
                                                (const char *)data + 1, size - 1);
    check_status(exchange->status);
    json_error_t error;
    json_t *answer = json_loads(fixture_text(), JSON_REJECT_DUPLICATES, &error);
    ensure(json_is_object(answer));
    json_decref(answer);
    for (uint32_t i = 0; i < exchange->ticket->count; i++)
        ensure(exchange->ticket->heads[i].verdict > VERDICT_QUARANTINED ||
               exchange->ticket->heads[i].patient_id > 0);
    return 0;
}
