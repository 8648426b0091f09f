/* test_keys: one master key of fixed bytes for programs of the tests: they look at files by hand.
 * Threads: the first call before others run. */
#ifndef VIGIE_TESTS_TEST_KEYS_H
#define VIGIE_TESTS_TEST_KEYS_H

#include <string.h>

#include "daemon/base/cipher.h"
#include "daemon/base/ensure.h"

static inline const struct cipher_keys *test_keys(void)
{
    static struct cipher_keys keys;
    static const uint8_t master[CIPHER_KEY_BYTES] = {1, 2, 3};
    if (keys.count == 0)
        ensure(cipher_keys_add(&keys, master) == OK);
    return &keys;
}

/* Keys of 32 equal bytes each: the first seals, both open. */
static inline struct cipher_keys test_keys_of(uint8_t first, uint8_t second)
{
    const uint8_t fill[] = {first, second};
    struct cipher_keys keys = {.count = 0};
    for (unsigned i = 0; i < 2; i++) {
        uint8_t master[CIPHER_KEY_BYTES];
        memset(master, fill[i], sizeof(master));
        ensure(cipher_keys_add(&keys, master) == OK);
    }
    return keys;
}

#endif
