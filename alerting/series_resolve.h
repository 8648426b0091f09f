/* series_resolve: which held readings are members of the series, from the set alone, never from the order of
 * arrival (RULES.md section 1, versions). Only series.c includes this. */
#ifndef VIGIE_ALERTING_SERIES_RESOLVE_H
#define VIGIE_ALERTING_SERIES_RESOLVE_H

#include "alerting/series.h"

/* Members among the items [low, high) of one key that no amendment may concern. */
void series__resolve_key(struct series *series, const struct names *names, size_t low, size_t high);
/* Which of the first `count` items are amendments that have to do with any of the others; up to when they all
 * will. */
int64_t series__find_meant(const struct series *series, size_t count, bool *meant);
/* Members of the whole series. */
void series__resolve_all(struct series *series, const struct names *names);
/* A member of this key came or went. */
void series__note_change(struct series *series, const struct names *names, const struct reading_key *key);
/* True when members of this key have been judged: a change here is one of the past. */
bool series__is_judged(const struct series *series, const struct names *names, const struct reading_key *key);

#endif
