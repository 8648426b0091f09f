/* tls: OpenSSL behind a window. A BIO of ours reads from the bytes that the loop has just received and writes
 * into the loop's output buffer: nothing is copied between, and nothing of a connection is pinned while it is
 * idle (PITFALLS O1: SSL_MODE_RELEASE_BUFFERS; O2: ciphertext lives in our own buffers). */
#include "daemon/ingest/tls.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"

struct tls_server {
    SSL_CTX *context;
    BIO_METHOD *window;
};

struct tls {
    SSL *ssl;
    const char *input;
    size_t input_left;
    struct buffer *output;
};

/* The window. */

static int window_read(BIO *bio, char *out, int capacity)
{
    struct tls *tls = BIO_get_data(bio);
    size_t size = tls->input_left < (size_t)capacity ? tls->input_left : (size_t)capacity;
    BIO_clear_retry_flags(bio);
    if (size == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(out, tls->input, size);
    tls->input += size;
    tls->input_left -= size;
    return (int)size;
}

static int window_write(BIO *bio, const char *data, int size)
{
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    buffer_append(tls->output, data, (size_t)size);
    return size;
}

static long window_control(BIO *bio, int command, long number, void *pointer)
{
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *window_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "window");
    if (method == NULL)
        return NULL;
    BIO_meth_set_read(method, window_read);
    BIO_meth_set_write(method, window_write);
    BIO_meth_set_ctrl(method, window_control);
    return method;
}

/* The server. */

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

/* Logs OpenSSL's word on what the operator must mend. */
static enum err refuse_setting(const char *key, const char *setting, const char *hint)
{
    char reason[160];
    ERR_error_string_n(ERR_peek_last_error(), reason, sizeof(reason));
    ERR_clear_error();
    log_write(LOG_ERROR, "ingest", "cannot use %s found=%s error=\"%s\" hint=\"%s\"", key, setting, reason,
              hint);
    return ERR_CONFIG;
}

static enum err load_identity(SSL_CTX *context, const struct config *config)
{
    char path[PATH_MAX];
    if (config_file(config->tls_certificate, path, sizeof(path)) != OK ||
        SSL_CTX_use_certificate_chain_file(context, path) != 1)
        return refuse_setting("[tls] certificate", config->tls_certificate,
                              "a PEM chain, the server's certificate first");
    if (config_file(config->tls_key, path, sizeof(path)) != OK ||
        SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) != 1)
        return refuse_setting("[tls] key", config->tls_key,
                              "the PEM key of the certificate, without a passphrase");
    if (SSL_CTX_check_private_key(context) != 1)
        return refuse_setting("[tls] key", config->tls_key, "certificate and key do not belong together");
    return OK;
}

/* A client certificate is asked for, not demanded (INTERFACES.md section 4); one that is shown must verify.
 */
static enum err load_client_authorities(SSL_CTX *context, const struct config *config)
{
    if (*config->tls_client_ca == '\0')
        return OK;
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(config->tls_client_ca);
    if (names == NULL || SSL_CTX_load_verify_locations(context, config->tls_client_ca, NULL) != 1)
        return refuse_setting("[tls] client_ca", config->tls_client_ca,
                              "PEM certificates of the authorities");
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (*config->tls_crl == '\0')
        return OK;
    if (SSL_CTX_load_verify_file(context, config->tls_crl) != 1)
        return refuse_setting("[tls] crl", config->tls_crl, "PEM revocation lists of client_ca");
    /* PITFALLS O8: without the flag a revocation list is loaded and ignored. */
    X509_STORE_set_flags(SSL_CTX_get_cert_store(context), X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return OK;
}

static void set_policy(SSL_CTX *context, const struct config *config)
{
    SSL_CTX_set_min_proto_version(context, strcmp(config->tls_min_version, "1.3") == 0 ? TLS1_3_VERSION
                                                                                       : TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    /* Nothing is resumed: no tickets, no cache that could grow (PITFALLS O6, O7). */
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(context, select_protocol, NULL);
}

enum err tls_server_new(const struct config *config, struct tls_server **ret_server)
{
    struct tls_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return ERR_NO_MEMORY;
    ERR_clear_error();
    server->context = SSL_CTX_new(TLS_server_method());
    server->window = window_new();
    enum err error = server->context == NULL || server->window == NULL ? ERR_NO_MEMORY : OK;
    if (error != OK)
        goto fail;
    set_policy(server->context, config);
    error = load_identity(server->context, config);
    if (error == OK)
        error = load_client_authorities(server->context, config);
    if (error != OK)
        goto fail;
    *ret_server = server;
    return OK;
fail:
    tls_server_free(server);
    return error;
}

void tls_server_free(struct tls_server *server)
{
    if (server == NULL)
        return;
    SSL_CTX_free(server->context);
    BIO_meth_free(server->window);
    free(server);
}

/* A connection's. */

struct tls *tls_new(struct tls_server *server)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    BIO *bio = BIO_new(server->window);
    SSL *ssl = SSL_new(server->context);
    if (tls == NULL || bio == NULL || ssl == NULL) {
        SSL_free(ssl);
        BIO_free(bio);
        free(tls);
        return NULL;
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio); /* takes the BIO */
    SSL_set_accept_state(ssl);
    tls->ssl = ssl;
    return tls;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    free(tls);
}

void tls_set_window(struct tls *tls, const char *data, size_t size, struct buffer *out)
{
    tls->input = data;
    tls->input_left = size;
    tls->output = out;
}

size_t tls_input_left(const struct tls *tls)
{
    return tls->input_left;
}

bool tls_is_established(const struct tls *tls)
{
    return SSL_is_init_finished(tls->ssl);
}

enum tls_step tls_read(struct tls *tls, char *out, size_t capacity, size_t *ret_size)
{
    ensure(tls->output != NULL && capacity > 0);
    ERR_clear_error(); /* PITFALLS O12 */
    if (SSL_read_ex(tls->ssl, out, capacity, ret_size) == 1)
        return TLS_DATA;
    switch (SSL_get_error(tls->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
        return TLS_MORE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_CLOSED;
    default:
        ERR_clear_error();
        return TLS_FAILED;
    }
}

bool tls_write(struct tls *tls, const char *data, size_t size)
{
    size_t written;
    ERR_clear_error();
    if (size == 0)
        return true;
    bool done = SSL_write_ex(tls->ssl, data, size, &written) == 1 && written == size;
    ERR_clear_error();
    return done;
}

void tls_end(struct tls *tls)
{
    ERR_clear_error();
    (void)SSL_shutdown(tls->ssl); /* sends; the peer's own is not waited for */
    ERR_clear_error();
}

static size_t put_name(char *out, size_t capacity, size_t used, const ASN1_STRING *name)
{
    size_t size = (size_t)ASN1_STRING_length(name);
    const unsigned char *data = ASN1_STRING_get0_data(name);
    /* A name with a NUL inside would read as a shorter one: left out. */
    if (size == 0 || used + size + 1 > capacity || memchr(data, '\0', size) != NULL)
        return used;
    memcpy(out + used, data, size);
    out[used + size] = '\0';
    return used + size + 1;
}

static size_t put_dns_names(char *out, size_t capacity, size_t used, const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            used = put_name(out, capacity, used, name->d.dNSName);
    }
    GENERAL_NAMES_free(names);
    return used;
}

size_t tls_peer_names(const struct tls *tls, char *out, size_t capacity)
{
    X509 *certificate = SSL_get1_peer_certificate(tls->ssl);
    if (certificate == NULL || SSL_get_verify_result(tls->ssl) != X509_V_OK) {
        X509_free(certificate);
        return 0;
    }
    size_t used = 0;
    X509_NAME *subject = X509_get_subject_name(certificate);
    int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (index >= 0)
        used = put_name(out, capacity, used, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));
    used = put_dns_names(out, capacity, used, certificate);
    X509_free(certificate);
    return used;
}
