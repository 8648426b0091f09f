/* tls: a client of OpenSSL's against our window, byte by byte and hostile: feeds of one byte, records cut
 * off, garbage after the handshake, floods of records without data, hellos that claim what they do not bring;
 * what a server refuses to be made from. */
#include "daemon/ingest/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ingest/tls_record.h"
#include "tests/unit/unit.h"

static char certificate[] = "/tmp/vigie-test-tls-XXXXXX.pem";

static EVP_PKEY *write_identity(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x509 = X509_new();
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 7);
    X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509), 86400);
    X509_set_pubkey(x509, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                               (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(x509, X509_get_subject_name(x509));
    X509_sign(x509, key, EVP_sha256());
    FILE *file = fdopen(mkstemps(certificate, 4), "w");
    PEM_write_X509(file, x509);
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    X509_free(x509);
    return key;
}

static struct config config_of(const char *path)
{
    return (struct config){.tls_certificate = path,
                           .tls_key = path,
                           .tls_client_ca = "",
                           .tls_crl = "",
                           .tls_min_version = "1.2"};
}

static struct tls_server *server(void)
{
    static struct tls_server *made;
    if (made == NULL) {
        EVP_PKEY_free(write_identity());
        struct config config = config_of(certificate);
        if (tls_server_new(&config, &made) != OK)
            abort();
        unlink(certificate);
    }
    return made;
}

struct pair {
    SSL_CTX *context;
    SSL *client;
    struct tls *tls;
    struct buffer to_client, received;
    enum tls_step step;
};

static void begin(struct pair *pair, int version)
{
    *pair = (struct pair){.context = SSL_CTX_new(TLS_client_method())};
    SSL_CTX_set_min_proto_version(pair->context, version);
    SSL_CTX_set_max_proto_version(pair->context, version);
    pair->client = SSL_new(pair->context);
    SSL_set_bio(pair->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(pair->client);
    pair->tls = tls_new(server());
}

static void end(struct pair *pair)
{
    tls_free(pair->tls);
    SSL_free(pair->client);
    SSL_CTX_free(pair->context);
    buffer_deinit(&pair->to_client);
    buffer_deinit(&pair->received);
}

/* Gives the server bytes, `cut` at a time, and takes what it reads; stops where a connection would. */
static void feed(struct pair *pair, const char *data, size_t size, size_t cut)
{
    char plain[16384];
    for (size_t at = 0; at < size && (pair->step == TLS_MORE || pair->step == TLS_DATA); at += cut) {
        size_t piece = size - at < cut ? size - at : cut, read;
        tls_set_window(pair->tls, data + at, piece, &pair->to_client);
        while ((pair->step = tls_read(pair->tls, plain, sizeof(plain), &read)) == TLS_DATA)
            buffer_append(&pair->received, plain, read);
    }
    BIO_write(SSL_get_rbio(pair->client), pair->to_client.data, (int)pair->to_client.size);
    buffer_clear(&pair->to_client);
}

/* What the client has to say goes to the server. */
static void pass(struct pair *pair, size_t cut)
{
    char bytes[65536];
    for (int size; (size = BIO_read(SSL_get_wbio(pair->client), bytes, sizeof(bytes))) > 0;)
        feed(pair, bytes, (size_t)size, cut);
}

static void shake_hands(struct pair *pair, size_t cut)
{
    for (int i = 0; i < 4; i++) {
        ERR_clear_error();
        (void)SSL_do_handshake(pair->client);
        pass(pair, cut);
    }
    CU_ASSERT_TRUE(SSL_is_init_finished(pair->client) && tls_is_established(pair->tls));
}

static void test_every_cut(void)
{
    static const size_t cuts[] = {1, 2, 5, 6, 17, 65536};
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    char text[5000];
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < 12; i++) {
        struct pair pair;
        size_t cut = cuts[i / 2];
        begin(&pair, versions[i % 2]);
        shake_hands(&pair, cut);
        CU_ASSERT_EQUAL(tls_is_1_3(pair.tls), versions[i % 2] == TLS1_3_VERSION);
        SSL_write(pair.client, "begin", 5);
        SSL_write(pair.client, text, sizeof(text));
        pass(&pair, cut);
        CU_ASSERT_EQUAL(pair.step, TLS_MORE);
        CU_ASSERT_EQUAL(pair.received.size, 5 + sizeof(text));
        CU_ASSERT_TRUE(pair.received.size > 5 && memcmp(pair.received.data, "begin", 5) == 0);
        tls_set_window(pair.tls, NULL, 0, &pair.to_client);
        CU_ASSERT_TRUE(tls_write(pair.tls, "answer", 6));
        feed(&pair, "", 0, 1);
        char answer[16];
        CU_ASSERT_EQUAL(SSL_read(pair.client, answer, sizeof(answer)), 6);
        SSL_shutdown(pair.client);
        pass(&pair, cut);
        CU_ASSERT_EQUAL(pair.step, TLS_CLOSED);
        end(&pair);
    }
}

/* A record cut off gives nothing; one bit changed ends the connection, nothing of it is read. */
static void test_truncated_and_forged(void)
{
    char record[256];
    for (int forged = 0; forged < 2; forged++) {
        struct pair pair;
        begin(&pair, TLS1_3_VERSION);
        shake_hands(&pair, 65536);
        SSL_write(pair.client, "reading", 7);
        int size = BIO_read(SSL_get_wbio(pair.client), record, sizeof(record));
        if (forged)
            record[size - 1] ^= 1;
        feed(&pair, record, (size_t)(forged ? size : size - 1), 65536);
        CU_ASSERT_EQUAL(pair.step, forged ? TLS_FAILED : TLS_MORE);
        CU_ASSERT_EQUAL(pair.received.size, 0);
        end(&pair);
    }
}

static void test_garbage_after_the_handshake(void)
{
    srand(7);
    for (int round = 0; round < 200; round++) {
        struct pair pair;
        char garbage[300];
        begin(&pair, round % 2 == 0 ? TLS1_3_VERSION : TLS1_2_VERSION);
        shake_hands(&pair, 65536);
        for (size_t i = 0; i < sizeof(garbage); i++)
            garbage[i] = (char)rand();
        if (round % 4 < 2) /* a record's head, so that its body is looked at */
            memcpy(garbage, "\x17\x03\x03\x00\x40", 5);
        feed(&pair, garbage, sizeof(garbage), 1 + (size_t)round % 50);
        CU_ASSERT_EQUAL(pair.step, TLS_FAILED);
        CU_ASSERT_EQUAL(pair.received.size, 0);
        end(&pair);
    }
}

/* PITFALLS O9: how many records without data, or of one byte, until the connection ends. */
static void test_floods_are_cut(void)
{
    struct pair pair;
    begin(&pair, TLS1_3_VERSION);
    shake_hands(&pair, 65536);
    int updates = 0, all_at_once = 40;
    for (; updates < 1000 && pair.step != TLS_FAILED; updates++) {
        SSL_key_update(pair.client, SSL_KEY_UPDATE_REQUESTED);
        SSL_do_handshake(pair.client);
        pass(&pair, 65536);
    }
    CU_ASSERT_TRUE(updates > 30 && updates < 40);
    end(&pair);
    begin(&pair, TLS1_3_VERSION);
    shake_hands(&pair, 65536);
    for (int i = 0; i < all_at_once; i++) {
        SSL_key_update(pair.client, SSL_KEY_UPDATE_NOT_REQUESTED);
        SSL_do_handshake(pair.client);
    }
    SSL_write(pair.client, "reading", 7);
    pass(&pair, 65536);
    CU_ASSERT_EQUAL(pair.step, TLS_FAILED);
    CU_ASSERT_EQUAL(pair.received.size, 0);
    end(&pair);
    begin(&pair, TLS1_3_VERSION);
    shake_hands(&pair, 65536);
    int tiny = 0;
    for (; tiny < 200000 && pair.step != TLS_FAILED; tiny++) {
        SSL_write(pair.client, "x", 1);
        pass(&pair, 65536);
    }
    CU_ASSERT_TRUE(tiny > 65536 && tiny < 80000);
    end(&pair);
}

static void test_key_updates_of_an_honest_peer(void)
{
    struct pair pair;
    static char text[16384];
    begin(&pair, TLS1_3_VERSION);
    shake_hands(&pair, 65536);
    for (int i = 0; i < 200; i++) {
        if (i % 10 == 0) {
            SSL_key_update(pair.client, SSL_KEY_UPDATE_NOT_REQUESTED);
            SSL_do_handshake(pair.client);
        }
        for (int j = 0; j < 4; j++)
            SSL_write(pair.client, text, sizeof(text));
        pass(&pair, 65536);
    }
    CU_ASSERT_EQUAL(pair.step, TLS_MORE);
    CU_ASSERT_EQUAL(pair.received.size, 200 * 4 * sizeof(text));
    end(&pair);
}

static void test_claims(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        bool good;
    } rows[] = {
        {"\x16\x03\x01\x00\x04\x01\x00\x01\x00", 9, true},
        {"\x16\x03\x01\x00\x04\x01\x00\x20\x00", 9, true},  /* 8 KiB */
        {"\x16\x03\x01\x00\x04\x01\x00\x20\x01", 9, false}, /* and a byte */
        {"\x16\x03\x01\x00\x04\x01\x02\x00\x00", 9, false}, /* 128 KiB */
        {"\x16\x03\x01\x00\x03\x01\x02\x00", 8, false},     /* cut within the claim */
        {"\x14\x03\x03\x00\x01\x01\x16\x03\x03\x00\x04\x01\x02\x00\x00", 15, false}, /* after a retry */
        {"\x14\x03\x03\xff\xff", 5, true},                                           /* OpenSSL's to refuse */
        {"\x17\x03\x03\x00\x01\x01", 6, true},
        {"GET / HTTP/1.1", 14, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        CU_ASSERT_EQUAL(tls_record_claim_is_good(rows[i].bytes, rows[i].size), rows[i].good);
}

static void test_expiry(void)
{
    struct tls_expiry expiry;
    tls_server_expiry(server(), &expiry);
    CU_ASSERT_TRUE(expiry.certificate_ms > 0 && expiry.certificate_ms % 1000 == 0);
    CU_ASSERT_EQUAL(expiry.client_ca_ms, INSTANT_NONE);
    CU_ASSERT_EQUAL(expiry.crl_ms, INSTANT_NONE);
}

/* A connection outlives the server that it was made from. */
static void test_old_context(void)
{
    char path[] = "/tmp/vigie-test-tls-XXXXXX.pem";
    memcpy(certificate, path, sizeof(path));
    EVP_PKEY_free(write_identity());
    struct config config = config_of(certificate);
    struct tls_server *old;
    CU_ASSERT_EQUAL_FATAL(tls_server_new(&config, &old), OK);
    unlink(certificate);
    struct pair pair;
    begin(&pair, TLS1_3_VERSION);
    tls_free(pair.tls);
    pair.tls = tls_new(old);
    tls_server_free(old);
    shake_hands(&pair, 65536);
    SSL_write(pair.client, "reading", 7);
    pass(&pair, 1);
    CU_ASSERT_EQUAL(pair.received.size, 7);
    end(&pair);
}

SUITE(tls) = {
    {"both versions, whatever the cuts", test_every_cut},
    {"a record cut off, a record forged", test_truncated_and_forged},
    {"garbage after the handshake", test_garbage_after_the_handshake},
    {"floods of records are cut", test_floods_are_cut},
    {"an honest peer updates its keys", test_key_updates_of_an_honest_peer},
    {"claims of a first message", test_claims},
    {"when certificates end", test_expiry},
    {"a connection outlives its server", test_old_context},
    {NULL, NULL},
};
