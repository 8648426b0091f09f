/* timers: a binary min-heap of patients by (due, patient id); ties are broken by the id, so that the order of
 * expiry is a function of the state and not of the heap's history. */
#include "alerting/engine_state.h"
#include "alerting/grow.h"

static bool earlier(const struct patient *a, const struct patient *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->patient_id < b->patient_id;
}

static void put(struct engine *engine, size_t index, struct patient *patient)
{
    engine->heap[index] = patient;
    ensure(index < UINT32_MAX);
    patient->heap_index = (uint32_t)index;
}

static void sift_up(struct engine *engine, size_t index)
{
    struct patient *patient = engine->heap[index];
    for (; index > 0 && earlier(patient, engine->heap[(index - 1) / 2]); index = (index - 1) / 2)
        put(engine, index, engine->heap[(index - 1) / 2]);
    put(engine, index, patient);
}

static void sift_down(struct engine *engine, size_t index)
{
    struct patient *patient = engine->heap[index];
    for (;;) {
        size_t child = 2 * index + 1;
        if (child + 1 < engine->heap_count && earlier(engine->heap[child + 1], engine->heap[child]))
            child++;
        if (child >= engine->heap_count || !earlier(engine->heap[child], patient))
            break;
        put(engine, index, engine->heap[child]);
        index = child;
    }
    put(engine, index, patient);
}

static void take_out(struct engine *engine, struct patient *patient)
{
    size_t index = patient->heap_index;
    patient->due_ms = INT64_MAX;
    patient->heap_index = UINT32_MAX;
    struct patient *last = engine->heap[--engine->heap_count];
    if (last == patient)
        return;
    put(engine, index, last);
    sift_up(engine, last->heap_index);
    sift_down(engine, last->heap_index);
}

void timers_set(struct engine *engine, struct patient *patient, int64_t due_ms)
{
    if (patient->heap_index == UINT32_MAX) {
        if (due_ms == INT64_MAX)
            return;
        engine->heap =
            grow(engine->heap, engine->heap_count + 1, &engine->heap_capacity, sizeof engine->heap[0]);
        patient->due_ms = due_ms;
        put(engine, engine->heap_count++, patient);
    } else if (due_ms == INT64_MAX) {
        take_out(engine, patient);
        return;
    }
    patient->due_ms = due_ms;
    sift_up(engine, patient->heap_index);
    sift_down(engine, patient->heap_index);
}
