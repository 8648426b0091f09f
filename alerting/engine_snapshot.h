/* engine_snapshot: the engine's state as bytes, in pieces, and back (DESIGN.md section 2, "Snapshots are
 * fuzzy"). Equal states give equal bytes, and a loaded engine decides as the one that was saved would.
 *   shared state, true for a position   rules of teams, organisations and lines, outages, engine time
 *   patients in order of their number   each true for its own, never an earlier, position
 * What was loaded of a patient is dormant: commands, readings and timers pass it by until it is woken,
 * because what a replay brings before its position is in it already. What reaches all patients at once may
 * not lie between their positions: engine_snapshot_bond() tells, and the saver begins anew. Readings held,
 * their ids and times, episodes with what was published of them: nothing is decided again by loading, so a
 * snapshot of an older engine stands for what that engine published. Timelines of rules are saved as they
 * were in force, not built again, for the same reason.
 * Owner:   an archive belongs to who made it and borrows
 * the engine. Threads: the shard's alone.
 * Fails:   loading bytes that no saver made gives ERR_CORRUPT and
 * never more than that; the engine may then only be freed. Saving fails never. */
#ifndef VIGIE_ALERTING_ENGINE_SNAPSHOT_H
#define VIGIE_ALERTING_ENGINE_SNAPSHOT_H

#include "alerting/engine.h"

enum { ENGINE_SNAPSHOT_FORMAT = 4 }; /* of these bytes; a reader refuses all others */

struct archive;
struct archive *engine_archive_new(struct engine *engine);
void engine_archive_free(struct archive *archive);

/* What a snapshot under way is bound to: another number after anything that reaches patients without naming
 * them: a rule of a team, an organisation or a line, an outage. */
uint64_t engine_snapshot_bond(const struct engine *engine);

/* Append to `out`, which has room for what a turn saves: it grows only for a patient beyond all of them. */
void engine_save_shared(struct archive *archive, struct buffer *out);
/* The patients behind *last_id, until they are `bytes_max` or `patients_max`, but one at least; moves
 * *last_id to the last one; how many they were: 0 when there are no more. */
unsigned engine_save_patients(struct archive *archive, int64_t *last_id, unsigned patients_max,
                              size_t bytes_max, struct buffer *out);

/* Into an engine that has done nothing yet. */
MUST_CHECK enum err engine_load_shared(struct archive *archive, const void *data, size_t size);
/* `count` patients, behind all that were loaded. */
MUST_CHECK enum err engine_load_patients(struct archive *archive, unsigned count, const void *data,
                                         size_t size);

/* Wakes the loaded patients with numbers in (after_id, last_id]. */
void engine_wake_patients(struct engine *engine, int64_t after_id, int64_t last_id);
size_t engine_dormant_count(const struct engine *engine);
size_t engine_patients_count(const struct engine *engine);
bool engine_is_dormant(const struct patient *patient);

#endif
