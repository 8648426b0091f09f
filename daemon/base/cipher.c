/* cipher: see the header. The algorithms are fetched once (PITFALLS O5); seal and open go through one
 * EVP_CIPHER_CTX a direction-less cipher object: GCM's key schedule serves both, only the IV and the
 * direction change from call to call. */
#include "daemon/base/cipher.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

enum { NONCE_BYTES = 12 };

struct cipher {
    EVP_CIPHER_CTX *context;
};

static pthread_once_t algorithms_once = PTHREAD_ONCE_INIT;
static EVP_CIPHER *gcm_algorithm;
static EVP_KDF *hkdf_algorithm;

static void algorithms_fetch(void)
{
    gcm_algorithm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    hkdf_algorithm = EVP_KDF_fetch(NULL, "HKDF", NULL);
    ensure(gcm_algorithm != NULL && hkdf_algorithm != NULL);
}

static void derive(const uint8_t master[CIPHER_KEY_BYTES], const uint8_t salt[CIPHER_SALT_BYTES],
                   const char *label, uint8_t *out, size_t out_size)
{
    ensure(pthread_once(&algorithms_once, algorithms_fetch) == 0);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(hkdf_algorithm);
    ensure(context != NULL);
    uint8_t key_copy[CIPHER_KEY_BYTES], salt_copy[CIPHER_SALT_BYTES]; /* OSSL_PARAM knows no const */
    char digest[] = "SHA256", info[64];
    size_t info_size = strlen(label);
    ensure(info_size > 0 && info_size < sizeof(info));
    memcpy(key_copy, master, sizeof(key_copy));
    memcpy(salt_copy, salt, sizeof(salt_copy));
    memcpy(info, label, info_size);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key_copy, sizeof(key_copy)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt_copy, sizeof(salt_copy)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, info_size),
        OSSL_PARAM_construct_end(),
    };
    ensure(EVP_KDF_derive(context, out, out_size, parameters) == 1);
    EVP_KDF_CTX_free(context);
    OPENSSL_cleanse(key_copy, sizeof(key_copy));
}

/* --- the ring of master keys ------------------------------------------------------------------------------
 */

uint32_t cipher_key_id(const uint8_t master[CIPHER_KEY_BYTES])
{
    static const uint8_t no_salt[CIPHER_SALT_BYTES];
    uint32_t id;
    derive(master, no_salt, "vigie key id", (uint8_t *)&id, sizeof(id));
    return id != 0 ? id : 1;
}

enum err cipher_keys_add(struct cipher_keys *keys, const uint8_t master[CIPHER_KEY_BYTES])
{
    uint32_t id = cipher_key_id(master);
    for (unsigned index = 0; index < keys->count; index++) {
        if (keys->key[index].id != id)
            continue;
        return CRYPTO_memcmp(keys->key[index].master, master, CIPHER_KEY_BYTES) == 0 ? OK : ERR_EXISTS;
    }
    if (keys->count == CIPHER_KEYS_MAX)
        return ERR_LIMIT;
    keys->key[keys->count].id = id;
    memcpy(keys->key[keys->count++].master, master, CIPHER_KEY_BYTES);
    return OK;
}

uint32_t cipher_keys_sealing(const struct cipher_keys *keys)
{
    ensure(keys->count > 0);
    return keys->key[0].id;
}

void cipher_keys_clear(struct cipher_keys *keys)
{
    OPENSSL_cleanse(keys, sizeof(*keys));
}

/* --- one key ----------------------------------------------------------------------------------------------
 */

static const uint8_t *find_master(const struct cipher_keys *keys, uint32_t key_id)
{
    for (unsigned index = 0; index < keys->count; index++)
        if (keys->key[index].id == key_id)
            return keys->key[index].master;
    return NULL;
}

enum err cipher_derive(const struct cipher_keys *keys, uint32_t key_id, const uint8_t salt[CIPHER_SALT_BYTES],
                       const char *label, uint8_t ret[CIPHER_KEY_BYTES])
{
    const uint8_t *master = find_master(keys, key_id);
    if (master == NULL)
        return ERR_KEY_MISSING;
    derive(master, salt, label, ret, CIPHER_KEY_BYTES);
    return OK;
}

enum err cipher_open(const struct cipher_keys *keys, uint32_t key_id, const uint8_t salt[CIPHER_SALT_BYTES],
                     const char *label, struct cipher **ret_cipher)
{
    uint8_t key[CIPHER_KEY_BYTES];
    enum err error = cipher_derive(keys, key_id, salt, label, key);
    if (error != OK)
        return error;
    struct cipher *cipher = calloc(1, sizeof(*cipher));
    ensure(cipher != NULL);
    cipher->context = EVP_CIPHER_CTX_new();
    ensure(cipher->context != NULL);
    ensure(EVP_CipherInit_ex2(cipher->context, gcm_algorithm, key, NULL, 1, NULL) == 1);
    ensure(EVP_CIPHER_CTX_get_iv_length(cipher->context) == NONCE_BYTES);
    OPENSSL_cleanse(key, sizeof(key));
    *ret_cipher = cipher;
    return OK;
}

void cipher_close(struct cipher *cipher)
{
    if (cipher == NULL)
        return;
    EVP_CIPHER_CTX_free(cipher->context); /* wipes the key schedule */
    free(cipher);
}

/* Runs all of a message but the tag's last step. */
static void pass(struct cipher *cipher, const struct cipher_message *message, int encrypt)
{
    uint8_t nonce[NONCE_BYTES] = {0};
    int done = 0;
    ensure(message->size <= INT_MAX && message->aad_size > 0 && message->aad_size <= INT_MAX);
    memcpy(nonce + NONCE_BYTES - sizeof(message->counter), &message->counter, sizeof(message->counter));
    ensure(EVP_CipherInit_ex2(cipher->context, NULL, NULL, nonce, encrypt, NULL) == 1);
    ensure(EVP_CipherUpdate(cipher->context, NULL, &done, message->aad, (int)message->aad_size) == 1);
    if (message->size == 0)
        return;
    ensure(EVP_CipherUpdate(cipher->context, message->data, &done, message->data, (int)message->size) == 1);
    ensure((size_t)done == message->size);
}

void cipher_seal(struct cipher *cipher, const struct cipher_message *message,
                 uint8_t ret_tag[CIPHER_TAG_BYTES])
{
    uint8_t rest[CIPHER_TAG_BYTES];
    int done = 0;
    pass(cipher, message, 1);
    ensure(EVP_CipherFinal_ex(cipher->context, rest, &done) == 1 && done == 0);
    ensure(EVP_CIPHER_CTX_ctrl(cipher->context, EVP_CTRL_AEAD_GET_TAG, CIPHER_TAG_BYTES, ret_tag) == 1);
}

enum err cipher_unseal(struct cipher *cipher, const struct cipher_message *message,
                       const uint8_t tag[CIPHER_TAG_BYTES])
{
    uint8_t expected[CIPHER_TAG_BYTES], rest[CIPHER_TAG_BYTES];
    int done = 0;
    memcpy(expected, tag, sizeof(expected)); /* the call takes no const */
    pass(cipher, message, 0);
    ensure(EVP_CIPHER_CTX_ctrl(cipher->context, EVP_CTRL_AEAD_SET_TAG, CIPHER_TAG_BYTES, expected) == 1);
    if (EVP_CipherFinal_ex(cipher->context, rest, &done) == 1)
        return OK;
    ERR_clear_error(); /* PITFALLS O12: TLS of this thread must not find it */
    if (message->size > 0)
        OPENSSL_cleanse(message->data, message->size);
    return ERR_CORRUPT;
}
