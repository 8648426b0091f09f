/* config: reads vigie.conf into a snapshot.
 * inih splits lines; everything else comes from the rows of options.def: where a value goes, how it is read,
 * what it is when left out, what the example says. Every fault is reported, not only the first, so that an
 * operator mends the file in one go. Whether values fit each other is checked after all are read. */
#include "config/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/hash.h"
#include "daemon/base/limits.h"

enum option_type {
    TYPE_TEXT,
    TYPE_INTEGER,
    TYPE_BYTES,
    TYPE_DURATION,
    TYPE_BOOLEAN,
    TYPE_INSTANT,
    TYPE_MODE,
    TYPE_LOG_LEVEL,
    TYPE_LOG_FORMAT,
};

struct option_row {
    const char *section, *key;
    enum option_type type;
    size_t offset;
    const char *initial, *unit, *reload, *help;
};

static const struct option_row options[] = {
#define OPTION(section, key, type, initial, unit, reload, help)                                              \
    {#section, #key, TYPE_##type, offsetof(struct config, section##_##key), initial, unit, #reload, help},
#include "config/options.def"
#undef OPTION
};
enum { OPTIONS_COUNT = sizeof(options) / sizeof(options[0]), RDKAFKA_PAIRS_MAX = 128, LINE_MAX_BYTES = 512 };

/* One load in progress. */
struct reading_state {
    struct config *config;
    const char *path;
    FILE *file;
    int line;         /* of the file, the one inih looks at */
    char text[4096];  /* that line; text[at .. size) has not been handed over */
    char value[4096]; /* of the key, from its pieces */
    size_t at, size;
    bool continued; /* the piece handed over last goes on with a line */
    int set_at[OPTIONS_COUNT];
    unsigned faults, pairs;
    void (*report)(void *context, const char *line);
    void *context;
};

/* `what` is "[section] key"; the four parts of a line that an operator reads. */
struct fault {
    const char *section, *key, *found, *expected, *hint;
};

static void report_fault(struct reading_state *state, int line, const struct fault *fault)
{
    char text[LINE_MAX_BYTES * 2], place[32] = "";
    if (line > 0)
        snprintf(place, sizeof(place), ":%d", line);
    snprintf(text, sizeof(text), "%s%s: [%s] %s, found \"%s\", expected %s, hint: %s", state->path, place,
             fault->section, fault->key, fault->found, fault->expected, fault->hint);
    state->faults++;
    state->report(state->context, text);
}

static void *field_of(struct config *config, const struct option_row *row)
{
    return (char *)config + row->offset;
}

/* Value parsers: true when `text` was understood and stored. */

static bool parse_text(const char *text, void *field)
{
    char *copy = strdup(text);
    ensure(copy != NULL);
    char **slot = field;
    free(*slot);
    *slot = copy;
    return true;
}

static bool parse_integer(const char *text, void *field)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0)
        return false;
    *(int64_t *)field = value;
    return true;
}

static bool parse_bytes(const char *text, void *field)
{
    static const struct {
        char suffix;
        unsigned shift;
    } suffixes[] = {{'\0', 0}, {'k', 10}, {'K', 10}, {'M', 20}, {'G', 30}, {'T', 40}};
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || errno != 0 || value < 0)
        return false;
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        bool last = *end == '\0' || end[1] == '\0';
        if (*end == suffixes[i].suffix && last && value <= (INT64_MAX >> suffixes[i].shift)) {
            *(int64_t *)field = value << suffixes[i].shift;
            return true;
        }
    }
    return false;
}

static bool parse_duration(const char *text, void *field)
{
    return instant_parse_duration(text, strlen(text), field) == OK;
}

static bool parse_instant(const char *text, void *field)
{
    struct instant_parsed parsed = {.ms = INSTANT_NONE};
    if (*text != '\0' &&
        (instant_parse(text, strlen(text), &parsed) != INSTANT_GOOD || parsed.precision != PRECISION_TIME))
        return false;
    *(int64_t *)field = parsed.ms;
    return true;
}

/* Index of `text` among the words, -1 when it is none. */
static int word_index(const char *text, const char *const *words, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(text, words[i]) == 0)
            return i;
    return -1;
}

static bool parse_boolean(const char *text, void *field)
{
    static const char *const words[] = {"no", "yes", "off", "on", "false", "true"};
    int index = word_index(text, words, 6);
    if (index >= 0)
        *(bool *)field = index % 2 == 1;
    return index >= 0;
}

static bool parse_mode(const char *text, void *field)
{
    static const char *const words[] = {[MODE_PRODUCTION] = "production", [MODE_TEST] = "test"};
    int index = word_index(text, words, 2);
    if (index >= 0)
        *(enum config_mode *)field = (enum config_mode)index;
    return index >= 0;
}

static bool parse_log_level(const char *text, void *field)
{
    static const char *const words[] = {"error", "warning", "notice", "info", "debug"};
    int index = word_index(text, words, 5);
    if (index >= 0)
        *(int *)field = index;
    return index >= 0;
}

static bool parse_log_format(const char *text, void *field)
{
    static const char *const words[] = {"text", "json"};
    int index = word_index(text, words, 2);
    if (index >= 0)
        *(int *)field = index;
    return index >= 0;
}

static const struct {
    bool (*parse)(const char *text, void *field);
    const char *expected, *hint;
} types[] = {
    [TYPE_TEXT] = {parse_text, "text", ""},
    [TYPE_INTEGER] = {parse_integer, "a whole number", "digits only, no unit"},
    [TYPE_BYTES] = {parse_bytes, "a size", "a whole number with k, M, G or T, as in 64M"},
    [TYPE_DURATION] = {parse_duration, "a duration",
                       "a whole number with ms, s, m, h or d, as in 250ms or 36h"},
    [TYPE_BOOLEAN] = {parse_boolean, "yes or no", "on, off, true and false are understood too"},
    [TYPE_INSTANT] = {parse_instant, "an instant", "ISO 8601 with an offset, as in 2026-12-01T00:00:00Z"},
    [TYPE_MODE] = {parse_mode, "production or test", "test is for test data only"},
    [TYPE_LOG_LEVEL] = {parse_log_level, "error, warning, notice, info or debug", "info is usual"},
    [TYPE_LOG_FORMAT] = {parse_log_format, "text or json", "text is for people, json for collectors"},
};

/* Hints: the nearest key by edit distance. */

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned edit_distance(const char *a, const char *b)
{
    enum { WIDTH = 48 };
    size_t a_size = strlen(a), b_size = strlen(b);
    if (a_size >= WIDTH || b_size >= WIDTH)
        return WIDTH;
    unsigned row[WIDTH];
    for (size_t j = 0; j <= b_size; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_size; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_size; j++) {
            unsigned substituted = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = smaller(substituted, smaller(row[j], row[j - 1]) + 1);
        }
    }
    return row[b_size];
}

/* A key of the right section costs less than the same distance elsewhere. */
static const struct option_row *nearest_option(const char *section, const char *key)
{
    const struct option_row *best = &options[0];
    unsigned best_cost = ~0u;
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        unsigned cost = 2 * edit_distance(key, options[i].key) + edit_distance(section, options[i].section);
        if (cost < best_cost) {
            best_cost = cost;
            best = &options[i];
        }
    }
    return best;
}

static int option_index(const char *section, const char *key)
{
    for (int i = 0; i < OPTIONS_COUNT; i++)
        if (strcmp(section, options[i].section) == 0 && strcmp(key, options[i].key) == 0)
            return i;
    return -1;
}

static bool rdkafka_is_set(const struct reading_state *state, const char *name)
{
    for (unsigned i = 0; i < state->pairs; i++)
        if (strcmp(state->config->kafka_rdkafka[2 * i], name) == 0)
            return true;
    return false;
}

/* `rdkafka.NAME = value` is handed to librdkafka as it is: a name it does not know is refused by the
 * publisher. */
static void add_rdkafka(struct reading_state *state, const char *name, const char *value)
{
    ensure(state->pairs < RDKAFKA_PAIRS_MAX);
    char *name_copy = strdup(name), *value_copy = strdup(value);
    ensure(name_copy != NULL && value_copy != NULL);
    state->config->kafka_rdkafka[2 * state->pairs] = name_copy;
    state->config->kafka_rdkafka[2 * state->pairs + 1] = value_copy;
    state->pairs++;
}

static bool take_rdkafka(struct reading_state *state, const char *section, const char *key, const char *value)
{
    static const char prefix[] = "rdkafka.";
    if (strcmp(section, "kafka") != 0 || strncmp(key, prefix, sizeof(prefix) - 1) != 0)
        return false;
    const char *name = key + sizeof(prefix) - 1;
    struct fault fault = {section, key, value, "a name set once", "remove one of the two lines"};
    if (rdkafka_is_set(state, name)) {
        report_fault(state, state->line, &fault);
        return true;
    }
    fault = (struct fault){section, key, value, "at most 100 rdkafka.* lines",
                           "remove what has its default value"};
    if (state->pairs >= 100)
        report_fault(state, state->line, &fault);
    else
        add_rdkafka(state, name, value);
    return true;
}

static void report_unknown(struct reading_state *state, const char *section, const char *key,
                           const char *value)
{
    const struct option_row *nearest = nearest_option(section, key);
    char hint[128];
    snprintf(hint, sizeof(hint), "did you mean [%s] %s?", nearest->section, nearest->key);
    report_fault(state, state->line,
                 &(struct fault){section, key, value, "a key of vigie.conf.example", hint});
}

static void set_option(struct reading_state *state, const char *section, const char *key, const char *value)
{
    if (take_rdkafka(state, section, key, value))
        return;
    int index = option_index(section, key);
    if (index < 0) {
        report_unknown(state, section, key, value);
        return;
    }
    const struct option_row *row = &options[index];
    struct fault fault = {section, key, value, types[row->type].expected, types[row->type].hint};
    char hint[64];
    snprintf(hint, sizeof(hint), "line %d sets it already", state->set_at[index]);
    bool empty = *value == '\0' && row->type != TYPE_TEXT && row->type != TYPE_INSTANT;
    if (state->set_at[index] != 0)
        report_fault(state, state->line, &(struct fault){section, key, value, "a key set once", hint});
    else if (empty || !types[row->type].parse(value, field_of(state->config, row)))
        report_fault(state, state->line, &fault);
    state->set_at[index] = state->line;
}

/* inih's handler: a key and its value, or a further piece of it. Never stops the parse. */
static int take_piece(void *user, const char *section, const char *key, const char *value)
{
    struct reading_state *state = user;
    size_t used = state->continued ? strlen(state->value) : 0;
    snprintf(state->value + used, sizeof(state->value) - used, "%s", value);
    if (state->at == state->size)
        set_option(state, section, key, state->value);
    return 1;
}

/* inih tells of a line that it does not understand only by number, and counts pieces: seen here first. */
static bool line_is_good(const char *text, size_t size)
{
    if (size == 0 || *text == ';' || *text == '#')
        return true;
    return *text == '[' ? memchr(text, ']', size) != NULL : memchr(text, '=', size) != NULL;
}

/* Takes the next line of the file without indentation, which inih would take for a continuation, and without
 * comment. What does not fit is reported and left out whole, never cut. */
static bool next_line(struct reading_state *state)
{
    if (fgets(state->text, sizeof(state->text), state->file) == NULL)
        return false;
    state->line++;
    size_t size = strlen(state->text);
    if (size + 1 == sizeof(state->text) && state->text[size - 1] != '\n') {
        report_fault(
            state, state->line,
            &(struct fault){"line", "", "", "a line below 4096 bytes", "put long values into files"});
        for (int c = fgetc(state->file); c != EOF && c != '\n';)
            c = fgetc(state->file);
        size = 0;
    }
    state->text[size] = '\0';
    size_t indent = strspn(state->text, " \t");
    char *comment = state->text + indent;
    if (*comment != ';' && *comment != '#')
        while ((comment = strchr(comment, ';')) != NULL && comment[-1] != ' ' && comment[-1] != '\t')
            comment++;
    size = comment != NULL ? (size_t)(comment - state->text) : size;
    while (size > indent && strchr(" \t\r\n", state->text[size - 1]) != NULL)
        size--;
    if (!line_is_good(state->text + indent, size - indent)) {
        state->text[size] = '\0';
        report_fault(state, state->line,
                     &(struct fault){"line", "", state->text + indent, "[section] or key = value",
                                     "comments begin with ;"});
        size = indent;
    }
    state->at = indent;
    state->size = size;
    return true;
}

static bool may_cut(const char *at)
{
    return strchr(" \t;#", at[0]) == NULL && strchr(" \t", at[-1]) == NULL;
}

/* inih's reader. Its lines are 200 bytes, too short for a conninfo: a longer one is handed over in pieces,
 * each further one indented, which inih gives to the handler under the same key. */
static char *read_piece(char *buffer, int capacity, void *stream)
{
    struct reading_state *state = stream;
    state->continued = state->at < state->size;
    if (!state->continued && !next_line(state))
        return NULL;
    size_t piece = state->size - state->at, room = (size_t)capacity - 3;
    if (piece > room)
        for (piece = room; piece > 1 && !may_cut(state->text + state->at + piece);)
            piece--;
    snprintf(buffer, (size_t)capacity, "%s%.*s\n", state->continued ? " " : "", (int)piece,
             state->text + state->at);
    state->at += piece;
    return buffer;
}

/* Checks of values against bounds and each other. */

static void check(struct reading_state *state, bool good, const char *name, const struct fault *rest)
{
    if (good)
        return;
    char section[32];
    const char *dot = strchr(name, '.');
    snprintf(section, sizeof(section), "%.*s", (int)(dot - name), name);
    int index = option_index(section, dot + 1);
    ensure(index >= 0);
    struct fault fault = *rest;
    fault.section = section;
    fault.key = dot + 1;
    report_fault(state, state->set_at[index], &fault);
}

static void check_ranges(struct reading_state *state)
{
    const struct config *config = state->config;
    const struct {
        const char *name;
        int64_t value, min, max;
    } ranges[] = {
        {"node.shards", config->node_shards, 0, SHARDS_MAX},
        {"node.loops", config->node_loops, 0, LOOPS_MAX},
        {"node.max_memory", config->node_max_memory, 16 << 20, INT64_MAX},
        {"listen.connections_max", config->listen_connections_max, 1, 1000000},
        {"listen.handshake_timeout", config->listen_handshake_timeout, 1, 3600000},
        {"listen.first_byte_timeout", config->listen_first_byte_timeout, 1, 3600000},
        {"listen.quota_messages", config->listen_quota_messages, 0, 1000000000},
        {"listen.quota_readings", config->listen_quota_readings, 0, 1000000000},
        {"listen.message_timeout", config->listen_message_timeout, 1, 3600000},
        {"listen.idle_timeout", config->listen_idle_timeout, 1, 86400000},
        {"listen.pause_max", config->listen_pause_max, 1, 3600000},
        {"journal.segment_size", config->journal_segment_size, 1 << 20, (int64_t)1 << 31},
        {"postgres.loader_connections", config->postgres_loader_connections, 1, 1},
        {"postgres.batch_rows", config->postgres_batch_rows, 1, 1000000},
        {"alerting.lookback", config->alerting_lookback, 3600000, (int64_t)400 * 86400000},
        {"alerting.lookback_continuous", config->alerting_lookback_continuous, 3600000,
         (int64_t)400 * 86400000},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        char found[32], expected[80];
        snprintf(found, sizeof(found), "%lld", (long long)ranges[i].value);
        snprintf(expected, sizeof(expected), "%lld to %lld", (long long)ranges[i].min,
                 (long long)ranges[i].max);
        check(state, ranges[i].value >= ranges[i].min && ranges[i].value <= ranges[i].max, ranges[i].name,
              &(struct fault){.found = found,
                              .expected = expected,
                              .hint = "sizes count in bytes, durations in milliseconds"});
    }
}

enum listener_kind { LISTENER_TLS, LISTENER_PLAIN, LISTENER_CLEAR_BY_DESIGN, LISTENER_LATER };

/* True when the listener is open. */
static bool check_listener(struct reading_state *state, const char *name, const char *value,
                           enum listener_kind kind)
{
    struct sockaddr_storage address;
    enum err error = config_address(value, &address);
    if (error == ERR_EMPTY)
        return false;
    check(state, error == OK, name,
          &(struct fault){
              .found = value, .expected = "ADDRESS:PORT or off", .hint = "as in 127.0.0.1:8443 or [::1]:0"});
    check(state, kind != LISTENER_LATER, name,
          &(struct fault){
              .found = value, .expected = "off", .hint = "this listener is not served by this version"});
    check(state,
          error != OK || kind != LISTENER_PLAIN || config_address_is_loopback(&address) ||
              state->config->listen_insecure,
          name,
          &(struct fault){.found = value,
                          .expected = "a loopback address",
                          .hint = "use the TLS listener, or insecure = yes if the network is trusted"});
    return true;
}

static void check_listeners(struct reading_state *state)
{
    const struct config *config = state->config;
    const struct {
        const char *name, *value;
        enum listener_kind kind;
    } listeners[] = {
        {"listen.https", config->listen_https, LISTENER_TLS},
        {"listen.http", config->listen_http, LISTENER_PLAIN},
        {"listen.admin", config->listen_admin, LISTENER_CLEAR_BY_DESIGN},
        {"listen.mqtts", config->listen_mqtts, LISTENER_TLS},
        {"listen.mqtt", config->listen_mqtt, LISTENER_PLAIN},
        {"listen.mllps", config->listen_mllps, LISTENER_TLS},
        {"listen.mllp", config->listen_mllp, LISTENER_PLAIN},
        {"listen.adt", config->listen_adt, LISTENER_LATER},
    };
    bool with_tls = false;
    for (size_t i = 0; i < sizeof(listeners) / sizeof(listeners[0]); i++)
        with_tls |= check_listener(state, listeners[i].name, listeners[i].value, listeners[i].kind) &&
                    listeners[i].kind == LISTENER_TLS;
    check(state, !config_listens(config->listen_mllp) || *config->listen_mllp_source != '\0',
          "listen.mllp_source",
          &(struct fault){.found = "",
                          .expected = "the ref of a source",
                          .hint = "MLLP itself does not say who speaks; or take mllps, or mllp = off"});
    if (!with_tls)
        return;
    check(state, *config->tls_certificate != '\0', "tls.certificate",
          &(struct fault){
              .found = "", .expected = "a PEM file", .hint = "a listener with TLS needs it; or turn it off"});
    check(state, *config->tls_key != '\0', "tls.key",
          &(struct fault){.found = "",
                          .expected = "a PEM file or credential:NAME",
                          .hint = "a listener with TLS needs it; or turn it off"});
}

static void check_file(struct reading_state *state, const char *name, const char *setting)
{
    char path[4096];
    if (*setting == '\0')
        return;
    bool named = config_file(setting, path, sizeof(path)) == OK;
    check(state, named, name,
          &(struct fault){.found = setting,
                          .expected = "a file",
                          .hint = "CREDENTIALS_DIRECTORY is not set: start by systemd with LoadCredential="});
    check(state, !named || access(path, R_OK) == 0, name,
          &(struct fault){
              .found = setting, .expected = "a file that can be read", .hint = "check path, owner and mode"});
}

/* {organization} is the only placeholder; what remains must be a topic name that Kafka takes. */
static bool topic_is_good(const char *topic)
{
    static const char placeholder[] = "{organization}";
    size_t size = 0;
    for (const char *at = topic; *at != '\0'; size++) {
        if (strncmp(at, placeholder, sizeof(placeholder) - 1) == 0) {
            at += sizeof(placeholder) - 1;
            continue;
        }
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *at) == NULL)
            return false;
        at++;
    }
    return size > 0 && size <= 249;
}

static void check_node(struct reading_state *state)
{
    const struct config *config = state->config;
    check(state, config->node_mode == MODE_TEST || config->node_test_clock == INSTANT_NONE, "node.test_clock",
          &(struct fault){
              .found = "an instant", .expected = "nothing", .hint = "the test clock needs mode = test"});
    check(
        state, *config->node_state_dir != '\0', "node.state_dir",
        &(struct fault){.found = "", .expected = "a directory", .hint = "journal and registry need a place"});
    size_t name_size = strlen(config->node_name);
    check(state, name_size > 0 && name_size <= REF_BYTES_MAX, "node.name",
          &(struct fault){.found = config->node_name,
                          .expected = "1 to 64 characters",
                          .hint = "a short name of this node"});
    check(state, topic_is_good(config->kafka_topic), "kafka.topic",
          &(struct fault){.found = config->kafka_topic,
                          .expected = "a topic name, or a template with {organization}",
                          .hint = "letters, digits, dot, dash and underscore"});
    check(
        state, strcmp(config->tls_min_version, "1.2") == 0 || strcmp(config->tls_min_version, "1.3") == 0,
        "tls.min_version",
        &(struct fault){.found = config->tls_min_version, .expected = "1.2 or 1.3", .hint = "1.2 is usual"});
    check(state, config->alerting_lookback_continuous <= config->alerting_lookback,
          "alerting.lookback_continuous",
          &(struct fault){
              .found = "more than lookback", .expected = "at most lookback", .hint = "raise lookback too"});
}

static void check_all(struct reading_state *state)
{
    check_node(state);
    check_ranges(state);
    check_listeners(state);
    check_file(state, "tls.certificate", state->config->tls_certificate);
    check_file(state, "tls.key", state->config->tls_key);
    check_file(state, "tls.client_ca", state->config->tls_client_ca);
    check_file(state, "tls.crl", state->config->tls_crl);
    check(state, *state->config->tls_crl == '\0' || *state->config->tls_client_ca != '\0', "tls.crl",
          &(struct fault){.found = state->config->tls_crl,
                          .expected = "nothing without client_ca",
                          .hint = "a revocation list is of the authorities of client_ca: set it too"});
}

/* [kafka] security_* under the names of librdkafka; a rdkafka.NAME line of the same name wins. */
static void map_security(struct reading_state *state)
{
    const struct config *config = state->config;
    const struct {
        const char *value, *name;
    } rows[] = {
        {config->kafka_security_protocol, "security.protocol"},
        {config->kafka_security_ca, "ssl.ca.location"},
        {config->kafka_security_certificate, "ssl.certificate.location"},
        {config->kafka_security_key, "ssl.key.location"},
        {config->kafka_security_mechanism, "sasl.mechanism"},
        {config->kafka_security_username, "sasl.username"},
        {config->kafka_security_password, "sasl.password"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (*rows[i].value != '\0' && !rdkafka_is_set(state, rows[i].name))
            add_rdkafka(state, rows[i].name, rows[i].value);
}

static struct config *config_new(const char *path)
{
    struct config *config = calloc(1, sizeof(*config));
    ensure(config != NULL);
    config->path = strdup(path);
    config->kafka_rdkafka = calloc(2 * RDKAFKA_PAIRS_MAX + 1, sizeof(*config->kafka_rdkafka));
    ensure(config->path != NULL && config->kafka_rdkafka != NULL);
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        ensure(types[options[i].type].parse(options[i].initial, field_of(config, &options[i])));
    return config;
}

enum err config_load(const char *path, void (*report)(void *context, const char *line), void *context,
                     struct config **ret_config)
{
    struct reading_state state = {.path = path, .report = report, .context = context};
    state.file = fopen(path, "re");
    if (state.file == NULL) {
        char text[LINE_MAX_BYTES];
        snprintf(text, sizeof(text),
                 "configuration, found \"%s\": %s, expected a file that can be read, hint: --config FILE",
                 path, strerror(errno));
        report(context, text);
        return ERR_CONFIG;
    }
    state.config = config_new(path);
    int bad_line = ini_parse_stream(read_piece, &state, take_piece, &state);
    fclose(state.file);
    ensure(bad_line == 0);
    check_all(&state);
    map_security(&state);
    if (state.faults > 0) {
        config_free(state.config);
        return ERR_CONFIG;
    }
    *ret_config = state.config;
    return OK;
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        if (options[i].type == TYPE_TEXT)
            free(*(char **)field_of(config, &options[i]));
    for (size_t i = 0; config->kafka_rdkafka[i] != NULL; i++)
        free((void *)(uintptr_t)config->kafka_rdkafka[i]);
    free(config->kafka_rdkafka);
    free(config->path);
    free(config);
}

/* Addresses and files. */

static bool parse_port(const char *text, uint16_t *ret_port)
{
    int64_t port;
    if (*text < '0' || *text > '9' || !parse_integer(text, &port) || port > 65535)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

bool config_listens(const char *setting)
{
    return *setting != '\0' && strcmp(setting, "off") != 0;
}

enum err config_address(const char *text, struct sockaddr_storage *ret_address)
{
    if (!config_listens(text))
        return ERR_EMPTY;
    char host[64];
    uint16_t port;
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof(host) || !parse_port(colon + 1, &port))
        return ERR_FORMAT;
    snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    size_t size = strlen(host);
    struct sockaddr_storage address = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
    if (size > 2 && host[0] == '[' && host[size - 1] == ']') {
        host[size - 1] = '\0';
        if (inet_pton(AF_INET6, host + 1, &v6->sin6_addr) != 1)
            return ERR_FORMAT;
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
    } else {
        if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &v4->sin_addr) != 1)
            return ERR_FORMAT;
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
    }
    *ret_address = address;
    return OK;
}

unsigned config_listeners(const struct config *config, bool tls_only)
{
    const char *const with_tls[] = {config->listen_https, config->listen_mqtts, config->listen_mllps};
    const char *const plain[] = {config->listen_http, config->listen_mqtt, config->listen_mllp};
    unsigned open = 0;
    for (size_t i = 0; i < sizeof with_tls / sizeof with_tls[0]; i++)
        open += config_listens(with_tls[i]) + (!tls_only && config_listens(plain[i]));
    return open;
}

bool config_address_is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
    return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
}

static const char credential_prefix[] = "credential:";

enum err config_file(const char *setting, char *ret_path, size_t capacity)
{
    int size;
    if (strncmp(setting, credential_prefix, sizeof(credential_prefix) - 1) == 0) {
        const char *directory = getenv("CREDENTIALS_DIRECTORY");
        if (directory == NULL)
            return ERR_NOT_FOUND;
        size = snprintf(ret_path, capacity, "%s/%s", directory, setting + sizeof(credential_prefix) - 1);
    } else {
        size = snprintf(ret_path, capacity, "%s", setting);
    }
    return size > 0 && (size_t)size < capacity ? OK : ERR_LIMIT;
}

/* 32 bytes raw, or 64 hex digits with or without an end of line. */
static enum err read_secret(const char *path, uint8_t ret[32])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    char text[80];
    ssize_t size = read(fd, text, sizeof(text));
    close(fd);
    if (size < 0)
        return ERR_IO;
    if (size == 32) {
        memcpy(ret, text, 32);
        return OK;
    }
    while (size > 64 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        size--;
    return size == 64 ? hex_parse(text, 64, ret, 32) : ERR_FORMAT;
}

static enum err make_secret(const char *path, uint8_t ret[32])
{
    uint8_t secret[32];
    char text[66];
    enum err error = hash_random(secret, sizeof(secret));
    if (error != OK)
        return error;
    hex_format(secret, sizeof(secret), text);
    text[64] = '\n';
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_from_errno(errno);
    bool written = write(fd, text, 65) == 65 && fsync(fd) == 0;
    if (close(fd) != 0 || !written)
        return ERR_IO;
    memcpy(ret, secret, sizeof(secret));
    return OK;
}

enum err config_secret(const struct config *config, const char *setting, const char *name, uint8_t ret[32])
{
    char path[4096];
    enum err error = config_file(setting, path, sizeof(path));
    if (error == OK)
        error = read_secret(path, ret);
    if (error != ERR_NOT_FOUND || config->node_mode != MODE_TEST)
        return error;
    int size = snprintf(path, sizeof(path), "%s/%s", config->node_state_dir, name);
    if (size < 0 || (size_t)size >= sizeof(path))
        return ERR_LIMIT;
    error = read_secret(path, ret);
    return error == ERR_NOT_FOUND ? make_secret(path, ret) : error;
}

/* Master keys. */

struct key_trial {
    const struct config *config;
    void (*report)(void *context, const char *line);
    void *context;
    struct cipher_keys *keys;
};

static bool report_key(const struct key_trial *trial, const char *key, const char *setting, const char *found)
{
    char text[LINE_MAX_BYTES * 2];
    snprintf(text, sizeof(text),
             "%s: [journal] %s, found \"%s\": %s, expected a file of 32 bytes or 64 hex digits, hint: "
             "openssl rand -hex 32 > FILE, outside of state_dir, then LoadCredential=journal-key:FILE in the "
             "unit, or key = FILE; keep a copy: what it sealed is lost without it",
             trial->config->path, key, setting, found);
    trial->report(trial->context, text);
    return false;
}

static bool add_key(const struct key_trial *trial, const char *key, const char *setting, enum err error,
                    uint8_t secret[32])
{
    if (error == OK)
        error = cipher_keys_add(trial->keys, secret);
    explicit_bzero(secret, 32);
    if (error == OK)
        return true;
    return report_key(trial, key, setting,
                      error == ERR_LIMIT    ? "too many keys"
                      : error == ERR_EXISTS ? "another key has the same id"
                      : error == ERR_FORMAT ? "not a key"
                                            : err_text(error));
}

static bool add_old_keys(const struct key_trial *trial)
{
    bool good = true;
    const char *at = trial->config->journal_old_keys;
    while (*(at += strspn(at, " ,")) != '\0') {
        char setting[4096], path[4096];
        uint8_t secret[32] = {0};
        size_t size = strcspn(at, " ,");
        snprintf(setting, sizeof(setting), "%.*s", (int)size, at);
        enum err error = config_file(setting, path, sizeof(path));
        if (error == OK)
            error = read_secret(path, secret);
        good = add_key(trial, "old_keys", setting, error, secret) && good;
        at += size;
    }
    return good;
}

enum err config_keys(const struct config *config, void (*report)(void *context, const char *line),
                     void *context, struct cipher_keys *ret_keys)
{
    struct cipher_keys keys = {.count = 0};
    const struct key_trial trial = {config, report, context, &keys};
    uint8_t secret[32] = {0};
    enum err error = config_secret(config, config->journal_key, "journal-key", secret);
    bool good = add_key(&trial, "key", config->journal_key, error, secret);
    good = add_old_keys(&trial) && good;
    if (good)
        *ret_keys = keys;
    cipher_keys_clear(&keys);
    return good ? OK : ERR_CONFIG;
}

/* The example file. */

static const struct {
    const char *section, *key, *value;
} example_values[] = {
    {"listen", "https", "0.0.0.0:8443"},
    {"listen", "admin", "127.0.0.1:9090"},
    {"tls", "certificate", "/etc/vigie/tls/server.pem"},
    {"tls", "key", "/etc/vigie/tls/server.key"},
    {"kafka", "bootstrap", "localhost:9092"},
};

static const char *example_value(const struct option_row *row)
{
    for (size_t i = 0; i < sizeof(example_values) / sizeof(example_values[0]); i++)
        if (strcmp(example_values[i].section, row->section) == 0 &&
            strcmp(example_values[i].key, row->key) == 0)
            return example_values[i].value;
    return row->initial;
}

static void print_option(void (*line)(void *context, const char *text), void *context,
                         const struct option_row *row)
{
    char text[LINE_MAX_BYTES];
    line(context, "");
    snprintf(text, sizeof(text), "; %s", row->help);
    line(context, text);
    snprintf(text, sizeof(text), "; default: %s%s%s%s%s", *row->initial != '\0' ? row->initial : "not set",
             *row->unit != '\0' ? "; unit: " : "", row->unit,
             "; reload: ", strcmp(row->reload, "yes") == 0 ? "yes" : "no, needs a restart");
    line(context, text);
    snprintf(text, sizeof(text), "%s = %s", row->key, example_value(row));
    size_t size = strlen(text);
    if (text[size - 1] == ' ')
        text[size - 1] = '\0';
    line(context, text);
}

void config_print_example(void (*line)(void *context, const char *text), void *context)
{
    const char *section = "";
    char text[64];
    line(context, "; vigie.conf: every option with its default, unit and reload behaviour.");
    line(context,
         "; A key left out has its default. Sizes: 64k, 16M, 1G. Durations: 250ms, 5s, 10m, 36h, 35d.");
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        if (strcmp(section, options[i].section) != 0) {
            section = options[i].section;
            line(context, "");
            snprintf(text, sizeof(text), "[%s]", section);
            line(context, text);
        }
        print_option(line, context, &options[i]);
        if (strcmp(section, "kafka") == 0 &&
            (i + 1 == OPTIONS_COUNT || strcmp(options[i + 1].section, "kafka") != 0)) {
            line(context, "");
            line(context, "; any key of librdkafka, as in");
            line(context, "; rdkafka.linger.ms = 5");
        }
    }
}
