/* feeder: before anything is fed, timers catch up with its place. Following, each published event that the
 * engine has not given yet and that stands before the place was decided by a tick: there is one then and
 * there. A past that was tampered with gives other events; what is followed and never comes is passed by. */
#include "daemon/history/feeder.h"

#include <stdlib.h>
#include <string.h>

struct feeder {
    struct engine *engine;
    struct engine_out out;
    const struct published *events; /* NULL: nothing is followed */
    size_t events_count, next;      /* events before `next` came, or were passed by */
    bool *came;
};

static void take_event(void *context, const struct alert_event *event, const char *json, uint32_t json_size)
{
    struct feeder *feeder = context;
    for (size_t i = feeder->next; i < feeder->events_count; i++)
        if (memcmp(feeder->events[i].event_id, event->event_id, UUID_BYTES) == 0) {
            feeder->came[i] = true;
            break;
        }
    feeder->out.event(feeder->out.context, event, json, json_size);
}

static void pass_step(void *context, const struct engine_step *step)
{
    struct feeder *feeder = context;
    feeder->out.step(feeder->out.context, step);
}

struct feeder *feeder_new(const struct engine_settings *settings, const struct engine_out *out)
{
    struct feeder *feeder = calloc(1, sizeof(*feeder));
    ensure(feeder != NULL && out->event != NULL);
    feeder->out = *out;
    feeder->engine = engine_new(settings, &(struct engine_out){.event = take_event,
                                                               .step = out->step == NULL ? NULL : pass_step,
                                                               .context = feeder});
    return feeder;
}

void feeder_free(struct feeder *feeder)
{
    if (feeder == NULL)
        return;
    engine_free(feeder->engine);
    free(feeder->came);
    free(feeder);
}

void feeder_follow(struct feeder *feeder, const struct published *events, size_t count)
{
    ensure(feeder->came == NULL);
    feeder->came = calloc(count + 1, sizeof(*feeder->came));
    ensure(feeder->came != NULL);
    feeder->events = events;
    feeder->events_count = count;
}

static void tick(struct feeder *feeder, int64_t at_ms)
{
    int64_t before_ms = engine_now_ms(feeder->engine);
    int64_t up_ms = before_ms != INT64_MIN && at_ms > before_ms ? at_ms - before_ms : 0;
    while (engine_tick(feeder->engine, at_ms, up_ms, TICK_RUNNING))
        up_ms = 0;
}

static bool stands_before(const struct place *a, const struct place *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->position < b->position;
}

/* The ticks that published events tell of. */
static void follow(struct feeder *feeder, const struct place *place)
{
    for (; feeder->next < feeder->events_count; feeder->next++) {
        const struct published *event = &feeder->events[feeder->next];
        if (feeder->came[feeder->next])
            continue;
        if (!stands_before(&event->place, place))
            return;
        tick(feeder, event->place.at_ms);
    }
}

static void tick_when_due(struct feeder *feeder, int64_t at_ms)
{
    int64_t due_ms;
    while ((due_ms = engine_next_due_ms(feeder->engine)) < at_ms - 1) {
        int64_t now_ms = engine_now_ms(feeder->engine);
        tick(feeder, due_ms + 1 > now_ms ? due_ms + 1 : now_ms + 1);
    }
}

static void catch_up(struct feeder *feeder, const struct place *place)
{
    if (feeder->events != NULL)
        follow(feeder, place);
    else
        tick_when_due(feeder, place->at_ms);
}

void feeder_start(struct feeder *feeder, const struct place *place, int64_t since_ms, int64_t up_ms,
                  enum tick_kind kind)
{
    if (since_ms != INSTANT_NONE) {
        catch_up(feeder, &(struct place){since_ms, place->position});
        tick(feeder, since_ms);
    }
    while (engine_tick(feeder->engine, place->at_ms, up_ms, kind)) {
        up_ms = 0;
        kind = TICK_RUNNING;
    }
}

enum err feeder_command(struct feeder *feeder, const struct place *place, const char *json, size_t json_size)
{
    struct command command = {.kind = command_kind_of(json, json_size)};
    if (command.kind == COMMAND_COUNT)
        return ERR_FORMAT;
    catch_up(feeder, place);
    if (engine_now_ms(feeder->engine) != INT64_MIN)
        tick(feeder, place->at_ms);
    buffer_append(&command.json, json, json_size);
    engine_command(feeder->engine, &command, place->at_ms);
    buffer_deinit(&command.json);
    buffer_deinit(&command.reply);
    return command.outcome;
}

enum err feeder_request(struct feeder *feeder, const struct place *place, struct reading *readings,
                        uint32_t count, const uint8_t *tails)
{
    ensure(count > 0);
    catch_up(feeder, place);
    tick(feeder, place->at_ms);
    struct patient *patient = engine_patient(feeder->engine, readings[0].patient_id);
    if (patient == NULL)
        return ERR_NOT_FOUND;
    for (uint32_t i = 0; i < count; i++) {
        readings[i].received_at_ms = place->at_ms;
        readings[i].next = i + 1 < count ? i + 1 : READING_CHAIN_END;
    }
    engine_decide(feeder->engine, patient, readings, tails, 0, place->at_ms);
    return OK;
}

void feeder_finish(struct feeder *feeder, const struct place *place)
{
    catch_up(feeder, &(struct place){place->at_ms, place->position + 1});
    if (feeder->events == NULL)
        tick(feeder, place->at_ms);
}

struct engine *feeder_engine(const struct feeder *feeder)
{
    return feeder->engine;
}
