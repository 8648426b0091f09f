/* spans: sorted, disjoint stretches of time [from, to) and the time that is free of them. Silence counts up
 * time: what is neither an outage of our own nor a suspension of the patient (RULES.md section 4). Owner: the
 * struct lives in its holder; spans_deinit() frees what it grew to. Threads: one at a time. Holds:
 * items[i].to < items[i + 1].from; touching stretches are one. */
#ifndef VIGIE_ALERTING_SPANS_H
#define VIGIE_ALERTING_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
    int64_t from_ms, to_ms;
};

struct spans {
    struct span *items;
    size_t count, capacity;
};

void spans_deinit(struct spans *spans);

/* Adds [from, to), joined with what it touches; nothing when it is empty. */
void spans_add(struct spans *spans, int64_t from_ms, int64_t to_ms);

/* True when the stretch [from, to) shares an instant with one of them. */
bool spans_touch(const struct spans *spans, int64_t from_ms, int64_t to_ms);

/* The first instant at which `amount_ms` of time free of both sets has passed since `from_ms`. */
int64_t spans_reach(const struct spans *a, const struct spans *b, int64_t from_ms, int64_t amount_ms);

/* The first edge (a beginning or an end) later than `after_ms`; INT64_MAX without. *ret_begins says which. */
int64_t spans_next_edge(const struct spans *spans, int64_t after_ms, bool *ret_begins);

/* The instant, or the end of the stretch that covers it. */
int64_t spans_leave(const struct spans *spans, int64_t ms);

/* Time covered within [from, to). */
int64_t spans_covered(const struct spans *spans, int64_t from_ms, int64_t to_ms);

#endif
