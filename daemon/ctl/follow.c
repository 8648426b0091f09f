/* A consumer without group: it assigns itself every partition of the topic (of every topic of the template)
 * at its end, commits nothing and is nobody's competitor. What it prints are the published bytes, or one line
 * made from them. */
#include "daemon/ctl/follow.h"

#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <string.h>
#include <sysexits.h>

#include "alerting/kafka_conf.h"
#include "alerting/kafka_topic.h"
#include "daemon/base/clock.h"

enum { METADATA_MS = 10000, POLL_MS = 200, LOOK_MS = 5000 };

static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number)
{
    interrupted = 1;
}

static rd_kafka_topic_partition_list_t *list_partitions(const rd_kafka_metadata_t *metadata,
                                                        const char *template)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (int t = 0; t < metadata->topic_cnt; t++) {
        const rd_kafka_metadata_topic_t *topic = &metadata->topics[t];
        for (int p = 0; kafka_topic_fits(template, topic->topic) && p < topic->partition_cnt; p++)
            rd_kafka_topic_partition_list_add(list, topic->topic, topic->partitions[p].id)->offset =
                RD_KAFKA_OFFSET_END;
    }
    return list;
}

static int fail(enum err error, const char *found)
{
    return ctl_fail(error, "Kafka", found, "the topic of [kafka] on its brokers",
                    "vigiectl kafka check says more");
}

static int assign_all(rd_kafka_t *consumer, const char *template, rd_kafka_topic_partition_list_t **ret_list)
{
    const rd_kafka_metadata_t *metadata;
    rd_kafka_resp_err_t error = rd_kafka_metadata(consumer, 1, NULL, &metadata, METADATA_MS);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return fail(ERR_UNAVAILABLE, rd_kafka_err2str(error));
    *ret_list = list_partitions(metadata, template);
    rd_kafka_metadata_destroy(metadata);
    if ((*ret_list)->cnt == 0)
        return fail(ERR_CONFIG, "no such topic");
    error = rd_kafka_assign(consumer, *ret_list);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR ? EX_OK : fail(ERR_UNAVAILABLE, rd_kafka_err2str(error));
}

/* Topics of a template made since: from their beginning, all of it is new. */
static void assign_new(rd_kafka_t *consumer, const char *template, rd_kafka_topic_partition_list_t *known)
{
    const rd_kafka_metadata_t *metadata;
    int before = known->cnt;
    if (rd_kafka_metadata(consumer, 1, NULL, &metadata, METADATA_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return; /* the next time */
    rd_kafka_topic_partition_list_t *now = list_partitions(metadata, template);
    rd_kafka_metadata_destroy(metadata);
    for (int i = 0; i < now->cnt; i++)
        if (rd_kafka_topic_partition_list_find(known, now->elems[i].topic, now->elems[i].partition) == NULL)
            rd_kafka_topic_partition_list_add(known, now->elems[i].topic, now->elems[i].partition)->offset =
                RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_topic_partition_list_destroy(now);
    if (known->cnt == before)
        return;
    rd_kafka_position(consumer, known); /* those being read go on where they are */
    for (int i = 0; i < known->cnt; i++)
        if (known->elems[i].offset == RD_KAFKA_OFFSET_INVALID)
            known->elems[i].offset = i < before ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(consumer, known);
}

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "-" : text;
}

static void print_event(const json_t *event)
{
    const json_t *rule = json_object_get(event, "rule");
    printf("%s %-12s %-6s %-16s %s%s%s %s\n", member(event, "decided_at"), member(event, "event"),
           member(event, "priority"), member(event, "patient"), member(rule, "id"),
           json_is_string(json_object_get(event, "side")) ? " " : "",
           json_is_string(json_object_get(event, "side")) ? member(event, "side") : "",
           member(json_object_get(event, "text"), "en"));
}

static void take_message(const rd_kafka_message_t *message, const struct follow_options *options)
{
    json_t *event = json_loadb(message->payload, message->len, 0, NULL);
    bool wanted = event != NULL &&
                  (options->patient == NULL || strcmp(member(event, "patient"), options->patient) == 0) &&
                  (!options->open || strcmp(member(event, "state"), "open") == 0);
    if (wanted && options->json)
        printf("%.*s\n", (int)message->len, (const char *)message->payload);
    else if (wanted)
        print_event(event);
    fflush(stdout);
    json_decref(event);
}

static void poll_until_interrupted(rd_kafka_t *consumer, const struct follow_options *options,
                                   const char *template, rd_kafka_topic_partition_list_t *known)
{
    int64_t looked_ms = clock_monotonic_ms();
    while (!interrupted && !ferror(stdout)) {
        if (kafka_topic_is_template(template) && clock_monotonic_ms() - looked_ms >= LOOK_MS) {
            assign_new(consumer, template, known);
            looked_ms = clock_monotonic_ms();
        }
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, POLL_MS);
        if (message == NULL)
            continue;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            take_message(message, options);
        else if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
            fprintf(stderr, "vigiectl: Kafka, found %s, expected a message, it tries again by itself\n",
                    rd_kafka_message_errstr(message));
        rd_kafka_message_destroy(message);
    }
}

/* Gives the consumer; NULL after an error line. */
static rd_kafka_t *make_consumer(const struct ctl *ctl, int *ret_status)
{
    const struct kafka_endpoint endpoint = {ctl->config->kafka_bootstrap, ctl->config->kafka_rdkafka};
    char fault[KAFKA_FAULT_MAX] = "no broker is configured";
    rd_kafka_conf_t *conf = NULL;
    enum err error =
        kafka_conf_names_broker(&endpoint) ? kafka_conf_new(&endpoint, false, &conf, fault) : ERR_CONFIG;
    /* librdkafka wants a group name for consumer_poll(); none is joined without subscribe() or commits. */
    if (error == OK &&
        (rd_kafka_conf_set(conf, "group.id", "vigiectl", fault, sizeof(fault)) != RD_KAFKA_CONF_OK ||
         rd_kafka_conf_set(conf, "enable.auto.commit", "false", fault, sizeof(fault)) != RD_KAFKA_CONF_OK ||
         rd_kafka_conf_set(conf, "log.queue", "false", fault, sizeof(fault)) != RD_KAFKA_CONF_OK ||
         rd_kafka_conf_set(conf, "log_level", "3", fault, sizeof(fault)) != RD_KAFKA_CONF_OK)) {
        rd_kafka_conf_destroy(conf);
        error = ERR_CONFIG;
    }
    rd_kafka_t *consumer = error == OK ? rd_kafka_new(RD_KAFKA_CONSUMER, conf, fault, sizeof(fault)) : NULL;
    if (error == OK && consumer == NULL)
        rd_kafka_conf_destroy(conf);
    if (consumer == NULL)
        *ret_status = ctl_fail(ERR_CONFIG, "[kafka]", fault, "a broker and properties that librdkafka knows",
                               "correct vigie.conf");
    return consumer;
}

int follow_alerts(const struct ctl *ctl, const struct follow_options *options)
{
    int status = EX_OK;
    rd_kafka_t *consumer = make_consumer(ctl, &status);
    if (consumer == NULL)
        return status;
    rd_kafka_poll_set_consumer(consumer);
    const struct sigaction action = {.sa_handler = interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    rd_kafka_topic_partition_list_t *known = NULL;
    status = assign_all(consumer, ctl->config->kafka_topic, &known);
    if (status == EX_OK)
        poll_until_interrupted(consumer, options, ctl->config->kafka_topic, known);
    if (known != NULL)
        rd_kafka_topic_partition_list_destroy(known);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return status;
}
