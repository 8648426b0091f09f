/* words: texts that very many patients share (rule ids, lines, teams, organisations), held once.
 * Owner:   the engine; a word lives as long as it. Threads: the shard's alone. Holds:   equal texts are equal
 * pointers. There are as many as the registry ever named, never as many as there are patients. */
#ifndef VIGIE_ALERTING_WORDS_H
#define VIGIE_ALERTING_WORDS_H

#include <stddef.h>

struct words {
    char **slots; /* open addressing, at most half full */
    size_t count, capacity;
};

void words_deinit(struct words *words);
const char *words_keep(struct words *words, const char *text);

#endif
