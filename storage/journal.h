/* journal: what "durable" means. One append-only log per shard, DESIGN.md section 2; the format, its validity
 * rule and the crash argument open storage/journal_format.h.
 * A position names a record for ever: (segment number << 32) | offset of the record in its segment. Positions
 * grow and are never used again, not even those of a turn that a crash cut off.
 * Owner:   the shard owns the writer; each sink owns its readers.
 * Threads: one writer; any number of readers elsewhere; they meet in journal_durable() alone.
 * Fails:   a failed write or sync is final for the process (PITFALLS F1): the writer latches it, every later
 *          call returns it, and the shard stops acknowledging. */
#ifndef VIGIE_STORAGE_JOURNAL_H
#define VIGIE_STORAGE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/cipher.h"
#include "daemon/base/err.h"

enum record_type {
    RECORD_TICK = 1, /* struct record_tick */
    RECORD_READING,  /* struct reading, then its tail */
    RECORD_EVENT,    /* struct alert_event, then its JSON */
    RECORD_COMMAND,  /* JSON */
    RECORD_REJECTED, /* struct rejected, then code, text and original; part of no decision */
    RECORD_DEVICE,   /* struct reading of a device event, then its tail */
    RECORD_TYPES_END
};

/* Opens every turn: all that a turn knows of time. */
struct record_tick {
    int64_t engine_ms; /* engine time of the turn */
    int64_t up_ms;     /* up time gained since the tick before; an outage gains none */
    uint8_t accepting, start, held, reserved[5]; /* start: enum tick_kind; held: enum engine_pace */
};

struct record {
    enum record_type type;
    uint64_t position;
    const uint8_t *data; /* valid until the next call on the reader */
    uint32_t size;
};

struct journal_options {
    const char *directory; /* state_dir/journal/<shard>; made if missing */
    uint32_t shard;
    uint64_t node; /* node id: a segment of another node or shard is refused */
    uint64_t segment_bytes;
    uint64_t low_water_bytes; /* reserve of turns, cursors, trim: below it, not accepting (PITFALLS F7) */
    uint64_t position_min;    /* new positions lie above this: the highest that a sink is known to hold */
    const struct cipher_keys *keys; /* the first seals, all open; outlives the journal */
};
struct journal;

/* Opens for writing after a recovery scan: cuts a torn tail (a turn without its end), syncs what remains
 * before anyone may read it (PITFALLS F6) and starts a new segment. ERR_CORRUPT names file and offset in the
 * log, ERR_KEY_MISSING the key's id. */
MUST_CHECK enum err journal_open(const struct journal_options *options, struct journal **ret_journal);
void journal_close(struct journal *journal);

/* A turn is built in memory, then written and synced whole; gives the position; `parts` are concatenated. */
struct journal_bytes {
    const void *data;
    uint32_t size;
};
uint64_t journal_append(struct journal *journal, enum record_type type, const struct journal_bytes *parts,
                        unsigned parts_count);
bool journal_turn_is_empty(const struct journal *journal);
/* Bytes of the open turn; the shard seals a turn before it passes JOURNAL_TURN_BYTES_MAX. */
uint64_t journal_turn_bytes(const struct journal *journal);
MUST_CHECK enum err journal_commit(struct journal *journal);

/* Any thread: every record before this position is durable. */
uint64_t journal_durable(const struct journal *journal);
const struct cipher_keys *journal_keys(const struct journal *journal); /* for readers */
/* Writer thread: false at low water; what is in the turn can still be committed from the reserve. */
bool journal_accepting(struct journal *journal);

/* Removes the whole segments that end at or before `position`, but never the newest two; a turn may go on in
 * the first that stays. One caller at a time, any thread; it syncs and unlinks. */
MUST_CHECK enum err journal_trim(struct journal *journal, uint64_t position);
/* A boundary before which every turn is at or before that engine time; 0: none is known. */
MUST_CHECK enum err journal_position_before(const struct journal *journal, int64_t engine_ms,
                                            uint64_t *ret_position);

/* Figures for metrics and `vigiectl journal status`; any thread. */
struct journal_figures {
    uint64_t oldest, durable;                         /* positions */
    uint64_t segments, bytes, free_bytes, disk_bytes; /* disk: free and used together */
    uint64_t bytes_per_hour;                          /* of this journal; shards share a disk: add up */
    uint64_t syncs, turns;                            /* of this process */
    uint64_t records, events; /* durable, since the journal began: lag is a subtraction */
};
void journal_figures(const struct journal *journal, struct journal_figures *ret);

/* Readers see whole turns below a bound only. */
struct journal_reader;
/* From the first record at or after `position` (0: the oldest). ERR_NOT_FOUND: some of what follows it was
 * trimmed. Keys are borrowed. */
MUST_CHECK enum err journal_reader_open(const char *directory, const struct cipher_keys *keys,
                                        uint64_t position, struct journal_reader **ret_reader);
void journal_reader_close(struct journal_reader *reader);
/* Next record below `durable`. ERR_EMPTY: there is none yet; ERR_NOT_FOUND: it was trimmed. */
MUST_CHECK enum err journal_reader_next(struct journal_reader *reader, uint64_t durable,
                                        struct record *ret_record);
/* Like next, but gives only RECORD_EVENT and passes over blocks without events unopened. */
MUST_CHECK enum err journal_reader_next_event(struct journal_reader *reader, uint64_t durable,
                                              struct record *ret_record);
/* Behind the last record given, where a later reader goes on. */
uint64_t journal_reader_position(const struct journal_reader *reader);
/* Records (*ret_events: events) of the journal before that position; true once a record was asked for. */
uint64_t journal_reader_count(const struct journal_reader *reader, uint64_t *ret_events);

/* Checks every block of a closed or live journal; findings as `what, found, expected, hint` lines through
 * `report`. ERR_CORRUPT: not whole; what may be a torn tail is a finding alone. */
MUST_CHECK enum err journal_verify(const char *directory, const struct cipher_keys *keys,
                                   void (*report)(void *context, const char *line), void *context,
                                   struct journal_figures *ret);

enum { JOURNAL_TURN_BYTES_MAX = 24 << 20 }; /* a message of 10,000 readings with full tails is 6.3 MB */

#endif
