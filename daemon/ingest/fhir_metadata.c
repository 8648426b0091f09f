/* fhir_metadata: the CapabilityStatement of what the FHIR doors do; open to everybody. */
#include "daemon/ingest/fhir.h"

static const char statement[] =
    "{\"resourceType\":\"CapabilityStatement\",\"status\":\"active\",\"date\":\"2026-01-01\",\"kind\":"
    "\"instance\","
    "\"software\":{\"name\":\"Vigie\",\"version\":\"" VIGIE_VERSION "\"},"
    "\"implementation\":{\"description\":\"Vigie: readings of remote patient monitoring\"},"
    "\"fhirVersion\":\"4.0.1\",\"format\":[\"application/fhir+json\",\"json\"],"
    "\"rest\":[{\"mode\":\"server\",\"security\":{\"description\":\"TLS, and a bearer token or a client "
    "certificate\"},"
    "\"resource\":[{\"type\":\"Observation\",\"interaction\":[{\"code\":\"create\"}],\"versioning\":"
    "\"versioned\","
    "\"conditionalCreate\":true}],"
    "\"interaction\":[{\"code\":\"transaction\"},{\"code\":\"batch\"}]}]}";

enum door_step fhir_metadata_handle(struct loop_context *loop, struct exchange *exchange)
{
    (void)loop;
    if (!fhir_check_accept(exchange))
        return DOOR_ANSWERED;
    exchange->status = 200;
    exchange->out_type = "application/fhir+json";
    buffer_append(&exchange->out, statement, sizeof statement - 1);
    return DOOR_ANSWERED;
}
