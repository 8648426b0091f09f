/* doctor: `vigiectl doctor`, one file a group of subjects: what an operator would look at first, looked at at
 * once. Each check is one line: ok, warn or fail; what was found, what is expected, and when it is not ok a
 * hint. Owner:   the command makes one struct doctor; checks borrow it. Threads: one. Changes nothing but a
 * probe file in state_dir, removed at once. */
#ifndef VIGIE_DAEMON_CTL_DOCTOR_H
#define VIGIE_DAEMON_CTL_DOCTOR_H

#include "daemon/base/buffer.h"
#include "daemon/ctl/ctl.h"

/* warn: it works, and somebody should know; fail: readings or alerts are in danger, or nothing works. */
enum doctor_state { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL, DOCTOR_STATES };

struct doctor {
    const struct ctl *ctl;
    const struct config *config;
    struct buffer lines; /* JSON array, when it is asked for */
    bool json;
    unsigned count[DOCTOR_STATES];
};

/* The lasting part of a check. */
struct doctor_check {
    const char *name;            /* subject.check */
    const char *expected, *hint; /* borrowed */
};

void doctor_tell(struct doctor *doctor, const struct doctor_check *check, enum doctor_state state,
                 const char *found_format, ...) __attribute__((format(printf, 4, 5)));

/* This host: clock, disk, keys, descriptors, unit. */
void doctor_clock(struct doctor *doctor);
void doctor_disk(struct doctor *doctor);
void doctor_keys(struct doctor *doctor);
void doctor_certificates(struct doctor *doctor);
void doctor_unit(struct doctor *doctor);
/* Servers, and vigied. */
void doctor_postgres(struct doctor *doctor);
void doctor_kafka(struct doctor *doctor);
void doctor_daemon(struct doctor *doctor);

#endif
