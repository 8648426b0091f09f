/* gauges: one row a series. A row with help opens its family; those behind it carry other labels. */
#include "daemon/gauges.h"

#include "daemon/conditions.h"
#include "daemon/ingest/mqtt/mqtt_shared.h"

static double seconds_of(const _Atomic int64_t *at_ms)
{
    int64_t ms = atomic_load_explicit(at_ms, memory_order_relaxed);
    return ms == INSTANT_NONE ? 0 : (double)ms / 1e3;
}

static double until_server(const struct service *service)
{
    return seconds_of(&service->certificates.server_ms);
}

static double until_client_ca(const struct service *service)
{
    return seconds_of(&service->certificates.client_ca_ms);
}

static double until_crl(const struct service *service)
{
    return seconds_of(&service->certificates.crl_ms);
}

static double reloads_taken(const struct service *service)
{
    return (double)atomic_load_explicit(&service->certificates.reloads, memory_order_relaxed);
}

static double reloads_refused(const struct service *service)
{
    return (double)atomic_load_explicit(&service->certificates.reloads_refused, memory_order_relaxed);
}

static double threads_stuck(const struct service *service)
{
    return watchdog_stuck(&service->watchdog);
}

static double topics_missing(const struct service *service)
{
    return atomic_load_explicit(&service->publisher_figures.topics_missing, memory_order_relaxed);
}

static double parked(const struct service *service)
{
    return atomic_load_explicit(&service->publisher_figures.parked, memory_order_relaxed);
}

static double producers(const struct service *service)
{
    return atomic_load_explicit(&service->publisher_figures.generation, memory_order_relaxed);
}

static double unconfirmed(const struct service *service)
{
    double sum = 0;
    for (uint32_t i = 0; i < service->shards; i++)
        sum += atomic_load_explicit(&service->counters[COUNTERS_FIXED + service->loops + i].unconfirmed,
                                    memory_order_relaxed);
    return sum;
}

static double condition_holds(const struct service *service)
{
    return service->conditions != NULL && conditions_worst(service->conditions) != NULL;
}

static double accepting(const struct service *service)
{
    return service->starting == NULL && atomic_load_explicit(&service->node.accepting, memory_order_relaxed);
}

static double mqtt_sessions(const struct service *service)
{
    const struct mqtt_shared *mqtt = service->ingest_shared.mqtt;
    return mqtt != NULL ? (double)mqtt_directory_sessions(mqtt->directory) : 0;
}

static const struct {
    const char *name, *label, *help;
    double (*read)(const struct service *service);
    bool counts;
} rows[] = {
    {"vigie_accepting", "", "1 while readings are accepted.", accepting, false},
    {"vigie_certificate_not_after_seconds", "{certificate=\"server\"}",
     "When the first of them ends, or a revocation list is due; seconds since 1970, 0 without one.",
     until_server, false},
    {"vigie_certificate_not_after_seconds", "{certificate=\"client_ca\"}", NULL, until_client_ca, false},
    {"vigie_certificate_not_after_seconds", "{certificate=\"crl\"}", NULL, until_crl, false},
    {"vigie_reloads_total", "{result=\"taken\"}", "Reloads by SIGHUP.", reloads_taken, true},
    {"vigie_reloads_total", "{result=\"refused\"}", NULL, reloads_refused, true},
    {"vigie_threads_stuck", "", "Threads without progress: the watchdog is not fed.", threads_stuck, false},
    {"vigie_condition_holds", "", "1 while the node has something to tell its operators.", condition_holds,
     false},
    {"vigie_unconfirmed_patients", "",
     "Patients whom rules do not watch because no physician has confirmed them.", unconfirmed, false},
    {"vigie_mqtt_sessions", "", "MQTT clients that are connected or have a session.", mqtt_sessions, false},
    {"vigie_kafka_topics_missing", "", "Topics that events wait for.", topics_missing, false},
    {"vigie_kafka_parked_events", "", "Events that the brokers refuse for their size.", parked, false},
    {"vigie_kafka_producers_total", "", "Producers made since the start.", producers, true},
};
_Static_assert(sizeof rows / sizeof rows[0] <= GAUGES_MAX, "every row has its place");

size_t gauges_read(const struct service *service, struct metrics_gauge gauges[GAUGES_MAX])
{
    size_t count = sizeof rows / sizeof rows[0];
    for (size_t i = 0; i < count; i++)
        gauges[i] = (struct metrics_gauge){.name = rows[i].name,
                                           .label = rows[i].label,
                                           .help = rows[i].help,
                                           .counts = rows[i].counts,
                                           .value = rows[i].read(service)};
    return count;
}
