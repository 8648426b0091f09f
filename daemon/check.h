/* check: `vigied --check`: what a start would need, tried without starting anything.
 * Threads: main alone. */
#ifndef VIGIE_DAEMON_CHECK_H
#define VIGIE_DAEMON_CHECK_H

#include "config/config.h"

/* The configuration has been loaded. Tries certificates (key, dates, revocation list), secrets, state_dir,
 * addresses, presets, what librdkafka is told, and the topic against the organisations of the last run. One
 * line a fault on `report`, `what, found, expected, hint`. Returns the exit status: 0, or 1 (INTERFACES.md
 * section 2). */
int check_run(const struct config *config, void (*report)(void *context, const char *line), void *context);

/* The same for SIGHUP: only what a reload takes over is tried (the rest is compared with the start by
 * config_fixed_changes()). A second organisation under one topic, or a preset that fails, must not keep a
 * renewed certificate or revocation list out. */
int check_reload(const struct config *config, void (*report)(void *context, const char *line), void *context);

#endif
