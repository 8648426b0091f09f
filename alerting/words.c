/* words: see words.h. */
#include "alerting/words.h"

#include <stdint.h>
#include <string.h>

#include "alerting/grow.h"
#include "daemon/base/hash.h"

enum { WORDS_MIN = 64 };

void words_deinit(struct words *words)
{
    for (size_t i = 0; i < words->capacity; i++)
        slab_give(words->slots[i]);
    slab_give(words->slots);
    *words = (struct words){0};
}

/* Where the text is, or would be. */
static char **slot_of(const struct words *words, const char *text)
{
    size_t slot = (size_t)hash_xxh64(text, strlen(text)) & (words->capacity - 1);
    while (words->slots[slot] != NULL && strcmp(words->slots[slot], text) != 0)
        slot = (slot + 1) & (words->capacity - 1);
    return &words->slots[slot];
}

static void rehash(struct words *words)
{
    struct words wider = {.count = words->count,
                          .capacity = words->capacity == 0 ? WORDS_MIN : 2 * words->capacity};
    wider.slots = zeroed(wider.capacity * sizeof wider.slots[0]);
    for (size_t i = 0; i < words->capacity; i++)
        if (words->slots[i] != NULL)
            *slot_of(&wider, words->slots[i]) = words->slots[i];
    slab_give(words->slots);
    *words = wider;
}

const char *words_keep(struct words *words, const char *text)
{
    if (2 * (words->count + 1) > words->capacity)
        rehash(words);
    char **slot = slot_of(words, text);
    if (*slot == NULL) {
        *slot = copied(text);
        words->count++;
    }
    return *slot;
}
