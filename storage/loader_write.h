/* loader_write: one batch as one transaction: cursors first, then readings, quarantine, alert events;
 * DESIGN.md section 5. Threads: the loader's. Fails:   ERR_STALE the cursors are not where we left them
 * (PITFALLS P14): open a new session; ERR_REFUSED the server said no, by sqlstate_action(): SQLSTATE_BISECT
 * asks for the careful way; ERR_UNAVAILABLE the link is gone and the outcome unknown (PITFALLS P13). After
 * any of them nothing of the batch counts as written. */
#ifndef VIGIE_STORAGE_LOADER_WRITE_H
#define VIGIE_STORAGE_LOADER_WRITE_H

#include "storage/loader_batch.h"
#include "storage/loader_session.h"

struct loader_writer {
    struct loader_session *session; /* borrowed */
    struct buffer copy, statement;  /* kept from batch to batch */
    bool careful;       /* a row was refused: savepoints, halves, put aside what cannot be stored */
    unsigned put_aside; /* rows, of the last batch */
};

void loader_writer_deinit(struct loader_writer *writer);
MUST_CHECK enum err loader_write(struct loader_writer *writer, struct loader_batch *batch);

#endif
