/* tls: OpenSSL behind a window. A BIO of ours reads from the bytes that the loop has just received and writes
 * into the loop's output buffer: nothing is copied between, and nothing of a connection is pinned while it is
 * idle (PITFALLS O1: SSL_MODE_RELEASE_BUFFERS; O2: ciphertext lives in our own buffers). */
#include "daemon/ingest/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/slab.h"
#include "daemon/ingest/tls_internal.h"
#include "daemon/ingest/tls_record.h"

/* Records that a peer may send beyond what its data are worth (PITFALLS O9): a record takes one, data pay
 * back. A request sent byte by byte passes, a flood of key updates or of tiny records does not. */
enum {
    EMPTY_RECORDS_MAX = 32, /* without data: key updates, refused renegotiations */
    EMPTY_RECORD_BYTES = 65536,
    TINY_RECORDS_MAX = 1 << 16,
    TINY_RECORD_BYTES = 16,
};

struct tls {
    SSL *ssl;
    const char *input;
    size_t input_left;
    size_t record_left; /* of it, what OpenSSL may take: it goes on over records without data by itself */
    struct buffer *output;
    /* Since the handshake: records that came, those that carried data, bytes of data. */
    uint64_t records, data_records, data_bytes;
};

/* The window. */

static int window_read(BIO *bio, char *out, int capacity)
{
    struct tls *tls = BIO_get_data(bio);
    size_t size = tls->record_left < (size_t)capacity ? tls->record_left : (size_t)capacity;
    BIO_clear_retry_flags(bio);
    if (size == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(out, tls->input, size);
    tls->input += size;
    tls->input_left -= size;
    tls->record_left -= size;
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

/* One for the process: a BIO does not keep its method alive, and connections outlive their server. */
static BIO_METHOD *window;
static pthread_once_t window_once = PTHREAD_ONCE_INIT;

static void make_window(void)
{
    window = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "window");
    ensure(window != NULL);
    BIO_meth_set_read(window, window_read);
    BIO_meth_set_write(window, window_write);
    BIO_meth_set_ctrl(window, window_control);
}

/* A connection's. */

/* OpenSSL shows every record's header before its content. */
static void count_record(int is_ours, int version, int type, const void *data, size_t size, SSL *ssl,
                         void *context)
{
    struct tls *tls = context;
    if (!is_ours && type == SSL3_RT_HEADER && SSL_is_init_finished(ssl))
        tls->records++;
}

static bool is_flood(const struct tls *tls)
{
    uint64_t empty = tls->records - tls->data_records;
    return empty > EMPTY_RECORDS_MAX + tls->data_bytes / EMPTY_RECORD_BYTES ||
           tls->data_records > TINY_RECORDS_MAX + tls->data_bytes / TINY_RECORD_BYTES;
}

struct tls *tls_new(struct tls_server *server)
{
    struct tls *tls = slab_take_zeroed(sizeof(*tls));
    (void)pthread_once(&window_once, make_window);
    BIO *bio = BIO_new(window);
    SSL *ssl = SSL_new(server->context);
    if (bio == NULL || ssl == NULL) {
        SSL_free(ssl);
        BIO_free(bio);
        slab_give(tls);
        return NULL;
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio); /* takes the BIO */
    SSL_set_accept_state(ssl);
    SSL_set_msg_callback(ssl, count_record);
    SSL_set_msg_callback_arg(ssl, tls);
    tls->ssl = ssl;
    return tls;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    slab_give(tls);
}

void tls_set_window(struct tls *tls, const char *data, size_t size, struct buffer *out)
{
    tls->input = data;
    tls->input_left = size;
    tls->record_left = 0;
    tls->output = out;
}

size_t tls_input_left(const struct tls *tls)
{
    return tls->input_left;
}

bool tls_is_1_3(const struct tls *tls)
{
    return SSL_version(tls->ssl) == TLS1_3_VERSION;
}

bool tls_is_established(const struct tls *tls)
{
    return SSL_is_init_finished(tls->ssl);
}

/* OpenSSL gets one record at a time, so that each one without data is judged. */
enum tls_step tls_read(struct tls *tls, char *out, size_t capacity, size_t *ret_size)
{
    ensure(tls->output != NULL && capacity > 0);
    for (;;) {
        if (tls->record_left == 0)
            tls->record_left = tls_record_first(tls->input, tls->input_left);
        ERR_clear_error(); /* PITFALLS O12 */
        if (SSL_read_ex(tls->ssl, out, capacity, ret_size) == 1) {
            tls->data_records++;
            tls->data_bytes += *ret_size;
            return is_flood(tls) ? TLS_FAILED : TLS_DATA;
        }
        int error = SSL_get_error(tls->ssl, 0);
        ERR_clear_error();
        if (error == SSL_ERROR_ZERO_RETURN)
            return TLS_CLOSED;
        if (error != SSL_ERROR_WANT_READ || is_flood(tls))
            return TLS_FAILED;
        if (tls->input_left == 0 || tls->record_left > 0)
            return TLS_MORE;
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

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm parts;
    return time != NULL && ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : INT64_MIN;
}

size_t tls_peer_names(const struct tls *tls, char *out, size_t capacity, int64_t *ret_until_s)
{
    X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    if (certificate == NULL || SSL_get_verify_result(tls->ssl) != X509_V_OK)
        return 0;
    size_t used = 0;
    X509_NAME *subject = X509_get_subject_name(certificate);
    int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (index >= 0)
        used = put_name(out, capacity, used, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));
    *ret_until_s = seconds_of(X509_get0_notAfter(certificate));
    return put_dns_names(out, capacity, used, certificate);
}

bool tls_peer_holds(const struct tls *tls, const struct tls_server *server)
{
    X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    X509_STORE_CTX *trial = X509_STORE_CTX_new();
    ensure(certificate != NULL && trial != NULL);
    bool holds = X509_STORE_CTX_init(trial, SSL_CTX_get_cert_store(server->context), certificate,
                                     SSL_get_peer_cert_chain(tls->ssl)) == 1 &&
                 X509_STORE_CTX_set_default(trial, "ssl_client") == 1 && X509_verify_cert(trial) == 1;
    X509_STORE_CTX_free(trial);
    ERR_clear_error();
    return holds;
}

const char *tls_certificate_fault(const struct tls *tls)
{
    long result = SSL_get_verify_result(tls->ssl);
    return result == X509_V_OK ? NULL : X509_verify_cert_error_string(result);
}
