/* note: what a door must remember of a message between handle() and answer(): where its readings lie in the
 * ticket, and the words for what was refused. An array in exchange.state, in the order of the message. Owner:
 * the exchange. Threads: the loop's. */
#ifndef VIGIE_INGEST_NOTE_H
#define VIGIE_INGEST_NOTE_H

#include "daemon/ingest/admit.h"
#include "daemon/ingest/exchange.h"

enum note_kind {
    NOTE_FORM,   /* FHIR: what was sent (enum fhir_form in `item`) */
    NOTE_ENTRY,  /* a message of an array or an entry of a bundle: heads [head, head + count) are its readings
                  */
    NOTE_EVENTS, /* the same, for the device events of a message */
    NOTE_REFUSED,     /* one of its readings, or all of it when head is NOTE_NONE */
    NOTE_INFORMATION, /* FHIR: nothing to store, and why */
};

enum { NOTE_NONE = 0xffffffffu, NOTE_FOUND_MAX = 88 };

struct note {
    enum note_kind kind;
    uint32_t entry; /* message of the array, entry of the bundle */
    uint32_t item;  /* reading, event or component of it; NOTE_NONE: all of it, or the Observation itself */
    uint32_t head, count;
    enum verdict verdict;
    enum claim_field field;
    const char *text, *issue; /* static */
    bool found_is_rest;       /* `found` is ours and goes on where `text` ends */
    uint8_t found_size;
    char found[NOTE_FOUND_MAX]; /* what was sent, cut */
};

void note_add(struct exchange *exchange, const struct note *note);
/* With verdict, field, texts and what was found taken from `refusal`. */
void note_add_refusal(struct exchange *exchange, struct note note, const struct refusal *refusal);
/* At most `max` bytes of the text, never half of a UTF-8 sequence. */
struct slice note_cut(struct slice text, size_t max);
void note_set_found(struct note *note, struct slice found);
struct note *notes_of(struct exchange *exchange, size_t *ret_count);

#endif
