/* hash: keyed and plain digests under one roof.
 * SipHash-2-4 where senders choose the key or the result is an identity; SHA-256 and HMAC by OpenSSL with
 * objects fetched once (PITFALLS O5); XXH3 for checksums of our own files. Threads: any. */
#ifndef VIGIE_BASE_HASH_H
#define VIGIE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

enum { SHA256_BYTES = 32, UUID_BYTES = 16, UUID_TEXT = 36 };

struct sip_key {
    uint64_t k0, k1;
};

uint64_t hash_sip64(const struct sip_key *key, const void *data, size_t size);
void hash_sip128(const struct sip_key *key, const void *data, size_t size, uint8_t out[16]);
uint64_t hash_xxh64(const void *data, size_t size);
uint64_t hash_mix64(uint64_t value); /* a bijective mixer for integer keys */

void hash_sha256(const void *data, size_t size, uint8_t out[SHA256_BYTES]);
void hash_hmac_sha256(const uint8_t *key, size_t key_size, const void *data, size_t size,
                      uint8_t out[SHA256_BYTES]);
/* HKDF-SHA-256 without salt, `info` as label. */
void hash_derive(const uint8_t *key, size_t key_size, const char *info, uint8_t *out, size_t out_size);
MUST_CHECK enum err hash_random(void *out, size_t size);

/* Sets version 8 and the RFC 9562 variant in place. */
void uuid_make_v8(uint8_t uuid[UUID_BYTES]);
void uuid_format(const uint8_t uuid[UUID_BYTES], char out[UUID_TEXT + 1]);
MUST_CHECK enum err uuid_parse(const char *text, size_t size, uint8_t uuid[UUID_BYTES]);

void hex_format(const uint8_t *bytes, size_t size, char *out); /* 2 * size + 1 */
MUST_CHECK enum err hex_parse(const char *text, size_t text_size, uint8_t *out, size_t out_size);

#endif
