/* rejected_seal: the original of a row of vigie.rejected, as PostgreSQL holds it: nobody reads a rejected
 * payload there who has not the journal's key.
 *
 *   | key id 4 | salt 32 | tag 16 | ciphertext |
 *
 * AES-256-GCM under a key of its own: HKDF of the master key of that id and the random salt, so that a key of
 * [journal] old_keys opens what it sealed. The tag covers when and from whom it was received: an original
 * that was moved to another row does not open.
 * Threads: pure functions. Fails: ERR_KEY_MISSING: none of the keys has that id; ERR_CORRUPT: changed, cut
 * or moved. */
#ifndef VIGIE_STORAGE_REJECTED_SEAL_H
#define VIGIE_STORAGE_REJECTED_SEAL_H

#include "daemon/base/buffer.h"
#include "daemon/base/cipher.h"

struct rejected_place {
    int64_t received_at_ms, source_id; /* source_id 0: none */
};

/* Appends the sealed bytes. */
MUST_CHECK enum err rejected_seal(const struct cipher_keys *keys, const struct rejected_place *place,
                                  const void *original, size_t size, struct buffer *sealed);
/* Appends the original; nothing after an error. */
MUST_CHECK enum err rejected_unseal(const struct cipher_keys *keys, const struct rejected_place *place,
                                    const void *sealed, size_t size, struct buffer *original);

#endif
