/* episodes: what was published of the episodes of one rule and side, and the difference to what now is
 * (RULES.md section 5: ids that stick, matching, prefix rule, live or retrospective, paged priority).
 * Owner:   tracks and technical alerts hold the ledgers. Threads: the shard's alone.
 * Choices: "leaves the episode open" is meant at the end of the unit: a breach that is over within one upload
 * does not page; events of technical alerts are live, as those of silence are. */
#ifndef VIGIE_ALERTING_EPISODES_H
#define VIGIE_ALERTING_EPISODES_H

#include "alerting/unit.h"

void story_deinit(struct story *story);
void story_copy(struct story *to, const struct story *from);
struct transition *story_add(struct story *story, const struct transition *transition);
bool story_is_open(const struct story *story);
int64_t story_end_ms(const struct story *story); /* INT64_MAX while open */
struct story_list;
struct story *story_list_push(struct story_list *stories); /* an empty one */
void story_list_clear(struct story_list *stories);

void ledger_deinit(struct ledger *ledger, struct engine *engine);
struct episode *ledger_open_episode(const struct ledger *ledger);
/* Takes an episode whose id is set; it is found by that id from now on. */
void ledger_take_episode(struct engine *engine, struct ledger *ledger, struct episode *episode);

/* What every ledger is between units: read from a snapshot it may be anything. */
bool ledger_is_sorted(const struct ledger *ledger);

/* What a difference is taken in. */
struct scene {
    struct engine *engine;
    struct ledger *ledger;
    const struct series *series;                 /* NULL for silence, technical and device alerts */
    const struct device_message *newest_message; /* of a device episode, in place of series */
    bool has_fresh;                              /* a fresh breach was met: */
    struct transition fresh; /* what the event `live` then rests on; of no kind or priority */
    bool of_data;            /* days: data of this unit decided, and this is the */
    int64_t judged_day;      /* newest closed day that is judged */
};

/* Whether an event of the transition is live, given whether the episode stays open. */
bool scene_is_live(const struct scene *scene, const struct transition *transition, bool stays_open);

/* In order: the next transition of the open episode, or the beginning of one. `stays_open`: at the unit's
 * end. */
void ledger_step(const struct scene *scene, const struct transition *transition,
                 const struct reading_key *began, uint32_t in_breach, bool stays_open);
/* A beginning in order whose end is known: ends_ms INT64_MAX when it is open at the unit's end. */
void ledger_raise(const struct scene *scene, const struct transition *transition,
                  const struct reading_key *began, uint32_t in_breach, int64_t ends_ms);
/* After a replay: `stories` are all episodes of the held past (they are taken). */
void ledger_settle(const struct scene *scene, struct story *stories, size_t count);
/* An open episode that is more urgent than it ever paged meets a fresh breach: the event `live`. */
void ledger_live(const struct scene *scene);

/* An end that a person gives: live, as all that commands do. */
void ledger_end_episode(struct engine *engine, struct ledger *ledger, struct episode *episode,
                        const struct transition *transition);
/* Events that are no transitions: what episode_act.h does, suspended, resumed. */
struct pending *ledger_act(struct engine *engine, struct ledger *ledger, struct episode *episode,
                           enum event_kind kind);

/* Forgets what ended before the instant; not what is on a shelf, or has an event in this unit. Nor what was
 * cancelled and began at or after begins_ms, where an episode to come may begin (of days its number): its id
 * would be made again. */
void ledger_prune(struct ledger *ledger, struct engine *engine, int64_t before_ms, int64_t begins_ms);
/* Between units: at most EPISODES_PER_RULE_MAX are held, the oldest beyond are frozen: what is open or on a
 * shelf stays. */
void ledger_bound(struct ledger *ledger, struct engine *engine);

/* RULES.md section 5: the id of an episode of this beginning, used `generation` times before. */
void episode_identify(const struct ledger *ledger, const struct reading_key *began, uint32_t generation,
                      uint8_t id[UUID_BYTES]);
void event_identify(const uint8_t episode_id[UUID_BYTES], uint32_t sequence, uint8_t id[UUID_BYTES]);

#endif
