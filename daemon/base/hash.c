/* hash: the digests of the product.
 *
 * SipHash is ours (Aumasson and Bernstein, 2012): two dozen lines, in line on the path of a reading, checked
 * against OpenSSL's in the unit tests. SHA-256, HMAC and HKDF are OpenSSL's. Its algorithm objects are
 * fetched once, for a fetch takes locks and milliseconds (PITFALLS O5), and each thread keeps one context of
 * each, so that a digest allocates nothing after the first. */
#include "daemon/base/hash.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <sys/random.h>
#include <xxhash.h>

enum { HMAC_KEY_MAX = 64 };

struct contexts {
    EVP_MD_CTX *sha256;
    EVP_MAC_CTX *hmac;
    uint8_t hmac_key[HMAC_KEY_MAX]; /* that `hmac` has; identifiers are all matched under one */
    size_t hmac_key_size;           /* 0: none */
};

static pthread_once_t algorithms_once = PTHREAD_ONCE_INIT;
static pthread_key_t contexts_key;
static EVP_MD *sha256_algorithm;
static EVP_MAC *hmac_algorithm;
static EVP_KDF *hkdf_algorithm;

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static uint64_t load_le64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof(value));
    return value; /* x86-64 and arm64 are little-endian; the journal format says so too */
}

static void sip_rounds(uint64_t v[4], int rounds)
{
    for (int i = 0; i < rounds; i++) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

static void sip_block(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_rounds(v, 2);
    v[0] ^= word;
}

/* All of SipHash-2-4 up to finalisation; `wide` is the 128-bit variant's mark. */
static void sip_absorb(uint64_t v[4], const struct sip_key *key, const uint8_t *data, size_t size)
{
    uint64_t last = (uint64_t)size << 56;

    v[0] ^= key->k0;
    v[1] ^= key->k1;
    v[2] ^= key->k0;
    v[3] ^= key->k1;
    for (; size >= 8; data += 8, size -= 8)
        sip_block(v, load_le64(data));
    for (size_t i = 0; i < size; i++)
        last |= (uint64_t)data[i] << (8 * i);
    sip_block(v, last);
}

#define SIP_START                                                                                            \
    {                                                                                                        \
        0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261, 0x7465646279746573                       \
    }

uint64_t hash_sip64(const struct sip_key *key, const void *data, size_t size)
{
    uint64_t v[4] = SIP_START;
    sip_absorb(v, key, data, size);
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void hash_sip128(const struct sip_key *key, const void *data, size_t size, uint8_t out[16])
{
    uint64_t v[4] = SIP_START, half;
    v[1] ^= 0xee;
    sip_absorb(v, key, data, size);
    v[2] ^= 0xee;
    sip_rounds(v, 4);
    half = v[0] ^ v[1] ^ v[2] ^ v[3];
    memcpy(out, &half, 8);
    v[1] ^= 0xdd;
    sip_rounds(v, 4);
    half = v[0] ^ v[1] ^ v[2] ^ v[3];
    memcpy(out + 8, &half, 8);
}

uint64_t hash_xxh64(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}

uint64_t hash_mix64(uint64_t value) /* the finaliser of splitmix64 */
{
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
    value = (value ^ value >> 27) * 0x94d049bb133111eb;
    return value ^ value >> 31;
}

static void contexts_free(void *memory)
{
    struct contexts *contexts = memory;
    EVP_MD_CTX_free(contexts->sha256);
    EVP_MAC_CTX_free(contexts->hmac);
    explicit_bzero(contexts->hmac_key, sizeof contexts->hmac_key);
    free(contexts);
}

static void algorithms_fetch(void)
{
    sha256_algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    hmac_algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    hkdf_algorithm = EVP_KDF_fetch(NULL, "HKDF", NULL);
    ensure(sha256_algorithm != NULL && hmac_algorithm != NULL && hkdf_algorithm != NULL);
    ensure(pthread_key_create(&contexts_key, contexts_free) == 0);
}

static struct contexts *contexts_get(void)
{
    ensure(pthread_once(&algorithms_once, algorithms_fetch) == 0);
    struct contexts *contexts = pthread_getspecific(contexts_key);
    if (contexts != NULL)
        return contexts;
    contexts = calloc(1, sizeof(*contexts));
    ensure(contexts != NULL);
    contexts->sha256 = EVP_MD_CTX_new();
    contexts->hmac = EVP_MAC_CTX_new(hmac_algorithm);
    ensure(contexts->sha256 != NULL && contexts->hmac != NULL);
    ensure(pthread_setspecific(contexts_key, contexts) == 0);
    return contexts;
}

void hash_sha256(const void *data, size_t size, uint8_t out[SHA256_BYTES])
{
    EVP_MD_CTX *context = contexts_get()->sha256;
    unsigned written = 0;
    ensure(EVP_DigestInit_ex2(context, sha256_algorithm, NULL) == 1);
    ensure(EVP_DigestUpdate(context, data, size) == 1);
    ensure(EVP_DigestFinal_ex(context, out, &written) == 1 && written == SHA256_BYTES);
}

static OSSL_PARAM digest_parameter(void)
{
    static char name[] = "SHA256";
    return OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0);
}

void hash_hmac_sha256(const uint8_t *key, size_t key_size, const void *data, size_t size,
                      uint8_t out[SHA256_BYTES])
{
    struct contexts *contexts = contexts_get();
    EVP_MAC_CTX *context = contexts->hmac;
    size_t written = 0;
    ensure(key_size > 0 && key_size <= HMAC_KEY_MAX);
    if (key_size == contexts->hmac_key_size && memcmp(key, contexts->hmac_key, key_size) == 0) {
        ensure(EVP_MAC_init(context, NULL, 0, NULL) == 1); /* under the key before, which costs a third */
    } else {
        OSSL_PARAM parameters[] = {digest_parameter(), OSSL_PARAM_construct_end()};
        ensure(EVP_MAC_init(context, key, key_size, parameters) == 1);
        memcpy(contexts->hmac_key, key, key_size);
        contexts->hmac_key_size = key_size;
    }
    ensure(EVP_MAC_update(context, data, size) == 1);
    ensure(EVP_MAC_final(context, out, &written, SHA256_BYTES) == 1 && written == SHA256_BYTES);
}

void hash_derive(const uint8_t *key, size_t key_size, const char *info, uint8_t *out, size_t out_size)
{
    uint8_t secret[64];
    char label[64];
    size_t label_size = strlen(info);

    (void)contexts_get(); /* fetches the algorithms */
    ensure(key_size > 0 && key_size <= sizeof(secret) && label_size < sizeof(label));
    memcpy(secret, key, key_size); /* OSSL_PARAM takes no const memory */
    memcpy(label, info, label_size);
    OSSL_PARAM parameters[] = {
        digest_parameter(),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret, key_size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, label, label_size),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(hkdf_algorithm);
    ensure(context != NULL && EVP_KDF_derive(context, out, out_size, parameters) == 1);
    EVP_KDF_CTX_free(context);
    explicit_bzero(secret, sizeof(secret));
}

enum err hash_random(void *out, size_t size)
{
    uint8_t *at = out;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_from_errno(errno);
        at += got;
        size -= (size_t)got;
    }
    return OK;
}

void uuid_make_v8(uint8_t uuid[UUID_BYTES])
{
    uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x80);
    uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

void hex_format(const uint8_t *bytes, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum err hex_parse(const char *text, size_t text_size, uint8_t *out, size_t out_size)
{
    if (text_size != 2 * out_size)
        return ERR_FORMAT;
    for (size_t i = 0; i < out_size; i++) {
        int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return ERR_FORMAT;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return OK;
}

/* 8-4-4-4-12 digits: a dash stands before these bytes. */
static bool dash_before(size_t index)
{
    return index == 4 || index == 6 || index == 8 || index == 10;
}

void uuid_format(const uint8_t uuid[UUID_BYTES], char out[UUID_TEXT + 1])
{
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (dash_before(i))
            *out++ = '-';
        hex_format(&uuid[i], 1, out);
        out += 2;
    }
}

enum err uuid_parse(const char *text, size_t size, uint8_t uuid[UUID_BYTES])
{
    uint8_t bytes[UUID_BYTES];
    if (size != UUID_TEXT)
        return ERR_FORMAT;
    for (size_t i = 0; i < UUID_BYTES; i++, text += 2) {
        if (dash_before(i) && *text++ != '-')
            return ERR_FORMAT;
        enum err error = hex_parse(text, 2, &bytes[i], 1);
        if (error != OK)
            return error;
    }
    memcpy(uuid, bytes, UUID_BYTES);
    return OK;
}
