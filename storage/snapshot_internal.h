/* snapshot_internal: what snapshot.c and snapshot_writer.c share. Threads: pure functions. */
#ifndef VIGIE_STORAGE_SNAPSHOT_INTERNAL_H
#define VIGIE_STORAGE_SNAPSHOT_INTERNAL_H

#include "daemon/base/sealed_file.h"
#include "storage/snapshot.h"

void snapshot__path(const struct snapshot_options *options, unsigned generation, char out[SNAPSHOT_PATH_MAX]);
void snapshot__label(const struct snapshot_options *options, char out[SEALED_LABEL_MAX + 1]);

#endif
