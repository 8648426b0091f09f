/* config: what loads, what is refused and with which words, and that the example file is the rows of
 * options.def. */
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/buffer.h"
#include "tests/unit/unit.h"

static char directory[] = "/tmp/vigie-test-config-XXXXXX";
static char path[128];

static void collect(void *context, const char *line)
{
    buffer_text(context, line);
    buffer_text(context, "\n");
}

static void make_directory(void)
{
    static bool made;
    if (!made && mkdtemp(directory) == NULL)
        abort();
    made = true;
}

/* Loads `text`; the faults are left in *ret_report, NUL-terminated. */
static enum err load(const char *text, struct buffer *ret_report, struct config **ret_config)
{
    make_directory();
    snprintf(path, sizeof(path), "%s/vigie.conf", directory);
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    buffer_clear(ret_report);
    enum err error = config_load(path, collect, ret_report, ret_config);
    buffer_append(ret_report, "", 1);
    unlink(path);
    return error;
}

static void test_defaults(void)
{
    struct buffer report = {0};
    struct config *config = NULL;
    CU_ASSERT_EQUAL_FATAL(load("[node]\nmode = test\n", &report, &config), OK);
    CU_ASSERT_EQUAL(config->node_mode, MODE_TEST);
    CU_ASSERT_EQUAL(config->journal_segment_size, 64 << 20);
    CU_ASSERT_EQUAL(config->listen_idle_timeout, 300000);
    CU_ASSERT_EQUAL(config->alerting_lookback, (int64_t)35 * 86400000);
    CU_ASSERT_EQUAL(config->node_test_clock, INSTANT_NONE);
    CU_ASSERT_STRING_EQUAL(config->kafka_topic, "vigie.alerts");
    CU_ASSERT_STRING_EQUAL(config->listen_https, "off");
    CU_ASSERT_TRUE(config->postgres_index_open_partition);
    CU_ASSERT_PTR_NULL(config->kafka_rdkafka[0]);
    config_free(config);
    buffer_deinit(&report);
}

static void test_values(void)
{
    struct buffer report = {0};
    struct config *config = NULL;
    const char *text = "; comment\n[node]\n  name = a b\n  mode = test\n  test_clock = 2026-12-01T00:00:00Z\n"
                       "[listen]\n http = 127.0.0.1:0\n admin=[::1]:9090\n pause_max = 250ms\n"
                       "[journal]\nsegment_size = 16M\n"
                       "[postgres]\nconninfo = host=/tmp dbname=x user=y\n"
                       "[kafka]\nsecurity_protocol = ssl\nsecurity_ca = /x\nrdkafka.linger.ms = 5\n"
                       "rdkafka.ssl.ca.location = /y\n"
                       "[auth]\njwt_issuer = https://idp.example\n[log]\nlevel = debug\nformat = json\n";
    CU_ASSERT_EQUAL_FATAL(load(text, &report, &config), OK);
    CU_ASSERT_STRING_EQUAL(config->node_name, "a b");
    CU_ASSERT_EQUAL(config->node_test_clock, INT64_C(1796083200000));
    CU_ASSERT_EQUAL(config->listen_pause_max, 250);
    CU_ASSERT_EQUAL(config->journal_segment_size, 16 << 20);
    CU_ASSERT_STRING_EQUAL(config->postgres_conninfo, "host=/tmp dbname=x user=y");
    CU_ASSERT_EQUAL(config->log_level, 4);
    CU_ASSERT_EQUAL(config->log_format, 1);
    CU_ASSERT_STRING_EQUAL(config->kafka_rdkafka[0], "linger.ms");
    CU_ASSERT_STRING_EQUAL(config->kafka_rdkafka[3], "/y");
    CU_ASSERT_STRING_EQUAL(config->kafka_rdkafka[4], "security.protocol");
    CU_ASSERT_STRING_EQUAL(config->kafka_rdkafka[5], "ssl");
    CU_ASSERT_PTR_NULL(config->kafka_rdkafka[6]);
    config_free(config);
    buffer_deinit(&report);
}

static void test_refusals(void)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"[node]\nmode = prod\n", "expected production or test"},
        {"[node]\nmode = test\nstate_dri = /x\n", "did you mean [node] state_dir?"},
        {"[node]\nmode = test\n[lisen]\nhttps = off\n", "did you mean [listen] https?"},
        {"[node]\nmode = test\nmode = test\n", "line 2 sets it already"},
        {"[node]\nmode = test\nshards = 33\n", "found \"33\", expected 0 to 32"},
        {"[node]\nmode = test\nshards = 2x\n", "expected a whole number"},
        {"[node]\nmode = test\nloops =\n", "expected a whole number"},
        {"[node]\nmode = test\nmax_memory = 3Q\n", "expected a size"},
        {"[node]\nmode = test\n[listen]\npause_max = 5\n", "expected a duration"},
        {"[node]\nmode = test\n[listen]\ninsecure = maybe\n", "expected yes or no"},
        {"[node]\nmode = test\ntest_clock = 2026-12-01\n", "expected an instant"},
        {"[node]\nmode = production\ntest_clock = 2026-12-01T00:00:00Z\n",
         "the test clock needs mode = test"},
        {"[node]\nmode = test\n[listen]\nhttp = 0.0.0.0:80\n", "expected a loopback address"},
        {"[node]\nmode = test\n[listen]\nhttp = 127.0.0.1\n", "expected ADDRESS:PORT or off"},
        {"[node]\nmode = test\n[listen]\nhttp = 127.0.0.1:70000\n", "expected ADDRESS:PORT or off"},
        {"[node]\nmode = test\n[listen]\nadt = 0.0.0.0:2576\n", "not served by this version"},
        {"[node]\nmode = test\n[listen]\nhttps = 127.0.0.1:0\n", "[tls] certificate"},
        {"[node]\nmode = test\n[tls]\nclient_ca = /no/such/file\n", "a file that can be read"},
        {"[node]\nmode = test\n[tls]\nmin_version = 1.1\n", "expected 1.2 or 1.3"},
        {"[node]\nmode = test\n[kafka]\ntopic = a b\n", "a topic name"},
        {"[node]\nmode = test\n[kafka]\nrdkafka.a = 1\nrdkafka.a = 2\n", "a name set once"},
        {"[node]\nmode = test\nnonsense\n",
         ":3: [line] , found \"nonsense\", expected [section] or key = value"},
        {"[log]\nlevel = loud\n[node]\nmode = test\n", "expected error, warning"},
    };
    struct buffer report = {0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config *config = NULL;
        CU_ASSERT_EQUAL(load(rows[i].text, &report, &config), ERR_CONFIG);
        CU_ASSERT_PTR_NULL(config);
        CU_ASSERT_PTR_NOT_NULL(strstr(report.data, rows[i].says));
        if (strstr(report.data, rows[i].says) == NULL)
            printf("\nrow %zu: \"%s\" says\n%s", i, rows[i].text, report.data);
    }
    buffer_deinit(&report);
}

/* A line too long for inih is refused whole: cut, its rest would be read as another line. */
static void test_long_line(void)
{
    char text[70000] = "[node]\nmode = test\nname = ";
    size_t size = strlen(text);
    memset(text + size, 'x', sizeof(text) - size - 1);
    struct buffer report = {0};
    struct config *config = NULL;
    CU_ASSERT_EQUAL(load(text, &report, &config), ERR_CONFIG);
    buffer_deinit(&report);
    (void)config;
}

/* A conninfo has a few hundred characters in earnest. */
static void test_conninfo_length(void)
{
    char text[1024] = "[node]\nmode = test\n[postgres]\nconninfo = ";
    size_t size = strlen(text);
    memset(text + size, 'x', 400);
    struct buffer report = {0};
    struct config *config = NULL;
    CU_ASSERT_EQUAL_FATAL(load(text, &report, &config), OK);
    CU_ASSERT_EQUAL(strlen(config->postgres_conninfo), 400);
    config_free(config);
    buffer_deinit(&report);
}

static void test_every_fault_is_reported(void)
{
    struct buffer report = {0};
    struct config *config = NULL;
    CU_ASSERT_EQUAL(load("[node]\nmode = test\nshards = x\nfoo = 1\n[log]\nlevel = loud\n", &report, &config),
                    ERR_CONFIG);
    unsigned lines = 0;
    for (const char *at = report.data; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    CU_ASSERT_EQUAL(lines, 3);
    buffer_deinit(&report);
}

static void test_example(void)
{
    struct buffer made = {0};
    config_print_example(collect, &made);
    buffer_append(&made, "", 1);
    FILE *file = fopen("config/vigie.conf.example", "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    static char kept[65536];
    kept[fread(kept, 1, sizeof(kept) - 1, file)] = '\0';
    fclose(file);
    CU_ASSERT_STRING_EQUAL(made.data, kept);
    CU_ASSERT_PTR_NOT_NULL(strstr(kept, "\nhttps = 0.0.0.0:8443\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(kept, "\nadmin = 127.0.0.1:9090\n"));
    buffer_deinit(&made);
}

/* Every line of the example is understood: what it is refused for is this machine, never a key or a form. */
static void test_example_is_understood(void)
{
    struct buffer made = {0}, report = {0};
    struct config *config = NULL;
    config_print_example(collect, &made);
    buffer_append(&made, "", 1);
    CU_ASSERT_EQUAL(load(made.data, &report, &config), ERR_CONFIG);
    unsigned lines = 0;
    for (const char *at = report.data; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    CU_ASSERT_EQUAL(lines, 2); /* certificate, key */
    CU_ASSERT_PTR_NOT_NULL(strstr(report.data, "[tls] certificate"));
    CU_ASSERT_PTR_NOT_NULL(strstr(report.data, "[tls] key"));
    buffer_deinit(&report);
    buffer_deinit(&made);
}

static void test_secret(void)
{
    struct buffer report = {0};
    struct config *config = NULL;
    char text[256], file[256];
    make_directory();
    snprintf(text, sizeof(text), "[node]\nmode = test\nstate_dir = %s\n", directory);
    CU_ASSERT_EQUAL_FATAL(load(text, &report, &config), OK);
    unsetenv("CREDENTIALS_DIRECTORY");
    uint8_t first[32] = {0}, again[32] = {1};
    CU_ASSERT_EQUAL(config_secret(config, "credential:identifier-key", "identifier-key", first), OK);
    CU_ASSERT_EQUAL(config_secret(config, "credential:identifier-key", "identifier-key", again), OK);
    CU_ASSERT_EQUAL(memcmp(first, again, 32), 0);
    snprintf(file, sizeof(file), "%s/identifier-key", directory);
    CU_ASSERT_EQUAL(access(file, R_OK), 0);
    config->node_mode = MODE_PRODUCTION;
    CU_ASSERT_EQUAL(config_secret(config, "credential:identifier-key", "identifier-key", again),
                    ERR_NOT_FOUND);
    setenv("CREDENTIALS_DIRECTORY", directory, 1);
    CU_ASSERT_EQUAL(config_secret(config, "credential:identifier-key", "identifier-key", again), OK);
    CU_ASSERT_EQUAL(memcmp(first, again, 32), 0);
    FILE *short_key = fopen(file, "w");
    fputs("tooshort", short_key);
    fclose(short_key);
    CU_ASSERT_EQUAL(config_secret(config, file, "identifier-key", again), ERR_FORMAT);
    unsetenv("CREDENTIALS_DIRECTORY");
    unlink(file);
    rmdir(directory); /* the last test of the suite */
    config_free(config);
    buffer_deinit(&report);
}

static void write_key(const char *name, const char *text, char out[256])
{
    snprintf(out, 256, "%s/%s", directory, name);
    FILE *file = fopen(out, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(text, file);
    fclose(file);
}

static void take_line(void *context, const char *line)
{
    buffer_text(context, line);
}

static enum err keys_of(const char *mode, const char *key, const char *old, struct buffer *lines,
                        struct cipher_keys *ret)
{
    struct buffer report = {0};
    struct config *config = NULL;
    char text[1200];
    buffer_clear(lines);
    snprintf(text, sizeof(text),
             "[node]\nmode = %s\nstate_dir = %s\n[journal]\nkey = %s\nold_keys = %s\n"
             "[listen]\nhttps = off\n",
             mode, directory, key, old);
    CU_ASSERT_EQUAL_FATAL(load(text, &report, &config), OK);
    enum err error = config_keys(config, take_line, lines, ret);
    buffer_append(lines, "", 1);
    config_free(config);
    buffer_deinit(&report);
    return error;
}

static void test_master_keys(void)
{
    static const char one[] = "0101010101010101010101010101010101010101010101010101010101010101\n";
    static const char two[] = "0202020202020202020202020202020202020202020202020202020202020202\n";
    struct buffer lines = {0};
    struct cipher_keys keys, again;
    char first[256], second[256], both[600], made[256];
    make_directory();
    unsetenv("CREDENTIALS_DIRECTORY");
    write_key("one", one, first);
    write_key("two", two, second);
    snprintf(both, sizeof(both), "%s, %s", second, first);
    CU_ASSERT_EQUAL(keys_of("production", first, both, &lines, &keys), OK);
    CU_ASSERT_EQUAL(keys.count, 2); /* the sealing one once, in front */
    CU_ASSERT_EQUAL(keys.key[0].master[0], 1);
    CU_ASSERT_EQUAL(keys.key[1].master[0], 2);
    CU_ASSERT_EQUAL(keys_of("production", "credential:journal-key", "", &lines, &keys), ERR_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(lines.data, "openssl rand -hex 32"));
    CU_ASSERT_EQUAL(keys_of("production", first, "/no/such/key", &lines, &keys), ERR_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(lines.data, "[journal] old_keys, found \"/no/such/key\""));
    CU_ASSERT_EQUAL(keys_of("test", "credential:journal-key", "", &lines, &keys), OK);
    CU_ASSERT_EQUAL(keys_of("test", "credential:journal-key", "", &lines, &again), OK);
    CU_ASSERT_EQUAL(keys.key[0].id, again.key[0].id);
    snprintf(made, sizeof(made), "%s/journal-key", directory);
    CU_ASSERT_EQUAL(unlink(made), 0);
    unlink(first);
    unlink(second);
    buffer_deinit(&lines);
}

SUITE(config) = {
    {"left out: the defaults", test_defaults},
    {"values of every type", test_values},
    {"refusals name key, found, expected and hint", test_refusals},
    {"a line too long is refused whole", test_long_line},
    {"a long conninfo is taken", test_conninfo_length},
    {"every fault is reported", test_every_fault_is_reported},
    {"the example file is the rows", test_example},
    {"the example file is understood", test_example_is_understood},
    {"master keys", test_master_keys},
    {"secrets", test_secret},
    {NULL, NULL},
};
