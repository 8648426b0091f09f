/* readings_internal: shared by readings.c (messages) and readings_item.c (what stands in their arrays). */
#ifndef VIGIE_INGEST_READINGS_INTERNAL_H
#define VIGIE_INGEST_READINGS_INTERNAL_H

#include "daemon/ingest/note.h"
#include "daemon/ingest/readings/readings.h"
#include "daemon/ingest/readings/readings_keys.h"
#include "daemon/ingest/readings/readings_reader.h"

/* One body on its way. */
struct decode {
    const struct loop_context *loop;
    struct exchange *exchange;
    struct doors *doors;
    struct admit admit;
    struct pull_field fields[MESSAGE_KEYS_COUNT]; /* of the message at hand */
    struct refusal refusal;                       /* of the message at hand as a whole */
    uint32_t message;
    size_t entry_note; /* its NOTE_ENTRY, then its NOTE_EVENTS */
    bool by_message_id[PARAMETER_COUNT];
    bool is_full;
};

/* Words a refusal; always false. */
bool readings__refuse(struct refusal *out, enum verdict verdict, const char *text, struct slice found);
/* Each field that is there has the type that its key wants; a value of another type is no number. */
bool readings__check_types(const struct reader_keys *keys, const struct pull_field *fields,
                           struct refusal *ret_refusal);
/* A head, and a note, for what is refused: item NOTE_NONE is the message itself. */
void readings__refuse_item(struct decode *decode, uint32_t item, const struct refusal *refusal);

/* Reads each value of an array as an item of the kind, or refuses each with `refusal`; gives how many. */
struct item_kind;
extern const struct item_kind readings__reading_item, readings__event_item;
uint32_t readings__decode_array(struct decode *decode, const struct reader *message,
                                const struct pull_field *field, const struct item_kind *kind,
                                const struct refusal *refusal);

#endif
