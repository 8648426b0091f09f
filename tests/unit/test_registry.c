/* registry: lookups of a snapshot, whose a device is when, what another organisation cannot see, and the
 * mailbox. */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/instant.h"
#include "daemon/registry/mailbox.h"
#include "daemon/registry/registry_build.h"
#include "tests/unit/unit.h"

enum { ORG_A = 1, ORG_B = 2, HOUR_MS = 3600000 };

static struct zone *paris;
static uint8_t digest[4][SHA256_BYTES];

static void add_patient(struct registry_builder *builder, int64_t id, int64_t organization, const char *ref)
{
    registry_add_patient(builder, &(struct registry_patient){.patient_id = id,
                                                             .organization_id = organization,
                                                             .ref = ref,
                                                             .zone = paris,
                                                             .enrolled_at_ms = 0,
                                                             .left_at_ms = INSTANT_NONE});
}

static void add_source(struct registry_builder *builder, struct build_source source, const uint8_t *token)
{
    source.has_token = token != NULL;
    if (token != NULL)
        memcpy(source.token_sha256, token, SHA256_BYTES);
    registry_add_source(builder, &source);
}

/* Two organisations: A with P-1, P-2 and SN-1 (P-1 until 1000 h, then P-2), B with Q-1 and SN-2. SN-3 is
 * listed by A's gateway alone, SN-4 by nobody. */
static struct registry *make(uint32_t *ret_left_out)
{
    struct registry_builder *builder = registry_builder_new(7);
    const int64_t gateway_devices[] = {11, 12, 13}, device[] = {11};
    for (unsigned i = 0; i < 4; i++)
        memset(digest[i], 'a' + (int)i, SHA256_BYTES);
    CU_ASSERT_FATAL(paris != NULL || zone_load("Europe/Paris", &paris) == OK);
    add_source(builder,
               (struct build_source){.source_id = 1,
                                     .organization_id = ORG_A,
                                     .ref = "gw",
                                     .kind = SOURCE_GATEWAY,
                                     .certificate = "gw.example",
                                     .device_ids = gateway_devices,
                                     .devices_count = 3},
               digest[0]);
    add_source(
        builder,
        (struct build_source){
            .source_id = 2, .ref = "dev", .kind = SOURCE_DEVICE, .device_ids = device, .devices_count = 1},
        digest[1]);
    add_source(builder,
               (struct build_source){.source_id = 3, .ref = "me", .kind = SOURCE_PATIENT, .patient_id = 3},
               digest[2]);
    add_source(
        builder,
        (struct build_source){.source_id = 4, .ref = "of-nobody", .kind = SOURCE_PATIENT, .patient_id = 99},
        digest[3]);
    registry_add_assignment(builder, &(struct build_assignment){11, 2, 1000LL * HOUR_MS, INSTANT_NONE});
    registry_add_assignment(builder, &(struct build_assignment){11, 1, 10LL * HOUR_MS, 1000LL * HOUR_MS});
    registry_add_assignment(builder, &(struct build_assignment){12, 3, 0, 5LL * HOUR_MS});
    registry_add_device(builder, &(struct build_device){14, "SN-4", NULL});
    registry_add_device(builder, &(struct build_device){13, "SN-3", "same"});
    registry_add_device(builder, &(struct build_device){12, "SN-2", "serial-2"});
    registry_add_device(builder, &(struct build_device){11, "SN-1", "same"});
    registry_add_identifier(builder, 1, digest[0]);
    registry_add_identifier(builder, 3, digest[0]);
    add_patient(builder, 3, ORG_B, "Q-1");
    add_patient(builder, 2, ORG_A, "P-2");
    add_patient(builder, 1, ORG_A, "P-1");
    struct registry *registry = registry_build(&builder, ret_left_out);
    CU_ASSERT_PTR_NULL(builder);
    return registry;
}

static void test_patients(void)
{
    uint32_t left_out;
    struct registry *registry = make(&left_out);
    CU_ASSERT_EQUAL(registry_version(registry), 7);
    const struct registry_patient *patient = registry_patient_by_ref(registry, ORG_A, "P-1xx", 3);
    CU_ASSERT_FATAL(patient != NULL);
    CU_ASSERT_EQUAL(patient->patient_id, 1);
    CU_ASSERT_STRING_EQUAL(patient->ref, "P-1");
    CU_ASSERT_PTR_NULL(registry_patient_by_ref(registry, ORG_A, "P-", 2));
    CU_ASSERT_PTR_NULL(registry_patient_by_ref(registry, ORG_A, "P-12", 4));
    CU_ASSERT_PTR_NULL(registry_patient_by_ref(registry, ORG_B, "P-1", 3));
    CU_ASSERT_EQUAL(registry_patient_by_identifier(registry, ORG_A, digest[0])->patient_id, 1);
    CU_ASSERT_EQUAL(registry_patient_by_identifier(registry, ORG_B, digest[0])->patient_id, 3);
    CU_ASSERT_PTR_NULL(registry_patient_by_identifier(registry, ORG_A, digest[1]));
    registry_free(registry);
}

static void test_devices_and_organisations(void)
{
    uint32_t left_out;
    struct registry *registry = make(&left_out);
    CU_ASSERT_EQUAL(registry_device_by_ref(registry, ORG_A, "SN-1", 4)->device_id, 11);
    CU_ASSERT_PTR_NULL(registry_device_by_ref(registry, ORG_B, "SN-1", 4));
    CU_ASSERT_EQUAL(registry_device_by_ref(registry, ORG_B, "SN-2", 4)->device_id, 12);
    CU_ASSERT_PTR_NULL(registry_device_by_ref(registry, ORG_A, "SN-2", 4));
    CU_ASSERT_EQUAL(registry_device_by_ref(registry, ORG_A, "SN-3", 4)->device_id,
                    13); /* by the gateway that lists it */
    CU_ASSERT_PTR_NULL(registry_device_by_ref(registry, ORG_A, "SN-4", 4));
    CU_ASSERT_PTR_NULL(registry_device_by_ref(registry, 0, "SN-4", 4));
    CU_ASSERT_EQUAL(registry_device_by_serial(registry, ORG_B, "serial-2", 8)->device_id, 12);
    CU_ASSERT_PTR_NULL(
        registry_device_by_serial(registry, ORG_A, "same", 4)); /* two have it: neither is meant */
    registry_free(registry);
}

/* A thousand organisations ask a table of sixteen slots: their probes cross every row, and must pass it by.
 */
static void test_strangers(void)
{
    uint32_t left_out, wrong = 0;
    struct registry *registry = make(&left_out);
    for (int64_t stranger = 3; stranger < 1000; stranger++) {
        wrong += registry_patient_by_ref(registry, stranger, "P-1", 3) != NULL;
        wrong += registry_patient_by_identifier(registry, stranger, digest[0]) != NULL;
        wrong += registry_device_by_ref(registry, stranger, "SN-1", 4) != NULL;
        wrong += registry_device_by_serial(registry, stranger, "serial-2", 8) != NULL;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    registry_free(registry);
}

static void test_assignments(void)
{
    uint32_t left_out;
    struct registry *registry = make(&left_out);
    const struct registry_device *device = registry_device_by_ref(registry, ORG_A, "SN-1", 4);
    const int64_t first = 10LL * HOUR_MS, second = 1000LL * HOUR_MS, grace = HOUR_MS;
    CU_ASSERT_EQUAL_FATAL(device->assignments_count, 2);
    CU_ASSERT_PTR_NULL(registry_assigned_to(device, first - grace - 1, grace));
    CU_ASSERT_EQUAL(registry_assigned_to(device, first - grace, grace)->patient_id, 1);
    CU_ASSERT_PTR_NULL(registry_assigned_to(device, first - 1, 0));
    CU_ASSERT_EQUAL(registry_assigned_to(device, first, 0)->patient_id, 1);
    CU_ASSERT_EQUAL(registry_assigned_to(device, second - 1, grace)->patient_id,
                    1); /* no grace before a later one */
    CU_ASSERT_EQUAL(registry_assigned_to(device, second, grace)->patient_id, 2);
    CU_ASSERT_EQUAL(registry_assigned_to(device, INT64_MAX, grace)->patient_id, 2);
    const struct registry_device *other = registry_device_by_ref(registry, ORG_B, "SN-2", 4);
    CU_ASSERT_EQUAL(registry_assigned_to(other, 5LL * HOUR_MS - 1, grace)->patient_id, 3);
    CU_ASSERT_PTR_NULL(registry_assigned_to(other, 5LL * HOUR_MS, grace));
    const struct registry_device *nobodys = registry_device_by_ref(registry, ORG_A, "SN-3", 4);
    CU_ASSERT_PTR_NULL(registry_assigned_to(nobodys, first, grace));
    registry_free(registry);
}

static void test_sources(void)
{
    uint32_t left_out;
    struct registry *registry = make(&left_out);
    const struct registry_source *gateway = registry_source_by_token(registry, digest[0]);
    CU_ASSERT_FATAL(gateway != NULL);
    CU_ASSERT_STRING_EQUAL(gateway->ref, "gw");
    CU_ASSERT_PTR_EQUAL(registry_source_by_certificate(registry, "gw.example"), gateway);
    CU_ASSERT_PTR_NULL(registry_source_by_certificate(registry, "gw.exampl"));
    CU_ASSERT_EQUAL(gateway->devices_count, 2); /* SN-2 went to organisation B */
    CU_ASSERT(registry_source_has_device(gateway, registry_device_by_ref(registry, ORG_A, "SN-1", 4)));
    CU_ASSERT(registry_source_has_device(gateway, registry_device_by_ref(registry, ORG_A, "SN-3", 4)));
    CU_ASSERT_FALSE(registry_source_has_device(gateway, registry_device_by_ref(registry, ORG_B, "SN-2", 4)));
    const struct registry_source *device = registry_source_by_token(registry, digest[1]);
    CU_ASSERT_EQUAL(device->organization_id, ORG_A); /* of its device's patient */
    CU_ASSERT_EQUAL(device->devices[0]->device_id, 11);
    const struct registry_source *patient = registry_source_by_token(registry, digest[2]);
    CU_ASSERT_EQUAL(patient->patient->patient_id, 3);
    CU_ASSERT_EQUAL(patient->organization_id, ORG_B);
    CU_ASSERT_PTR_NULL(registry_source_by_token(registry, digest[3]));
    CU_ASSERT_EQUAL(left_out, 2); /* the source of nobody, SN-2 in the gateway */
    registry_free(registry);
}

/* Every ref of a large registry is found: tables grow and probe rightly. */
static void test_large(void)
{
    enum { COUNT = 20000 };
    static char refs[COUNT][12];
    static int64_t ids[COUNT];
    struct registry_builder *builder = registry_builder_new(1);
    CU_ASSERT_FATAL(paris != NULL || zone_load("Europe/Paris", &paris) == OK);
    for (int i = 0; i < COUNT; i++) {
        snprintf(refs[i], sizeof(refs[i]), "P-%d", i);
        ids[i] = i + 1;
        add_patient(builder, ids[i], 1 + i % 3, refs[i]);
        registry_add_device(builder, &(struct build_device){ids[i], refs[i], refs[i]});
        registry_add_assignment(builder, &(struct build_assignment){ids[i], ids[i], 0, INSTANT_NONE});
    }
    uint32_t left_out, wrong = 0;
    struct registry *registry = registry_build(&builder, &left_out);
    for (int i = 0; i < COUNT; i++) {
        size_t size = strlen(refs[i]);
        int64_t own = 1 + i % 3;
        const struct registry_patient *patient = registry_patient_by_ref(registry, own, refs[i], size);
        const struct registry_device *device = registry_device_by_ref(registry, own, refs[i], size);
        wrong += patient == NULL || patient->patient_id != ids[i];
        wrong += device == NULL || registry_assigned_to(device, 1, 0) != patient;
        wrong += registry_device_by_serial(registry, own, refs[i], size) != device;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    registry_free(registry);
}

static void test_empty(void)
{
    struct registry_builder *builder = registry_builder_new(1);
    uint32_t left_out;
    struct registry *registry = registry_build(&builder, &left_out);
    memset(digest[0], 0, SHA256_BYTES);
    CU_ASSERT_PTR_NULL(registry_source_by_token(registry, digest[0]));
    CU_ASSERT_PTR_NULL(registry_patient_by_ref(registry, 1, "", 0));
    CU_ASSERT_PTR_NULL(registry_device_by_serial(registry, 1, "", 0));
    registry_free(registry);
}

static void test_identifier_hash(void)
{
    uint8_t key[32] = {1}, a[SHA256_BYTES], b[SHA256_BYTES], zero[SHA256_BYTES] = {0};
    static char longest[IDENTIFIER_BYTES_MAX + 1];
    registry_identifier_hash(key, "ab", 2, "c", 1, a);
    registry_identifier_hash(key, "a", 1, "bc", 2, b);
    CU_ASSERT(memcmp(a, b, sizeof(a)) != 0); /* the separator counts */
    hash_hmac_sha256(key, sizeof(key),
                     "ab\x1f"
                     "c",
                     4, b);
    CU_ASSERT(memcmp(a, b, sizeof(a)) == 0);
    registry_identifier_hash(key, "", 0, longest, IDENTIFIER_BYTES_MAX, a);
    CU_ASSERT(memcmp(a, zero, sizeof(a)) != 0);
    registry_identifier_hash(key, "", 0, longest, sizeof(longest), a);
    CU_ASSERT(memcmp(a, zero, sizeof(a)) == 0);
}

static void test_mailbox(void)
{
    struct mailbox mailbox;
    struct wakeup bell;
    uint32_t left_out;
    CU_ASSERT_EQUAL_FATAL(wakeup_open(&bell), OK);
    mailbox_init(&mailbox, &bell);
    struct registry_builder *first = registry_builder_new(1), *second = registry_builder_new(2);
    struct registry *old = registry_build(&first, &left_out), *new = registry_build(&second, &left_out);
    CU_ASSERT_PTR_NULL(mailbox_take(&mailbox, NULL));
    mailbox_post(&mailbox, old);
    CU_ASSERT_EQUAL(mailbox_taken(&mailbox), 0);
    CU_ASSERT_PTR_EQUAL(mailbox_take(&mailbox, NULL), old);
    CU_ASSERT_EQUAL(mailbox_taken(&mailbox), 1);
    CU_ASSERT_PTR_EQUAL(mailbox_take(&mailbox, old), old);
    mailbox_post(&mailbox, new);
    CU_ASSERT_PTR_EQUAL(mailbox_take(&mailbox, old), new);
    CU_ASSERT_EQUAL(mailbox_taken(&mailbox), 2);
    registry_free(old);
    registry_free(new);
    wakeup_close(&bell);
}

SUITE(registry) = {
    {"patients by ref and identifier, inside their organisation", test_patients},
    {"devices by ref and serial, and whose they are", test_devices_and_organisations},
    {"a thousand other organisations", test_strangers},
    {"assignments at an instant, with grace before the first", test_assignments},
    {"sources by token and certificate, with their devices", test_sources},
    {"twenty thousand patients", test_large},
    {"an empty registry", test_empty},
    {"identifier hash", test_identifier_hash},
    {"mailbox", test_mailbox},
    {NULL, NULL},
};
