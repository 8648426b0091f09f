/* conditions: the table below, and the one second in which it is looked at. */
#include "daemon/conditions.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/timex.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"

enum { LOOK_MS = 1000, NOTE_BYTES = 200, DAY_MS = 86400000 };

/* What a row sees: PRIORITY_NONE when it does not hold. */
struct finding {
    enum priority priority;
    char note[NOTE_BYTES];
};

struct condition_row {
    const char *alert;
    unsigned after_s; /* it must hold that long before it is told; its end is told at once */
    void (*look)(struct conditions *conditions, struct finding *ret);
};

struct told_state {
    struct conditions *conditions;
    enum priority told, sent; /* told: what shard 0 has taken */
    bool known, under_way;    /* known: something was taken since the start */
    unsigned holding_s;
};

static void found(struct finding *finding, enum priority priority, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void found(struct finding *finding, enum priority priority, const char *format, ...)
{
    va_list arguments;
    finding->priority = priority;
    va_start(arguments, format);
    vsnprintf(finding->note, sizeof finding->note, format, arguments);
    va_end(arguments);
}

enum { ROWS_MAX = 16, FOREIGN_MINUTES = 10, FOREIGN_MESSAGES = 100 };

struct conditions {
    struct service *service;
    uv_timer_t timer;
    struct told_state state[ROWS_MAX];
    struct finding worst; /* of the last look: the service status shows it */
    unsigned looks;
    unsigned disk_percent;                    /* of the last step told, for the way down */
    uint64_t foreign_totals[FOREIGN_MINUTES]; /* claims on what is not a source's, as each minute began */
};

/* ---- the rows ---- */

static void look_clock_jump(struct conditions *conditions, struct finding *ret)
{
    int64_t jump_ms = atomic_load(&conditions->service->node.clock_jump_ms);
    if (jump_ms != 0)
        found(ret, PRIORITY_HIGH, "the wall clock is %lld s %s engine time",
              (long long)(jump_ms < 0 ? -jump_ms : jump_ms) / 1000, jump_ms < 0 ? "behind" : "ahead of");
}

static void look_synchronised(struct conditions *conditions, struct finding *ret)
{
    struct timex clock = {.modes = 0};
    if (atomic_load(&conditions->service->node.clock_pace) == PACE_WALL && adjtimex(&clock) >= 0 &&
        (clock.status & STA_UNSYNC))
        found(ret, PRIORITY_MEDIUM, "the kernel says that the clock is not synchronised");
}

static void look_disk(struct conditions *conditions, struct finding *ret)
{
    static const struct {
        unsigned percent;
        enum priority priority;
    } steps[] = {{90, PRIORITY_HIGH}, {75, PRIORITY_MEDIUM}, {50, PRIORITY_LOW}};
    const struct config *config = conditions->service->config;
    struct statvfs disk;
    if (statvfs(config->node_state_dir, &disk) != 0 || disk.f_blocks == 0)
        return;
    /* As df: what the file system keeps back from us is neither used nor left. */
    uint64_t left = disk.f_bavail, total = disk.f_blocks - disk.f_bfree + left;
    if (total == 0)
        return;
    unsigned used = (unsigned)((total - left) * 100 / total), was = conditions->disk_percent;
    conditions->disk_percent = 0;
    if (left * disk.f_frsize < (uint64_t)config->journal_low_water)
        found(ret, PRIORITY_HIGH, "low water: readings are refused until space returns");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (used + (was >= steps[i].percent) < steps[i].percent) /* one percent of way back */
            continue;
        conditions->disk_percent = steps[i].percent;
        if (ret->priority == PRIORITY_NONE)
            found(ret, steps[i].priority, "%u %% of the disk of state_dir are used", used);
        return;
    }
}

/* Engine time since the oldest record that waits; it is nothing while the test clock holds. */
static int64_t waiting_s(const struct service *service, const struct sink_figures *figures)
{
    int64_t oldest_ms = atomic_load(&figures->oldest_ms);
    if (oldest_ms == INSTANT_NONE || atomic_load(&service->node.clock_pace) != PACE_WALL)
        return 0;
    return (clock_monotonic_ms() + atomic_load(&service->node.engine_offset_ms) - oldest_ms) / 1000;
}

static void look_postgres(struct conditions *conditions, struct finding *ret)
{
    int64_t s = waiting_s(conditions->service, &conditions->service->postgres);
    if (s >= 60)
        found(ret, s >= 3600 ? PRIORITY_HIGH : PRIORITY_MEDIUM, "the oldest record has waited %lld s",
              (long long)s);
}

static void look_kafka(struct conditions *conditions, struct finding *ret)
{
    int64_t s = waiting_s(conditions->service, &conditions->service->kafka);
    if (s >= 60)
        found(ret, PRIORITY_HIGH, "the oldest alert has waited %lld s", (long long)s);
}

static void look_registry_behind(struct conditions *conditions, struct finding *ret)
{
    int64_t behind = atomic_load(&conditions->service->registry_figures.behind);
    if (behind > 0)
        found(ret, PRIORITY_HIGH, "%lld rule versions or patients are missing in PostgreSQL",
              (long long)behind);
}

static void look_registry_refused(struct conditions *conditions, struct finding *ret)
{
    int64_t refused = atomic_load(&conditions->service->registry_figures.refused);
    if (refused > 0)
        found(ret, PRIORITY_MEDIUM, "%lld changes were refused: the log names them", (long long)refused);
}

static void look_topic(struct conditions *conditions, struct finding *ret)
{
    unsigned missing = atomic_load(&conditions->service->publisher_figures.topics_missing);
    if (missing > 0)
        found(ret, PRIORITY_HIGH, "%u topics are missing: vigiectl kafka create makes them", missing);
}

static void look_parked(struct conditions *conditions, struct finding *ret)
{
    unsigned parked = atomic_load(&conditions->service->publisher_figures.parked);
    if (parked > 0)
        found(ret, PRIORITY_HIGH, "%u events are refused: raise max.message.bytes of the topic", parked);
}

/* Of the chain in force, read at the start and at each reload (daemon/reload.c). */
static void look_certificate(struct conditions *conditions, struct finding *ret)
{
    int64_t end_ms = atomic_load(&conditions->service->certificates.server_ms);
    if (end_ms == INSTANT_NONE)
        return;
    int64_t days = (end_ms - clock_wall_ms()) / DAY_MS;
    if (days <= 21)
        found(ret,
              days <= 1   ? PRIORITY_HIGH
              : days <= 7 ? PRIORITY_MEDIUM
                          : PRIORITY_LOW,
              "[tls] certificate expires in %lld days", (long long)days);
}

static void look_differences(struct conditions *conditions, struct finding *ret)
{
    const struct service *service = conditions->service;
    uint64_t differences = 0;
    for (uint32_t i = 0; i < service->shards; i++)
        differences += shard_differences(service->shard[i]);
    if (differences > 0)
        found(ret, PRIORITY_MEDIUM, "%llu decisions differ", (unsigned long long)differences);
}

/* One mistaken gateway or one who tries: either way readings are refused that somebody waits for. */
static void look_foreign(struct conditions *conditions, struct finding *ret)
{
    const struct service *service = conditions->service;
    unsigned minute = conditions->looks / 60 % FOREIGN_MINUTES;
    uint64_t total = 0;
    for (unsigned loop = 0; loop < service->loops; loop++)
        for (unsigned kind = 0; kind < FOREIGN_KINDS; kind++)
            total += atomic_load_explicit(
                &service->counters[COUNTERS_FIXED + loop].value[COUNTER_FOREIGN_DEVICE + kind],
                memory_order_relaxed);
    if (conditions->looks % 60 == 0)
        conditions->foreign_totals[minute] = total;
    uint64_t recent = total - conditions->foreign_totals[(minute + 1) % FOREIGN_MINUTES];
    if (recent >= FOREIGN_MESSAGES)
        found(ret, PRIORITY_MEDIUM, "%llu messages in ten minutes: audit.event has their sources",
              (unsigned long long)recent);
}

static const struct condition_row rows[] = {
    {"technical.clock-jump", 0, look_clock_jump},
    {"technical.clock-unsynchronised", 300, look_synchronised},
    {"technical.disk", 0, look_disk},
    {"technical.sink-postgres", 0, look_postgres},
    {"technical.sink-kafka", 0, look_kafka},
    {"technical.registry-behind", 2, look_registry_behind},
    {"technical.registry-refused", 0, look_registry_refused},
    {"technical.topic-missing", 5, look_topic},
    {"technical.event-refused", 0, look_parked},
    {"technical.certificate-expiry", 0, look_certificate},
    {"technical.engine-differences", 0, look_differences},
    {"technical.foreign-claims", 0, look_foreign},
};

enum { ROWS = sizeof rows / sizeof rows[0] };
_Static_assert((int)ROWS <= (int)ROWS_MAX, "a place for every row");

/* ---- once a second ---- */

static void taken(void *context, bool was_taken)
{
    struct told_state *state = context;
    state->under_way = false;
    if (!was_taken)
        return;
    state->known = true;
    state->told = state->sent;
}

static void tell(struct told_state *state, const struct condition_row *row, const struct finding *finding)
{
    struct buffer json = {0};
    render_open(&json, '{');
    render_key(&json, "command");
    render_text(&json, command_word(COMMAND_CONDITION));
    render_key(&json, "alert");
    render_text(&json, row->alert);
    if (finding->priority != PRIORITY_NONE) {
        render_key(&json, "priority");
        render_text(&json, priority_word(finding->priority));
        render_key(&json, "note");
        render_text(&json, finding->note);
    }
    render_close(&json, '}');
    state->sent = finding->priority;
    state->under_way = true;
    control_tell_node(state->conditions->service->control, &json, taken, state);
    if (finding->priority != PRIORITY_NONE)
        log_write(LOG_WARNING, "condition", "alert=%s priority=%s found=%s", row->alert,
                  priority_word(finding->priority), finding->note);
    else if (state->known)
        log_write(LOG_NOTICE, "condition", "alert=%s found=over", row->alert);
}

static void remember_worst(struct conditions *conditions, const struct finding findings[ROWS])
{
    conditions->worst.priority = PRIORITY_NONE;
    for (unsigned i = 0; i < ROWS; i++)
        if (findings[i].priority > conditions->worst.priority)
            conditions->worst = findings[i];
}

const char *conditions_worst(const struct conditions *conditions)
{
    return conditions == NULL || conditions->worst.priority == PRIORITY_NONE ? NULL : conditions->worst.note;
}

static void look(uv_timer_t *timer)
{
    struct conditions *conditions = timer->data;
    struct finding findings[ROWS];
    for (unsigned i = 0; i < ROWS; i++) {
        struct told_state *state = &conditions->state[i];
        findings[i] = (struct finding){.priority = PRIORITY_NONE};
        rows[i].look(conditions, &findings[i]);
        state->holding_s = findings[i].priority == PRIORITY_NONE ? 0 : state->holding_s + 1;
        if (state->holding_s > 0 && state->holding_s <= rows[i].after_s)
            findings[i].priority = PRIORITY_NONE;
        if (state->under_way || (state->known && state->told == findings[i].priority))
            continue;
        tell(state, &rows[i], &findings[i]);
    }
    conditions->looks++;
    remember_worst(conditions, findings);
    const struct service *service = conditions->service;
    if (atomic_load(&service->node.clock_pace) == PACE_WALL &&
        clock_anchor_keep(&conditions->service->anchor, atomic_load(&service->node.engine_offset_ms)) != OK &&
        conditions->looks % 60 == 1)
        log_write(LOG_WARNING, "clock", "cannot write state_dir/clock hint=check the disk");
}

enum err conditions_start(struct service *service, struct conditions **ret_conditions)
{
    struct conditions *conditions = calloc(1, sizeof *conditions);
    if (conditions == NULL)
        return ERR_NO_MEMORY;
    conditions->service = service;
    for (unsigned i = 0; i < ROWS; i++)
        conditions->state[i].conditions = conditions;
    ensure(uv_timer_init(&service->admin_loop, &conditions->timer) == 0);
    conditions->timer.data = conditions;
    ensure(uv_timer_start(&conditions->timer, look, 0, LOOK_MS) == 0);
    *ret_conditions = conditions;
    return OK;
}

static bool any_under_way(const struct conditions *conditions)
{
    for (unsigned i = 0; i < ROWS; i++)
        if (conditions->state[i].under_way)
            return true;
    return false;
}

static void on_closed(uv_handle_t *handle)
{
    *(bool *)handle->data = true;
}

void conditions_stop(struct conditions *conditions)
{
    if (conditions == NULL)
        return;
    bool closed = false;
    uv_loop_t *loop = conditions->timer.loop;
    uv_timer_stop(&conditions->timer);
    while (any_under_way(conditions))
        uv_run(loop, UV_RUN_ONCE);
    conditions->timer.data = &closed;
    uv_close((uv_handle_t *)&conditions->timer, on_closed);
    while (!closed)
        uv_run(loop, UV_RUN_ONCE);
    free(conditions);
}
