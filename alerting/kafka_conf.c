/* kafka_conf: three tables, applied in order: what is good unless the operator knows better, what the
 * operator says, and what nobody may change because losing or reordering an alert would follow. */
#include "alerting/kafka_conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct property {
    const char *name, *value;
};

static const struct property common[] = {
    {"allow.auto.create.topics", "false"}, /* made by mistake, it has the wrong partitions for ever */
    {"client.id", "vigie"},
    {"log.queue", "true"}, /* PITFALLS K16: log lines come to our thread */
    {"socket.keepalive.enable", "true"},
    {"reconnect.backoff.ms", "100"},
    {"reconnect.backoff.max.ms", "5000"}, /* an alert need not wait 10 s for a broker that is back */
};

static const struct property producer_initial[] = {
    {"linger.ms", "0"}, /* PITFALLS K11: an alert waits for no company; a backlog finds it in the queue */
    {"socket.nagle.disable", "true"}, /* PITFALLS K11 */
    {"compression.type", "none"},     /* alerts are few; a foreign consumer needs no codec */
    {"topic.metadata.refresh.interval.ms", "60000"},
};

static const struct property producer_fixed[] = {
    {"enable.idempotence", "true"},
    {"acks", "all"},
    {"max.in.flight.requests.per.connection", "5"}, /* PITFALLS K10: said, not implied */
    {"message.timeout.ms", "2147483647"},           /* PITFALLS K5: the journal is the retry store */
    {"message.send.max.retries", "2147483647"},
    {"partitioner", "murmur2_random"}, /* PITFALLS K26: as Java's: one patient, one partition */
};

static enum err set(rd_kafka_conf_t *conf, const char *name, const char *value, char fault[KAFKA_FAULT_MAX])
{
    return rd_kafka_conf_set(conf, name, value, fault, KAFKA_FAULT_MAX) == RD_KAFKA_CONF_OK ? OK : ERR_CONFIG;
}

static enum err set_all(rd_kafka_conf_t *conf, const struct property *properties, size_t count,
                        char fault[KAFKA_FAULT_MAX])
{
    enum err error = OK;
    for (size_t index = 0; error == OK && index < count; index++)
        error = set(conf, properties[index].name, properties[index].value, fault);
    return error;
}

#define SET_ALL(conf, table, fault) set_all((conf), (table), sizeof(table) / sizeof((table)[0]), (fault))

static enum err set_extra(rd_kafka_conf_t *conf, const char *const *extra, char fault[KAFKA_FAULT_MAX])
{
    enum err error = OK;
    for (; error == OK && extra != NULL && *extra != NULL; extra += 2)
        error = set(conf, extra[0], extra[1], fault);
    return error;
}

/* An event is 16 KB and must fit what librdkafka holds, or it would wait for ever (PITFALLS K1). */
static enum err check_room(const rd_kafka_conf_t *conf, char fault[KAFKA_FAULT_MAX])
{
    static const struct {
        const char *name;
        long least;
    } rooms[] = {{"message.max.bytes", 32768}, {"queue.buffering.max.kbytes", 1024}};
    for (size_t index = 0; index < sizeof(rooms) / sizeof(rooms[0]); index++) {
        char value[32] = "";
        size_t size = sizeof(value);
        rd_kafka_conf_res_t code = rd_kafka_conf_get(conf, rooms[index].name, value, &size);
        ensure(code == RD_KAFKA_CONF_OK);
        if (strtol(value, NULL, 10) >= rooms[index].least)
            continue;
        snprintf(fault, KAFKA_FAULT_MAX, "%s is %s, expected %ld or more", rooms[index].name, value,
                 rooms[index].least);
        return ERR_CONFIG;
    }
    return OK;
}

bool kafka_conf_names_broker(const struct kafka_endpoint *endpoint)
{
    static const char *const names[] = {"bootstrap.servers", "metadata.broker.list", "test.mock.num.brokers"};
    if (endpoint->bootstrap != NULL && endpoint->bootstrap[0] != '\0')
        return true;
    for (const char *const *extra = endpoint->extra; extra != NULL && *extra != NULL; extra += 2)
        for (size_t index = 0; index < sizeof(names) / sizeof(names[0]); index++)
            if (strcmp(extra[0], names[index]) == 0)
                return true;
    return false;
}

enum err kafka_conf_new(const struct kafka_endpoint *endpoint, bool producer, rd_kafka_conf_t **ret_conf,
                        char fault[KAFKA_FAULT_MAX])
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    ensure(conf != NULL);
    bool named = endpoint->bootstrap != NULL && endpoint->bootstrap[0] != '\0';
    enum err error = SET_ALL(conf, common, fault);
    if (error == OK && producer)
        error = SET_ALL(conf, producer_initial, fault);
    if (error == OK && named)
        error = set(conf, "bootstrap.servers", endpoint->bootstrap, fault);
    if (error == OK)
        error = set_extra(conf, endpoint->extra, fault);
    if (error == OK && producer)
        error = SET_ALL(conf, producer_fixed, fault);
    if (error == OK && producer)
        error = check_room(conf, fault);
    if (error != OK) {
        rd_kafka_conf_destroy(conf);
        return error;
    }
    *ret_conf = conf;
    return OK;
}

enum err kafka_conf_check(const struct kafka_endpoint *endpoint, char fault[KAFKA_FAULT_MAX])
{
    rd_kafka_conf_t *conf = NULL;
    enum err error = kafka_conf_new(endpoint, true, &conf, fault);
    if (error != OK)
        return error;
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, fault, KAFKA_FAULT_MAX);
    if (handle == NULL) { /* values that do not go together */
        rd_kafka_conf_destroy(conf);
        return ERR_CONFIG;
    }
    rd_kafka_destroy(handle);
    return OK;
}
