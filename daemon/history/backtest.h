/* backtest: candidate rules against what happened. For every patient the stored history is played into an
 * engine in which the candidates stand in the place of the line's rules of the same ids, in force and
 * confirmed since before all that is played; the episodes that follow are held against those that were
 * published. Owner:   the caller's structs; backtest_result_deinit() frees what it grew to. Threads:
 * backtest_run() starts `jobs` workers, each with a connection and engines of its own, and ends them;
 *          progress and stop may be met by any thread meanwhile.
 * Fails:   ERR_CLOSED: stopped; ERR_REFUSED: the engine refuses a candidate (result.fault says which); else
 * as history.h, result.fault is what PostgreSQL said. Choices: rules of patient, team and organisation stand
 * above the candidates as they did. What was published and what follows match as RULES.md section 5 matches:
 * equal beginnings, or an instant in common; a match is `unchanged`, and `changed` besides when beginning,
 * end or priority differ. An episode counts when it was raised in [from, to); readings received up to a
 * look-back after `to` are played, late ones among them. */
#ifndef VIGIE_DAEMON_HISTORY_BACKTEST_H
#define VIGIE_DAEMON_HISTORY_BACKTEST_H

#include <stdatomic.h>

#include "alerting/rule.h"
#include "daemon/history/history.h"

struct backtest_rule {
    char id[RULE_ID_BYTES_MAX + 1], line[REF_BYTES_MAX + 1];
    char *command; /* the journaled command that would have brought it */
};

struct backtest_progress {
    _Atomic uint32_t patients_done;
    _Atomic uint64_t readings;
    _Atomic bool stop;
};

struct backtest_options {
    const char *conninfo;
    const struct engine_settings *settings;
    const struct backtest_rule *rules;
    size_t rules_count;
    int64_t from_ms, to_ms;
    const int64_t *patients; /* in order */
    uint32_t patients_count;
    unsigned jobs;
    int quit_fd; /* readable when it is to end soon; -1 without */
    struct backtest_progress *progress;
};

enum backtest_verdict { BACKTEST_ADDED, BACKTEST_REMOVED, BACKTEST_UNCHANGED };

struct backtest_episode {
    enum backtest_verdict verdict;
    bool changed, relevant;         /* relevant: handled with that outcome */
    bool before, after;             /* raised in the time asked for, as published and as it follows */
    uint8_t episode_id[UUID_BYTES]; /* as published; of an added one as computed */
    char patient[REF_BYTES_MAX + 1], rule_id[RULE_ID_BYTES_MAX + 1], side[8], priority[8];
    int64_t raised_ms, cleared_ms; /* INT64_MAX: open */
};

struct backtest_result {
    struct backtest_episode *episodes; /* by patient, rule, side and beginning */
    size_t count, capacity;
    int64_t watched_ms; /* of all patients together */
    uint64_t readings;
    uint32_t patients;
    char fault[256];
};

MUST_CHECK enum err backtest_run(const struct backtest_options *options, struct backtest_result *result);
void backtest_result_deinit(struct backtest_result *result);

#endif
