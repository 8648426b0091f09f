/* foresight: a chain of pointers is fetched a link at each call: the place in the map of patients, the
 * patient, its lists, its series and rules of silence, the rules of the series with the newest reading, their
 * sides. A stage reads only what the stage before it has fetched. */
#include "alerting/foresight.h"

#include "alerting/engine_state.h"

enum { LINE_BYTES = 64 };

static void fetch(const void *memory, size_t size)
{
    for (size_t at = 0; at < size; at += LINE_BYTES)
        __builtin_prefetch((const char *)memory + at);
}

static void fetch_map(struct engine *engine, struct foreseen *seen)
{
    fetch(index_map_place(&engine->patients_by_id, (uint64_t)seen->patient_id), 1);
}

static void fetch_patient(struct engine *engine, struct foreseen *seen)
{
    seen->patient = index_map_get(&engine->patients_by_id, (uint64_t)seen->patient_id);
    if (seen->patient != NULL)
        fetch(seen->patient, sizeof *seen->patient);
}

static void fetch_lists(struct engine *engine, struct foreseen *seen)
{
    fetch(seen->patient->series, 1);
    fetch(seen->patient->tracks, 1);
    fetch(seen->patient->names.items, 1);
    fetch(seen->patient->zones, 1);
}

static struct series *series_of(const struct foreseen *seen, unsigned i)
{
    const struct patient *patient = seen->patient;
    for (size_t s = 0; s < patient->series_count; s++)
        if ((unsigned)patient->series[s].parameter == seen->parameters[i])
            return patient->series[s].series;
    return NULL;
}

static void fetch_series(struct engine *engine, struct foreseen *seen)
{
    const struct patient *patient = seen->patient;
    for (unsigned i = 0; i < seen->count; i++)
        fetch(series_of(seen, i), sizeof(struct series));
    for (uint64_t left = patient->listening; left != 0; left &= left - 1)
        fetch(patient->tracks[__builtin_ctzll(left)], sizeof(struct track));
    if (patient->names.count > 0)
        fetch(patient->names.items[0], 1);
}

static void fetch_tracks(struct engine *engine, struct foreseen *seen)
{
    const struct patient *patient = seen->patient;
    for (unsigned i = 0; i < seen->count; i++) {
        const struct series *series = series_of(seen, i);
        if (series == NULL)
            continue;
        fetch(series->held.items + series->held.start + series->held.count, 1);
        fetch(series->held.items + series->held.start, 1);
        for (uint64_t left = series->tracks; left != 0; left &= left - 1)
            fetch(patient->tracks[__builtin_ctzll(left)], sizeof(struct track));
    }
    for (uint64_t left = patient->listening; left != 0; left &= left - 1) {
        const struct track *track = patient->tracks[__builtin_ctzll(left)];
        fetch(track->silence, sizeof *track->silence);
        fetch(track->timeline.items, 1);
    }
}

static void fetch_sides(struct engine *engine, struct foreseen *seen)
{
    for (unsigned i = 0; i < seen->count; i++) {
        const struct series *series = series_of(seen, i);
        for (uint64_t left = series == NULL ? 0 : series->tracks; left != 0; left &= left - 1) {
            const struct track *track = seen->patient->tracks[__builtin_ctzll(left)];
            fetch(track->timeline.items, 1);
            for (unsigned side = 0; side < SIDE_COUNT; side++)
                fetch(track->side[side], 2 * LINE_BYTES);
        }
    }
}

static void (*const stages[])(struct engine *engine, struct foreseen *seen) = {
    fetch_map, fetch_patient, fetch_lists, fetch_series, fetch_tracks, fetch_sides,
};
enum { STAGES = sizeof stages / sizeof stages[0] };
static_assert((int)STAGES == (int)ENGINE_FORESIGHT && (int)STAGES <= (int)FORESIGHT_PLACES, "a stage a call");

static void take(struct foreseen *seen, const struct reading *heads, uint32_t first)
{
    *seen = (struct foreseen){.patient_id = heads[first].patient_id};
    for (uint32_t i = first; i != READING_CHAIN_END && seen->count < FORESIGHT_PARAMETERS; i = heads[i].next)
        seen->parameters[seen->count++] = heads[i].parameter;
}

void foresight_look(struct engine *engine, const struct reading *heads, uint32_t first)
{
    struct foresight *foresight = &engine->foresight;
    take(&foresight->places[foresight->next % FORESIGHT_PLACES], heads, first);
    for (unsigned stage = 0; stage < STAGES; stage++) {
        struct foreseen *seen = &foresight->places[(foresight->next - stage) % FORESIGHT_PLACES];
        if (stage < 2 || seen->patient != NULL)
            stages[stage](engine, seen);
    }
    foresight->next++;
}
