/* hash: our SipHash against the published vectors and OpenSSL's, OpenSSL's digests through our calls. */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "daemon/base/hash.h"
#include "tests/unit/unit.h"

static void check_hex(const uint8_t *bytes, size_t size, const char *expected)
{
    char text[129];
    CU_ASSERT_FATAL(size <= 64);
    hex_format(bytes, size, text);
    CU_ASSERT_STRING_EQUAL(text, expected);
}

static void openssl_sip(const uint8_t key[16], const uint8_t *data, size_t size, uint8_t *out,
                        size_t out_size)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &out_size),
                               OSSL_PARAM_construct_end()};
    size_t written;
    CU_ASSERT_EQUAL_FATAL(EVP_MAC_init(context, key, 16, parameters), 1);
    CU_ASSERT_EQUAL_FATAL(EVP_MAC_update(context, data, size), 1);
    CU_ASSERT_EQUAL_FATAL(EVP_MAC_final(context, out, &written, 16), 1);
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(mac);
}

static void test_siphash(void)
{
    const struct sip_key key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    uint8_t data[64], raw[16], ours[16], theirs[16];

    for (int i = 0; i < 64; i++)
        data[i] = (uint8_t)i;
    memcpy(raw, data, 16);
    CU_ASSERT_EQUAL(hash_sip64(&key, data, 15), 0xa129ca6149be45e5); /* the paper's example */
    CU_ASSERT_EQUAL(hash_sip64(&key, data, 0), 0x726fdb47dd0e0e31);
    hash_sip128(&key, data, 0, ours);
    check_hex(ours, 16, "a3817f04ba25a8e66df67214c7550293"); /* the reference's first 128-bit vector */
    for (size_t size = 0; size < sizeof(data); size++) {
        uint64_t word = hash_sip64(&key, data, size);
        openssl_sip(raw, data, size, theirs, 8);
        CU_ASSERT_EQUAL(memcmp(&word, theirs, 8), 0);
        hash_sip128(&key, data, size, ours);
        openssl_sip(raw, data, size, theirs, 16);
        CU_ASSERT_EQUAL(memcmp(ours, theirs, 16), 0);
    }
}

static void test_digests(void)
{
    uint8_t out[64], key[22];

    hash_sha256("abc", 3, out);
    check_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hash_sha256("", 0, out);
    check_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    hash_hmac_sha256((const uint8_t *)"Jefe", 4, "what do ya want for nothing?", 28,
                     out); /* RFC 4231, case 2 */
    check_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0x0b, sizeof(key));
    hash_hmac_sha256(key, 20, "Hi There", 8, out); /* RFC 4231, case 1: the context is used again */
    check_hex(out, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    for (int i = 0; i < 3; i++) { /* under the key before, and under another in between */
        uint8_t again[SHA256_BYTES];
        if (i == 2)
            hash_hmac_sha256((const uint8_t *)"Jefe", 4, "Hi There", 8, again);
        hash_hmac_sha256(key, 20, "Hi There", 8, again);
        CU_ASSERT_EQUAL(memcmp(again, out, sizeof again), 0);
    }
    hash_derive(key, sizeof(key), "", out, 42); /* RFC 5869, case 3 */
    check_hex(out, 42,
              "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

static void test_mixers(void)
{
    CU_ASSERT_EQUAL(hash_mix64(0), 0);
    CU_ASSERT_EQUAL(hash_mix64(0x9e3779b97f4a7c15),
                    0xe220a8397b1dcdaf);                    /* splitmix64's first output of seed 0 */
    CU_ASSERT_EQUAL(hash_xxh64("", 0), 0x2d06800538d394c2); /* XXH3's value of nothing */
    uint8_t a[16] = {0}, b[16] = {0};
    CU_ASSERT_EQUAL(hash_random(a, sizeof(a)), OK);
    CU_ASSERT_EQUAL(hash_random(b, sizeof(b)), OK);
    CU_ASSERT_NOT_EQUAL(memcmp(a, b, sizeof(a)), 0);
}

static void test_texts(void)
{
    static const char text[] = "550e8400-e29b-81d4-a716-446655440000";
    uint8_t uuid[UUID_BYTES] = {0}, bytes[3];
    char out[UUID_TEXT + 1];

    CU_ASSERT_EQUAL(uuid_parse(text, strlen(text), uuid), OK);
    uuid_format(uuid, out);
    CU_ASSERT_STRING_EQUAL(out, text);
    memset(uuid, 0xff, sizeof(uuid));
    uuid_make_v8(uuid);
    uuid_format(uuid, out);
    CU_ASSERT_STRING_EQUAL(out, "ffffffff-ffff-8fff-bfff-ffffffffffff");
    CU_ASSERT_EQUAL(uuid_parse("550e8400-e29b-81d4-a716-44665544000", 35, uuid), ERR_FORMAT);
    CU_ASSERT_EQUAL(uuid_parse("550e8400+e29b-81d4-a716-446655440000", 36, uuid), ERR_FORMAT);
    CU_ASSERT_EQUAL(hex_parse("00fFa5", 6, bytes, 3), OK);
    CU_ASSERT_TRUE(bytes[0] == 0 && bytes[1] == 0xff && bytes[2] == 0xa5);
    CU_ASSERT_EQUAL(hex_parse("00fg00", 6, bytes, 3), ERR_FORMAT);
    CU_ASSERT_EQUAL(hex_parse("00ff", 4, bytes, 3), ERR_FORMAT);
}

SUITE(hash) = {
    {"SipHash-2-4, 64 and 128 bits", test_siphash},
    {"SHA-256, HMAC, HKDF", test_digests},
    {"mixers and random", test_mixers},
    {"UUID and hexadecimal text", test_texts},
    {NULL, NULL},
};
