/* engine_memory: what a patient and a held reading cost, as max_memory is planned with; that letting go gives
 * back; and that every block of the engine comes from the slab in use and goes back to it. */
#include <stdio.h>

#include "daemon/base/limits.h"
#include "daemon/base/slab.h"
#include "tests/unit/engine_fixture.h"

enum { PATIENTS = 2000, SERIES = 4, HELD = 70 * 24 };

static const char *const parameters[SERIES] = {"glucose-blood", "body-weight", "heart-rate",
                                               "body-temperature"};

static uint64_t held_bytes(const struct slab *slab)
{
    struct slab_figures figures;
    slab_read(slab, &figures);
    return figures.held_bytes;
}

static uint64_t used_bytes(const struct slab *slab)
{
    struct slab_figures figures;
    slab_read(slab, &figures);
    return figures.used_bytes;
}

static void enrol(struct fixture *f, int count)
{
    static const char *const limits[SERIES] = {"'unit':'mg/dL','levels':[{'priority':'high','above':300}]",
                                               "'unit':'kg','levels':[{'priority':'high','above':200}]",
                                               "'unit':'/min','levels':[{'priority':'high','above':180}]",
                                               "'unit':'Cel','levels':[{'priority':'high','above':40}]"};
    for (int i = 0; i < SERIES; i++)
        CU_ASSERT_EQUAL(
            fixture_command(f, COMMAND_RULE, 0,
                            "{'command':'rule','layer':'line','scope':'test','version':%d,"
                            "'committed_at':'%s','valid_from':'%s','author':'a','role':'physician',"
                            "'reason':'r','rule':{'id':'test.%d','line':'test','kind':'limit',"
                            "'parameter':'%s',%s,'text':{'fr':'x','en':'x'},'source':'t','tag':'T'}}",
                            10 + i, fixture_time(0), fixture_time(0), i, parameters[i], limits[i]),
            OK);
    for (int i = 0; i < count; i++)
        CU_ASSERT_EQUAL(fixture_command(f, COMMAND_PATIENT, 0,
                                        "{'command':'patient','patient_id':%d,'ref':'M-%d',"
                                        "'organization':'O','line':'test','team':'T',"
                                        "'time_zone':'Europe/Paris','committed_at':'%s',"
                                        "'enrolled_at':'%s'}",
                                        1000 + i, i, fixture_time(0), fixture_time(0)),
                        OK);
}

static struct slab *begin(struct fixture *f)
{
    struct slab *slab;
    CU_ASSERT_EQUAL_FATAL(slab_new((size_t)256 << 20, &slab), OK);
    slab_use(slab);
    fixture_open_patient(f);
    return slab;
}

static void end(struct fixture *f, struct slab *slab)
{
    fixture_close(f);
    CU_ASSERT_EQUAL(used_bytes(slab), 0);
    slab_use(NULL);
    slab_free(slab);
}

static void test_a_patient_costs_what_is_planned(void)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    struct slab *slab = begin(f);
    uint64_t before = held_bytes(slab);
    enrol(f, PATIENTS);
    uint64_t cost = (held_bytes(slab) - before) / PATIENTS;
    CU_ASSERT(cost <= PATIENT_BYTES_PLANNED);
    end(f, slab);
}

static void offer_hourly(struct fixture *f, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char value[8];
        snprintf(value, sizeof value, "%d", 60 + i % 20);
        OFFER("body-weight", value, i * HOUR_MIN);
    }
}

/* A reading an hour over twice the look-back fills a series; years on it holds as many, in as much room. */
static void test_a_held_reading_costs_what_is_planned(void)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    struct slab *slab = begin(f);
    uint64_t before = used_bytes(slab);
    offer_hourly(f, 1, HELD);
    uint64_t full = used_bytes(slab) - before;
    CU_ASSERT(full / HELD <= HELD_BYTES_PLANNED);
    offer_hourly(f, 1 + HELD, 8 * HELD);
    CU_ASSERT(used_bytes(slab) - before <= full + full / 4);
    end(f, slab);
}

SUITE(engine_memory) = {
    {"a patient costs what is planned", test_a_patient_costs_what_is_planned},
    {"a held reading costs what is planned", test_a_held_reading_costs_what_is_planned},
    {NULL, NULL},
};
