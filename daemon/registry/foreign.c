/* foreign: see the header for the way of a claim. The table is searched from end to end: it is small, and
 * only who claims what is not theirs makes it longer. */
#include "daemon/registry/foreign.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/buffer.h"
#include "daemon/base/ensure.h"
#include "daemon/base/instant.h"
#include "daemon/base/log.h"
#include "daemon/base/ring.h"

enum { INBOX_CLAIMS = 256, TABLE_ROWS = 256, ROWS_A_MINUTE = 60, MINUTE_MS = 60000 };

struct foreign_inbox {
    struct foreign_claim claims[INBOX_CLAIMS];
    struct ring *filled, *spare; /* loop to registry thread, and back */
    _Atomic uint64_t lost;       /* no spare; written by the loop, read by the registry thread */
};

/* One (source, kind, claim), or the rest, with messages not yet written. */
struct entry {
    struct foreign_claim claim; /* at_ms: of the first message not yet written */
    int64_t last_ms;
    uint64_t messages;
    int64_t written_ms; /* monotonic; INSTANT_NONE: never */
};

struct foreign_trace {
    struct entry table[TABLE_ROWS], rest;
    struct entry *given; /* by foreign_trace_next(), not yet written */
    uint32_t count;
    int64_t minute_ms; /* monotonic, when it began */
    unsigned rows_of_minute;
};

const char *foreign_word(enum foreign_kind kind)
{
    static const char *const words[FOREIGN_KINDS] = {
#define FOREIGN(id, word, help) word,
#include "daemon/registry/foreign.def"
#undef FOREIGN
    };
    return kind < FOREIGN_KINDS ? words[kind] : "rest";
}

/* ---- inbox ---- */

struct foreign_inbox *foreign_inbox_new(void)
{
    struct foreign_inbox *inbox = calloc(1, sizeof(*inbox));
    ensure(inbox != NULL);
    inbox->filled = ring_new(INBOX_CLAIMS);
    inbox->spare = ring_new(INBOX_CLAIMS);
    ensure(inbox->filled != NULL && inbox->spare != NULL);
    for (unsigned i = 0; i < INBOX_CLAIMS; i++) {
        bool was_empty;
        enum err error = ring_push(inbox->spare, &inbox->claims[i], &was_empty);
        ensure(error == OK);
    }
    return inbox;
}

void foreign_inbox_free(struct foreign_inbox *inbox)
{
    if (inbox == NULL)
        return;
    ring_free(inbox->filled);
    ring_free(inbox->spare);
    free(inbox);
}

void foreign_inbox_put(struct foreign_inbox *inbox, const struct foreign_claim *claim)
{
    if (inbox == NULL)
        return;
    struct foreign_claim *slot = ring_pop(inbox->spare);
    if (slot == NULL) {
        atomic_fetch_add_explicit(&inbox->lost, 1, memory_order_relaxed);
        return;
    }
    bool was_empty;
    *slot = *claim;
    enum err error = ring_push(inbox->filled, slot, &was_empty); /* nobody is rung: a second is soon enough */
    ensure(error == OK);
}

static bool inbox_take(struct foreign_inbox *inbox, struct foreign_claim *ret)
{
    struct foreign_claim *slot = ring_pop(inbox->filled);
    if (slot == NULL)
        return false;
    bool was_empty;
    *ret = *slot;
    enum err error = ring_push(inbox->spare, slot, &was_empty);
    ensure(error == OK);
    return true;
}

/* ---- table ---- */

struct foreign_trace *foreign_trace_new(void)
{
    struct foreign_trace *trace = calloc(1, sizeof(*trace));
    ensure(trace != NULL);
    trace->rest.claim.kind = FOREIGN_KINDS;
    trace->rest.written_ms = INSTANT_NONE;
    trace->minute_ms = INSTANT_NONE;
    return trace;
}

void foreign_trace_free(struct foreign_trace *trace)
{
    free(trace);
}

static const char *source_ref(const struct rows *rows, int64_t source_id)
{
    const struct row_source *source = source_id == 0 ? NULL : rows_find_id(rows, ROW_SOURCE, source_id);
    return source == NULL ? "-" : source->ref;
}

static struct entry *find(struct foreign_trace *trace, const struct foreign_claim *claim)
{
    for (uint32_t i = 0; i < trace->count; i++) {
        const struct foreign_claim *known = &trace->table[i].claim;
        if (known->source_id == claim->source_id && known->kind == claim->kind &&
            known->claim == claim->claim)
            return &trace->table[i];
    }
    return NULL;
}

static struct entry *add(struct foreign_trace *trace, const struct foreign_claim *claim,
                         const struct rows *rows)
{
    if (trace->count == TABLE_ROWS)
        return &trace->rest;
    log_write(LOG_WARNING, "claims",
              "a message names what is not its source's source=%s kind=%s claim=%016" PRIx64
              " hint=\"it was refused; audit.event counts them\"",
              source_ref(rows, claim->source_id), foreign_word(claim->kind), claim->claim);
    struct entry *entry = &trace->table[trace->count++];
    *entry = (struct entry){.claim = *claim, .written_ms = INSTANT_NONE};
    return entry;
}

static void count(struct entry *entry, int64_t at_ms, uint64_t messages)
{
    if (entry->messages == 0)
        entry->claim.at_ms = at_ms;
    entry->last_ms = at_ms;
    entry->messages += messages;
}

void foreign_trace_take(struct foreign_trace *trace, struct foreign_inbox *inbox, const struct rows *rows)
{
    struct foreign_claim claim = {.at_ms = INSTANT_NONE};
    for (unsigned i = 0; i < INBOX_CLAIMS && inbox_take(inbox, &claim); i++) {
        struct entry *entry = find(trace, &claim);
        count(entry != NULL ? entry : add(trace, &claim, rows), claim.at_ms, 1);
    }
    uint64_t lost = atomic_exchange_explicit(&inbox->lost, 0, memory_order_relaxed);
    if (lost > 0)
        count(&trace->rest, claim.at_ms, lost);
}

/* ---- rows of audit.event ---- */

static bool is_due(const struct entry *entry, int64_t now_ms, bool all)
{
    return entry->messages > 0 &&
           (all || entry->written_ms == INSTANT_NONE || now_ms - entry->written_ms >= MINUTE_MS);
}

static struct entry *next_due(struct foreign_trace *trace, int64_t now_ms, bool all)
{
    for (uint32_t i = 0; i < trace->count && (all || trace->rows_of_minute < ROWS_A_MINUTE); i++)
        if (is_due(&trace->table[i], now_ms, all))
            return &trace->table[i];
    return is_due(&trace->rest, now_ms, all) ? &trace->rest : NULL;
}

/* Whoever has been quiet for a minute makes room. */
static void forget_quiet(struct foreign_trace *trace, int64_t now_ms)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < trace->count; i++)
        if (trace->table[i].messages > 0 || now_ms - trace->table[i].written_ms < MINUTE_MS)
            trace->table[kept++] = trace->table[i];
    trace->count = kept;
}

bool foreign_trace_next(struct foreign_trace *trace, int64_t now_ms, bool all, struct foreign_row *ret)
{
    if (trace->minute_ms == INSTANT_NONE || now_ms - trace->minute_ms >= MINUTE_MS) {
        trace->minute_ms = now_ms;
        trace->rows_of_minute = 0;
    }
    struct entry *due = next_due(trace, now_ms, all);
    trace->given = due;
    if (due == NULL) {
        forget_quiet(trace, now_ms);
        return false;
    }
    *ret = (struct foreign_row){.claim = due->claim, .last_ms = due->last_ms, .messages = due->messages};
    return true;
}

void foreign_trace_written(struct foreign_trace *trace, int64_t now_ms)
{
    ensure(trace->given != NULL);
    trace->given->messages = 0;
    trace->given->written_ms = now_ms;
    trace->rows_of_minute += trace->given != &trace->rest;
    trace->given = NULL;
}

static void render_detail(const struct foreign_row *row, struct buffer *detail)
{
    char hash[17];
    snprintf(hash, sizeof hash, "%016" PRIx64, row->claim.claim);
    render_open(detail, '{');
    if (row->claim.kind < FOREIGN_KINDS)
        render_text_member(detail, "claim", hash);
    render_integer_member(detail, "messages", (int64_t)row->messages);
    render_instant_member(detail, "first", row->claim.at_ms);
    render_instant_member(detail, "last", row->last_ms);
    render_close(detail, '}');
    buffer_append(detail, "", 1);
}

static enum err append_row(struct postgres *postgres, const struct foreign_row *row, const struct rows *rows)
{
    static const char sql[] = "SELECT audit.append($1, 'source', 'claim.foreign', $2, $3::json)";
    struct buffer detail = {.data = NULL};
    PGresult *result;
    render_detail(row, &detail);
    const char *const values[] = {source_ref(rows, row->claim.source_id), foreign_word(row->claim.kind),
                                  detail.data};
    const struct postgres_parameters parameters = {.count = 3, .values = values};
    enum err error = postgres_query(postgres, sql, &parameters, &result);
    if (error == OK)
        PQclear(result);
    buffer_deinit(&detail);
    return error;
}

enum err foreign_trace_write(struct foreign_trace *trace, struct postgres *postgres, const struct rows *rows,
                             int64_t now_ms, bool all)
{
    struct foreign_row row;
    while (foreign_trace_next(trace, now_ms, all, &row)) {
        enum err error = append_row(postgres, &row, rows);
        if (error != OK)
            return error;
        foreign_trace_written(trace, now_ms);
    }
    return OK;
}
