/* registry_figures: what others read of the registry thread: metrics and the conditions that operators are
 * alerted of. Owner:   service. Threads: the registry thread writes, any reads. */
#ifndef VIGIE_DAEMON_REGISTRY_FIGURES_H
#define VIGIE_DAEMON_REGISTRY_FIGURES_H

#include <stdatomic.h>
#include <stdint.h>

struct registry_figures {
    _Atomic int64_t version;   /* in force */
    _Atomic int64_t behind;    /* rule versions and patients in force that PostgreSQL lacks; 1 when only known
                                  that some do */
    _Atomic int64_t refused;   /* changes in PostgreSQL that a shard refused, not replaced since */
    _Atomic int64_t unserved;  /* 1: no registry yet, readings are refused with 503 */
    _Atomic int64_t snapshots; /* built since the start */
    _Atomic int64_t snapshot_us, change_us,
        file_us; /* how long the last took: building, until in force, the file */
};

#endif
