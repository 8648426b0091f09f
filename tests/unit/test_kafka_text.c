/* kafka_text: what of the publisher is text alone: the properties of librdkafka, the names of topics, and the
 * file of the cursor, which repeats events rather than lose one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alerting/kafka_admin.h"
#include "alerting/publisher_cursor.h"
#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "tests/unit/unit.h"

/* ---- properties ---- */

static const struct {
    const char *bootstrap, *extra[5];
    bool names_broker;
    enum err outcome;
    const char *fault;
} endpoints[] = {
    {"h:1", {NULL}, true, OK, ""},
    {"", {NULL}, false, OK, ""},
    {NULL, {NULL}, false, OK, ""},
    {"", {"client.id", "x", "metadata.broker.list", "h:1"}, true, OK, ""},
    {"", {"bootstrap.servers", "h:1"}, true, OK, ""},
    {"", {"client.id", "x"}, false, OK, ""},
    {"h:1", {"no.such.property", "1"}, true, ERR_CONFIG, "no.such.property"},
    {"h:1", {"message.max.bytes", "20000"}, true, ERR_CONFIG, "message.max.bytes is 20000, expected 32768"},
    {"h:1", {"queue.buffering.max.kbytes", "1000"}, true, ERR_CONFIG, "queue.buffering.max.kbytes is 1000"},
    {"h:1", {"acks", "0"}, true, OK, ""}, /* ours goes last */
    {"h:1", {"security.protocol", "ssl", "ssl.ca.location", "/nonexistent"}, true, ERR_CONFIG, ""},
};

static void test_properties(void)
{
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        const struct kafka_endpoint endpoint = {endpoints[i].bootstrap, endpoints[i].extra};
        char fault[KAFKA_FAULT_MAX] = "", value[32] = "";
        size_t size = sizeof value;
        rd_kafka_conf_t *conf = NULL;
        CU_ASSERT_EQUAL(kafka_conf_names_broker(&endpoint), endpoints[i].names_broker);
        CU_ASSERT_EQUAL(kafka_conf_check(&endpoint, fault), endpoints[i].outcome);
        CU_ASSERT_PTR_NOT_NULL(strstr(fault, endpoints[i].fault));
        if (kafka_conf_new(&endpoint, true, &conf, fault) == OK) {
            CU_ASSERT_EQUAL(rd_kafka_conf_get(conf, "acks", value, &size), RD_KAFKA_CONF_OK);
            CU_ASSERT_STRING_EQUAL(value, "-1");
            rd_kafka_conf_destroy(conf);
        }
    }
    const struct kafka_endpoint bare = {NULL, NULL};
    char fault[KAFKA_FAULT_MAX];
    rd_kafka_conf_t *conf = NULL;
    CU_ASSERT_FALSE(kafka_conf_names_broker(&bare));
    CU_ASSERT_EQUAL_FATAL(kafka_conf_new(&bare, false, &conf, fault), OK); /* an administrator's */
    rd_kafka_conf_destroy(conf);
}

static void test_administrator_without_broker(void)
{
    static const char *const wrong[] = {"no.such.property", "1", NULL};
    const struct kafka_endpoint nobody = {"127.0.0.1:1", NULL}, odd = {"127.0.0.1:1", wrong};
    const struct kafka_topic_wish wish = {"t", 1, 1}, none = {"t", 0, 1}, alone = {"t", 1, 0};
    struct kafka_topic topic;
    char fault[KAFKA_FAULT_MAX] = "";
    CU_ASSERT_EQUAL(kafka_topic_check(&nobody, "t", 200, &topic, fault), ERR_UNAVAILABLE);
    CU_ASSERT_NOT_EQUAL(fault[0], '\0');
    CU_ASSERT_EQUAL(kafka_topic_create(&nobody, &wish, 200, fault), ERR_UNAVAILABLE);
    CU_ASSERT_EQUAL(kafka_topic_check(&odd, "t", 200, &topic, fault), ERR_CONFIG);
    CU_ASSERT_EQUAL(kafka_topic_create(&odd, &wish, 200, fault), ERR_CONFIG);
    CU_ASSERT_EQUAL(kafka_topic_create(&nobody, &none, 200, fault), ERR_CONFIG);
    CU_ASSERT_EQUAL(kafka_topic_create(&nobody, &alone, 200, fault), ERR_CONFIG);
}

/* ---- topics ---- */

#define TEN   "abcdefghij"
#define SIXTY TEN TEN TEN TEN TEN TEN

static void test_topics(void)
{
    static const struct {
        const char *template, *organization, *name;
        enum err outcome;
    } names[] = {
        {"vigie.alerts", "CHU-X", "vigie.alerts", OK},
        {"v.{organization}", "CHU-X", "v.CHU-X", OK},
        {"v.{organization}.z", "a_b.c", "v.a_5fb_2ec.z", OK},
        {"{organization}", "\xc3\xa9", "_c3_a9", OK},
        {"{organization}", "", "_", OK},
        {SIXTY SIXTY SIXTY SIXTY TEN, "x", SIXTY SIXTY SIXTY SIXTY TEN, ERR_LIMIT},
        {SIXTY SIXTY SIXTY SIXTY "{organization}", TEN, SIXTY SIXTY SIXTY SIXTY TEN, ERR_LIMIT},
        {SIXTY SIXTY SIXTY SIXTY "{organization}x", TEN TEN, SIXTY SIXTY SIXTY SIXTY TEN, ERR_LIMIT},
        {SIXTY SIXTY SIXTY SIXTY "{organization}", "abcdefghi", SIXTY SIXTY SIXTY SIXTY "abcdefghi", OK},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[KAFKA_TOPIC_MAX + 2];
        CU_ASSERT_EQUAL(
            kafka_topic_name(names[i].template, names[i].organization, strlen(names[i].organization), name),
            names[i].outcome);
        CU_ASSERT_STRING_EQUAL(name, names[i].name);
        if (names[i].outcome == OK)
            CU_ASSERT_TRUE(kafka_topic_fits(names[i].template, name));
    }
    static const char *const others[] = {"v..z",     "v.a",      "v.a.b.z",  "w.a.z",  "v.a_5.z",
                                         "v.a_g0.z", "v.a_0g.z", "v.\xc3.z", "v._x.z", "v.a_5"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        CU_ASSERT_FALSE(kafka_topic_fits("v.{organization}.z", others[i]));
    CU_ASSERT_TRUE(kafka_topic_fits("v.{organization}.z", "v._.z"));
    CU_ASSERT_FALSE(kafka_topic_fits("plain", "other"));
    CU_ASSERT_TRUE(kafka_topic_is_template("x{organization}") && !kafka_topic_is_template("x{organisation}"));
}

/* ---- the cursor ---- */

static char directory[] = "/tmp/vigie-cursor-XXXXXX";
static struct publisher_cursor cursor;

/* Lines under the title, closed by their check. */
static void write_cursor(const char *lines, bool good_check)
{
    char path[64], text[2048];
    snprintf(path, sizeof path, "%s/kafka.cursor", directory);
    int size = snprintf(text, sizeof text, "vigie-kafka-cursor 1\n%s", lines);
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fprintf(file, "%scheck %016llx\n", text,
            (unsigned long long)hash_xxh64(text, (size_t)size) ^ !good_check);
    fclose(file);
    publisher_cursor_load(&cursor, directory, 2);
}

static void test_cursor(void)
{
    static const char *const damaged[] = {
        "shard 2 5\n",  "shard x\n",  "behind 2 5 6 t\n", "behind 0 5 t\n",
        "parked 2 5\n", "parked 0\n", "something else\n",
    };
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
    log_configure((enum log_level) - 1, LOG_FORMAT_TEXT);
    publisher_cursor_load(&cursor, directory, 2); /* no file yet */
    CU_ASSERT_EQUAL(cursor.shards, 2);
    CU_ASSERT_EQUAL(cursor.position[0] + cursor.position[1] + cursor.partitions, 0);
    write_cursor(
        "partitions 12\nshard 0 7\nshard 1 9\nbehind 1 5 1796083200000 v.a\nparked 0 3\nparked 1 4\n", true);
    CU_ASSERT_EQUAL(cursor.partitions, 12);
    CU_ASSERT_EQUAL(cursor.position[1], 9);
    CU_ASSERT_EQUAL(cursor.behind_count, 1);
    CU_ASSERT_STRING_EQUAL(cursor.behind[0].topic, "v.a");
    CU_ASSERT_TRUE(publisher_cursor_has_parked(&cursor, 0, 3) && publisher_cursor_has_parked(&cursor, 1, 4));
    CU_ASSERT_FALSE(publisher_cursor_has_parked(&cursor, 0, 4) || publisher_cursor_has_parked(&cursor, 1, 3));
    CU_ASSERT_EQUAL(publisher_cursor_save(&cursor, directory), OK);
    memset(&cursor, 0xff, sizeof cursor);
    publisher_cursor_load(&cursor, directory, 2); /* as it was saved */
    CU_ASSERT_EQUAL(cursor.partitions, 12);
    CU_ASSERT_EQUAL(cursor.position[0], 7);
    CU_ASSERT_EQUAL(cursor.behind_count + cursor.parked_count, 3);
    CU_ASSERT_EQUAL(cursor.behind[0].decided_at_ms, 1796083200000);
    CU_ASSERT_TRUE(publisher_cursor_has_parked(&cursor, 1, 4));
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        write_cursor(damaged[i], true);
        CU_ASSERT_EQUAL(cursor.position[0] + cursor.position[1] + cursor.behind_count + cursor.parked_count,
                        0);
    }
    write_cursor("shard 0 7\n", false);
    CU_ASSERT_EQUAL(cursor.position[0], 0); /* told, and taken as none */
    char path[64];
    snprintf(path, sizeof path, "%s/kafka.cursor", directory);
    for (unsigned i = 0; i < 2; i++) {
        FILE *file = fopen(path, "w");
        fputs(i == 0 ? "something else\ncheck 0\n" : "vigie-kafka-cursor 1\nshard 0 7\n", file);
        fclose(file);
        publisher_cursor_load(&cursor, directory, 2);
        CU_ASSERT_EQUAL(cursor.position[0], 0);
    }
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(rmdir(directory), 0);
    CU_ASSERT_NOT_EQUAL(publisher_cursor_save(&cursor, directory), OK);
    log_configure(LOG_INFO, LOG_FORMAT_TEXT);
}

SUITE(kafka_text) = {
    {"properties", test_properties},
    {"an administrator without broker", test_administrator_without_broker},
    {"names of topics", test_topics},
    {"the cursor's file", test_cursor},
    {NULL, NULL},
};
