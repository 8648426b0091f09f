/* doctor, Kafka: the topic, or one a organisation, as the publisher will find it. */
#include <string.h>

#include "alerting/kafka_admin.h"
#include "alerting/kafka_topic.h"
#include "daemon/ctl/doctor.h"
#include "storage/postgres.h"

enum { KAFKA_TIMEOUT_MS = 5000, GLANCE_MS = 3000 };

static const struct doctor_check reachable = {
    "kafka.reachable", "a broker that answers",
    "check [kafka] bootstrap and the network: alerts wait in the journal meanwhile"};
static const struct doctor_check exists = {"kafka.topic", "a topic with a leader for each partition",
                                           "vigiectl kafka create; vigied never makes one"};
static const struct doctor_check replicated = {
    "kafka.replication", "two copies or more where there are two brokers",
    "raise the replication of the topic: a lost disk would lose alerts there"};

/* False when no broker answers: then no further topic is worth a wait. `first`: that one does is told too. */
static bool look_at_topic(struct doctor *doctor, const char *name, bool first)
{
    const struct kafka_endpoint endpoint = {doctor->config->kafka_bootstrap, doctor->config->kafka_rdkafka};
    struct kafka_topic topic = {.exists = false};
    char fault[KAFKA_FAULT_MAX] = "";
    if (kafka_topic_check(&endpoint, name, KAFKA_TIMEOUT_MS, &topic, fault) != OK) {
        doctor_tell(doctor, &reachable, DOCTOR_FAIL, "%s", fault);
        return false;
    }
    if (first)
        doctor_tell(doctor, &reachable, DOCTOR_OK, "%d brokers", topic.brokers);
    if (!topic.exists) {
        doctor_tell(doctor, &exists, DOCTOR_FAIL, "no topic %s", name);
        return true;
    }
    doctor_tell(doctor, &exists, topic.without_leader == 0 ? DOCTOR_OK : DOCTOR_FAIL,
                "%s with %d partitions, %d without leader", name, topic.partitions, topic.without_leader);
    doctor_tell(doctor, &replicated, topic.replication < 2 && topic.brokers > 1 ? DOCTOR_WARN : DOCTOR_OK,
                "%s on %d of %d brokers", name, topic.replication, topic.brokers);
    return true;
}

static PGresult *read_organizations(struct doctor *doctor)
{
    static const struct postgres_parameters none;
    const struct postgres_options options = {.conninfo = doctor->config->postgres_conninfo,
                                             .application = "vigiectl doctor",
                                             .timeout_ms = GLANCE_MS,
                                             .quit_fd = -1};
    struct postgres *postgres;
    PGresult *result = NULL;
    if (postgres_open(&options, &postgres) != OK ||
        postgres_query(postgres, "SELECT ref FROM vigie.organization ORDER BY ref", &none, &result) != OK)
        result = NULL; /* told by the checks of PostgreSQL */
    postgres_close(postgres);
    return result;
}

static void look_at_each(struct doctor *doctor, const PGresult *organizations)
{
    char name[KAFKA_TOPIC_MAX + 2];
    int count = organizations == NULL ? 0 : PQntuples(organizations);
    for (int row = -1; row < count; row++) { /* -1: events of the node itself */
        const char *ref = row < 0 ? "" : PQgetvalue(organizations, row, 0);
        if (kafka_topic_name(doctor->config->kafka_topic, ref, strlen(ref), name) != OK)
            doctor_tell(doctor, &exists, DOCTOR_FAIL, "a name of more than 249 bytes for organisation %s",
                        ref);
        else if (!look_at_topic(doctor, name, row < 0))
            return;
    }
}

void doctor_kafka(struct doctor *doctor)
{
    static const struct doctor_check template = {
        "kafka.template", "a topic for each organisation",
        "[kafka] topic = vigie.alerts.{organization}, then vigiectl kafka create"};
    const struct kafka_endpoint endpoint = {doctor->config->kafka_bootstrap, doctor->config->kafka_rdkafka};
    if (!kafka_conf_names_broker(&endpoint)) {
        doctor_tell(doctor, &reachable, DOCTOR_FAIL, "no broker in [kafka]");
        return;
    }
    PGresult *organizations = read_organizations(doctor);
    if (kafka_topic_is_template(doctor->config->kafka_topic)) {
        look_at_each(doctor, organizations);
    } else {
        if (organizations != NULL && PQntuples(organizations) > 1)
            doctor_tell(doctor, &template, DOCTOR_FAIL, "%s for %d organisations",
                        doctor->config->kafka_topic, PQntuples(organizations));
        (void)look_at_topic(doctor, doctor->config->kafka_topic, true);
    }
    PQclear(organizations);
}
