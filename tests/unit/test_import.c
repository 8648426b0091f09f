/* import: every type, every refusal that needs no database, the same file again, versions, presets,
 * ownership; and the file that the rows are kept in, whole and torn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/file.h"
#include "daemon/base/hash.h"
#include "daemon/base/instant.h"
#include "daemon/model/parameter.h"
#include "daemon/registry/import.h"
#include "daemon/registry/registry_commands.h"
#include "daemon/registry/registry_file.h"
#include "tests/unit/unit.h"

#define DAY_MS 86400000LL

static const uint8_t key[32] = {42};

/* What the outside would answer: numbers in a row, and one span of readings. */
struct outside {
    int64_t last_id;
    int64_t device_id, patient_id, measured_ms; /* device_id 0: no reading was received */
};

static enum err next_id(void *context, enum row_table table, int64_t *ret_id)
{
    *ret_id = ++((struct outside *)context)->last_id;
    return OK;
}

static enum err has_readings(void *context, int64_t device_id, int64_t patient_id,
                             const int64_t from_to_ms[2], bool *ret)
{
    const struct outside *outside = context;
    *ret = outside->device_id == device_id && outside->patient_id == patient_id &&
           outside->measured_ms >= from_to_ms[0] &&
           (from_to_ms[1] == INSTANT_NONE || outside->measured_ms < from_to_ms[1]);
    return OK;
}

struct site {
    struct rows *rows;
    struct row_changes changes;
    struct outside outside;
    struct import_options options;
    struct import_result result;
    struct import_fault fault;
};

#define ORGANIZATIONS                                                                                        \
    "{\"type\":\"organization\",\"ref\":\"A\",\"name\":\"A\"}\n{\"type\":\"organization\",\"ref\":\"B\"}\n"
#define SILENCE(more)                                                                                        \
    "{\"id\":\"t.silence\",\"line\":\"l\",\"kind\":\"silence\",\"max_gap\":\"2d\",\"parameters\":[\"body-"   \
    "weight\"],"                                                                                             \
    "\"priority\":\"low\",\"text\":{\"fr\":\"x\",\"en\":\"x\"},\"source\":\"t\",\"tag\":\"TEST\"" more "}"
#define LIMIT(above)                                                                                         \
    "{\"id\":\"t.limit\",\"line\":\"l\",\"kind\":\"limit\",\"parameter\":\"heart-rate\",\"unit\":\"/"        \
    "min\",\"levels\":"                                                                                      \
    "[{\"priority\":\"high\",\"above\":" above                                                               \
    "}],\"text\":{\"fr\":\"x\",\"en\":\"x\"},\"source\":\"t\",\"tag\":\"TEST\"}"
#define RULE(where, more, rule)                                                                              \
    "{\"type\":\"rule\"," where ",\"author\":\"Dr A\",\"role\":\"physician\",\"reason\":\"r\"" more          \
    ",\"rule\":" rule "}\n"
#define FROM_2026 ",\"valid_from\":\"2026-01-01T00:00:00Z\""
#define PATIENT(ref, more)                                                                                   \
    "{\"type\":\"patient\",\"ref\":\"" ref                                                                   \
    "\",\"organization\":\"A\",\"line\":\"l\",\"time_zone\":\"Europe/Paris\"" more "}\n"
#define DEVICE(ref) "{\"type\":\"device\",\"ref\":\"" ref "\",\"kind\":\"scale\"}\n"
#define ASSIGN(device, patient, from, to)                                                                    \
    "{\"type\":\"assignment\",\"device\":\"" device "\",\"patient\":\"" patient "\",\"from\":\"" from        \
    "\",\"to\":" to "}\n"
#define SUSPEND(from, until, more)                                                                           \
    "{\"type\":\"suspension\",\"patient\":\"P-1\",\"rule\":\"t.silence\",\"from\":\"" from                   \
    "\",\"until\":\"" until "\",\"author\":\"N\",\"reason\":\"stay\"" more "}\n"
#define SOURCE(ref, kind, more) "{\"type\":\"source\",\"ref\":\"" ref "\",\"kind\":\"" kind "\"" more "}\n"
#define BASE                                                                                                 \
    ORGANIZATIONS RULE("\"line\":\"l\"", "", SILENCE("")) PATIENT("P-1", "") PATIENT("P-2", "") DEVICE("SN-" \
                                                                                                       "1")

static void site_init(struct site *site)
{
    *site = (struct site){.rows = rows_new()};
    CU_ASSERT_EQUAL_FATAL(parameter_init(), OK);
    site->options = (struct import_options){.identifier_key = key,
                                            .bounds = {35 * DAY_MS, 16 * DAY_MS},
                                            .assignment_grace_ms = 3600000,
                                            .next_id = next_id,
                                            .has_readings = has_readings,
                                            .context = &site->outside};
}

static void site_deinit(struct site *site)
{
    changes_keep(&site->changes);
    rows_free(site->rows);
}

static enum err import_text_(struct site *site, const char *text)
{
    return import_apply(site->rows, &site->changes, &site->options, text, strlen(text), &site->result,
                        &site->fault);
}

static void must_import(struct site *site, const char *text, unsigned changed)
{
    enum err error = import_text_(site, text);
    if (error != OK)
        printf("\nrefused: line %u %s found %s expected %s\n", site->fault.line, site->fault.what,
               site->fault.found, site->fault.expected);
    CU_ASSERT_EQUAL_FATAL(error, OK);
    CU_ASSERT_EQUAL(site->result.changed, changed);
    changes_keep(&site->changes);
}

static uint32_t all_rows(const struct site *site)
{
    uint32_t count = 0;
    for (unsigned table = 0; table < ROW_TABLES; table++)
        count += rows_count(site->rows, table);
    return count;
}

static void must_refuse(struct site *site, const char *text, unsigned line, const char *what)
{
    uint32_t before = all_rows(site);
    enum err error = import_text_(site, text);
    if (error != ERR_REFUSED || site->fault.line != line || strcmp(site->fault.what, what) != 0)
        printf("\nwanted line %u %s, got %s line %u %s found %s: %s\n", line, what, err_name(error),
               site->fault.line, site->fault.what, site->fault.found, text);
    CU_ASSERT_EQUAL(error, ERR_REFUSED);
    CU_ASSERT_EQUAL(site->fault.line, line);
    CU_ASSERT_STRING_EQUAL(site->fault.what, what);
    CU_ASSERT_EQUAL(site->changes.count, 0);
    CU_ASSERT_EQUAL(all_rows(site), before);
    changes_keep(&site->changes);
}

static const char everything[] =
    BASE "{\"type\":\"identifier\",\"patient\":\"P-1\",\"system\":\"Patient\",\"value\":\"x\"}\n" ASSIGN(
        "SN-1", "P-1", "2026-01-01T00:00:00Z",
        "null") SOURCE("gw", "gateway",
                       ",\"devices\":[\"SN-1\"],\"organization\":\"A\",\"certificate_cn\":\"gw.example\"")
        SOURCE("dev", "device", ",\"devices\":[\"SN-1\"]") SOURCE("sys", "system", ",\"organization\":\"B\"")
            SOURCE(
                "me", "patient",
                ",\"patient\":\"P-1\"") "\n"
                                        "{\"type\":\"confirmation\",\"patient\":\"P-1\",\"line\":\"l\","
                                        "\"author\":\"Dr A\",\"role\":\"physician\","
                                        "\"from\":\"2026-01-01T00:00:00Z\"}\n"
                                        "{\"type\":\"schedule\",\"patient\":\"P-1\",\"parameter\":\"body-"
                                        "weight\",\"every\":\"1d\",\"count\":1}\n" SUSPEND(
                                            "2026-02-01T00:00:00Z", "2026-02-20T00:00:00Z", "")
                                            RULE("\"patient\":\"P-1\"", FROM_2026,
                                                 LIMIT(
                                                     "120")) "{\"type\":\"reference\",\"patient\":\"P-1\","
                                                             "\"parameter\":\"body-weight\",\"name\":\"dry-"
                                                             "weight\",\"value\":71.20,"
                                                             "\"unit\":\"kg\",\"from\":\"2026-01-01T00:00:"
                                                             "00Z\",\"author\":\"Dr A\"}\n"
                                                             "{\"type\":\"left\",\"patient\":\"P-2\",\"at\":"
                                                             "\"2026-03-01T00:00:00Z\",\"reason\":\"moved\"}";

static void test_every_type(void)
{
    struct site site;
    site_init(&site);
    must_import(&site, everything, 18);
    CU_ASSERT_EQUAL(site.result.lines, 18);
    const struct row_patient *patient = rows_find(site.rows, ROW_PATIENT, "P-1");
    CU_ASSERT_EQUAL(patient->enrolled_at, INSTANT_NONE); /* its commit */
    CU_ASSERT(patient->row.waiting);
    const struct row_reference *reference = rows_first(site.rows, ROW_REFERENCE);
    CU_ASSERT_STRING_EQUAL(reference->value, "71.2");
    const struct row_source *source = rows_find(site.rows, ROW_SOURCE, "me");
    CU_ASSERT_EQUAL(source->organization_id, patient->organization_id);
    const struct row_patient *left = rows_find(site.rows, ROW_PATIENT, "P-2");
    CU_ASSERT_STRING_EQUAL(left->left_reason, "moved");
    must_import(&site, everything, 0);
    site_deinit(&site);
}

static void test_lines_are_refused(void)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *what;
    } rows[] = {
        {"{not json\n", 1, "line"},
        {"\n\n[]\n", 3, "line"},
        {"{\"type\":\"organization\",\"ref\":\"X\",\"ref\":\"Y\"}", 1, "line"},
        {"{\"ref\":\"X\"}", 1, "type"},
        {"{\"type\":\"person\",\"ref\":\"X\"}", 1, "type"},
        {"{\"type\":\"organization\",\"ref\":\"X\"}\n{\"type\":\"organization\",\"ref\":\"X y\"}", 2, "ref"},
        {"{\"type\":\"organization\",\"ref\":7}", 1, "ref"},
        {"{\"type\":\"organization\",\"name\":\"n\"}", 1, "ref"},
        {"{\"type\":\"organization\",\"ref\":\"X\",\"colour\":\"red\"}", 1, "unknown key"},
        {"{\"type\":\"organization\",\"ref\":\"X\",\"name\":\"a\\u001fb\"}", 1, "name"},
        {PATIENT("P/1", ""), 1, "ref"},
        {PATIENT("185057800608436", ""), 1, "ref"},
        {PATIENT("1850578006084", ""), 1, "ref"},
        {PATIENT("1.85.05.2A.006.084", ""), 1, "ref"},
        {PATIENT("P-9", ",\"enrolled_at\":\"2026-01-01\""), 1, "enrolled_at"},
        {PATIENT("P-9", ",\"enrolled_at\":\"2026-01-01T00:00:00\""), 1, "enrolled_at"},
        {"{\"type\":\"patient\",\"ref\":\"P-9\",\"organization\":\"A\",\"line\":\"l\",\"time_zone\":\"Europe/"
         "X\"}",
         1, "time_zone"},
        {"{\"type\":\"patient\",\"ref\":\"P-9\",\"organization\":\"C\",\"line\":\"l\",\"time_zone\":\"UTC\"}",
         1, "organization"},
        {"{\"type\":\"patient\",\"ref\":\"P-1\",\"organization\":\"B\",\"line\":\"l\",\"time_zone\":\"UTC\"}",
         1, "organization"},
        {"{\"type\":\"patient\",\"ref\":\"P-9\",\"organization\":\"A\",\"line\":\"none\",\"time_zone\":"
         "\"UTC\"}\n\n",
         1, "line"},
        {RULE("\"line\":\"m\"", "", LIMIT("120")), 1, "rule.line"},
        {"{\"type\":\"identifier\",\"patient\":\"P-7\",\"system\":\"s\",\"value\":\"v\"}", 1, "patient"},
        {"{\"type\":\"identifier\",\"patient\":\"P-1\",\"system\":\"s\",\"value\":\"\"}", 1, "value"},
        {"{\"type\":\"identifier\",\"patient\":\"P-1\",\"system\":\"s\",\"value\":\"v\"}\n"
         "{\"type\":\"identifier\",\"patient\":\"P-2\",\"system\":\"s\",\"value\":\"v\"}",
         2, "value"},
        {ASSIGN("SN-9", "P-1", "2026-01-01T00:00:00Z", "null"), 1, "device"},
        {ASSIGN("SN-1", "P-1", "2026-01-01T00:00:00Z", "\"2026-01-01T00:00:00Z\""), 1, "to"},
        {ASSIGN("SN-1", "P-1", "2026-01-01T00:00:00Z", "null")
             ASSIGN("SN-1", "P-2", "2026-02-01T00:00:00Z", "null"),
         2, "assignment"},
        {ASSIGN("SN-1", "P-1", "2026-01-01T00:00:00Z", "null")
             ASSIGN("SN-1", "P-2", "2026-01-01T00:00:00Z", "null"),
         2, "assignment"},
        {SOURCE("s", "phone", ""), 1, "kind"},
        {SOURCE("s", "gateway", ""), 1, "organization"},
        {SOURCE("s", "system", ",\"organization\":\"A\",\"devices\":[\"SN-1\"]"), 1, "devices"},
        {SOURCE("s", "device", ",\"organization\":\"A\",\"devices\":[]"), 1, "devices"},
        {DEVICE("SN-2") SOURCE("s", "device", ",\"devices\":[\"SN-1\",\"SN-2\"]"), 2, "devices"},
        {SOURCE("s", "device", ",\"devices\":[\"SN-1\"]"), 1, "organization"},
        {SOURCE("s", "gateway", ",\"organization\":\"A\",\"devices\":[\"SN-9\"]"), 1, "devices"},
        {SOURCE("s", "patient", ""), 1, "patient"},
        {SOURCE("s", "patient", ",\"patient\":\"P-1\",\"organization\":\"B\""), 1, "organization"},
        {SOURCE("s", "system", ",\"organization\":\"A\",\"token\":\"clear\""), 1, "token"},
        {SOURCE("s", "system", ",\"organization\":\"A\",\"token_sha256\":\"abc\""), 1, "token_sha256"},
        {SOURCE("s", "system", ",\"organization\":\"A\",\"certificate_cn\":\"x\"")
             SOURCE("t", "system", ",\"organization\":\"A\",\"certificate_cn\":\"x\""),
         2, "certificate_cn"},
        {"{\"type\":\"confirmation\",\"patient\":\"P-1\",\"line\":\"l\",\"author\":\"N\",\"role\":\"nurse\","
         "\"from\":\"2026-01-01T00:00:00Z\"}",
         1, "role"},
        {"{\"type\":\"confirmation\",\"patient\":\"P-1\",\"line\":\"k\",\"author\":\"N\",\"role\":"
         "\"physician\",\"from\":\"2026-01-01T00:00:00Z\"}",
         1, "line"},
        {"{\"type\":\"schedule\",\"patient\":\"P-1\",\"parameter\":\"mood\",\"every\":\"1d\"}", 1,
         "parameter"},
        {"{\"type\":\"schedule\",\"patient\":\"P-1\",\"parameter\":\"body-weight\",\"every\":\"daily\"}", 1,
         "every"},
        {"{\"type\":\"schedule\",\"patient\":\"P-1\",\"parameter\":\"body-weight\",\"every\":\"1d\","
         "\"count\":0}",
         1, "count"},
        {SUSPEND("2026-01-01T00:00:00Z", "2026-02-02T00:00:00Z", ""), 1, "until"},
        {SUSPEND("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", ""), 1, "until"},
        {SUSPEND("2026-01-01T00:00:00Z", "2026-01-31T00:00:00Z", "")
             SUSPEND("2026-02-10T00:00:00Z", "2026-02-12T00:00:00Z", ""),
         2, "role"},
        {RULE("\"line\":\"l\"", "",
              LIMIT("120")) "{\"type\":\"suspension\",\"patient\":\"P-1\",\"rule\":\"t.limit\",\"from\":"
                            "\"2026-01-01T00:00:00Z\","
                            "\"until\":\"2026-01-02T00:00:00Z\",\"author\":\"N\",\"reason\":\"x\"}",
         2, "rule"},
        {"{\"type\":\"left\",\"patient\":\"P-1\",\"at\":\"2026-01-01T00:00:00Z\",\"reason\":\"a\"}\n"
         "{\"type\":\"left\",\"patient\":\"P-1\",\"at\":\"2026-01-02T00:00:00Z\",\"reason\":\"a\"}",
         2, "at"},
        {"{\"type\":\"reference\",\"patient\":\"P-1\",\"parameter\":\"body-weight\",\"value\":71,\"unit\":"
         "\"mm[Hg]\",\"from\":\"2026-01-01T00:00:00Z\",\"author\":\"D\"}",
         1, "unit"},
        {"{\"type\":\"reference\",\"patient\":\"P-1\",\"parameter\":\"body-weight\",\"value\":71.0000001,"
         "\"unit\":\"kg\",\"from\":\"2026-01-01T00:00:00Z\",\"author\":\"D\"}",
         1, "value"},
        {"{\"type\":\"reference\",\"patient\":\"P-1\",\"parameter\":\"body-weight\",\"value\":\"71\","
         "\"unit\":\"kg\",\"from\":\"2026-01-01T00:00:00Z\",\"author\":\"D\"}",
         1, "value"},
    };
    struct site site;
    site_init(&site);
    must_import(&site, BASE, 6);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        must_refuse(&site, rows[i].text, rows[i].line, rows[i].what);
    site_deinit(&site);
}

static void test_rules_are_refused(void)
{
    struct site site;
    site_init(&site);
    must_import(&site, BASE RULE("\"line\":\"l\"", "", LIMIT("120")), 7);
    must_refuse(&site, RULE("\"line\":\"l\",\"patient\":\"P-1\"", "", LIMIT("120")), 1, "layer");
    must_refuse(&site, RULE("\"patient\":\"P-7\"", "", LIMIT("120")), 1, "patient");
    must_refuse(&site, RULE("\"organization\":\"C\"", "", LIMIT("120")), 1, "organization");
    must_refuse(&site, RULE("\"team\":\"T-1\"", "", LIMIT("120")), 1, "team");
    must_refuse(
        &site,
        "{\"type\":\"rule\",\"line\":\"l\",\"author\":\"D\",\"role\":\"king\",\"reason\":\"r\",\"rule\":{}}",
        1, "role");
    must_refuse(&site,
                RULE("\"patient\":\"P-1\"", "",
                     "{\"id\":\"t.limit\",\"line\":\"l\",\"kind\":\"limit\",\"parameter\":\"body-weight\","
                     "\"unit\":\"kg\","
                     "\"levels\":[{\"priority\":\"high\",\"above\":120}]}"),
                1, "rule.parameter");
    must_refuse(&site, RULE("\"patient\":\"P-1\"", "", SILENCE(",\"grace\":\"2h\"")), 1, "rule.grace");
    must_refuse(&site, RULE("\"line\":\"l\"", "", "{\"id\":\"t.silence\",\"inherit\":true}"), 1,
                "rule.inherit");
    CU_ASSERT_EQUAL(import_text_(&site, RULE("\"line\":\"l\"", "", SILENCE(",\"enabled\":false"))),
                    ERR_REFUSED);
    changes_keep(&site.changes);
    must_import(&site, RULE("\"organization\":\"A\"", "", LIMIT("130")), 1);
    must_import(&site, PATIENT("P-1", ",\"team\":\"T-1\"") RULE("\"team\":\"T-1\"", "", LIMIT("140")), 2);
    CU_ASSERT_PTR_NOT_NULL(rows_find(site.rows, ROW_RULE, "team\037A/T-1\037t.limit\0371"));
    site_deinit(&site);
}

static void test_versions(void)
{
    static const char v1[] = RULE("\"line\":\"l\"", FROM_2026, LIMIT("120"));
    static const char v2[] = RULE("\"line\":\"l\"", ",\"valid_from\":\"2026-02-01T00:00:00Z\"", LIMIT("130"));
    static const char open_120[] = RULE("\"patient\":\"P-1\"", "", LIMIT("120"));
    static const char open_130[] = RULE("\"patient\":\"P-1\"", "", LIMIT("130"));
    struct site site;
    site_init(&site);
    must_import(&site, BASE, 6);
    must_import(&site, v1, 1);
    must_import(&site, v2, 1);
    must_import(&site, v1, 0); /* with its date it is the same act, whatever followed */
    must_import(&site, v2, 0);
    CU_ASSERT_EQUAL(rows_rule_latest(site.rows, "line", "l", "t.limit")->version, 2);
    must_import(&site, open_120, 1);
    must_import(&site, open_120, 0);
    must_import(&site, open_130, 1);
    must_import(&site, open_120, 1); /* without a date it sets the rule back */
    CU_ASSERT_EQUAL(rows_rule_latest(site.rows, "patient", "P-1", "t.limit")->version, 3);
    site_deinit(&site);
}

static void test_presets(void)
{
    struct site site;
    site_init(&site);
    CU_ASSERT_EQUAL(
        import_preset_rule(site.rows, &site.changes, &site.options, "l", SILENCE(""), &site.fault), OK);
    CU_ASSERT_EQUAL(site.changes.count, 1);
    changes_keep(&site.changes);
    must_import(&site, ORGANIZATIONS PATIENT("P-1", ""), 3); /* a line exists as soon as a preset names it */
    must_import(&site, RULE("\"line\":\"l\"", "", SILENCE(",\"requires_validation\":false")), 1);
    CU_ASSERT_EQUAL(
        import_preset_rule(site.rows, &site.changes, &site.options, "l", SILENCE(""), &site.fault), OK);
    CU_ASSERT_EQUAL(site.changes.count, 0); /* the operator's version stands */
    site_deinit(&site);
}

/* A change of owner over readings that were received is refused; beside them it is not. */
static void test_owners(void)
{
    static const char open[] = ASSIGN("SN-1", "P-1", "2026-01-10T00:00:00Z", "null");
    static const char end_12[] = ASSIGN("SN-1", "P-1", "2026-01-10T00:00:00Z", "\"2026-01-12T00:00:00Z\"");
    static const char end_14[] = ASSIGN("SN-1", "P-1", "2026-01-10T00:00:00Z", "\"2026-01-14T00:00:00Z\"");
    static const char earlier[] = ASSIGN("SN-1", "P-2", "2026-01-01T00:00:00Z", "\"2026-01-10T00:00:00Z\"");
    struct instant_parsed at;
    struct site site;
    site_init(&site);
    must_import(&site, BASE, 6);
    must_import(&site, open, 1);
    const struct row_device *device = rows_find(site.rows, ROW_DEVICE, "SN-1");
    const struct row_patient *patient = rows_find(site.rows, ROW_PATIENT, "P-1");
    CU_ASSERT_EQUAL(instant_parse("2026-01-13T00:00:00Z", 20, &at), INSTANT_GOOD);
    site.outside.device_id = device->device_id;
    site.outside.patient_id = patient->patient_id;
    site.outside.measured_ms = at.ms;
    must_refuse(&site, end_12, 1, "assignment");
    must_import(&site, end_14, 1);
    CU_ASSERT_EQUAL(instant_parse("2026-01-09T23:30:00Z", 20, &at), INSTANT_GOOD); /* taken in grace */
    site.outside.measured_ms = at.ms;
    must_refuse(&site, earlier, 1, "assignment");
    site.outside.device_id = 0;
    must_import(&site, earlier, 1);
    must_import(&site, ASSIGN("SN-1", "P-2", "2026-01-14T00:00:00Z", "null"),
                1); /* right behind it: no overlap */
    site_deinit(&site);
}

static void test_tokens(void)
{
    struct site site;
    site_init(&site);
    site.options.test_mode = true;
    must_import(&site, BASE SOURCE("s", "system", ",\"organization\":\"A\",\"token\":\"abc\""), 7);
    const struct row_source *source = rows_find(site.rows, ROW_SOURCE, "s");
    CU_ASSERT_STRING_EQUAL(source->token_sha256,
                           "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    must_import(&site, SOURCE("s", "system", ",\"organization\":\"A\""), 0); /* without one the token stays */
    must_refuse(&site,
                SOURCE("t", "system",
                       ",\"organization\":\"A\",\"token_sha256\":"
                       "\"BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD\""),
                1, "token_sha256");
    must_import(&site, SOURCE("s", "system", ",\"organization\":\"A\",\"token\":\"abd\""), 1);
    site_deinit(&site);
}

static int rank_of(const struct registry_commands *commands, uint32_t index)
{
    return (int)commands->items[index]->command.kind;
}

static void test_commands_in_order(void)
{
    struct site site;
    struct registry_commands commands = {.items = NULL};
    site_init(&site);
    CU_ASSERT_EQUAL_FATAL(import_text_(&site, everything), OK);
    const struct registry_targets targets = {.rows = site.rows, .shards = 2};
    for (uint32_t i = 0; i < site.changes.count; i++)
        registry_commands_add(&commands, &targets, &site.changes.items[i]);
    registry_commands_sort(&commands);
    static const enum command_kind order[] = {COMMAND_RULE,      COMMAND_RULE,       COMMAND_PATIENT,
                                              COMMAND_PATIENT,   COMMAND_RULE,       COMMAND_CONFIRMATION,
                                              COMMAND_REFERENCE, COMMAND_SUSPENSION, COMMAND_LEFT};
    CU_ASSERT_EQUAL_FATAL(commands.count,
                          sizeof(order) / sizeof(order[0])); /* the line's rule goes to both shards */
    for (uint32_t i = 0; i < commands.count; i++) {
        CU_ASSERT_EQUAL(rank_of(&commands, i), (int)order[i]);
        json_t *json =
            json_loadb(commands.items[i]->command.json.data, commands.items[i]->command.json.size, 0, NULL);
        CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json, "command")), command_word(order[i]));
        CU_ASSERT_PTR_NULL(json_object_get(json, "committed_at"));
        json_decref(json);
    }
    CU_ASSERT(commands.items[0]->shard != commands.items[1]->shard);
    registry_commands_deinit(&commands);
    const int64_t known[] = {0, INT64_MAX};
    for (uint32_t i = 0; i < site.changes.count; i++)
        site.changes.items[i].after->changed = site.changes.items[i].after->table == ROW_PATIENT ? 9 : 5;
    const struct registry_targets start = {.rows = site.rows, .shards = 2, .known = known};
    for (uint32_t i = 0; i < site.changes.count; i++)
        registry_commands_add(&commands, &start, &(struct row_change){.after = site.changes.items[i].after});
    registry_commands_sort(&commands);
    bool patients_over = false;
    for (uint32_t i = 0; i < commands.count; i++) {
        CU_ASSERT_EQUAL(commands.items[i]->shard, 0); /* the other has everything */
        patients_over |= i > 0 && commands.items[i]->command.kind != COMMAND_PATIENT;
        CU_ASSERT_FALSE(patients_over && commands.items[i]->command.kind == COMMAND_PATIENT);
    }
    registry_commands_deinit(&commands);
    site_deinit(&site);
}

/* ---- the file ---- */

struct file_site {
    struct site site;
    struct cipher_keys keys;
    char path[64], delta[80];
};

static void file_site_init(struct file_site *at)
{
    const uint8_t master[CIPHER_KEY_BYTES] = {7};
    *at = (struct file_site){.keys = {.count = 0}};
    snprintf(at->path, sizeof(at->path), "/tmp/vigie-registry-%d", (int)getpid());
    snprintf(at->delta, sizeof(at->delta), "%s.delta", at->path);
    CU_ASSERT_EQUAL_FATAL(cipher_keys_add(&at->keys, master), OK);
    site_init(&at->site);
}

static void file_site_deinit(struct file_site *at)
{
    unlink(at->path);
    unlink(at->delta);
    site_deinit(&at->site);
}

static enum err load(struct file_site *at, struct rows **ret_rows, int64_t *ret_version)
{
    struct registry_file *file = registry_file_new(at->path, &at->keys);
    enum err error = registry_file_load(file, ret_rows, ret_version);
    registry_file_free(file);
    return error;
}

static void expect_same_rows(const struct rows *a, const struct rows *b)
{
    for (unsigned table = 0; table < ROW_TABLES; table++) {
        CU_ASSERT_EQUAL(rows_count(a, table), rows_count(b, table));
        for (struct row *row = rows_first(a, table); row != NULL; row = row->next) {
            const struct row *other = rows_find_same_key(b, row);
            CU_ASSERT(other != NULL && row_equal(row, other) && row->changed == other->changed);
        }
    }
}

static void expect_on_disk(struct file_site *at, int64_t version)
{
    struct rows *rows;
    int64_t found;
    CU_ASSERT_EQUAL_FATAL(load(at, &rows, &found), OK);
    CU_ASSERT_EQUAL(found, version);
    expect_same_rows(at->site.rows, rows);
    expect_same_rows(rows, at->site.rows);
    rows_free(rows);
}

/* A base, then changes of every sort in the delta: new, changed, taken out, all over again. */
static void test_file(void)
{
    struct file_site at;
    struct rows *rows;
    int64_t version;
    file_site_init(&at);
    CU_ASSERT_EQUAL(load(&at, &rows, &version), ERR_NOT_FOUND);
    struct registry_file *file = registry_file_new(at.path, &at.keys);
    must_import(&at.site, everything, 18);
    CU_ASSERT_EQUAL_FATAL(registry_file_save(file, at.site.rows, &at.site.changes, 17), OK);
    CU_ASSERT_NOT_EQUAL(access(at.delta, F_OK), 0);
    changes_keep(&at.site.changes);
    expect_on_disk(&at, 17);
    struct row *source = rows_first(at.site.rows, ROW_SOURCE),
               *first = rows_first(at.site.rows, ROW_ASSIGNMENT);
    struct row_source *changed = row_copy(source);
    row_set_text(&changed->token_sha256, NULL);
    changes_put(&at.site.changes, at.site.rows, &changed->row, 0);
    changes_remove(&at.site.changes, at.site.rows, first);
    CU_ASSERT_EQUAL(registry_file_save(file, at.site.rows, &at.site.changes, 18), OK);
    changes_keep(&at.site.changes);
    expect_on_disk(&at, 18);
    registry_file_free(file);
    file = registry_file_new(at.path, &at.keys); /* a restart goes on where the delta ends */
    CU_ASSERT_EQUAL_FATAL(registry_file_load(file, &rows, &version), OK);
    rows_free(rows);
    changes_remove(&at.site.changes, at.site.rows, rows_first(at.site.rows, ROW_IDENTIFIER));
    CU_ASSERT_EQUAL(registry_file_save(file, at.site.rows, &at.site.changes, 19), OK);
    changes_keep(&at.site.changes);
    expect_on_disk(&at, 19);
    CU_ASSERT_EQUAL(registry_file_renew(file, at.site.rows, 20), OK);
    expect_on_disk(&at, 20); /* beside the delta of the base before */
    CU_ASSERT_EQUAL(access(at.delta, F_OK), 0);
    registry_file_free(file);
    file_site_deinit(&at);
}

static void put_device(struct file_site *at, unsigned number, const char *kind)
{
    struct row_device *device = row_new(ROW_DEVICE);
    char ref[16];
    snprintf(ref, sizeof(ref), "S-%03u", number);
    device->device_id = 10000 + number;
    row_set_text(&device->ref, ref);
    row_set_text(&device->kind, kind);
    device->row.changed = 17;
    changes_put(&at->site.changes, at->site.rows, &device->row, 0);
}

static void take_out_device(struct file_site *at, unsigned number)
{
    struct row *row = rows_find(at->site.rows, ROW_DEVICE, "S-%03u", number);
    if (row != NULL)
        changes_remove(&at->site.changes, at->site.rows, row);
}

/* New, changed and taken out on both sides of where the making is; one set that is undone. */
static void change_meanwhile(struct file_site *at, unsigned step)
{
    put_device(at, 900 + step, "scale");
    put_device(at, 1 + step, "oximeter");
    put_device(at, 598 - step, "oximeter");
    put_device(at, 900, step % 2 == 0 ? "scale" : "oximeter");
    take_out_device(at, 100 + step);
    take_out_device(at, 500 - step);
    if (step % 3 == 2) { /* back again */
        put_device(at, 100 + step - 1, "thermometer");
        put_device(at, 500 - step + 1, "thermometer");
    }
}

static void undo_something(struct file_site *at, unsigned step)
{
    for (unsigned i = 0; i < 600; i += 7)
        put_device(at, i, "pump");
    take_out_device(at, 300 + step);
    changes_undo(&at->site.changes, at->site.rows);
}

/* A base made in slices of 64 rows with a set between any two: what a crash would leave at every step (loaded
 * by another handle) has every set saved so far, and so has the base when it is whole. */
static void test_file_slices(void)
{
    struct file_site at;
    unsigned steps = 0;
    int64_t version = 17;
    file_site_init(&at);
    struct registry_file *file = registry_file_new(at.path, &at.keys);
    must_import(&at.site, everything, 18);
    for (unsigned i = 0; i < 600; i++)
        put_device(&at, i, "scale");
    CU_ASSERT_EQUAL_FATAL(registry_file_save(file, at.site.rows, &at.site.changes, version), OK);
    changes_keep(&at.site.changes);
    CU_ASSERT_FALSE(registry_file_is_grown(file, true));
    CU_ASSERT_EQUAL(registry_file_renew_some(file, at.site.rows, version, 0), OK);
    while (registry_file_is_renewing(file) && steps < 40) {
        change_meanwhile(&at, steps++);
        CU_ASSERT_EQUAL(registry_file_save(file, at.site.rows, &at.site.changes, ++version), OK);
        changes_keep(&at.site.changes);
        expect_on_disk(&at, version);
        undo_something(&at, steps);
        CU_ASSERT_EQUAL(registry_file_renew_some(file, at.site.rows, version, 0), OK);
        expect_on_disk(&at, version);
    }
    CU_ASSERT(steps >= 8 && steps < 40);
    unlink(at.delta); /* of the base before */
    expect_on_disk(&at, version);
    put_device(&at, 700, "scale");
    registry_file_add(file, &at.site.changes); /* written with the next set */
    changes_keep(&at.site.changes);
    put_device(&at, 701, "scale");
    CU_ASSERT_EQUAL(registry_file_save(file, at.site.rows, &at.site.changes, ++version), OK);
    changes_keep(&at.site.changes);
    expect_on_disk(&at, version);
    CU_ASSERT_EQUAL(registry_file_renew_some(file, at.site.rows, version, 0), OK);
    registry_file_free(file); /* in the making: nothing is left behind */
    expect_on_disk(&at, version);
    file_site_deinit(&at);
}

static void expect_unusable(struct file_site *at)
{
    struct rows *rows;
    int64_t version;
    enum err error = load(at, &rows, &version);
    CU_ASSERT(error != OK && error != ERR_NOT_FOUND);
    if (error == OK)
        rows_free(rows);
}

static void damage(struct file_site *at, const char *path)
{
    struct buffer bytes = {.data = NULL};
    CU_ASSERT_EQUAL_FATAL(file_read(path, 1 << 20, &bytes), OK);
    for (size_t size = 1; size < bytes.size; size += 37) {
        CU_ASSERT_EQUAL(file_replace(path, bytes.data, size, 0600), OK);
        expect_unusable(at);
    }
    for (size_t byte = 0; byte < bytes.size; byte += 29) {
        bytes.data[byte] ^= 4;
        CU_ASSERT_EQUAL(file_replace(path, bytes.data, bytes.size, 0600), OK);
        expect_unusable(at);
        bytes.data[byte] ^= 4;
    }
    CU_ASSERT_EQUAL(file_replace(path, bytes.data, bytes.size, 0600), OK);
    buffer_deinit(&bytes);
}

/* Torn, damaged, under another key, the plain file of an older version: never rows, never "there is none". */
static void test_file_damaged(void)
{
    static const char plain[] = "{\"version\":12,\"rows\":0,\"checksum\":\"0123456789abcdef\"}\n";
    struct file_site at;
    struct buffer bytes = {.data = NULL};
    file_site_init(&at);
    must_import(&at.site, everything, 18);
    struct registry_file *file = registry_file_new(at.path, &at.keys);
    CU_ASSERT_EQUAL_FATAL(registry_file_save(file, at.site.rows, &at.site.changes, 17), OK);
    changes_keep(&at.site.changes);
    changes_remove(&at.site.changes, at.site.rows, rows_first(at.site.rows, ROW_ASSIGNMENT));
    CU_ASSERT_EQUAL(registry_file_save(file, at.site.rows, &at.site.changes, 18), OK);
    changes_keep(&at.site.changes);
    registry_file_free(file);
    damage(&at, at.path);
    damage(&at, at.delta); /* it may hold a right withdrawn: the base alone would give it back */
    expect_on_disk(&at, 18);
    CU_ASSERT_EQUAL(file_read(at.path, 1 << 20, &bytes), OK);
    CU_ASSERT_PTR_NULL(memmem(bytes.data, bytes.size, "P-1", 3));
    buffer_deinit(&bytes);
    at.keys.key[0].master[0] ^= 1;
    expect_unusable(&at);
    at.keys.key[0].master[0] ^= 1;
    CU_ASSERT_EQUAL(file_replace(at.path, plain, sizeof(plain) - 1, 0600), OK);
    expect_unusable(&at);
    file_site_deinit(&at);
}

static void test_refs(void)
{
    CU_ASSERT(import_ref_is_good("P-000123") && import_ref_is_good("urn:oid:1.2.3") &&
              import_ref_is_good("a@b"));
    CU_ASSERT_FALSE(import_ref_is_good("") || import_ref_is_good("-a") || import_ref_is_good("a b") ||
                    import_ref_is_good("a/b") || import_ref_is_good("a#") || import_ref_is_good("é"));
    CU_ASSERT(import_ref_is_nir("2850578006084") && import_ref_is_nir("2-85-05-78-006-084-36") &&
              import_ref_is_nir("185052A006084") && import_ref_is_nir("185202b00608412"));
    CU_ASSERT_FALSE(import_ref_is_nir("P-185057800608") || import_ref_is_nir("9850578006084") ||
                    import_ref_is_nir("1851378006084") || import_ref_is_nir("18505780060843") ||
                    import_ref_is_nir("185053A006084"));
}

#define INS(patient, oid, value)                                                                             \
    "{\"type\":\"identifier\",\"patient\":\"" patient "\",\"system\":\"" oid "\",\"value\":\"" value "\"}\n"

/* What refuses says which field, and never repeats a number. */
static void must_refuse_quietly(struct site *site, const char *text, const char *what, const char *number)
{
    must_refuse(site, text, 1, what);
    const char *const told[] = {site->fault.what, site->fault.found, site->fault.expected, site->fault.hint};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        CU_ASSERT_PTR_NULL(strstr(told[i], number));
}

static void test_ins(void)
{
    static const char nir[] = "urn:oid:1.2.250.1.213.1.4.8";
    struct site site;
    site_init(&site);
    must_import(&site, BASE, 6);
    must_refuse_quietly(&site, INS("P-1", "urn:oid:1.2.250.1.213.1.4.8", "284058832102530"), "value",
                        "2840588");
    must_refuse_quietly(&site, INS("P-1", "1.2.250.1.213.1.4.9", "2840588321025"), "value", "2840588");
    must_refuse_quietly(&site, INS("P-1", "urn:oid:1.2.250.1.213.1.4.10", "279035121518989"), "system",
                        "2790351");
    must_refuse_quietly(&site, INS("P-1", "URN:OID:1.2.250.1.213.1.4.11", "279035121518989"), "system",
                        "2790351");
    must_import(&site, INS("P-1", "1.2.250.1.213.1.4.8", "1 90 01 2a 004 001 63"), 1);
    const struct row_identifier *row = (const struct row_identifier *)rows_first(site.rows, ROW_IDENTIFIER);
    CU_ASSERT_STRING_EQUAL(row->system, nir); /* as it was hashed */
    CU_ASSERT_STRING_EQUAL(row->value, "190012A00400163");
    must_import(&site, INS("P-1", "urn:oid:1.2.250.1.213.1.4.8", "190012A00400163"), 0);
    must_refuse_quietly(&site, INS("P-2", "URN:oid:1.2.250.1.213.1.4.8", "190012A004 00163"), "value",
                        "190012A");
    site.options.test_mode = true;
    must_import(&site, INS("P-2", "1.2.250.1.213.1.4.10", "279035121518989"), 1);
    must_refuse_quietly(&site, INS("P-2", "1.2.250.1.213.1.4.10", "279035121518988"), "value", "2790351");
    site_deinit(&site);
}

SUITE(import) = {
    {"refs and numbers of persons", test_refs},
    {"matricules INS", test_ins},
    {"every type once, and again", test_every_type},
    {"lines that are refused", test_lines_are_refused},
    {"rules that are refused", test_rules_are_refused},
    {"versions of a rule", test_versions},
    {"presets and the operator's own", test_presets},
    {"owners of received readings", test_owners},
    {"tokens", test_tokens},
    {"commands in order", test_commands_in_order},
    {"the file: base and delta", test_file},
    {"the file: a base made in slices between changes", test_file_slices},
    {"the file: torn, damaged, sealed under another key", test_file_damaged},
    {NULL, NULL},
};
