/* cipher: AES-256-GCM for everything that is written below state_dir, and the ring of master keys.
 * A master key seals nothing itself: every segment and every file has a key of its own, HKDF-SHA-256 of the
 * master, a random salt of 32 bytes and a label. Such a key lives as long as what it seals is being written,
 * once; so its nonces may be a plain counter, and none comes twice (PITFALLS O13).
 * Owner:   struct cipher_keys is a value of the service, lent to all; a struct cipher has one owner.
 * Threads: keys are read by any once filled; a cipher by one at a time.
 * Holds:   a cipher is keyed once and for all; a call sets the nonce alone and allocates nothing.
 * Fails:   ERR_KEY_MISSING: no key of that id in the ring; ERR_CORRUPT: the tag does not fit. */
#ifndef VIGIE_BASE_CIPHER_H
#define VIGIE_BASE_CIPHER_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

enum { CIPHER_KEY_BYTES = 32, CIPHER_SALT_BYTES = 32, CIPHER_TAG_BYTES = 16, CIPHER_KEYS_MAX = 16 };

/* The first key seals, all open. */
struct cipher_keys {
    unsigned count;
    struct {
        uint32_t id;
        uint8_t master[CIPHER_KEY_BYTES];
    } key[CIPHER_KEYS_MAX];
};

/* What a file says of its master key: four bytes derived from it, never 0. Tells nothing about the key. */
uint32_t cipher_key_id(const uint8_t master[CIPHER_KEY_BYTES]);
/* A key that is there already is left where it is. ERR_LIMIT: the ring is full; ERR_EXISTS: another key of
 * the ring has that id (one chance in 2^32 a pair): choose another key. */
MUST_CHECK enum err cipher_keys_add(struct cipher_keys *keys, const uint8_t master[CIPHER_KEY_BYTES]);
/* The id that what is sealed now states. */
uint32_t cipher_keys_sealing(const struct cipher_keys *keys);
void cipher_keys_clear(struct cipher_keys *keys); /* wiped, not just forgotten */

struct cipher;

MUST_CHECK enum err cipher_open(const struct cipher_keys *keys, uint32_t key_id,
                                const uint8_t salt[CIPHER_SALT_BYTES], const char *label,
                                struct cipher **ret_cipher);
void cipher_close(struct cipher *cipher);

/* Other key material of the same place, bound to the label: for checks that need no decryption. */
MUST_CHECK enum err cipher_derive(const struct cipher_keys *keys, uint32_t key_id,
                                  const uint8_t salt[CIPHER_SALT_BYTES], const char *label,
                                  uint8_t ret[CIPHER_KEY_BYTES]);

/* One message: `data` is sealed or opened in place, `aad` is bound to it in clear. */
struct cipher_message {
    uint64_t counter; /* the nonce; the caller answers for each being sealed once in the life of the key */
    const void *aad;
    size_t aad_size;
    void *data;
    size_t size;
};
void cipher_seal(struct cipher *cipher, const struct cipher_message *message,
                 uint8_t ret_tag[CIPHER_TAG_BYTES]);
/* ERR_CORRUPT: `data` holds nothing that may be used, and has been wiped. */
MUST_CHECK enum err cipher_unseal(struct cipher *cipher, const struct cipher_message *message,
                                  const uint8_t tag[CIPHER_TAG_BYTES]);

#endif
