/* admit_identity: see the header for what is decided here. */
#include "daemon/ingest/admit_identity.h"

#include <endian.h>
#include <string.h>

#include "daemon/registry/identifier.h"

static void refuse(struct admit_party *party, enum verdict verdict, const char *text)
{
    if (party->refusal.verdict == VERDICT_ACCEPTED)
        party->refusal = (struct refusal){.verdict = verdict, .field = FIELD_PATIENT, .text = text};
}

static void take(const struct loop_context *loop, const struct registry_source *source,
                 const struct identifier *identifier, struct admit_party *party)
{
    int64_t organization_id = source->organization_id;
    const struct registry_patient *patient =
        registry_patient_by_identifier(loop->registry, organization_id, identifier->hash);
    uint64_t claim;
    memcpy(&claim, identifier->hash, sizeof claim);
    if (patient != NULL || party->patient_claim == 0)
        party->patient_claim = be64toh(claim);
    if (patient == NULL)
        party->patient_elsewhere |=
            registry_identifier_elsewhere(loop->registry, organization_id, identifier->hash);
    if (patient == NULL || patient == party->patient)
        return;
    if (party->patient != NULL)
        refuse(party, VERDICT_PATIENT_MISMATCH, "the identifiers are those of two patients");
    party->patient = patient;
}

void admit_identify(const struct loop_context *loop, const struct registry_source *source,
                    struct slice system, struct slice value, struct admit_party *party)
{
    const struct identifier_key key = {loop->identifier_key, loop->config->node_mode == MODE_TEST};
    struct identifier identifier;
    party->patient_named = true;
    switch (identifier_read(key, system, value, &identifier)) {
    case IDENTIFIER_GOOD:
        take(loop, source, &identifier, party);
        break;
    case IDENTIFIER_BAD_LENGTH:
        break;
    case IDENTIFIER_IS_TEST:
        refuse(party, VERDICT_UNKNOWN_PATIENT, "an INS of the test domain is nobody's in production");
        break;
    case IDENTIFIER_BAD_SHAPE:
        refuse(party, VERDICT_MALFORMED, "a matricule INS is 13 characters and the two digits of its key");
        break;
    case IDENTIFIER_BAD_KEY:
        refuse(party, VERDICT_MALFORMED, "the key of the matricule INS does not follow from its number");
        break;
    }
}
