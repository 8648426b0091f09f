/* engine_foresight: looking ahead is speed alone. An engine that foresees every unit, also of patients it
 * does not have and of units that never come, says and keeps what one does that foresees none. */
#include <stdlib.h>
#include <string.h>

#include "alerting/engine_snapshot.h"
#include "alerting/index_map.h"
#include "daemon/base/buffer.h"
#include "tests/unit/engine_fixture.h"

static struct fixture looking, blind;

enum { UNITS = 400, PARAMETERS = 3 };
static const char *const parameters[PARAMETERS] = {"heart-rate", "body-weight", "spo2"};

static void foresee(struct engine *engine, int64_t patient_id, unsigned count)
{
    struct reading heads[PARAMETERS] = {{.patient_id = 0}};
    for (unsigned i = 0; i < count; i++) {
        enum parameter parameter;
        CU_ASSERT_EQUAL_FATAL(parameter_by_name(parameters[i], strlen(parameters[i]), &parameter), OK);
        heads[i].patient_id = patient_id;
        heads[i].parameter = (uint16_t)parameter;
        heads[i].next = i + 1 < count ? i + 1 : READING_CHAIN_END;
    }
    engine_foresee(engine, heads, 0);
}

static void open_one(struct fixture *f)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(
        fixture_rule(f, 0, 0,
                     "{'id':'t.hr','parameter':'heart-rate','unit':'/min','kind':'limit','levels':["
                     "{'priority':'medium','above':100}],'count':2,'text':{'fr':'f','en':'e'}}"),
        OK);
}

static void save(const struct fixture *f, struct buffer *out)
{
    struct archive *archive = engine_archive_new(f->engine);
    int64_t last_id = INT64_MIN;
    engine_save_shared(archive, out);
    CU_ASSERT_EQUAL(engine_save_patients(archive, &last_id, UINT32_MAX, SIZE_MAX, out), 1);
    engine_archive_free(archive);
}

static void decide(struct fixture *f, unsigned unit)
{
    double minute = 1 + unit;
    OFFER("heart-rate", unit % 7 < 3 ? "110" : "80", minute);
    if (unit % 50 == 49)
        OFFER("body-weight", "70", minute);
}

static void test_changes_nothing(void)
{
    struct buffer seen = {0}, unseen = {0};
    open_one(&looking);
    open_one(&blind);
    for (unsigned unit = 0; unit < UNITS; unit++) {
        foresee(looking.engine, unit % 5 == 4 ? 99 : 17, 1 + unit % PARAMETERS); /* nobody is 99 */
        decide(&looking, unit);
        decide(&blind, unit);
    }
    CU_ASSERT_FATAL(blind.count > 100); /* else it tests nothing */
    CU_ASSERT_EQUAL_FATAL(looking.count, blind.count);
    for (int i = 0; i < blind.count; i++)
        CU_ASSERT_STRING_EQUAL(looking.texts[i], blind.texts[i]);
    save(&looking, &seen);
    save(&blind, &unseen);
    CU_ASSERT_EQUAL_FATAL(seen.size, unseen.size);
    CU_ASSERT_EQUAL(memcmp(seen.data, unseen.data, seen.size), 0);
    buffer_deinit(&seen);
    buffer_deinit(&unseen);
    fixture_close(&looking);
    fixture_close(&blind);
}

static void test_nobody_yet(void)
{
    fixture_open_empty(&blind);
    for (unsigned unit = 0; unit < 2 * ENGINE_FORESIGHT; unit++)
        foresee(blind.engine, 17, 1);
    CU_ASSERT_PTR_NULL(engine_patient(blind.engine, 17)); /* foreseen, not made up */
    fixture_close(&blind);
}

/* Where a key is looked for first is where it is found, unless another one lies there. */
static void test_place(void)
{
    struct index_map map = {0};
    int value = 0;
    index_map_remove(&map, 5);
    CU_ASSERT_PTR_NULL(index_map_place(&map, 5));
    index_map_put(&map, 5, &value);
    const struct index_map_slot *slot = index_map_place(&map, 5);
    CU_ASSERT_PTR_NOT_NULL_FATAL(slot);
    CU_ASSERT_EQUAL(slot->key, 5);
    CU_ASSERT_PTR_EQUAL(slot->value, &value);
    index_map_remove(&map, 6); /* never was there: what is stays */
    CU_ASSERT_PTR_EQUAL(index_map_get(&map, 5), &value);
    CU_ASSERT_EQUAL(map.count, 1);
    index_map_deinit(&map);
}

SUITE(engine_foresight) = {
    {"it changes nothing", test_changes_nothing},
    {"of patients that nobody has yet", test_nobody_yet},
    {"where a key is looked for", test_place},
    {NULL, NULL},
};
