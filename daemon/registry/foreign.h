/* foreign: the trace of sources that name patients or devices that are not theirs (DESIGN.md principle 6,
 * FAULTS.md section 2): each is a row of audit.event, action `claim.foreign`: the source, what kind of claim,
 * a keyed hash of what was claimed, how many messages and from when to when. The claim itself is nowhere.
 *
 *   loops ── put() ──► inbox of the loop (bounded) ──► take(): table of the registry thread ──► write()
 *
 * Bounded against a sender who goes on: the first message of a (source, kind, claim) is written within a
 * second, its repetitions once a minute as one row with their number; a minute has at most ROWS_A_MINUTE
 * rows, and what finds no place in the table or the inbox is summed in one row more. While PostgreSQL is away
 * the table keeps and sums; a process that ends without a stop loses what it had not written, as much as a
 * minute: the log has the first message of each, vigie_foreign_claims_total all of them. Owner:   service
 * makes an inbox a loop; the registry thread its trace. Threads: put() on the loop, the rest on the registry
 * thread. Holds:   put() takes no lock and no memory. */
#ifndef VIGIE_DAEMON_REGISTRY_FOREIGN_H
#define VIGIE_DAEMON_REGISTRY_FOREIGN_H

#include "daemon/registry/registry_rows.h"
#include "storage/postgres.h"

enum foreign_kind {
#define FOREIGN(id, word, help) FOREIGN_##id,
#include "daemon/registry/foreign.def"
#undef FOREIGN
    FOREIGN_KINDS
};

struct foreign_claim {
    int64_t source_id;
    uint64_t claim; /* keyed hash of (system, value); of an identifier the head of its hash in the registry */
    int64_t at_ms;  /* engine time */
    enum foreign_kind kind;
};

struct foreign_inbox;
struct foreign_inbox *foreign_inbox_new(void);
void foreign_inbox_free(struct foreign_inbox *inbox);
/* NULL inbox: nobody traces. */
void foreign_inbox_put(struct foreign_inbox *inbox, const struct foreign_claim *claim);

struct foreign_trace;
struct foreign_trace *foreign_trace_new(void);
void foreign_trace_free(struct foreign_trace *trace);
/* Empties the inbox into the table; the first of its kind goes to the log, `rows` know the source's name. */
void foreign_trace_take(struct foreign_trace *trace, struct foreign_inbox *inbox, const struct rows *rows);
/* The next row that is due at `now_ms` of the monotonic clock; `all`: what waits for its minute too, at a
 * stop. It stays due until it is said to be written. */
struct foreign_row {
    struct foreign_claim claim; /* at_ms: of the first message; kind FOREIGN_KINDS: the rest, of nobody */
    int64_t last_ms;
    uint64_t messages;
};
bool foreign_trace_next(struct foreign_trace *trace, int64_t now_ms, bool all, struct foreign_row *ret);
void foreign_trace_written(struct foreign_trace *trace, int64_t now_ms);
/* Every row that is due to audit.event; on an error the rest stays due. */
MUST_CHECK enum err foreign_trace_write(struct foreign_trace *trace, struct postgres *postgres,
                                        const struct rows *rows, int64_t now_ms, bool all);

const char *foreign_word(enum foreign_kind kind);

#endif
