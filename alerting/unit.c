/* unit: events are put in order (cancelled first, then measured time, rule id, side, sequence; patients of
 * one tick by their number), rendered, handed out. */
#include "alerting/unit.h"

#include <stdlib.h>
#include <string.h>

#include "alerting/engine_state.h"
#include "alerting/episodes.h"
#include "alerting/event_render.h"
#include "alerting/grow.h"

void unit_begin(struct unit *unit, int64_t now_ms, const char *cause, bool of_rules)
{
    ensure(unit->count == 0);
    if (++unit->number == 0) /* 0: of a unit long ago */
        unit->number = 1;
    unit->now_ms = now_ms;
    unit->cause = cause;
    unit->of_rules = of_rules;
    unit->kept = false;
}

struct pending *unit_add(struct unit *unit, struct ledger *ledger, struct episode *episode,
                         enum event_kind kind)
{
    int64_t order_ms = episode->unit == unit->number ? unit->items[episode->event].order_ms : INT64_MIN;
    episode->unit = unit->number;
    episode->event = (uint32_t)unit->count;
    unit->items = grow(unit->items, unit->count + 1, &unit->capacity, sizeof unit->items[0]);
    struct pending *pending = &unit->items[unit->count++];
    *pending = (struct pending){
        .ledger = ledger, .episode = episode, .kind = kind, .order_ms = order_ms, .until_ms = INSTANT_NONE};
    return pending;
}

static int64_t patient_number(const struct pending *pending)
{
    return pending->ledger->patient == NULL ? 0 : pending->ledger->patient->patient_id;
}

static int compare_integers(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare(const void *left, const void *right)
{
    const struct pending *a = left, *b = right;
    int order = (b->kind == EVENT_CANCELLED) - (a->kind == EVENT_CANCELLED);
    if (order == 0)
        order = compare_integers(a->order_ms, b->order_ms);
    if (order == 0)
        order = strcmp(a->ledger->rule_id, b->ledger->rule_id);
    if (order == 0)
        order = (int)a->ledger->side - (int)b->ledger->side;
    if (order == 0)
        order = compare_integers(a->sequence, b->sequence);
    if (order == 0)
        order = compare_integers(patient_number(a), patient_number(b));
    return order != 0 ? order : memcmp(a->episode->id, b->episode->id, UUID_BYTES);
}

void unit_publish(struct engine *engine)
{
    struct unit *unit = &engine->unit;
    if (unit->count > 1)
        qsort(unit->items, unit->count, sizeof unit->items[0], compare);
    for (size_t i = 0; i < unit->count; i++) {
        struct alert_event event;
        event_render(engine, &unit->items[i], &event, &engine->json);
        engine->out.event(engine->out.context, &event, engine->json.data, (uint32_t)engine->json.size);
    }
    for (size_t i = 0; i < unit->count; i++)
        ledger_bound(unit->items[i].ledger, engine);
    unit->count = 0;
}
