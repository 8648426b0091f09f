/* cipher: published vectors through our calls, what a tag must refuse, the ring of keys. */
#include "daemon/base/cipher.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "daemon/base/hash.h"
#include "tests/unit/unit.h"

static void key_of(uint8_t fill, uint8_t key[CIPHER_KEY_BYTES])
{
    memset(key, fill, CIPHER_KEY_BYTES);
}

static struct cipher_keys ring_of(uint8_t first, uint8_t second)
{
    struct cipher_keys keys = {.count = 0};
    uint8_t key[CIPHER_KEY_BYTES];
    key_of(first, key);
    CU_ASSERT_EQUAL(cipher_keys_add(&keys, key), OK);
    key_of(second, key);
    CU_ASSERT_EQUAL(cipher_keys_add(&keys, key), OK);
    return keys;
}

static struct cipher *open_with(const struct cipher_keys *keys, uint8_t salt_fill, const char *label)
{
    uint8_t salt[CIPHER_SALT_BYTES];
    struct cipher *cipher = NULL;
    memset(salt, salt_fill, sizeof(salt));
    CU_ASSERT_EQUAL_FATAL(cipher_open(keys, cipher_keys_sealing(keys), salt, label, &cipher), OK);
    return cipher;
}

static void test_ring(void)
{
    uint8_t key[CIPHER_KEY_BYTES];
    struct cipher_keys keys = ring_of(1, 2);
    struct cipher *cipher = NULL;
    CU_ASSERT_EQUAL(keys.count, 2);
    key_of(1, key);
    CU_ASSERT_EQUAL(cipher_keys_sealing(&keys), cipher_key_id(key));
    CU_ASSERT_EQUAL(cipher_keys_add(&keys, key), OK);
    CU_ASSERT_EQUAL(keys.count, 2);
    CU_ASSERT_NOT_EQUAL(keys.key[0].id, keys.key[1].id);
    CU_ASSERT_NOT_EQUAL(memcmp(&keys.key[0].id, key, 4), 0);
    CU_ASSERT_EQUAL(cipher_open(&keys, keys.key[0].id ^ 1, key, "label", &cipher), ERR_KEY_MISSING);
    for (uint8_t fill = 3; keys.count < CIPHER_KEYS_MAX; fill++) {
        key_of(fill, key);
        CU_ASSERT_EQUAL(cipher_keys_add(&keys, key), OK);
    }
    key_of(99, key);
    CU_ASSERT_EQUAL(cipher_keys_add(&keys, key), ERR_LIMIT);
    /* Another key under an id that is taken: made by hand. */
    keys.count = 1;
    keys.key[0].id = cipher_key_id(key);
    CU_ASSERT_EQUAL(cipher_keys_add(&keys, key), ERR_EXISTS);
    cipher_keys_clear(&keys);
    CU_ASSERT_EQUAL(keys.count, 0);
    CU_ASSERT_EQUAL(keys.key[0].master[0], 0);
}

/* The same bytes by OpenSSL's own one-shot path: key by HKDF, nonce = 0 0 0 0, counter little-endian. */
static void seal_by_hand(const struct cipher_keys *keys, const char *aad, uint8_t *data, size_t size,
                         uint8_t tag[CIPHER_TAG_BYTES])
{
    uint8_t key[32], salt[CIPHER_SALT_BYTES], master[CIPHER_KEY_BYTES];
    uint8_t nonce[12] = {0, 0, 0, 0, 5, 1, 0, 0, 0, 0, 0, 0};
    char digest[] = "SHA256", info[] = "label";
    int done;
    memset(salt, 7, sizeof(salt));
    memcpy(master, keys->key[0].master, sizeof(master));
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                               OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, master, 32),
                               OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt, 32),
                               OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, 5),
                               OSSL_PARAM_construct_end()};
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *derivation = EVP_KDF_CTX_new(kdf);
    CU_ASSERT_EQUAL(EVP_KDF_derive(derivation, key, sizeof(key), parameters), 1);
    EVP_KDF_CTX_free(derivation);
    EVP_KDF_free(kdf);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    CU_ASSERT_EQUAL(EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce), 1);
    CU_ASSERT_EQUAL(EVP_EncryptUpdate(context, NULL, &done, (const uint8_t *)aad, (int)strlen(aad)), 1);
    CU_ASSERT_EQUAL(EVP_EncryptUpdate(context, data, &done, data, (int)size), 1);
    CU_ASSERT_EQUAL(EVP_EncryptFinal_ex(context, data, &done), 1);
    CU_ASSERT_EQUAL(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, 16, tag), 1);
    EVP_CIPHER_CTX_free(context);
}

static void test_seal(void)
{
    static const char text[] = "P-17 4548-4 7.25 %";
    char ours[sizeof(text)];
    uint8_t theirs[sizeof(text)], tag[CIPHER_TAG_BYTES], expected[CIPHER_TAG_BYTES];
    struct cipher_keys keys = ring_of(1, 2);
    struct cipher *cipher = open_with(&keys, 7, "label");
    const struct cipher_message message = {
        .counter = 0x105, .aad = "place", .aad_size = 5, .data = ours, .size = sizeof(ours)};
    memcpy(ours, text, sizeof(text));
    memcpy(theirs, text, sizeof(text));
    cipher_seal(cipher, &message, tag);
    seal_by_hand(&keys, "place", theirs, sizeof(theirs), expected);
    CU_ASSERT_EQUAL(memcmp(ours, theirs, sizeof(text)), 0);
    CU_ASSERT_EQUAL(memcmp(tag, expected, sizeof(tag)), 0);
    CU_ASSERT_EQUAL(cipher_unseal(cipher, &message, tag), OK);
    CU_ASSERT_STRING_EQUAL(ours, text);
    cipher_close(cipher);
    cipher_close(NULL);
}

/* Seals "reading" under place, counter 1, then opens it as `message` says. */
static enum err reopen(struct cipher *sealer, struct cipher *opener, uint64_t counter, const char *aad,
                       size_t flip)
{
    uint8_t data[7 + CIPHER_TAG_BYTES] = "reading";
    struct cipher_message message = {.counter = 1, .aad = "place", .aad_size = 5, .data = data, .size = 7};
    cipher_seal(sealer, &message, data + 7);
    if (flip < sizeof(data))
        data[flip] ^= 0x10;
    message.counter = counter;
    message.aad = aad;
    message.aad_size = strlen(aad);
    enum err error = cipher_unseal(opener, &message, data + 7);
    CU_ASSERT_EQUAL(memcmp(data, "reading", 7) == 0, error == OK);
    if (error != OK) { /* nothing that was not authentic is left behind */
        CU_ASSERT_EQUAL(memcmp(data, "\0\0\0\0\0\0\0", 7), 0);
    }
    return error;
}

static void test_refusals(void)
{
    struct cipher_keys keys = ring_of(1, 2), others = ring_of(2, 1);
    struct cipher *cipher = open_with(&keys, 7, "label"), *salt = open_with(&keys, 8, "label"),
                  *label = open_with(&keys, 7, "other"), *master = open_with(&others, 7, "label");
    CU_ASSERT_EQUAL(reopen(cipher, cipher, 1, "place", SIZE_MAX), OK);
    CU_ASSERT_EQUAL(reopen(cipher, cipher, 2, "place", SIZE_MAX), ERR_CORRUPT);
    CU_ASSERT_EQUAL(reopen(cipher, cipher, 1, "plac", SIZE_MAX), ERR_CORRUPT);
    CU_ASSERT_EQUAL(reopen(cipher, cipher, 1, "placf", SIZE_MAX), ERR_CORRUPT);
    CU_ASSERT_EQUAL(reopen(cipher, salt, 1, "place", SIZE_MAX), ERR_CORRUPT);
    CU_ASSERT_EQUAL(reopen(cipher, label, 1, "place", SIZE_MAX), ERR_CORRUPT);
    CU_ASSERT_EQUAL(reopen(cipher, master, 1, "place", SIZE_MAX), ERR_CORRUPT);
    for (size_t flip = 0; flip < 7 + CIPHER_TAG_BYTES; flip++)
        CU_ASSERT_EQUAL(reopen(cipher, cipher, 1, "place", flip), ERR_CORRUPT);
    CU_ASSERT_EQUAL(reopen(cipher, cipher, 1, "place", SIZE_MAX), OK); /* a refusal leaves it usable */
    cipher_close(master);
    cipher_close(label);
    cipher_close(salt);
    cipher_close(cipher);
}

SUITE(cipher) = {
    {"the ring of master keys", test_ring},
    {"seal and open, beside OpenSSL by hand", test_seal},
    {"what is refused", test_refusals},
    {NULL, NULL},
};
