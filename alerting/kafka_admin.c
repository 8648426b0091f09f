/* kafka_admin: one short-lived handle a call. */
#include "alerting/kafka_admin.h"

#include <stdio.h>

static enum err open_handle(const struct kafka_endpoint *endpoint, rd_kafka_t **ret_handle,
                            char fault[KAFKA_FAULT_MAX])
{
    rd_kafka_conf_t *conf = NULL;
    if (!kafka_conf_names_broker(endpoint)) {
        snprintf(fault, KAFKA_FAULT_MAX, "[kafka] bootstrap is empty, expected HOST:PORT,...");
        return ERR_CONFIG;
    }
    enum err error = kafka_conf_new(endpoint, false, &conf, fault);
    if (error != OK)
        return error;
    *ret_handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, fault, KAFKA_FAULT_MAX);
    if (*ret_handle != NULL)
        return OK;
    rd_kafka_conf_destroy(conf);
    return ERR_CONFIG;
}

static enum err judge_code(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return OK;
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
        return ERR_EXISTS;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        return ERR_UNAVAILABLE;
    default:
        return ERR_REFUSED;
    }
}

static void describe(const rd_kafka_metadata_topic_t *topic, struct kafka_topic *ret)
{
    ret->exists = topic->err == RD_KAFKA_RESP_ERR_NO_ERROR && topic->partition_cnt > 0;
    ret->partitions = topic->partition_cnt;
    for (int index = 0; index < topic->partition_cnt; index++) {
        const rd_kafka_metadata_partition_t *partition = &topic->partitions[index];
        if (index == 0 || partition->replica_cnt < ret->replication)
            ret->replication = partition->replica_cnt;
        ret->without_leader += partition->leader < 0;
    }
}

enum err kafka_topic_check(const struct kafka_endpoint *endpoint, const char *topic, int timeout_ms,
                           struct kafka_topic *ret_topic, char fault[KAFKA_FAULT_MAX])
{
    rd_kafka_t *handle = NULL;
    const struct rd_kafka_metadata *metadata = NULL;
    enum err error = open_handle(endpoint, &handle, fault);
    if (error != OK)
        return error;
    rd_kafka_topic_t *wanted = rd_kafka_topic_new(handle, topic, NULL);
    rd_kafka_resp_err_t code = wanted != NULL ? rd_kafka_metadata(handle, 0, wanted, &metadata, timeout_ms)
                                              : RD_KAFKA_RESP_ERR__INVALID_ARG;
    error = judge_code(code);
    if (error == OK) {
        *ret_topic = (struct kafka_topic){.brokers = metadata->broker_cnt};
        for (int index = 0; index < metadata->topic_cnt; index++)
            describe(&metadata->topics[index], ret_topic);
        rd_kafka_metadata_destroy(metadata);
    } else {
        snprintf(fault, KAFKA_FAULT_MAX, "%s", rd_kafka_err2str(code));
    }
    if (wanted != NULL)
        rd_kafka_topic_destroy(wanted);
    rd_kafka_destroy(handle);
    return error;
}

/* What the broker answered for our one topic. */
static enum err read_answer(rd_kafka_queue_t *queue, int timeout_ms, char fault[KAFKA_FAULT_MAX])
{
    size_t count = 0;
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms + 1000);
    if (event == NULL) {
        snprintf(fault, KAFKA_FAULT_MAX, "no answer within %d ms", timeout_ms);
        return ERR_UNAVAILABLE;
    }
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    const char *text = rd_kafka_event_error_string(event);
    const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(event);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && result != NULL) {
        const rd_kafka_topic_result_t **topics = rd_kafka_CreateTopics_result_topics(result, &count);
        code = count == 1 ? rd_kafka_topic_result_error(topics[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;
        text = count == 1 ? rd_kafka_topic_result_error_string(topics[0]) : NULL;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        snprintf(fault, KAFKA_FAULT_MAX, "%s", text != NULL ? text : rd_kafka_err2str(code));
    rd_kafka_event_destroy(event);
    return judge_code(code);
}

enum err kafka_topic_create(const struct kafka_endpoint *endpoint, const struct kafka_topic_wish *wish,
                            int timeout_ms, char fault[KAFKA_FAULT_MAX])
{
    rd_kafka_t *handle = NULL;
    if (wish->partitions < 1 || wish->replication < 1) {
        snprintf(fault, KAFKA_FAULT_MAX, "%d partitions and replication %d, expected at least 1 of each",
                 wish->partitions, wish->replication);
        return ERR_CONFIG;
    }
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(wish->topic, wish->partitions, wish->replication, fault, KAFKA_FAULT_MAX);
    if (topic == NULL)
        return ERR_CONFIG;
    enum err error = open_handle(endpoint, &handle, fault);
    if (error != OK)
        goto done_topic;
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    if (rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, fault, KAFKA_FAULT_MAX) != 0 ||
        rd_kafka_AdminOptions_set_operation_timeout(options, timeout_ms, fault, KAFKA_FAULT_MAX) != 0) {
        error = ERR_CONFIG;
    } else {
        rd_kafka_CreateTopics(handle, &topic, 1, options, queue);
        error = read_answer(queue, timeout_ms, fault);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue); /* PITFALLS K14: before the handle */
    rd_kafka_destroy(handle);
done_topic:
    rd_kafka_NewTopic_destroy(topic);
    return error;
}
