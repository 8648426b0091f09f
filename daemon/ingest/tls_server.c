/* tls_server: a context: the server's certificate, who may have issued the clients', what was revoked.
 * Files are read by us, block by block, and judged before anything is in force: what OpenSSL's own loaders
 * pass over in silence (a file cut between two blocks, a certificate among the revocation lists, which they
 * would trust as an authority, an authority without a list, which refuses all of its clients) is refused
 * here with a word to the operator. A reload that fails leaves the old context in force. */
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/ingest/tls_internal.h"

enum {
    CLIENT_CHAIN_BYTES_MAX = 16384, /* of the certificates that a client shows: three of the largest keys */
    CLIENT_CHAIN_DEPTH_MAX = 4,
};

/* HTTP/1.1 for those who ask; others are served the same. */
static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                           const unsigned char *in, unsigned in_size, void *context)
{
    static const unsigned char http[] = "\x08http/1.1";
    for (unsigned at = 0; at < in_size; at += 1u + in[at])
        if (in[at] == http[0] && at + http[0] < in_size && memcmp(in + at, http, sizeof(http) - 1) == 0) {
            *out = in + at + 1;
            *out_size = http[0];
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_NOACK;
}

/* Logs what the operator must mend; `found` NULL: OpenSSL's word on it. */
static enum err refuse_setting(const char *key, const char *setting, const char *found, const char *hint)
{
    char reason[160];
    ERR_error_string_n(ERR_peek_last_error(), reason, sizeof(reason));
    ERR_clear_error();
    log_write(LOG_ERROR, "ingest", "cannot use %s found=%s error=\"%s\" hint=\"%s\"", key, setting,
              found != NULL ? found : reason, hint);
    return ERR_CONFIG;
}

/* When something ends. */

static int64_t ms_of(const ASN1_TIME *time)
{
    struct tm parts;
    if (time == NULL || ASN1_TIME_to_tm(time, &parts) != 1)
        return INSTANT_NONE;
    return (int64_t)timegm(&parts) * 1000;
}

static void keep_earlier(int64_t *kept_ms, int64_t ms)
{
    if (ms != INSTANT_NONE && (*kept_ms == INSTANT_NONE || ms < *kept_ms))
        *kept_ms = ms;
}

/* PEM files. */

/* Lines that begin a certificate or a list; -1: one of the dashed lines was cut. */
static int count_begun(BIO *file)
{
    static const char begin[] = "-----BEGIN ", end[] = "-----END ", dashes[] = "-----";
    char line[256];
    int begun = 0;
    for (int size; (size = BIO_gets(file, line, sizeof(line))) > 0;) {
        size_t used = strcspn(line, "\r\n");
        if (strncmp(line, dashes, 5) != 0)
            continue;
        bool is_begin = strncmp(line, begin, sizeof(begin) - 1) == 0;
        if ((!is_begin && strncmp(line, end, sizeof(end) - 1) != 0) || used < 16 ||
            memcmp(line + used - 5, dashes, 5) != 0)
            return -1;
        begun += is_begin && (strstr(line, "CERTIFICATE-----") != NULL || strstr(line, "CRL-----") != NULL);
    }
    return begun;
}

/* The blocks of the file, keys among them passed over; NULL: unreadable, empty, or something in it is not
 * whole. */
static STACK_OF(X509_INFO) * read_blocks(const char *path)
{
    BIO *file = BIO_new_file(path, "r");
    if (file == NULL)
        return NULL;
    STACK_OF(X509_INFO) *blocks = PEM_X509_INFO_read_bio(file, NULL, NULL, NULL);
    int whole = 0;
    for (int i = 0; blocks != NULL && i < sk_X509_INFO_num(blocks); i++) {
        const X509_INFO *block = sk_X509_INFO_value(blocks, i);
        whole += (block->x509 != NULL) + (block->crl != NULL);
    }
    (void)BIO_seek(file, 0);
    int begun = count_begun(file);
    BIO_free(file);
    if (whole > 0 && begun == whole)
        return blocks;
    sk_X509_INFO_pop_free(blocks, X509_INFO_free);
    return NULL;
}

static enum err load_identity(struct tls_server *server, const struct config *config)
{
    char path[PATH_MAX];
    SSL_CTX *context = server->context;
    static const char certificate_hint[] = "a PEM chain, whole, the server's certificate first";
    if (config_file(config->tls_certificate, path, sizeof(path)) != OK)
        return refuse_setting("[tls] certificate", config->tls_certificate, NULL, certificate_hint);
    STACK_OF(X509_INFO) *blocks = read_blocks(path);
    bool good = blocks != NULL && SSL_CTX_use_certificate_chain_file(context, path) == 1;
    for (int i = 0; good && i < sk_X509_INFO_num(blocks); i++) {
        const X509_INFO *block = sk_X509_INFO_value(blocks, i);
        if (block->x509 != NULL)
            keep_earlier(&server->expiry.certificate_ms, ms_of(X509_get0_notAfter(block->x509)));
    }
    sk_X509_INFO_pop_free(blocks, X509_INFO_free);
    if (!good)
        return refuse_setting("[tls] certificate", config->tls_certificate, NULL, certificate_hint);
    if (config_file(config->tls_key, path, sizeof(path)) != OK ||
        SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) != 1)
        return refuse_setting("[tls] key", config->tls_key, NULL,
                              "the PEM key of the certificate, without a passphrase");
    if (SSL_CTX_check_private_key(context) != 1)
        return refuse_setting("[tls] key", config->tls_key, NULL,
                              "certificate and key do not belong together");
    return OK;
}

/* Client certificates. */

static enum err take_authorities(struct tls_server *server, const char *setting,
                                 const STACK_OF(X509_INFO) * blocks)
{
    X509_STORE *store = SSL_CTX_get_cert_store(server->context);
    for (int i = 0; i < sk_X509_INFO_num(blocks); i++) {
        X509 *authority = sk_X509_INFO_value(blocks, i)->x509;
        if (authority == NULL || X509_check_ca(authority) == 0)
            return refuse_setting("[tls] client_ca", setting, "a block that is no authority",
                                  "PEM certificates of authorities alone");
        if (X509_STORE_add_cert(store, authority) != 1 ||
            SSL_CTX_add_client_CA(server->context, authority) != 1)
            return refuse_setting("[tls] client_ca", setting, NULL, "PEM certificates of the authorities");
        keep_earlier(&server->expiry.client_ca_ms, ms_of(X509_get0_notAfter(authority)));
    }
    return OK;
}

/* A list judges only what its issuer has signed, and only by the issuer's signature. */
static bool list_is_of(X509_CRL *list, X509 *authority)
{
    return X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_subject_name(authority)) == 0 &&
           X509_CRL_verify(list, X509_get0_pubkey(authority)) == 1;
}

static enum err take_lists(struct tls_server *server, const char *setting, const STACK_OF(X509_INFO) * lists,
                           const STACK_OF(X509_INFO) * authorities)
{
    X509_STORE *store = SSL_CTX_get_cert_store(server->context);
    uint64_t listed = 0;
    ensure(sk_X509_INFO_num(authorities) <= 64);
    for (int i = 0; i < sk_X509_INFO_num(lists); i++) {
        X509_CRL *list = sk_X509_INFO_value(lists, i)->crl;
        uint64_t of_list = 0;
        for (int j = 0; list != NULL && j < sk_X509_INFO_num(authorities); j++)
            if (list_is_of(list, sk_X509_INFO_value(authorities, j)->x509))
                of_list |= UINT64_C(1) << j;
        listed |= of_list;
        ERR_clear_error();
        if (of_list == 0 || X509_STORE_add_crl(store, list) != 1)
            return refuse_setting("[tls] crl", setting, "a block that is no list signed by an authority",
                                  "PEM revocation lists of client_ca alone");
        keep_earlier(&server->expiry.crl_ms, ms_of(X509_CRL_get0_nextUpdate(list)));
    }
    for (int j = 0; j < sk_X509_INFO_num(authorities); j++)
        if ((listed >> j & 1) == 0)
            return refuse_setting("[tls] crl", setting, "an authority of client_ca without a list",
                                  "one list for each authority, or all of its clients would be refused");
    /* PITFALLS O8: without the flag a revocation list is loaded and ignored. */
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    if (server->expiry.crl_ms != INSTANT_NONE && server->expiry.crl_ms <= clock_wall_ms())
        log_write(LOG_ERROR, "ingest",
                  "revocation list is past its next update, every client certificate is refused, tokens are "
                  "served crl=%s hint=\"put a new list there, then systemctl reload vigied\"",
                  setting);
    return OK;
}

static enum err load_clients(struct tls_server *server, const struct config *config)
{
    if (*config->tls_client_ca == '\0')
        return OK;
    STACK_OF(X509_INFO) *authorities = read_blocks(config->tls_client_ca), *lists = NULL;
    enum err error = authorities != NULL && sk_X509_INFO_num(authorities) <= 64
                         ? take_authorities(server, config->tls_client_ca, authorities)
                         : refuse_setting("[tls] client_ca", config->tls_client_ca, NULL,
                                          "1 to 64 whole PEM certificates of authorities");
    if (error == OK && *config->tls_crl != '\0') {
        lists = read_blocks(config->tls_crl);
        error = lists != NULL ? take_lists(server, config->tls_crl, lists, authorities)
                              : refuse_setting("[tls] crl", config->tls_crl, NULL,
                                               "whole PEM revocation lists of client_ca");
    }
    SSL_CTX_set_verify(server->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_verify_depth(server->context, CLIENT_CHAIN_DEPTH_MAX);
    sk_X509_INFO_pop_free(authorities, X509_INFO_free);
    sk_X509_INFO_pop_free(lists, X509_INFO_free);
    return error;
}

/* A context. */

static void set_policy(SSL_CTX *context, const struct config *config)
{
    static const unsigned char session_context[] = "vigie";
    SSL_CTX_set_min_proto_version(context, strcmp(config->tls_min_version, "1.3") == 0 ? TLS1_3_VERSION
                                                                                       : TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_max_cert_list(context, CLIENT_CHAIN_BYTES_MAX);
    /* Nothing is resumed: no tickets, no cache that could grow (PITFALLS O6, O7); the session context is set
     * so that a peer who asks to resume meets a full handshake, not an error. */
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_session_id_context(context, session_context, sizeof(session_context) - 1);
    SSL_CTX_set_alpn_select_cb(context, select_protocol, NULL);
}

enum err tls_server_new(const struct config *config, struct tls_server **ret_server)
{
    struct tls_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return ERR_NO_MEMORY;
    server->expiry = (struct tls_expiry){INSTANT_NONE, INSTANT_NONE, INSTANT_NONE};
    ERR_clear_error();
    server->context = SSL_CTX_new(TLS_server_method());
    enum err error = server->context == NULL ? ERR_NO_MEMORY : OK;
    if (error == OK) {
        set_policy(server->context, config);
        error = load_identity(server, config);
    }
    if (error == OK)
        error = load_clients(server, config);
    if (error == OK)
        *ret_server = server;
    else
        tls_server_free(server);
    return error;
}

void tls_server_free(struct tls_server *server)
{
    if (server == NULL)
        return;
    SSL_CTX_free(server->context);
    free(server);
}

void tls_server_expiry(const struct tls_server *server, struct tls_expiry *ret_expiry)
{
    *ret_expiry = server->expiry;
}
