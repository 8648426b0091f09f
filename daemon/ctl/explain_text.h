/* explain_text: an explanation as a physician reads it, in French or English; times in the patient's zone.
 * Threads: one. */
#ifndef VIGIE_DAEMON_CTL_EXPLAIN_TEXT_H
#define VIGIE_DAEMON_CTL_EXPLAIN_TEXT_H

#include <stdio.h>

#include "daemon/history/explain.h"

enum language { LANGUAGE_EN, LANGUAGE_FR };

void explain_text(FILE *out, const struct explanation *explanation, enum language language);

#endif
