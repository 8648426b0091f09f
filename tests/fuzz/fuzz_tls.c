/* fuzz_tls: hostile records after a real handshake, in memory. The input is a script of what a client of
 * OpenSSL's sends: honest data in records of every size, then key updates, renegotiations, records bent, cut,
 * repeated, swapped, claimed longer than they are, and raw bytes. The server side is daemon/ingest/tls*.c
 * behind the pump of connection.c: whole records only, what is left held back at a pause, answers at the end
 * of a turn.
 *
 * Each script is played twice, in reads of 64 KiB and in small ones with pauses between, and must end alike:
 *
 *   what came out is the beginning of what the client meant, byte for byte, and no shorter than what it sent
 *   before the first hostile record; nothing that is whole stays behind (no stall); a record that does not
 *   end holds no more than a record; what the server answered, the client can read. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/ensure.h"
#include "daemon/ingest/tls.h"
#include "daemon/ingest/tls_record.h"

enum {
    READ_MAX = 65536,
    PLAIN_MAX = 16384,
    RECORD_MAX = 5 + 16384 + 2048,
    WIRE_MAX = 1 << 19,
    UPDATES_MAX = 32,
    UPDATE_BYTES = 65536
};

/* The script. */

struct script {
    const uint8_t *at, *end;
};

static uint8_t next(struct script *script)
{
    return script->at < script->end ? *script->at++ : 0;
}

/* What OpenSSL frees comes back soon: a connection's memory is what counts, not the sanitizer's. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=16";
}

/* Who speaks. */

static struct tls_server *make_server(void)
{
    char path[] = "/tmp/vigie-fuzz-tls-XXXXXX";
    struct tls_server *server;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 7);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_sign(certificate, key, EVP_sha256());
    FILE *file = fdopen(mkstemp(path), "w");
    PEM_write_X509(file, certificate);
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
    struct config config = {.tls_certificate = path,
                            .tls_key = path,
                            .tls_client_ca = "",
                            .tls_crl = "",
                            .tls_min_version = "1.2"};
    ensure(tls_server_new(&config, &server) == OK);
    unlink(path);
    return server;
}

enum state { HANDSHAKE, OPEN, CLOSED, FAILED };

struct play {
    /* the client */
    SSL *client;
    struct buffer wire;     /* what it sends after its handshake */
    uint64_t meant;         /* bytes of data in it */
    uint64_t honest;        /* of them, those before anything hostile */
    bool hostile, confused; /* confused: its own OpenSSL would not read on */
    unsigned updates;
    bool flooding; /* more updates than its data are worth, and nothing else hostile */

    /* the server, as struct connection has it */
    struct tls *tls;
    enum state state;
    struct buffer partial, held, out;
    unsigned reads_left; /* until the next pause */
    uint64_t received;   /* every byte of it as it was meant */
    struct buffer answers;
};

/* The n-th byte that a client means. */
static char meant_byte(uint64_t index)
{
    return (char)(index * 31 + (index >> 9));
}

/* The pump, as connection.c has it. */

static void unseal(struct play *play, const char *data, size_t size)
{
    char plain[PLAIN_MAX];
    enum tls_step step = TLS_DATA;
    tls_set_window(play->tls, data, size, &play->out);
    while (step == TLS_DATA && play->reads_left > 0) {
        size_t read = 0;
        step = tls_read(play->tls, plain, sizeof(plain), &read);
        if (play->state == HANDSHAKE && tls_is_established(play->tls))
            play->state = OPEN;
        if (step != TLS_DATA)
            break;
        ensure(read > 0 && read <= sizeof(plain) && play->state == OPEN);
        for (size_t i = 0; i < read; i++)
            ensure(plain[i] == meant_byte(play->received + i));
        play->received += read;
        play->reads_left--;
        buffer_append(&play->answers, plain, read);
    }
    size_t left = tls_input_left(play->tls);
    ensure(left <= size);
    if (step == TLS_DATA)
        buffer_append(&play->held, data + size - left, left);
    else if (step == TLS_MORE)
        ensure(left == 0);
    if (step == TLS_FAILED)
        play->state = FAILED;
    else if (step == TLS_CLOSED)
        play->state = CLOSED;
}

static void unseal_records(struct play *play, const char *data, size_t size)
{
    buffer_append(&play->partial, data, size);
    struct buffer records = play->partial;
    size_t whole = tls_record_whole(records.data, records.size);
    play->partial = (struct buffer){0};
    buffer_append(&play->partial, records.data + whole, records.size - whole);
    ensure(play->partial.size < RECORD_MAX);
    if (whole > 0)
        unseal(play, records.data, whole);
    buffer_deinit(&records);
}

static void answer(struct play *play)
{
    if (play->state == OPEN) {
        tls_set_window(play->tls, NULL, 0, &play->out);
        ensure(tls_write(play->tls, play->answers.data, play->answers.size));
    }
    buffer_clear(&play->answers);
}

/* One read and the end of its turn: what a pause held back is gone on with until nothing is. */
static void turn(struct play *play, const char *data, size_t size, unsigned reads)
{
    play->reads_left = reads;
    unseal_records(play, data, size);
    answer(play);
    while (play->held.size > 0 && play->state <= OPEN) {
        struct buffer held = play->held;
        play->held = (struct buffer){0};
        play->reads_left = reads;
        unseal(play, held.data, held.size);
        buffer_deinit(&held);
        answer(play);
    }
}

static void feed(struct play *play, const struct buffer *wire, size_t cut, unsigned reads)
{
    for (size_t at = 0; at < wire->size && play->state <= OPEN; at += cut)
        turn(play, wire->data + at, wire->size - at < cut ? wire->size - at : cut, reads);
}

/* The client. */

static void take_wire(struct play *play, struct buffer *to)
{
    char bytes[8192];
    for (int size; (size = BIO_read(SSL_get_wbio(play->client), bytes, sizeof(bytes))) > 0;)
        buffer_append(to, bytes, (size_t)size);
}

static void turn_hostile(struct play *play)
{
    if (!play->hostile)
        play->honest = play->meant;
    play->hostile = true;
    play->flooding = false;
}

static void write_data(struct play *play, size_t size, struct buffer *to)
{
    char *data = malloc(size + 1);
    size_t written;
    for (size_t i = 0; i < size; i++)
        data[i] = meant_byte(play->meant + i);
    ERR_clear_error();
    if (size > 0 && SSL_write_ex(play->client, data, size, &written) == 1)
        play->meant += size;
    free(data);
    take_wire(play, to);
}

/* Data in a record of their own that something happens to. */
static struct buffer sealed(struct play *play, size_t size)
{
    struct buffer record = {0};
    write_data(play, size, &record);
    return record;
}

static void send_bent(struct play *play, struct script *script)
{
    turn_hostile(play);
    struct buffer record = sealed(play, 1 + next(script));
    size_t at = next(script);
    if (record.size > 0)
        record.data[at % record.size] ^= (char)(1u << next(script) % 8);
    buffer_append(&play->wire, record.data, record.size);
    buffer_deinit(&record);
}

static void send_cut(struct play *play, struct script *script)
{
    turn_hostile(play);
    struct buffer record = sealed(play, 1 + next(script));
    size_t kept = record.size > 0 ? next(script) % record.size : 0;
    buffer_append(&play->wire, record.data, kept);
    buffer_deinit(&record);
}

static void send_twice(struct play *play, struct script *script)
{
    struct buffer record = sealed(play, 1 + next(script));
    buffer_append(&play->wire, record.data, record.size);
    turn_hostile(play);
    buffer_append(&play->wire, record.data, record.size);
    buffer_deinit(&record);
}

static void send_swapped(struct play *play, struct script *script)
{
    turn_hostile(play);
    struct buffer first = sealed(play, 1 + next(script)), second = sealed(play, 1 + next(script));
    buffer_append(&play->wire, second.data, second.size);
    buffer_append(&play->wire, first.data, first.size);
    buffer_deinit(&first);
    buffer_deinit(&second);
}

static void send_raw(struct play *play, struct script *script)
{
    turn_hostile(play);
    for (size_t left = next(script) % 64; left > 0; left--) {
        char byte = (char)next(script);
        buffer_append(&play->wire, &byte, 1);
    }
}

/* A record by its look: any type, a length that need not be true. */
static void send_claim(struct play *play, struct script *script)
{
    char head[5] = {(char)(20 + next(script) % 5), 3, (char)next(script), (char)next(script),
                    (char)next(script)};
    turn_hostile(play);
    buffer_append(&play->wire, head, sizeof(head));
    send_raw(play, script);
}

static void send_updates(struct play *play, unsigned count, int kind)
{
    for (unsigned i = 0; i < count && SSL_version(play->client) == TLS1_3_VERSION; i++) {
        if (++play->updates > UPDATES_MAX && !play->hostile) {
            turn_hostile(play);
            play->flooding = true;
        }
        ERR_clear_error();
        if (SSL_key_update(play->client, kind) == 1)
            (void)SSL_do_handshake(play->client);
        take_wire(play, &play->wire);
    }
}

static void renegotiate(struct play *play)
{
    if (SSL_version(play->client) != TLS1_2_VERSION)
        return;
    turn_hostile(play);
    play->confused = true;
    ERR_clear_error();
    if (SSL_renegotiate(play->client) == 1)
        (void)SSL_do_handshake(play->client);
    take_wire(play, &play->wire);
}

static void say_goodbye(struct play *play)
{
    turn_hostile(play);
    ERR_clear_error();
    (void)SSL_shutdown(play->client);
    take_wire(play, &play->wire);
}

static void send_step(struct play *play, struct script *script)
{
    size_t size = next(script);
    switch (next(script) % 14) {
    case 0:
    case 1:
    case 2:
        write_data(play, size, &play->wire);
        break;
    case 3:
        write_data(play, size * size, &play->wire);
        break;
    case 4:
        for (; size > 0; size--)
            write_data(play, 1, &play->wire);
        break;
    case 5:
        (void)SSL_set_max_send_fragment(play->client, 512 + size * 60);
        break;
    case 6:
        send_bent(play, script);
        break;
    case 7:
        send_cut(play, script);
        break;
    case 8:
        send_twice(play, script);
        break;
    case 9:
        send_swapped(play, script);
        break;
    case 10:
        send_raw(play, script);
        break;
    case 11:
        send_claim(play, script);
        break;
    case 12:
        send_updates(play, 1 + size % 40,
                     size & 64 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
        break;
    default:
        size & 1 ? renegotiate(play) : say_goodbye(play);
        break;
    }
}

/* One play. */

static void give_client(struct play *play)
{
    if (play->out.size > 0)
        (void)BIO_write(SSL_get_rbio(play->client), play->out.data, (int)play->out.size);
    buffer_clear(&play->out);
}

static void begin(struct play *play, struct tls_server *server, int version)
{
    static SSL_CTX *context;
    if (context == NULL)
        context = SSL_CTX_new(TLS_client_method());
    play->client = SSL_new(context);
    SSL_set_min_proto_version(play->client, version);
    SSL_set_max_proto_version(play->client, version);
    SSL_set_bio(play->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(play->client);
    play->tls = tls_new(server);
    ensure(play->tls != NULL);
}

/* The client's last flight of TLS 1.3 is left in `wire`: data follow it at once, as they may. */
static void shake_hands(struct play *play, size_t cut, unsigned reads)
{
    for (int i = 0; i < 4 && !SSL_is_init_finished(play->client); i++) {
        struct buffer flight = {0};
        ERR_clear_error();
        (void)SSL_do_handshake(play->client);
        take_wire(play, &flight);
        if (SSL_is_init_finished(play->client) && SSL_version(play->client) == TLS1_3_VERSION)
            buffer_append(&play->wire, flight.data, flight.size);
        else
            feed(play, &flight, cut, reads);
        give_client(play);
        buffer_deinit(&flight);
    }
    ensure(SSL_is_init_finished(play->client));
}

/* The client reads what it can of the echo: the beginning of what it meant. */
static uint64_t read_echo(struct play *play)
{
    char plain[PLAIN_MAX];
    uint64_t echoed = 0;
    give_client(play);
    ERR_clear_error();
    for (size_t read; SSL_read_ex(play->client, plain, sizeof(plain), &read) == 1; echoed += read)
        for (size_t i = 0; i < read; i++)
            ensure(plain[i] == meant_byte(echoed + i));
    return echoed;
}

static void perform(struct play *play, struct script script, size_t cut, unsigned reads)
{
    shake_hands(play, cut, reads);
    while (script.at < script.end && play->wire.size < WIRE_MAX)
        send_step(play, &script);
    if (!play->hostile)
        play->honest = play->meant;
    feed(play, &play->wire, cut, reads);
    ensure(play->received <= play->meant && play->received >= play->honest);
    ensure(play->hostile || (play->state == OPEN && play->partial.size == 0));
    if (play->state <= OPEN)
        ensure(play->held.size == 0 &&
               (play->partial.size == 0 || tls_record_whole(play->partial.data, play->partial.size) == 0));
    if (play->flooding && play->updates > UPDATES_MAX + 1 + play->meant / UPDATE_BYTES)
        ensure(play->state == FAILED);
    uint64_t echoed = read_echo(play);
    ensure(echoed <= play->received && (play->state != OPEN || play->confused || echoed == play->received));
    if (play->state == OPEN) {
        tls_set_window(play->tls, NULL, 0, &play->out);
        tls_end(play->tls);
    }
}

static void end(struct play *play)
{
    tls_free(play->tls);
    SSL_free(play->client);
    buffer_deinit(&play->wire);
    buffer_deinit(&play->partial);
    buffer_deinit(&play->held);
    buffer_deinit(&play->out);
    buffer_deinit(&play->answers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tls_server *server;
    if (size < 2)
        return 0;
    if (server == NULL)
        server = make_server();
    int version = data[0] & 1 ? TLS1_3_VERSION : TLS1_2_VERSION;
    size_t cut = data[0] & 2 ? 1 + data[1] : 1 + (size_t)data[1] * 97;
    struct play whole = {0}, pieces = {0};
    begin(&whole, server, version);
    begin(&pieces, server, version);
    perform(&whole, (struct script){data + 2, data + size}, READ_MAX, UINT32_MAX);
    perform(&pieces, (struct script){data + 2, data + size}, cut, 1 + (data[0] >> 2) % 4);
    ensure(whole.state == pieces.state && whole.received == pieces.received && whole.meant == pieces.meant);
    end(&whole);
    end(&pieces);
    return 0;
}
