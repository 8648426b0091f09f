/* kafka check and kafka create: the topic of the configuration; a template with {organization} means one
 * topic for each organisation that PostgreSQL has. */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "alerting/kafka_admin.h"
#include "alerting/kafka_topic.h"
#include "daemon/base/buffer.h"
#include "daemon/ctl/ctl.h"
#include "storage/postgres.h"

enum { KAFKA_TIMEOUT_MS = 10000, POSTGRES_TIMEOUT_MS = 60000, GLANCE_MS = 3000 };

typedef int topic_work(const struct ctl *ctl, const char *topic, void *context);

static topic_work check_topic;

static int one_organization(const struct ctl *ctl, const char *organization, topic_work *work, void *context)
{
    char topic[KAFKA_TOPIC_MAX + 2];
    if (kafka_topic_name(ctl->config->kafka_topic, organization, strlen(organization), topic) == OK)
        return work(ctl, topic, context);
    return ctl_fail(ERR_LIMIT, organization, "a topic name of more than 249 bytes", "at most 249",
                    "shorten [kafka] topic");
}

/* Events of the node itself have a topic too. */
static int each_organization(const struct ctl *ctl, const PGresult *result, topic_work *work, void *context)
{
    int status = one_organization(ctl, "", work, context);
    for (int row = 0; row < PQntuples(result); row++) {
        int one = one_organization(ctl, PQgetvalue(result, row, 0), work, context);
        status = one != EX_OK ? one : status;
    }
    return status;
}

/* One topic is every organisation's: no consumer of one may then be kept from the events of another. */
static int only_organization(const struct ctl *ctl, const PGresult *result, topic_work *work, void *context)
{
    int status = work(ctl, ctl->config->kafka_topic, context);
    if (result == NULL || PQntuples(result) < 2)
        return status;
    int fault =
        ctl_fail(ERR_CONFIG, "[kafka] topic", ctl->config->kafka_topic, "a template with {organization}",
                 "there is more than one organisation: topic = vigie.alerts.{organization}");
    return status == EX_OK && work == check_topic ? fault : status; /* create has done what it was told */
}

/* Runs the work on every topic; the first failure's exit status. */
static int each_topic(const struct ctl *ctl, topic_work *work, void *context)
{
    const bool template = kafka_topic_is_template(ctl->config->kafka_topic);
    const struct postgres_options options = {.conninfo = ctl->config->postgres_conninfo,
                                             .application = "vigiectl",
                                             .timeout_ms = template ? POSTGRES_TIMEOUT_MS : GLANCE_MS,
                                             .quit_fd = -1};
    static const struct postgres_parameters none;
    struct postgres *postgres;
    PGresult *result = NULL;
    enum err error = postgres_open(&options, &postgres);
    if (error == OK)
        error = postgres_query(postgres, "SELECT ref FROM vigie.organization ORDER BY ref", &none, &result);
    int status = !template     ? only_organization(ctl, result, work, context)
                 : error == OK ? each_organization(ctl, result, work, context)
                               : ctl_fail(error, "PostgreSQL", postgres_message(postgres),
                                          "the organisations of the template",
                                          "vigiectl db status shows whether the schema is there");
    PQclear(result);
    postgres_close(postgres);
    return status;
}

static struct kafka_endpoint endpoint_of(const struct ctl *ctl)
{
    return (struct kafka_endpoint){.bootstrap = ctl->config->kafka_bootstrap,
                                   .extra = ctl->config->kafka_rdkafka};
}

static int no_broker(void)
{
    return ctl_fail(ERR_CONFIG, "[kafka] bootstrap", "nothing", "HOST:PORT of a broker",
                    "set it in vigie.conf");
}

/* ---- check ---- */

struct check {
    bool json;
    unsigned topics;
};

static int check_topic(const struct ctl *ctl, const char *name, void *context)
{
    struct check *check = context;
    struct kafka_endpoint endpoint = endpoint_of(ctl);
    struct kafka_topic topic = {.exists = false};
    char fault[KAFKA_FAULT_MAX] = "";
    enum err error = kafka_topic_check(&endpoint, name, KAFKA_TIMEOUT_MS, &topic, fault);
    if (error != OK)
        return ctl_fail(error, "Kafka", fault, "a broker that answers",
                        "check [kafka] bootstrap and the network");
    if (check->json)
        printf("%s{\"topic\":\"%s\",\"exists\":%s,\"partitions\":%d,\"replication\":%d,\"without_leader\":%d,"
               "\"brokers\":%d}",
               check->topics == 0 ? "" : ",", name, topic.exists ? "true" : "false", topic.partitions,
               topic.replication, topic.without_leader, topic.brokers);
    else if (topic.exists)
        printf("%s: %d partitions, replication %d, %d without leader, %d brokers\n", name, topic.partitions,
               topic.replication, topic.without_leader, topic.brokers);
    check->topics++;
    if (!topic.exists)
        return ctl_fail(ERR_CONFIG, name, "no such topic", "a topic", "vigiectl kafka create makes it");
    if (topic.without_leader > 0)
        return ctl_fail(ERR_UNAVAILABLE, name, "partitions without leader", "a leader for each",
                        "start the brokers");
    return EX_OK;
}

int ctl_kafka_check(struct ctl *ctl, int argc, char **argv)
{
    struct check check = {.topics = 0};
    const struct ctl_option options[] = {{"json", NULL, &check.json}, {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    struct kafka_endpoint endpoint = endpoint_of(ctl);
    if (ctl_parse(argc, argv, options, &arguments) != OK)
        return EX_USAGE;
    if (!kafka_conf_names_broker(&endpoint))
        return no_broker();
    if (check.json)
        printf("[");
    int status = each_topic(ctl, check_topic, &check);
    if (check.json)
        printf("]\n");
    return status;
}

/* ---- create ---- */

static int create_topic(const struct ctl *ctl, const char *name, void *context)
{
    struct kafka_topic_wish *wish = context;
    struct kafka_endpoint endpoint = endpoint_of(ctl);
    char fault[KAFKA_FAULT_MAX] = "";
    wish->topic = name;
    enum err error = kafka_topic_create(&endpoint, wish, KAFKA_TIMEOUT_MS, fault);
    if (error == ERR_EXISTS)
        printf("%s: exists already and stays as it is\n", name);
    else if (error == OK)
        printf("%s: made with %d partitions, replication %d\n", name, wish->partitions, wish->replication);
    else
        return ctl_fail(error, "Kafka", fault, "a broker that makes the topic",
                        "check [kafka] and the broker's log");
    return EX_OK;
}

int ctl_kafka_create(struct ctl *ctl, int argc, char **argv)
{
    struct kafka_topic_wish wish = {.topic = NULL};
    const char *partitions = NULL, *replication = NULL;
    const struct ctl_option options[] = {
        {"partitions", &partitions, NULL}, {"replication", &replication, NULL}, {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    struct kafka_endpoint endpoint = endpoint_of(ctl);
    if (ctl_parse(argc, argv, options, &arguments) != OK ||
        ctl_number("--partitions", partitions, 12, &wish.partitions) != OK ||
        ctl_number("--replication", replication, 1, &wish.replication) != OK)
        return EX_USAGE;
    if (!kafka_conf_names_broker(&endpoint))
        return no_broker();
    return each_topic(ctl, create_topic, &wish);
}
