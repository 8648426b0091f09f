/* fhir_metadata: the CapabilityStatement of what the FHIR doors do; open to everybody. */
#include <stdio.h>

#include "daemon/ingest/fhir/fhir.h"

/* Of Mon Espace Sante: "mesures-" in front. They are known by code and unit, never by meta.profile. */
static const char *const profiles[] = {
    "fr-observation-body-weight", "fr-observation-bodyheight", "fr-observation-body-temperature",
    "fr-observation-bp",          "fr-observation-heartrate",  "fr-observation-oxygen-sat",
    "fr-observation-resp-rate",   "fr-observation-bmi",        "observation-glucose",
    "observation-hb1ac",
};

static const char
    head[] =
        "{\"resourceType\":\"CapabilityStatement\",\"status\":\"active\",\"date\":\"2026-01-01\","
        "\"kind\":\"instance\",\"software\":{\"name\":\"Vigie\",\"version\":\"" VIGIE_VERSION "\"},"
        "\"implementation\":{\"description\":\"Vigie: readings of remote patient monitoring\"},"
        "\"fhirVersion\":\"4.0.1\",\"format\":[\"application/fhir+json\",\"json\"],"
        "\"rest\":[{\"mode\":\"server\","
        "\"documentation\":\"A transaction concerns one patient. Beside Observations a bundle may have the "
        "Device that measured and, with ifNoneExist, the Patient: both are matched with what is enrolled, "
        "never created.\","
        "\"security\":{\"cors\":false,"
        "\"description\":\"TLS, and a bearer token or a client certificate\"},"
        "\"resource\":[{\"type\":\"Observation\",\"supportedProfile\":",
    tail[] = ",\"documentation\":\"A measure is known by its code and unit. If-None-Exist takes "
             "identifier=system|value.\","
             "\"interaction\":[{\"code\":\"create\"}],\"versioning\":\"versioned\",\"readHistory\":false,"
             "\"updateCreate\":false,\"conditionalCreate\":true,"
             "\"referencePolicy\":[\"literal\",\"logical\",\"local\"]}],"
             "\"interaction\":[{\"code\":\"transaction\"},{\"code\":\"batch\"}]}]}";

enum door_step fhir_metadata_handle(struct loop_context *loop, struct exchange *exchange)
{
    char url[160];
    (void)loop;
    if (!fhir_check_accept(exchange))
        return DOOR_ANSWERED;
    exchange->status = 200;
    exchange->out_type = "application/fhir+json";
    buffer_append(&exchange->out, head, sizeof head - 1);
    render_open(&exchange->out, '[');
    for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++) {
        snprintf(url, sizeof url,
                 "https://interop.esante.gouv.fr/ig/fhir/mesures/StructureDefinition/mesures-%s",
                 profiles[i]);
        render_text(&exchange->out, url);
    }
    render_close(&exchange->out, ']');
    buffer_append(&exchange->out, tail, sizeof tail - 1);
    return DOOR_ANSWERED;
}
