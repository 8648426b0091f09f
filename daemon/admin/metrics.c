/* metrics: every series is written in every answer, from the first one on, so that a rate never begins with a
 * hole. */
#include "daemon/admin/metrics.h"

#include <math.h>

#include "daemon/base/instant.h"
#include "daemon/model/alert_event.h"

_Static_assert((int)EVENT_KINDS == (int)EVENT_COUNT && (int)PRIORITIES == (int)PRIORITY_COUNT,
               "counters.h sizes its table by these");

/* Counters under their names; `label` is the whole label part. */
static const struct {
    enum counter_id id;
    const char *name, *label, *help;
} counter_rows[] = {
    {COUNTER_READINGS_ACCEPTED, "vigie_readings_total", "{result=\"accepted\"}",
     "Readings by what became of them."},
    {COUNTER_READINGS_DUPLICATE, "vigie_readings_total", "{result=\"duplicate\"}", NULL},
    {COUNTER_READINGS_QUARANTINED, "vigie_readings_total", "{result=\"quarantined\"}", NULL},
    {COUNTER_READINGS_REJECTED, "vigie_readings_total", "{result=\"rejected\"}", NULL},
    {COUNTER_READINGS_LATE_UNJUDGED, "vigie_readings_late_unjudged_total", "",
     "Readings too late to be judged."},
    {COUNTER_MESSAGES, "vigie_messages_total", "", "Messages taken by the decoders."},
    {COUNTER_CONNECTIONS_OPENED, "vigie_connections_opened_total", "",
     "Connections of the ingest listeners."},
    {COUNTER_CONNECTIONS_CLOSED, "vigie_connections_closed_total", "", "Connections that have ended."},
    {COUNTER_HANDSHAKES_FAILED, "vigie_handshakes_failed_total", "",
     "Connections that never spoke TLS to the end."},
    {COUNTER_CONNECTIONS_PAUSED, "vigie_connections_paused_total", "", "Times a connection waited for room."},
    {COUNTER_CONNECTIONS_REFUSED, "vigie_connections_refused_total", "",
     "Newcomers closed because the listener was full."},
    {COUNTER_CONNECTIONS_SHED, "vigie_connections_shed_total", "",
     "Strangers closed to make room for newcomers."},
    {COUNTER_CERTIFICATES_REFUSED, "vigie_certificates_refused_total", "",
     "Client certificates refused, at the handshake or by a reload."},
    {COUNTER_DEVICE_CLOCK_FAULTS, "vigie_device_clock_faults_total", "",
     "Reports of devices that their clock is at fault."},
    {COUNTER_QUOTA_REFUSALS, "vigie_quota_refusals_total", "",
     "Messages refused because their source was over its quota."},
    {COUNTER_MQTT_REFUSED, "vigie_mqtt_refused_total", "", "MQTT clients refused at CONNECT."},
    {COUNTER_MQTT_FAULTS, "vigie_mqtt_faults_total", "",
     "MQTT connections ended because they broke the protocol."},
    {COUNTER_MQTT_TAKEOVERS, "vigie_mqtt_takeovers_total", "",
     "MQTT connections ended because their client came again."},
    {COUNTER_MQTT_SILENT, "vigie_mqtt_silent_total", "", "MQTT connections ended by their keep-alive."},
    {COUNTER_MQTT_UNACKNOWLEDGED, "vigie_mqtt_unacknowledged_total", "",
     "MQTT messages that could not be kept; not acknowledged, so that they are sent again."},
    {COUNTER_MQTT_DROPPED, "vigie_mqtt_dropped_total", "",
     "MQTT messages of QoS 0 that could not be kept and are lost."},
    {COUNTER_MQTT_ERRORS_SENT, "vigie_mqtt_errors_total", "{result=\"sent\"}",
     "Messages to subscribers of errors topics."},
    {COUNTER_MQTT_ERRORS_LOST, "vigie_mqtt_errors_total", "{result=\"lost\"}", NULL},
#define FOREIGN(id, word, help)                                                                              \
    {COUNTER_FOREIGN_##id, "vigie_foreign_claims_total", "{kind=\"" word "\"}", help},
#include "daemon/registry/foreign.def"
#undef FOREIGN
    {COUNTER_HL7_ROWS_SKIPPED, "vigie_hl7_rows_skipped_total", "",
     "OBX rows that claim no reading: no value, no result, never a patient's, test data."},
    {COUNTER_HL7_UNANSWERED, "vigie_hl7_unanswered_total", "",
     "HL7 messages whose sender wants no acknowledgement of what became of them."},
    {COUNTER_MLLP_BROKEN, "vigie_mllp_broken_total", "",
     "MLLP connections closed for what stood between frames, and frames that began anew before their end."},
    {COUNTER_MLLP_STRANGERS, "vigie_mllp_strangers_total", "",
     "MLLP connections closed because no known client certificate says who speaks."},
    {COUNTER_TURNS, "vigie_turns_total", "", "Turns of the shards."},
    {COUNTER_SINK_RECORDS, "vigie_sink_records_total", "", "Records brought to the sinks."},
    {COUNTER_SINK_ERRORS, "vigie_sink_errors_total", "", "Errors met by the sinks."},
};

static const struct {
    enum histogram_id id;
    const char *name, *help;
} histogram_rows[] = {
    {HISTOGRAM_ACK, "vigie_ack_seconds", "From a whole message to its durable answer."},
    {HISTOGRAM_DELIVERY, "vigie_alert_delivery_seconds",
     "From the decision of an alert to Kafka's acknowledgement."},
    {HISTOGRAM_SYNC, "vigie_journal_sync_seconds", "Sync of a journal turn."},
    {HISTOGRAM_SILENCE_LATENESS, "vigie_silence_lateness_seconds", "How late a due silence was raised."},
};

static const char *const protocols[] = {"https", "http", "mqtts", "mqtt", "mllps", "mllp", "adt"};

static void write_head(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static uint64_t read_relaxed(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void write_counters(struct buffer *out, const struct metrics_sources *sources)
{
    for (size_t row = 0; row < sizeof(counter_rows) / sizeof(counter_rows[0]); row++) {
        uint64_t sum = 0;
        for (size_t i = 0; i < sources->counters_count; i++)
            sum += read_relaxed(&sources->counters[i].value[counter_rows[row].id]);
        if (counter_rows[row].help != NULL)
            write_head(out, counter_rows[row].name, "counter", counter_rows[row].help);
        buffer_printf(out, "%s%s %llu\n", counter_rows[row].name, counter_rows[row].label,
                      (unsigned long long)sum);
    }
}

static void write_alerts(struct buffer *out, const struct metrics_sources *sources)
{
    write_head(out, "vigie_alerts_total", "counter", "Alert events decided; each is published.");
    for (unsigned kind = 0; kind < EVENT_KINDS; kind++)
        for (unsigned priority = PRIORITY_LOW; priority < PRIORITIES; priority++) {
            uint64_t sum = 0;
            for (size_t i = 0; i < sources->counters_count; i++)
                sum += read_relaxed(&sources->counters[i].alerts[kind][priority]);
            buffer_printf(out, "vigie_alerts_total{event=\"%s\",priority=\"%s\"} %llu\n", event_word(kind),
                          priority_word(priority), (unsigned long long)sum);
        }
}

/* Bucket b counts values below 2^b microseconds, the last one the rest: it is part of +Inf alone. */
static void write_histogram(struct buffer *out, const struct metrics_sources *sources, enum histogram_id id,
                            const char *name)
{
    uint64_t count = 0, sum_us = 0;
    for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        for (size_t i = 0; i < sources->counters_count; i++)
            count += read_relaxed(&sources->counters[i].histogram[id].bucket[bucket]);
        uint64_t us = UINT64_C(1) << bucket;
        if (bucket < HISTOGRAM_BUCKETS - 1)
            buffer_printf(out, "%s_bucket{le=\"%llu.%06llu\"} %llu\n", name,
                          (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000),
                          (unsigned long long)count);
    }
    for (size_t i = 0; i < sources->counters_count; i++)
        sum_us += read_relaxed(&sources->counters[i].histogram[id].sum_us);
    buffer_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %llu.%06llu\n%s_count %llu\n", name,
                  (unsigned long long)count, name, (unsigned long long)(sum_us / 1000000),
                  (unsigned long long)(sum_us % 1000000), name, (unsigned long long)count);
}

static int64_t lag_ms(const struct sink_figures *figures, int64_t now_ms)
{
    int64_t oldest_ms = atomic_load_explicit(&figures->oldest_ms, memory_order_relaxed);
    bool lags = atomic_load_explicit(&figures->records_lag, memory_order_relaxed) > 0;
    return lags && oldest_ms != INSTANT_NONE && oldest_ms < now_ms ? now_ms - oldest_ms : 0;
}

static void write_sinks(struct buffer *out, const struct metrics_sources *sources)
{
    const struct {
        const char *name;
        const struct sink_figures *figures;
    } sinks[] = {{"postgres", sources->postgres}, {"kafka", sources->kafka}};
    write_head(out, "vigie_sink_lag_records", "gauge", "Records that are durable and not yet in the sink.");
    for (size_t i = 0; i < 2; i++)
        buffer_printf(out, "vigie_sink_lag_records{sink=\"%s\"} %llu\n", sinks[i].name,
                      (unsigned long long)read_relaxed(&sinks[i].figures->records_lag));
    write_head(out, "vigie_sink_lag_seconds", "gauge", "Age of the oldest of them in engine time.");
    for (size_t i = 0; i < 2; i++) {
        long long ms = (long long)lag_ms(sinks[i].figures, sources->engine_now_ms);
        buffer_printf(out, "vigie_sink_lag_seconds{sink=\"%s\"} %lld.%03lld\n", sinks[i].name, ms / 1000,
                      ms % 1000);
    }
    write_head(out, "vigie_sink_connected", "gauge", "1 while the sink takes records.");
    for (size_t i = 0; i < 2; i++)
        buffer_printf(out, "vigie_sink_connected{sink=\"%s\"} %d\n", sinks[i].name,
                      atomic_load_explicit(&sinks[i].figures->state, memory_order_relaxed) == SINK_CONNECTED);
}

static void write_connections(struct buffer *out, const struct metrics_sources *sources)
{
    write_head(out, "vigie_connections", "gauge", "Open connections by listener.");
    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
        buffer_printf(out, "vigie_connections{protocol=\"%s\"} %lld\n", protocols[i],
                      (long long)sources->connections(sources->connections_context, protocols[i]));
    buffer_printf(out, "vigie_connections{protocol=\"admin\"} %lld\n", (long long)sources->admin_connections);
}

/* The journals of a node share a file system: the least free space is what counts. */
static void write_journals(struct buffer *out, const struct metrics_sources *sources)
{
    uint64_t free_bytes = UINT64_MAX, bytes = 0, rate = 0;
    for (size_t i = 0; i < sources->journals_count; i++) {
        struct journal_figures figures;
        journal_figures(sources->journals[i], &figures);
        bytes += figures.bytes;
        rate += figures.bytes_per_hour;
        if (figures.free_bytes < free_bytes)
            free_bytes = figures.free_bytes;
    }
    write_head(out, "vigie_journal_free_bytes", "gauge", "Free space of the journal's file system.");
    buffer_printf(out, "vigie_journal_free_bytes %llu\n",
                  (unsigned long long)(sources->journals_count > 0 ? free_bytes : 0));
    write_head(out, "vigie_journal_bytes", "gauge", "Size of the journal.");
    buffer_printf(out, "vigie_journal_bytes %llu\n", (unsigned long long)bytes);
    write_head(out, "vigie_journal_hours_left", "gauge",
               "Hours until the disk is full if nothing is trimmed, at the rate of the last ten minutes.");
    if (rate == 0 || sources->journals_count == 0)
        buffer_text(out, "vigie_journal_hours_left +Inf\n");
    else
        buffer_printf(out, "vigie_journal_hours_left %.1f\n", (double)free_bytes / (double)rate);
}

/* How long a restart would replay, and what the last one found: of each shard, for `vigiectl journal status`.
 */
static const struct {
    const char *name, *type, *help;
} snapshot_rows[] = {
    {"vigie_snapshot_age_seconds", "gauge",
     "Engine time since the newest whole snapshot; -1: there is none."},
    {"vigie_snapshot_bytes", "gauge", "Size of the newest snapshot of this process."},
    {"vigie_snapshot_position", "gauge", "Journal position from which a restart would replay."},
    {"vigie_snapshot_failures_total", "counter", "Snapshots that could not be written."},
    {"vigie_snapshots_damaged", "gauge", "Snapshots that the last start could not use."},
    {"vigie_replay_records", "gauge", "Records that the last start replayed."},
    {"vigie_replay_differences", "gauge", "Decisions of the last start that differ from journaled events."},
};
enum { SNAPSHOT_ROWS = sizeof snapshot_rows / sizeof snapshot_rows[0] };

static void read_snapshot(const struct snapshot_figures *f, int64_t now_ms, double values[SNAPSHOT_ROWS])
{
    int64_t taken_ms = atomic_load_explicit(&f->taken_ms, memory_order_relaxed);
    uint64_t a = atomic_load_explicit(&f->position[0], memory_order_relaxed);
    uint64_t b = atomic_load_explicit(&f->position[1], memory_order_relaxed);
    values[0] = a == 0 && b == 0 ? -1 : (double)(now_ms - taken_ms) / 1000;
    values[1] = (double)atomic_load_explicit(&f->bytes, memory_order_relaxed);
    values[2] = (double)(a > b ? a : b);
    values[3] = (double)atomic_load_explicit(&f->failed, memory_order_relaxed);
    values[4] = (double)atomic_load_explicit(&f->damaged, memory_order_relaxed);
    values[5] = (double)atomic_load_explicit(&f->replayed, memory_order_relaxed);
    values[6] = (double)atomic_load_explicit(&f->differences, memory_order_relaxed);
}

static void write_snapshots(struct buffer *out, const struct metrics_sources *sources)
{
    for (size_t row = 0; row < SNAPSHOT_ROWS && sources->snapshots != NULL; row++) {
        write_head(out, snapshot_rows[row].name, snapshot_rows[row].type, snapshot_rows[row].help);
        for (size_t i = 0; i < sources->journals_count; i++) {
            double values[SNAPSHOT_ROWS];
            read_snapshot(&sources->snapshots[i], sources->engine_now_ms, values);
            buffer_printf(out, "%s{shard=\"%zu\"} %.*f\n", snapshot_rows[row].name, i, row == 0 ? 3 : 0,
                          values[row]);
        }
    }
}

static void write_memory(struct buffer *out, const struct metrics_sources *sources)
{
    struct slab_figures sum = {0};
    for (size_t i = 0; i < sources->slabs_count; i++) {
        struct slab_figures figures;
        slab_read(sources->slabs[i], &figures);
        sum.planned_bytes += figures.planned_bytes;
        sum.held_bytes += figures.held_bytes;
        sum.used_bytes += figures.used_bytes;
    }
    write_head(out, "vigie_memory_planned_bytes", "gauge", "What [node] max_memory plans for the shards.");
    buffer_printf(out, "vigie_memory_planned_bytes %llu\n", (unsigned long long)sum.planned_bytes);
    write_head(out, "vigie_memory_held_bytes", "gauge",
               "Held for patients and readings; nobody is enrolled beyond 90 % of the plan.");
    buffer_printf(out, "vigie_memory_held_bytes %llu\n", (unsigned long long)sum.held_bytes);
    write_head(out, "vigie_memory_used_bytes", "gauge", "Of it, in use.");
    buffer_printf(out, "vigie_memory_used_bytes %llu\n", (unsigned long long)sum.used_bytes);
}

static void write_registry(struct buffer *out, const struct registry_figures *figures)
{
    const struct {
        const char *name, *help;
        int64_t value, per_unit; /* per_unit: of one in the name's unit */
    } rows[] = {
        {"vigie_registry_version", "Version of the registry in force.", atomic_load(&figures->version), 1},
        {"vigie_registry_behind_rows", "Rule versions and patients in force that PostgreSQL lacks.",
         atomic_load(&figures->behind), 1},
        {"vigie_registry_refused_changes",
         "Changes in PostgreSQL that are refused, and that nothing has replaced.",
         atomic_load(&figures->refused), 1},
        {"vigie_registry_unserved", "1: no registry yet, readings are refused.",
         atomic_load(&figures->unserved), 1},
        {"vigie_registry_snapshots", "Snapshots built since the start.", atomic_load(&figures->snapshots), 1},
        {"vigie_registry_snapshot_seconds", "Building the last snapshot.", atomic_load(&figures->snapshot_us),
         1000000},
        {"vigie_registry_change_seconds", "Bringing the last change into force.",
         atomic_load(&figures->change_us), 1000000},
        {"vigie_registry_file_seconds", "Writing the registry file last.", atomic_load(&figures->file_us),
         1000000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_head(out, rows[i].name, "gauge", rows[i].help);
        buffer_printf(out, "%s %.9g\n", rows[i].name, (double)rows[i].value / (double)rows[i].per_unit);
    }
}

static void write_gauges(struct buffer *out, const struct metrics_sources *sources)
{
    for (size_t i = 0; i < sources->gauges_count; i++) {
        const struct metrics_gauge *gauge = &sources->gauges[i];
        if (gauge->help != NULL)
            write_head(out, gauge->name, gauge->counts ? "counter" : "gauge", gauge->help);
        if (isinf(gauge->value))
            buffer_printf(out, "%s%s +Inf\n", gauge->name, gauge->label);
        else
            buffer_printf(out, "%s%s %.15g\n", gauge->name, gauge->label, gauge->value);
    }
}

void metrics_render(struct buffer *out, const struct metrics_sources *sources)
{
    write_counters(out, sources);
    write_alerts(out, sources);
    for (size_t i = 0; i < sizeof(histogram_rows) / sizeof(histogram_rows[0]); i++) {
        write_head(out, histogram_rows[i].name, "histogram", histogram_rows[i].help);
        write_histogram(out, sources, histogram_rows[i].id, histogram_rows[i].name);
    }
    write_sinks(out, sources);
    write_connections(out, sources);
    write_journals(out, sources);
    write_snapshots(out, sources);
    write_memory(out, sources);
    write_registry(out, sources->registry);
    write_gauges(out, sources);
    write_head(out, "vigie_quarantine_rows", "gauge",
               "Rows of vigie.quarantine that are neither released nor discarded.");
    buffer_printf(out, "vigie_quarantine_rows %llu\n", (unsigned long long)sources->quarantine_rows);
}
