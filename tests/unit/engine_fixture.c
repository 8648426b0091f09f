/* engine_fixture: see engine_fixture.h. */
#include "tests/unit/engine_fixture.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "alerting/engine_snapshot.h"
#include "daemon/base/buffer.h"
#include "daemon/base/decimal.h"
#include "daemon/base/instant.h"
#include "daemon/model/parameter.h"

enum { OFFERS_MAX = 4096, TAIL_BYTES = 128 };

static const struct sip_key test_key = {1, 2};

static int64_t ms_of(double minute)
{
    return EPOCH_MS + (int64_t)(minute * 60000 + (minute < 0 ? -0.5 : 0.5));
}

static void take_event(void *context, const struct alert_event *event, const char *json, uint32_t size)
{
    struct fixture *f = context;
    CU_ASSERT_FATAL(f->count < EVENTS_MAX);
    f->heads[f->count] = *event;
    f->texts[f->count] = strndup(json, size);
    f->events[f->count] = json_loadb(json, size, JSON_REJECT_DUPLICATES, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(f->events[f->count]);
    f->count++;
}

void fixture_open_empty(struct fixture *f)
{
    struct engine_settings settings = {
        .lookback_ms = 35 * DAY_MIN * MINUTE_MS,
        .lookback_continuous_ms = 16 * DAY_MIN * MINUTE_MS,
        .future_tolerance_ms = 5 * MINUTE_MS,
        .reading_key = test_key,
        .node = "node-1",
    };
    struct engine_out out = {.event = take_event, .context = f};
    *f = (struct fixture){.count = 0};
    CU_ASSERT_EQUAL_FATAL(parameter_init(), OK);
    f->engine = engine_new(&settings, &out);
}

void fixture_open(struct fixture *f)
{
    fixture_open_empty(f);
    engine_tick(f->engine, ms_of(0), 0, TICK_START);
}

void fixture_open_patient(struct fixture *f)
{
    fixture_open(f);
    enum err error =
        fixture_command(f, COMMAND_RULE, 0,
                        "{'layer':'line','scope':'test','version':1,'author':'a','role':'system',"
                        "'reason':'r','rule':{'id':'test.silence','line':'test','kind':'silence',"
                        "'max_gap':'31d','parameters':['body-weight','heart-rate'],'priority':'medium'}}");
    CU_ASSERT_EQUAL_FATAL(error, OK);
    error = fixture_command(f, COMMAND_PATIENT, 0,
                            "{'patient_id':17,'ref':'P-1','organization':'O','line':'test','team':'T',"
                            "'time_zone':'Europe/Paris','enrolled_at':null}");
    CU_ASSERT_EQUAL_FATAL(error, OK);
}

void fixture_move(const struct fixture *from, struct fixture *to)
{
    struct buffer shared = {0}, patients = {0};
    struct archive *archive = engine_archive_new(from->engine);
    int64_t last_id = INT64_MIN;
    engine_save_shared(archive, &shared);
    unsigned count = engine_save_patients(archive, &last_id, UINT32_MAX, SIZE_MAX, &patients);
    engine_archive_free(archive);

    fixture_open_empty(to);
    to->version = from->version;
    archive = engine_archive_new(to->engine);
    CU_ASSERT_EQUAL_FATAL(engine_load_shared(archive, shared.data, shared.size), OK);
    CU_ASSERT_EQUAL_FATAL(engine_load_patients(archive, count, patients.data, patients.size), OK);
    engine_archive_free(archive);
    engine_wake_patients(to->engine, INT64_MIN, INT64_MAX);
    buffer_deinit(&shared);
    buffer_deinit(&patients);
}

void fixture_close(struct fixture *f)
{
    engine_free(f->engine);
    for (int i = 0; i < f->count; i++) {
        json_decref(f->events[i]);
        free(f->texts[i]);
    }
    f->count = 0;
}

void fixture_tick(struct fixture *f, double minute)
{
    int64_t now_ms = ms_of(minute), up_ms = now_ms - engine_now_ms(f->engine);
    while (engine_tick(f->engine, now_ms, up_ms, TICK_RUNNING))
        up_ms = 0;
}

void fixture_run(struct fixture *f, double minute)
{
    int64_t end_ms = ms_of(minute), due_ms;
    for (unsigned steps = 0; (due_ms = engine_next_due_ms(f->engine)) < end_ms; steps++) {
        CU_ASSERT_FATAL(steps < 100000);
        int64_t now_ms = due_ms + 1 > engine_now_ms(f->engine) ? due_ms + 1 : engine_now_ms(f->engine) + 1;
        while (engine_tick(f->engine, now_ms, now_ms - engine_now_ms(f->engine), TICK_RUNNING))
            ;
    }
    if (end_ms > engine_now_ms(f->engine))
        engine_tick(f->engine, end_ms, end_ms - engine_now_ms(f->engine), TICK_RUNNING);
}

void fixture_restart(struct fixture *f, double minute)
{
    engine_tick(f->engine, ms_of(minute), 0, TICK_START);
}

const char *fixture_time(double minute)
{
    static char texts[8][INSTANT_TEXT_MAX];
    static unsigned next;
    char *text = texts[next++ % 8];
    text[instant_format(ms_of(minute), text)] = '\0';
    return text;
}

enum err fixture_command(struct fixture *f, enum command_kind kind, double minute, const char *format, ...)
{
    struct command command = {.kind = kind};
    char text[8192];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    CU_ASSERT_FATAL(size > 0 && size < (int)sizeof text);
    for (char *at = text; *at != '\0'; at++)
        if (*at == '\'')
            *at = '"';
    buffer_append(&command.json, text, (size_t)size);
    engine_command(f->engine, &command, ms_of(minute));
    snprintf(f->reply, sizeof f->reply, "%.*s", (int)command.reply.size, command.reply.data);
    buffer_deinit(&command.json);
    buffer_deinit(&command.reply);
    return command.outcome;
}

enum err fixture_rule(struct fixture *f, double minute, double from, const char *rule)
{
    return fixture_command(f, COMMAND_RULE, minute,
                           "{'layer':'patient','scope':17,'version':%lld,'author':'Dr A','role':'physician',"
                           "'reason':'r','valid_from':'%s','rule':%s}",
                           (long long)++f->version, fixture_time(from), rule);
}

static uint8_t status_of(const char *text)
{
    static const char *const words[] = {"preliminary", "final", "corrected", "void"};
    for (uint8_t i = 0; text != NULL && i < 4; i++)
        if (strcmp(words[i], text) == 0)
            return i;
    CU_ASSERT_PTR_NULL(text);
    return STATUS_FINAL;
}

static void fill(struct reading *reading, uint8_t *tail, const struct offer *offer, double received)
{
    enum parameter parameter;
    uint16_t size = 0;
    const char *value = offer->value, *device = offer->device == NULL ? "D" : offer->device;
    *reading = (struct reading){.patient_id = 17, .source_id = 1, .next = READING_CHAIN_END};
    CU_ASSERT_EQUAL_FATAL(parameter_by_name(offer->parameter, strlen(offer->parameter), &parameter), OK);
    reading->parameter = (uint16_t)parameter;
    reading->comparator = *value == '<'   ? COMPARATOR_LESS
                          : *value == '>' ? COMPARATOR_GREATER
                                          : COMPARATOR_NONE;
    value += reading->comparator != COMPARATOR_NONE;
    CU_ASSERT_EQUAL_FATAL(decimal_parse(value, strlen(value), NULL, &reading->value), OK);
    reading->measured_at_ms = ms_of(offer->at);
    reading->received_at_ms = ms_of(received);
    reading->issued_ms = offer->issued == 0 ? INSTANT_NONE : ms_of(offer->issued);
    reading->alias_hash = offer->alias;
    reading->status = status_of(offer->status);
    reading->quarantine = offer->quarantine;
    reading->precision = offer->precision;
    reading->flags = offer->flags;
    CU_ASSERT_FATAL(tail_put(tail, TAIL_BYTES, &size, TAIL_KEY_DEVICE, device, strlen(device)));
    if (offer->sensor != NULL)
        CU_ASSERT_FATAL(tail_put(tail, TAIL_BYTES, &size, TAIL_SENSOR, offer->sensor, strlen(offer->sensor)));
    reading->tail_size = size;
    reading_identify(reading, tail, &test_key);
}

void fixture_offer_all(struct fixture *f, const struct offer *offers, int count, double received)
{
    static struct reading heads[OFFERS_MAX];
    static uint8_t tails[OFFERS_MAX * TAIL_BYTES];
    CU_ASSERT_FATAL(count > 0 && count <= OFFERS_MAX);
    for (int i = 0; i < count; i++) {
        fill(&heads[i], tails + i * TAIL_BYTES, &offers[i], received);
        heads[i].tail_offset = (uint32_t)(i * TAIL_BYTES);
        heads[i].next = i + 1 < count ? (uint32_t)(i + 1) : READING_CHAIN_END;
    }
    fixture_tick(f, received);
    engine_decide(f->engine, engine_patient(f->engine, 17), heads, tails, 0, ms_of(received));
    f->verdict = heads[count - 1].verdict;
    f->flags = heads[count - 1].flags;
    f->revision = heads[count - 1].revision;
}

uint8_t fixture_offer(struct fixture *f, struct offer offer)
{
    double received = offer.received == 0 ? offer.at : offer.received;
    if (ms_of(received) < engine_now_ms(f->engine))
        received = (double)(engine_now_ms(f->engine) - EPOCH_MS) / 60000;
    fixture_offer_all(f, &offer, 1, received);
    return f->verdict;
}

const char *event_text(const json_t *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event, key));
    return text == NULL ? "" : text;
}

static double minute_of(const char *text)
{
    struct instant_parsed parsed;
    if (instant_parse(text, strlen(text), &parsed) != INSTANT_GOOD)
        return -1;
    return (double)(parsed.ms - EPOCH_MS) / 60000;
}

static const char *rule_of(const json_t *event)
{
    return event_text(json_object_get(event, "rule"), "id");
}

static void trace_event(struct fixture *f, const json_t *event)
{
    size_t size = strlen(f->trace);
    const char *reason = event_text(event, "reason");
    snprintf(f->trace + size, TRACE_BYTES - size, "%s%s%s %s %g%s%s%s", size == 0 ? "" : " | ",
             json_is_true(json_object_get(event, "retrospective")) ? "~" : "", event_text(event, "event"),
             event_text(event, "priority"), minute_of(event_text(event, "measured_at")),
             *reason == '\0' ? "" : " (", reason, *reason == '\0' ? "" : ")");
}

static const char *trace(struct fixture *f, const char *prefix)
{
    f->trace[0] = '\0';
    for (; f->traced < f->count; f->traced++) {
        const char *rule = rule_of(f->events[f->traced]);
        bool wanted =
            prefix == NULL ? strstr(rule, "silence") == NULL : strncmp(rule, prefix, strlen(prefix)) == 0;
        if (wanted)
            trace_event(f, f->events[f->traced]);
    }
    return f->trace;
}

const char *fixture_trace(struct fixture *f)
{
    return trace(f, NULL);
}

const char *fixture_trace_of(struct fixture *f, const char *rule_prefix)
{
    return trace(f, rule_prefix);
}

static const json_t *last_of_episode(const struct fixture *f, int index)
{
    const char *id = event_text(f->events[index], "episode_id");
    for (int i = 0; i < index; i++)
        if (strcmp(event_text(f->events[i], "episode_id"), id) == 0)
            return NULL; /* shown at its first event */
    const json_t *last = f->events[index];
    for (int i = index + 1; i < f->count; i++)
        if (strcmp(event_text(f->events[i], "episode_id"), id) == 0)
            last = f->events[i];
    return last;
}

static int compare_lines(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static char *episode_line(const json_t *event)
{
    char line[4096];
    int size =
        snprintf(line, sizeof line, "%s%s%s %g-%g %s", rule_of(event), *event_text(event, "side") ? " " : "",
                 event_text(event, "side"), minute_of(event_text(event, "raised_at")),
                 minute_of(event_text(event, "cleared_at")), event_text(event, "state"));
    const json_t *list = json_object_get(event, "priorities");
    for (size_t i = 0; i < json_array_size(list) && size < 4000; i++)
        size += snprintf(line + size, sizeof line - (size_t)size, " %s@%g",
                         json_string_value(json_array_get(json_array_get(list, i), 1)),
                         minute_of(json_string_value(json_array_get(json_array_get(list, i), 0))));
    return strdup(line);
}

const char *fixture_episodes(struct fixture *f)
{
    static char *lines[EVENTS_MAX];
    int count = 0;
    f->trace[0] = '\0';
    for (int i = 0; i < f->count; i++) {
        const json_t *last = last_of_episode(f, i);
        if (last == NULL || strcmp(event_text(last, "state"), "cancelled") == 0 ||
            strstr(rule_of(last), "silence"))
            continue;
        lines[count++] = episode_line(last);
    }
    qsort(lines, (size_t)count, sizeof lines[0], compare_lines);
    for (int i = 0; i < count; i++) {
        size_t size = strlen(f->trace);
        snprintf(f->trace + size, TRACE_BYTES - size, "%s%s", size == 0 ? "" : " | ", lines[i]);
        free(lines[i]);
    }
    return f->trace;
}

const char *fixture_check(const char *found, const char *expected)
{
    if (strcmp(found, expected) != 0)
        fprintf(stderr, "\n  expected %s\n  found    %s\n", expected, found);
    return found;
}

const json_t *fixture_last(const struct fixture *f, const char *event)
{
    for (int i = f->count; i > 0; i--)
        if (strcmp(event_text(f->events[i - 1], "event"), event) == 0)
            return f->events[i - 1];
    return NULL;
}
