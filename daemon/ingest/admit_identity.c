/* admit_identity: see the header for what is decided here. */
#include "daemon/ingest/admit_identity.h"

#include "daemon/registry/identifier.h"

static void refuse(struct admit_party *party, enum verdict verdict, const char *text)
{
    if (party->refusal.verdict == VERDICT_ACCEPTED)
        party->refusal = (struct refusal){.verdict = verdict, .field = FIELD_PATIENT, .text = text};
}

static void take(const struct registry_patient *patient, struct admit_party *party)
{
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
        take(registry_patient_by_identifier(loop->registry, source->organization_id, identifier.hash), party);
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
