/* archive: values to bytes and back by one description: each function below writes what its argument holds,
 * or, when reading, fills it; so the two directions cannot differ. Equal values give equal bytes: integers
 * are varints of the least length, nothing is padded, no capacity, pointer or scratch is written. Owner:   an
 * engine_archive has one, for as long as a snapshot is written or loaded. Threads: the shard's. Fails:
 * reading never looks beyond its bytes and checks every number, text and reference: the first fault latches
 * `bad`, after which all reads give zeros; writing cannot fail but for memory (ensure()). */
#ifndef VIGIE_ALERTING_ARCHIVE_H
#define VIGIE_ALERTING_ARCHIVE_H

#include "alerting/engine_state.h"

enum { ARCHIVE_WORDS_MAX = 256 };

struct archive_versions { /* what references name: number n is items[n - 1] */
    struct rule_version **items;
    size_t count, capacity;
};

struct archive {
    struct engine *engine;
    bool writing, bad;
    struct buffer *out;      /* writing */
    const uint8_t *at, *end; /* reading */
    struct patient *patient; /* whose names and rules are meant; NULL: shared state */
    struct archive_versions shared, own;
    /* Numbers of the file to ours: enums may move between versions of Vigie, their words stay. */
    size_t parameters_count, kinds_count;
    int parameters[ARCHIVE_WORDS_MAX], kinds[ARCHIVE_WORDS_MAX];
    struct buffer text; /* scratch */
};

static inline void archive_fault(struct archive *a)
{
    ensure(!a->writing); /* what is here is sound, or a snapshot must not be made of it */
    a->bad = true;
    a->at = a->end;
}

void archive_number(struct archive *a, uint64_t *value);
void archive_signed(struct archive *a, int64_t *value);
void archive_instant(struct archive *a, int64_t *value); /* any, but the two ends take one byte */
void archive_u32(struct archive *a, uint32_t *value);
void archive_unsigned(struct archive *a, unsigned *value, unsigned limit); /* reading: must be < limit */
void archive_bool(struct archive *a, bool *value);
void archive_bytes(struct archive *a, void *bytes, size_t size);
/* A text of at most `size` - 1 bytes in an array. */
void archive_chars(struct archive *a, char *text, size_t size);
/* Where the next text of a reader lies, NULL at a fault; it lives until the next call. */
const char *archive_text_at(struct archive *a);
void archive_text_of(struct archive *a, const char *text);
/* A text of its own, freed with free(); never NULL after it, but `may_be_null` keeps a NULL. */
void archive_owned(struct archive *a, char **text, bool may_be_null);
void archive_word(struct archive *a, const char **word); /* of the engine; never NULL after it */
/* The length of an array: every item takes at least one byte, so no count is beyond what is left. */
size_t archive_count(struct archive *a, size_t count);

/* Enums, through a temporary of the one type that C gives them room in. */
#define ARCHIVE_ENUM(a, field, limit)                                                                        \
    do {                                                                                                     \
        unsigned archive_value = (unsigned)(field);                                                          \
        archive_unsigned(a, &archive_value, limit);                                                          \
        (field) = archive_value;                                                                             \
    } while (0)

void archive_words(struct archive *a);                                /* the two tables above */
void archive_parameter(struct archive *a, enum parameter *parameter); /* PARAMETER_COUNT: none */
void archive_kind(struct archive *a, enum event_kind *kind);

/* archive_rules.c */
void archive_rulebook(struct archive *a, struct rulebook *book, struct archive_versions *versions);
void archive_version(struct archive *a, const struct rule_version **version); /* a reference; NULL too */
void archive_timeline(struct archive *a, struct timeline *timeline);
void archive_spans(struct archive *a, struct spans *spans);

/* archive_series.c */
void archive_names(struct archive *a, struct names *names);
void archive_name(struct archive *a, uint32_t *number); /* 0: none */
void archive_key(struct archive *a, struct reading_key *key);
struct series *archive_series(struct archive *a, struct series *series); /* gives when reading; NULL: bad */

/* archive_days.c */
void archive_day_track(struct archive *a, struct track *track); /* behind its sides */

/* archive_track.c */
struct track *archive_track(struct archive *a, struct track *track);
struct technical *archive_technical(struct archive *a, struct technical *technical);
void archive_story(struct archive *a, struct story *story);
void archive_ledger(struct archive *a, struct ledger *ledger);

/* archive_device.c */
void archive_device_log(struct archive *a, struct device_log **log);
void archive_alarms(struct archive *a, struct track *track);

#endif
