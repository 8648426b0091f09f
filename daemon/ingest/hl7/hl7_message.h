/* hl7_message: one HL7 v2 message while it is decoded (hl7.h says what is decided): shared by hl7*.c alone.
 * Owner:   struct hl7 lies on the stack of handle(); all its texts in the message or the loop's scratch.
 * Threads: the loop's. */
#ifndef VIGIE_INGEST_HL7_MESSAGE_H
#define VIGIE_INGEST_HL7_MESSAGE_H

#include "daemon/ingest/admit.h"
#include "daemon/ingest/doors.h"
#include "daemon/ingest/hl7/hl7.h"
#include "daemon/ingest/hl7/hl7_fields.h"
#include "daemon/ingest/hl7/hl7_text.h"
#include "daemon/ingest/note.h"

struct hl7 {
    const struct loop_context *loop;
    struct exchange *exchange;
    struct pull_scratch *scratch;
    struct hl7_text text;
    struct slice msh[MSH_FIELDS];
    bool is_alarm, is_test;     /* ORU^R40; MSH-11 D or T */
    const char *overflow;       /* too much of something: the message is refused; NULL: not */
    uint32_t at[HL7_OTHER + 1]; /* segments of each kind so far */
    struct slice part;          /* kept as rejected when it is refused beside good ones; {NULL, 0}: not */
    bool order_is_open;
    struct hl7_order order;
    struct hl7_alert alert;
    struct admit_party patient; /* as the PID at hand names them */
    struct admit admit;
    struct slice device; /* field that `admit` was opened for */
    bool admit_is_open;
};

/* hl7.c. A place in the message is a note whose `entry` is a segment, `item` which of them, `count` the
 * field. */
static inline struct note hl7_place(enum hl7_segment segment, uint32_t at, unsigned field)
{
    return (struct note){.entry = segment, .item = at, .count = field};
}
/* Of the last head. */
void hl7_note_refused(struct hl7 *hl7, struct note place, const struct refusal *refusal);
/* One head that stands for what is refused, and its note. */
void hl7_refuse_part(struct hl7 *hl7, struct note place, const struct refusal *refusal);
void hl7_skip_row(struct hl7 *hl7);

/* hl7_order.c */
void hl7_open_order(struct hl7 *hl7, struct slice segment);
void hl7_add_row(struct hl7 *hl7, const struct hl7_obx *obx);
/* Opens hl7->admit for the patient at hand and the row's device, its own or inherited. */
void hl7_open_party(struct hl7 *hl7, const struct hl7_obx *obx);
/* {NULL, 0} when there is no time at all. */
bool hl7_find_time(struct hl7 *hl7, struct hl7_obx *obx, struct slice *ret_time, struct refusal *ret_refusal);
/* MSH-7: the version time of all that amends. */
bool hl7_version_time(struct hl7 *hl7, int64_t *ret_ms, struct refusal *ret_refusal);
void hl7_join_group(struct hl7 *hl7, const struct hl7_obx *obx, uint32_t head);

/* hl7_code.c: what OBX-3 and OBX-6 mean; `by_name`: by the reference identifier, the code being unknown. */
struct hl7_code {
    char text[96]; /* what the claim's code points to */
    bool by_name;
};
bool hl7_read_code(const struct hl7 *hl7, struct slice field, struct claim *claim, struct hl7_code *ret,
                   struct refusal *ret_refusal);
bool hl7_read_unit(const struct hl7 *hl7, struct slice field, struct claim *claim, bool *ret_by_name,
                   struct refusal *ret_refusal);

/* hl7_value.c: the number in OBX-5 as JSON would have it. */
enum { HL7_NUMBER_MAX = 40 };
bool hl7_read_value(const struct hl7 *hl7, const struct hl7_obx *obx, char out[HL7_NUMBER_MAX],
                    struct claim *claim, struct refusal *ret_refusal);

/* hl7_obx.c, hl7_alarm.c */
void hl7_take_reading(struct hl7 *hl7, struct hl7_obx *obx);
void hl7_open_alarm(struct hl7 *hl7);
void hl7_take_attribute(struct hl7 *hl7, struct hl7_obx *obx);
void hl7_close_alarm(struct hl7 *hl7);

/* hl7_ack.c: 'C' commit, 'A' application, '\0' nothing: which acknowledgement the sender wants of an outcome.
 */
char hl7_ack_wanted(const struct slice *msh, bool is_error);
void hl7_answer(struct loop_context *loop, struct exchange *exchange);

#endif
