/* publisher_producer: what librdkafka tells comes through its main queue: delivery reports, errors, log
 * lines. The queue rings our eventfd when it becomes non-empty, so it is drained until empty (PITFALLS K3).
 */
#include "alerting/publisher_producer.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "alerting/kafka_topic.h"
#include "daemon/base/heartbeat.h"
#include "daemon/base/instant.h"
#include "daemon/base/log.h"

enum { PROBE_MS = 1000, SERVE_ROUNDS_MAX = 64 };

struct topic {
    char name[KAFKA_TOPIC_MAX + 2];
    rd_kafka_topic_t *handle;
    bool there; /* the broker said so */
};

struct producer {
    struct producer_options options;
    rd_kafka_t *handle;
    struct topic *topics;
    size_t topics_count;
    uint32_t partitions;
    bool connected, failed;
    char failure[KAFKA_FAULT_MAX];
};

/* --- callbacks, on our thread
 * ------------------------------------------------------------------------------- */

static void fail(struct producer *producer, const char *what)
{
    if (!producer->failed)
        snprintf(producer->failure, sizeof(producer->failure), "%s", what);
    producer->failed = true;
}

/* What a broker will say of these bytes again and again; all else may pass or is for an operator to mend. */
static bool is_poison(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || code == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
           code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE || code == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

/* A delivery is proof whatever happened since; of refusals the first names the culprit, the rest follow from
 * it. */
static void on_report(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
    struct producer *producer = opaque;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        producer->connected = true;
        producer->options.delivered(producer->options.context, message->_private);
        return;
    }
    counter_add(producer->options.counters, COUNTER_SINK_ERRORS, 1);
    if (is_poison(message->err) && !producer->failed)
        producer->options.refused(producer->options.context, message->_private,
                                  rd_kafka_err2str(message->err));
    fail(producer, rd_kafka_err2str(message->err));
}

/* PITFALLS K15: counted; only a fatal one means anything by itself. */
static void on_error(rd_kafka_t *handle, int code, const char *reason, void *opaque)
{
    struct producer *producer = opaque;
    char text[KAFKA_FAULT_MAX] = "";
    counter_add(producer->options.counters, COUNTER_SINK_ERRORS, 1);
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        producer->connected = false;
    if (code != RD_KAFKA_RESP_ERR__FATAL)
        return;
    rd_kafka_fatal_error(handle, text, sizeof(text));
    fail(producer, text[0] != '\0' ? text : reason);
}

/* Quotes and control bytes would break our lines; addresses and ids are no secrets, properties are never
 * logged. */
static void on_log(const rd_kafka_t *handle, int level, const char *facility, const char *text)
{
    char line[256];
    size_t size = 0;
    for (; text[size] != '\0' && size < sizeof(line) - 1; size++)
        line[size] = isprint((unsigned char)text[size]) && text[size] != '"' ? text[size] : ' ';
    line[size] = '\0';
    if (level <= 3)
        log_write(LOG_WARNING, "kafka", "librdkafka facility=%s text=\"%s\"", facility, line);
    else
        log_write(LOG_DEBUG, "kafka", "librdkafka facility=%s text=\"%s\"", facility, line);
}

/* --- topics
 * -------------------------------------------------------------------------------------------------- */

static struct topic *find_topic(struct producer *producer, const char *name)
{
    for (size_t index = 0; index < producer->topics_count; index++)
        if (strcmp(producer->topics[index].name, name) == 0)
            return &producer->topics[index];
    rd_kafka_topic_t *handle = rd_kafka_topic_new(producer->handle, name, NULL);
    if (handle == NULL)
        return NULL;
    producer->topics = realloc(producer->topics, (producer->topics_count + 1) * sizeof(*producer->topics));
    ensure(producer->topics != NULL);
    struct topic *topic = &producer->topics[producer->topics_count++];
    *topic = (struct topic){.handle = handle};
    snprintf(topic->name, sizeof(topic->name), "%s", name);
    return topic;
}

/* One question to the cluster; warms librdkafka's metadata too (PITFALLS K11). */
static enum err ask(struct producer *producer, struct topic *topic)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *handle = topic != NULL ? topic->handle : NULL;
    enum heartbeat_doing doing = heartbeat_does(HEARTBEAT_AWAITS);
    rd_kafka_resp_err_t code = rd_kafka_metadata(producer->handle, 0, handle, &metadata, PROBE_MS);
    (void)heartbeat_does(doing);
    producer->connected = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!producer->connected)
        return ERR_UNAVAILABLE;
    uint32_t partitions = 0;
    for (int index = 0; topic != NULL && index < metadata->topic_cnt; index++)
        if (metadata->topics[index].err == RD_KAFKA_RESP_ERR_NO_ERROR)
            partitions = (uint32_t)metadata->topics[index].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    if (topic == NULL)
        return OK;
    topic->there = partitions > 0;
    producer->partitions = partitions;
    return topic->there ? OK : ERR_NOT_FOUND;
}

enum err producer_probe(struct producer *producer, const char *name)
{
    if (name == NULL)
        return ask(producer, NULL);
    struct topic *topic = strlen(name) <= KAFKA_TOPIC_MAX ? find_topic(producer, name) : NULL;
    if (topic == NULL)
        return ERR_NOT_FOUND; /* a name that Kafka refuses: no such topic can be made */
    return topic->there && producer->connected ? OK : ask(producer, topic);
}

uint32_t producer_partitions(const struct producer *producer)
{
    return producer->partitions;
}

/* --- sending
 * ------------------------------------------------------------------------------------------------- */

struct event_texts {
    char id[UUID_TEXT + 1], subject[UUID_TEXT + 1], type[64], time[INSTANT_TEXT_MAX];
};

static void write_texts(const struct alert_event *event, struct event_texts *texts)
{
    uuid_format(event->event_id, texts->id);
    uuid_format(event->episode_id, texts->subject);
    snprintf(texts->type, sizeof(texts->type), "fr.vigie.alert.%s.v1",
             event_word((enum event_kind)event->kind));
    texts->time[instant_format(event->decided_at_ms, texts->time)] = '\0';
}

enum err producer_send(struct producer *producer, const struct producer_event *event, struct flight *flight)
{
    struct event_texts texts;
    struct topic *topic = find_topic(producer, event->topic);
    ensure(topic != NULL && topic->there);
    write_texts(event->head, &texts);
#define HEADER(name, value) RD_KAFKA_V_HEADER(name, value, (ssize_t)strlen(value))
    /* PITFALLS K27: producev, headers copied one by one, so that no error path owns them. */
    rd_kafka_resp_err_t code = rd_kafka_producev(
        producer->handle, RD_KAFKA_V_RKT(topic->handle), RD_KAFKA_V_PARTITION(RD_KAFKA_PARTITION_UA),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(event->head->key, event->head->key_size),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)event->json, event->json_size), HEADER("ce_specversion", "1.0"),
        HEADER("ce_id", texts.id), HEADER("ce_source", producer->options.source),
        HEADER("ce_type", texts.type), HEADER("ce_time", texts.time), HEADER("ce_subject", texts.subject),
        HEADER("content-type", "application/json"), RD_KAFKA_V_OPAQUE(flight), RD_KAFKA_V_END);
#undef HEADER
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return OK;
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return ERR_FULL;
    if (is_poison(code))
        return ERR_LIMIT;
    counter_add(producer->options.counters, COUNTER_SINK_ERRORS, 1);
    topic->there = false;
    fail(producer, rd_kafka_err2str(code));
    return ERR_UNAVAILABLE;
}

void producer_serve(struct producer *producer)
{
    for (int round = 0; round < SERVE_ROUNDS_MAX && rd_kafka_poll(producer->handle, 0) > 0; round++)
        ;
    char text[KAFKA_FAULT_MAX];
    if (rd_kafka_fatal_error(producer->handle, text, sizeof(text)) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail(producer, text);
}

void producer_flush(struct producer *producer, int timeout_ms)
{
    (void)rd_kafka_flush(producer->handle, timeout_ms); /* what is late is sent again by the next start */
}

const char *producer_failure(const struct producer *producer)
{
    return producer->failed ? producer->failure : NULL;
}

bool producer_is_connected(const struct producer *producer)
{
    return producer->connected;
}

/* --- life
 * ---------------------------------------------------------------------------------------------------- */

static void ring_on_events(struct producer *producer)
{
    static const uint64_t one = 1;
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(producer->handle);
    rd_kafka_queue_io_event_enable(queue, producer->options.bell_fd, &one, sizeof(one));
    rd_kafka_queue_destroy(queue);
}

enum err producer_new(const struct producer_options *options, struct producer **ret_producer,
                      char fault[KAFKA_FAULT_MAX])
{
    rd_kafka_conf_t *conf = NULL;
    enum err error = kafka_conf_new(&options->endpoint, true, &conf, fault);
    if (error != OK)
        return error;
    if (options->alone) {
        rd_kafka_conf_res_t code = rd_kafka_conf_set(conf, "batch.num.messages", "1", fault, KAFKA_FAULT_MAX);
        ensure(code == RD_KAFKA_CONF_OK);
    }
    struct producer *producer = calloc(1, sizeof(*producer));
    ensure(producer != NULL);
    producer->options = *options;
    rd_kafka_conf_set_opaque(conf, producer);
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    producer->handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, fault, KAFKA_FAULT_MAX);
    if (producer->handle == NULL) {
        rd_kafka_conf_destroy(conf);
        free(producer);
        return ERR_CONFIG;
    }
    rd_kafka_set_log_queue(producer->handle, NULL); /* to the main queue */
    ring_on_events(producer);
    *ret_producer = producer;
    return OK;
}

void producer_free(struct producer *producer)
{
    if (producer == NULL)
        return;
    for (size_t index = 0; index < producer->topics_count; index++) /* PITFALLS K14: before the handle */
        rd_kafka_topic_destroy(producer->topics[index].handle);
    rd_kafka_destroy(producer->handle);
    free(producer->topics);
    free(producer);
}
