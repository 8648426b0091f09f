/* hl7_fields: which field of a segment means what, and what is held of segments while a message is decoded.
 * Open structs: the files of the decoder share them (hl7_message.h). Threads: the loop's. */
#ifndef VIGIE_INGEST_HL7_FIELDS_H
#define VIGIE_INGEST_HL7_FIELDS_H

#include "daemon/ingest/hl7/hl7_time.h"

enum { MSH_FIELDS = 19, PID_FIELDS = 33, OBR_FIELDS = 30, OBX_FIELDS = 22 };
enum { HL7_ROWS_MAX = 10000, HL7_DEVICE_ROWS_MAX = 64, HL7_GROUPS_MAX = 8 };

/* Fields by their number. */
enum {
    MSH_SENDER = 3,
    MSH_RECEIVER = 5,
    MSH_TIME = 7,
    MSH_TYPE = 9,
    MSH_CONTROL_ID = 10,
    MSH_PROCESSING_ID = 11,
    MSH_VERSION = 12,
    MSH_ACCEPT_ACK = 15,
    MSH_APPLICATION_ACK = 16,
    MSH_CHARSET = 18,
    PID_IDENTIFIERS = 3,
    PID_RELIABILITY = 32,
    OBR_FILLER = 3,
    OBR_CODE = 4,
    OBR_TIME = 7,
    OBR_PARENT = 29,
    OBX_TYPE = 2,
    OBX_CODE = 3,
    OBX_PATH = 4,
    OBX_VALUE = 5,
    OBX_UNIT = 6,
    OBX_FLAGS = 8,
    OBX_STATUS = 11,
    OBX_TIME = 14,
    OBX_DEVICE = 18,
    OBX_INSTANCE = 21,
};

/* A device row of the order at hand: what those below it inherit. */
struct hl7_row {
    struct slice path; /* without trailing ".0" */
    struct slice time, device;
};

/* Blood pressures that may be one measurement: the first of them, and which there are. */
struct hl7_group {
    struct slice parent;
    uint32_t head;
    unsigned seen;
};

/* What one OBR holds together. */
struct hl7_order {
    struct slice fields[OBR_FIELDS];
    struct hl7_row rows[HL7_DEVICE_ROWS_MAX];
    unsigned rows_count;
    struct hl7_group groups[HL7_GROUPS_MAX];
    unsigned groups_count; /* ever; the last HL7_GROUPS_MAX are held */
};

/* One OBX row. */
struct hl7_obx {
    struct slice fields[OBX_FIELDS];
    struct slice path; /* OBX-4 without trailing ".0" */
    uint32_t at;       /* which of the message's */
    char iso[HL7_ISO_MAX];
    const char *time_offset; /* of the context; NULL: the time's own */
};

/* The alarm of one OBR: hl7_alarm.c. */
struct hl7_alert {
    struct hl7_obx event;
    bool has_event, is_named, has_attributes, is_watchdog;
    struct slice phase, state;
};

#endif
