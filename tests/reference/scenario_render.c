/* scenario_render: rules as an import gives them, and a whole story as JSON for the reader of a failure. */
#include <stdio.h>
#include <string.h>

#include "tests/reference/scenario.h"

static const char *const priorities[] = {"", "low", "medium", "high"};
static const char *const statistics[] = {"median", "mean", "min", "max", "sum", "count"};
static const char *const sides[KINDS][BOTH] = {
    [OCCURRENCES] = {"below", "above"}, [CHANGE] = {"fall", "rise"},  [REFERENCE] = {"fall", "rise"},
    [RATE] = {"fall_per", "rise_per"},  [DAILY] = {"below", "above"}, [VARIATION] = {"fall", "rise"},
    [BASELINE] = {"fall", "rise"},
};

static void render_duration(struct buffer *out, const char *key, int64_t ms)
{
    char text[32];
    snprintf(text, sizeof text, "%lldms", (long long)ms);
    render_key(out, key);
    render_text(out, text);
}

static void render_number(struct buffer *out, const char *key, int64_t value)
{
    render_key(out, key);
    render_integer(out, value);
}

static void render_amount(struct buffer *out, const char *key, int64_t value)
{
    render_key(out, key);
    render_decimal(out, value);
}

static void render_levels(struct buffer *out, const struct fact_rule *rule)
{
    render_key(out, "levels");
    render_open(out, '[');
    for (int p = 1; p <= FACT_LEVELS; p++)
        for (int side = LOW; side < BOTH; side++)
            if (rule->level[p].has[side]) {
                render_open(out, '{');
                render_key(out, "priority");
                render_text(out, priorities[p]);
                render_amount(out, side == LOW ? "below" : "above", rule->level[p].limit[side]);
                render_close(out, '}');
            }
    render_close(out, ']');
    render_amount(out, "hysteresis", rule->hysteresis);
    if (rule->for_ms > 0)
        render_duration(out, "for", rule->for_ms);
    if (rule->max_gap_ms > 0)
        render_duration(out, "max_gap", rule->max_gap_ms);
}

static void render_sides(struct buffer *out, const struct fact_rule *rule)
{
    for (int side = LOW; side < BOTH; side++) {
        char key[32];
        snprintf(key, sizeof key, "%s%s", sides[rule->kind][side], rule->percent[side] ? "_percent" : "");
        if (rule->has[side])
            render_amount(out, key, rule->amount[side]);
    }
}

static void render_days(struct buffer *out, const struct fact_rule *rule)
{
    char text[16];
    render_key(out, "statistic");
    render_text(out, statistics[rule->statistic]);
    snprintf(text, sizeof text, "%02d:%02d", rule->day_start_min / 60, rule->day_start_min % 60);
    render_key(out, "day_start");
    render_text(out, text);
    render_duration(out, "grace", rule->grace_ms);
    render_number(out, "min_readings", rule->min_readings);
    if (rule->kind != VARIATION)
        render_number(out, "days", rule->days);
    if (rule->kind == DAILY) {
        render_key(out, "missing");
        render_text(out, rule->skip ? "skip" : "break");
    }
    if (rule->kind == VARIATION && rule->has_minimum)
        render_amount(out, "minimum", rule->minimum);
    if (rule->kind == BASELINE) {
        render_number(out, "over", rule->over);
        render_number(out, "min_days", rule->min_days);
    }
}

static void render_silence(struct buffer *out, const struct fact_rule *rule)
{
    char text[16];
    if (rule->max_gap_ms > 0)
        render_duration(out, "max_gap", rule->max_gap_ms);
    if (rule->missed_days > 0)
        render_number(out, "missed_days", rule->missed_days);
    snprintf(text, sizeof text, "%02d:%02d", rule->day_start_min / 60, rule->day_start_min % 60);
    render_key(out, "day_start");
    render_text(out, text);
    render_duration(out, "grace", rule->grace_ms);
    render_key(out, "parameters");
    render_open(out, '[');
    for (int i = 0; i < PARAMETERS; i++)
        if ((rule->parameters >> i & 1) != 0)
            render_text(out, fact_parameters[i].name);
    render_close(out, ']');
}

static void render_classes(struct buffer *out, const struct fact_rule *rule)
{
    render_key(out, "classes");
    render_open(out, '{');
    for (int i = 0; i < FACT_LIST; i++) {
        char name[16];
        snprintf(name, sizeof name, i == 0 ? "*" : "class-%d", i);
        if (rule->classes[i] == 0)
            continue;
        render_key(out, name);
        render_text(out, priorities[rule->classes[i]]);
    }
    render_close(out, '}');
}

static void render_kind(struct buffer *out, const struct fact_rule *rule)
{
    if (rule->kind == LIMIT)
        render_levels(out, rule);
    else if (rule->kind < SILENCE)
        render_sides(out, rule);
    if (rule->kind == OCCURRENCES) {
        render_amount(out, "rearm", rule->rearm);
        render_key(out, "mode");
        render_text(out, rule->sample ? "sample" : "crossing");
        render_number(out, "times", rule->times);
    }
    if (rule->kind == OCCURRENCES || rule->kind == CHANGE || rule->kind == RATE)
        render_duration(out, "within", rule->within_ms);
    if (rule->kind == REFERENCE) {
        render_key(out, "reference");
        render_text(out, "reference");
    }
    if (rule->kind == RATE)
        render_number(out, "readings", rule->readings);
    if (rule->kind == LIMIT || rule->kind == CHANGE || rule->kind == REFERENCE || rule->kind == RATE) {
        render_number(out, "count", rule->count);
        render_number(out, "clear_count", rule->clear_count);
    }
    if (rule->kind == DAILY || rule->kind == VARIATION || rule->kind == BASELINE)
        render_days(out, rule);
    if (rule->kind == SILENCE)
        render_silence(out, rule);
    if (rule->kind == EVENT)
        render_classes(out, rule);
}

void scenario_render_rule(const struct fact_version *version, struct buffer *out)
{
    const struct fact_rule *rule = &version->body;
    char id[16];
    snprintf(id, sizeof id, "test.r%d", version->rule);
    render_open(out, '{');
    render_key(out, "id");
    render_text(out, id);
    if (rule->inherit) {
        render_key(out, "inherit");
        render_boolean(out, true);
        render_close(out, '}');
        return;
    }
    render_key(out, "line");
    render_text(out, "test");
    render_key(out, "kind");
    render_text(out, fact_kind_names[rule->kind]);
    if (rule->kind < SILENCE) {
        render_key(out, "parameter");
        render_text(out, fact_parameters[rule->parameter].name);
        render_key(out, "unit");
        render_text(out, fact_parameters[rule->parameter].unit);
    }
    if (rule->priority > 0) {
        render_key(out, "priority");
        render_text(out, priorities[rule->priority]);
    }
    if (rule->disabled) {
        render_key(out, "enabled");
        render_boolean(out, false);
    }
    if (rule->requires_validation) {
        render_key(out, "requires_validation");
        render_boolean(out, true);
    }
    render_kind(out, rule);
    char text[32];
    snprintf(text, sizeof text, "words %u", rule->words);
    render_key(out, "source");
    render_text(out, text);
    render_close(out, '}');
}

/* ---- the story ---- */

static void render_time(struct buffer *out, const char *key, int64_t ms)
{
    render_key(out, key);
    if (ms == NO_TIME)
        render_null(out);
    else
        render_instant(out, ms);
}

static void render_reading(struct buffer *out, const struct act *act)
{
    static const char *const statuses[] = {"preliminary", "final", "corrected", "void"};
    const struct fact_reading *reading = &act->reading;
    render_number(out, "request", act->request);
    render_key(out, "parameter");
    render_text(out, fact_parameters[reading->parameter].name);
    render_amount(out, "value", reading->value);
    if (reading->comparator != 0) {
        render_key(out, "comparator");
        render_text(out, reading->comparator == 1 ? "<" : ">");
    }
    render_time(out, "measured_at", reading->measured_at);
    render_key(out, "status");
    render_text(out, statuses[reading->status]);
    if (reading->issued != NO_TIME)
        render_time(out, "issued", reading->issued);
    render_number(out, "device", reading->device);
    render_number(out, "sensor", reading->sensor);
    if (reading->alias != 0)
        render_number(out, "alias", reading->alias);
    if (reading->day_only || reading->quarantined || reading->test) {
        render_key(out, "flag");
        render_text(out, reading->test ? "test" : reading->day_only ? "day-only" : "quarantined");
    }
}

static void render_act(struct buffer *out, const struct act *act)
{
    static const char *const words[ACT_COUNT] = {"reading",   "message",    "rule", "confirmation",
                                                 "reference", "suspension", "left", "restart"};
    static const char *const layers[] = {"patient", "team", "organization", "line"};
    render_open(out, '{');
    render_time(out, "at", act->at);
    render_key(out, "act");
    render_text(out, words[act->kind]);
    if (act->patient >= 0)
        render_number(out, "patient", act->patient);
    if (act->kind == ACT_READING)
        render_reading(out, act);
    if (act->kind == ACT_VERSION) {
        render_key(out, "layer");
        render_text(out, layers[act->version.layer]);
        render_time(out, "valid_from", act->version.valid_from);
        render_key(out, "rule");
        scenario_render_rule(&act->version, out);
    }
    if (act->kind == ACT_CONFIRMATION)
        render_time(out, "from", act->confirmation.from);
    if (act->kind == ACT_DATED) {
        render_key(out, "parameter");
        render_text(out, fact_parameters[act->dated.parameter].name);
        render_amount(out, "value", act->dated.value);
        render_time(out, "from", act->dated.from);
    }
    if (act->kind == ACT_SUSPENSION) {
        render_time(out, "from", act->suspension.from);
        render_time(out, "until", act->suspension.until);
    }
    if (act->kind == ACT_MESSAGE) {
        render_time(out, "time", act->message.at);
        render_number(out, "device", act->message.device);
        render_number(out, "episode", act->message.episode);
        render_number(out, "class", act->message.class);
        render_number(out, "phase", act->message.phase);
    }
    if (act->kind == ACT_RESTART) {
        render_number(out, "outage_ms", act->restart.outage_ms);
        render_key(out, "snapshot");
        render_boolean(out, act->restart.snapshot);
    }
    render_close(out, '}');
}

void scenario_render(const struct scenario *scenario, struct buffer *out)
{
    buffer_printf(out, "{\"seed\":%llu,\"lookback_ms\":%lld,\"lookback_continuous_ms\":%lld,\"patients\":[",
                  (unsigned long long)scenario->seed, (long long)scenario->lookback,
                  (long long)scenario->lookback_continuous);
    for (int i = 0; i < scenario->patients; i++) {
        struct buffer one = {0};
        render_open(&one, '{');
        render_key(&one, "zone");
        render_text(&one, fact_zone_names[scenario->zone[i]]);
        render_time(&one, "commit", scenario->enrolled_commit[i]);
        render_time(&one, "enrolled_at", scenario->enrolled_at[i]);
        render_close(&one, '}');
        buffer_printf(out, "%s%.*s", i > 0 ? "," : "", (int)one.size, one.data);
        buffer_deinit(&one);
    }
    buffer_text(out, "],\"acts\":[\n");
    for (size_t i = 0; i < scenario->count; i++) {
        struct buffer one = {0};
        render_act(&one, &scenario->act[i]);
        buffer_printf(out, "  %.*s%s\n", (int)one.size, one.data, i + 1 < scenario->count ? "," : "");
        buffer_deinit(&one);
    }
    buffer_text(out, "]}\n");
}
