/* check: a table of trials; all are made, so that the operator sees every fault at once. Nothing is written
 * and no server is asked: it may run beside the daemon, as its user or as root. */
#include "daemon/check.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "alerting/kafka_conf.h"
#include "alerting/kafka_topic.h"
#include "alerting/preset.h"
#include "daemon/base/clock.h"
#include "daemon/identity.h"
#include "daemon/ingest/listeners.h"
#include "daemon/ingest/tls.h"
#include "daemon/registry/registry_file.h"

struct check {
    const struct config *config;
    struct cipher_keys keys; /* those of the journal, once found good */
    unsigned faults;
    void (*report)(void *context, const char *line);
    void *context;
};

/* `what, found F, expected E, hint: H` */
__attribute__((format(printf, 2, 3))) static void fault(struct check *check, const char *format, ...)
{
    char line[1400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    check->report(check->context, line);
    check->faults++;
}

/* ---- certificates ---- */

static void not_expired(struct check *check, const char *what, const char *file, int64_t until_ms)
{
    char text[INSTANT_TEXT_MAX];
    if (until_ms == INSTANT_NONE || until_ms > clock_wall_ms())
        return;
    instant_format(until_ms, text);
    fault(check, "[tls] %s has expired, found %s in %s, expected a date to come, hint: renew it, then SIGHUP",
          what, text, file);
}

static void try_certificates(struct check *check)
{
    const struct config *config = check->config;
    struct tls_server *server;
    struct tls_expiry expiry;
    if (config_listeners(config, true) == 0)
        return;
    if (tls_server_new(config, &server) != OK) {
        fault(check,
              "[tls] cannot be used, found certificate %s, key %s, client_ca %s, crl %s, expected PEM files "
              "that belong together, hint: the log line above names which",
              config->tls_certificate, config->tls_key, config->tls_client_ca, config->tls_crl);
        return;
    }
    tls_server_expiry(server, &expiry);
    not_expired(check, "certificate", config->tls_certificate, expiry.certificate_ms);
    not_expired(check, "client_ca", config->tls_client_ca, expiry.client_ca_ms);
    not_expired(check, "crl", config->tls_crl, expiry.crl_ms);
    tls_server_free(server);
}

/* ---- secrets ---- */

/* With mode=test a missing one is made at the start; here nothing is made. */
static bool is_made_at_start(const struct config *config, const char *setting, const char *name)
{
    char path[4096];
    if (config->node_mode != MODE_TEST ||
        (config_file(setting, path, sizeof path) == OK && access(path, F_OK) == 0))
        return false;
    snprintf(path, sizeof path, "%s/%s", config->node_state_dir, name);
    return access(path, F_OK) != 0;
}

static void report_key(void *context, const char *line)
{
    fault(context, "%s", line);
}

static void try_secrets(struct check *check)
{
    const struct config *config = check->config;
    const char *setting = config->auth_identifier_key;
    uint8_t secret[32];
    if (!is_made_at_start(config, config->journal_key, "journal-key") &&
        config_keys(config, report_key, check, &check->keys) != OK)
        check->keys.count = 0; /* told */
    if (is_made_at_start(config, setting, "identifier-key"))
        return;
    enum err error = config_secret(config, setting, "identifier-key", secret);
    explicit_bzero(secret, sizeof secret);
    if (error != OK)
        fault(check,
              "[auth] identifier_key cannot be used, found %s: %s, expected 32 bytes or 64 hexadecimal "
              "digits, hint: LoadCredential=identifier-key: of the unit, or a path",
              setting, err_text(error));
}

/* ---- state_dir ---- */

static bool can_be_made(const char *path)
{
    char parent[4096];
    snprintf(parent, sizeof parent, "%s", path);
    for (size_t size = strlen(parent); size > 1 && parent[size - 1] == '/'; size--)
        parent[size - 1] = '\0';
    char *slash = strrchr(parent, '/');
    if (slash == NULL)
        return access(".", W_OK | X_OK) == 0;
    slash[slash == parent] = '\0';
    return access(parent, W_OK | X_OK) == 0;
}

static void try_shards(struct check *check)
{
    const struct config *config = check->config;
    struct identity identity;
    enum err error = identity_read(config->node_state_dir, &identity);
    if (error == ERR_CORRUPT)
        fault(check,
              "state_dir cannot be used, found %s/identity unreadable, expected what vigied wrote, hint: "
              "restore it from a backup",
              config->node_state_dir);
    if (error == OK && config->node_shards != 0 && config->node_shards != identity.shards)
        fault(check,
              "[node] shards differs from state_dir, found %lld, expected %u, hint: leave shards out, or "
              "move the patients with vigiectl journal reshard",
              (long long)config->node_shards, (unsigned)identity.shards);
}

static void try_state_dir(struct check *check)
{
    const char *path = check->config->node_state_dir;
    struct stat status;
    enum { ROOM = sizeof((struct sockaddr_un *)0)->sun_path - sizeof "/admin.sock" };
    if (strlen(path) > ROOM)
        fault(check,
              "[node] state_dir is too long for a socket in it, found %zu bytes, expected at most %d, hint: "
              "a shorter path",
              strlen(path), (int)ROOM);
    if (stat(path, &status) == 0) {
        if (!S_ISDIR(status.st_mode) || access(path, R_OK | W_OK | X_OK) != 0)
            fault(check,
                  "[node] state_dir cannot be written, found %s, expected a directory of vigied's user, "
                  "hint: run this as that user; chown it",
                  path);
        else
            try_shards(check);
    } else if (errno != ENOENT || !can_be_made(path)) {
        fault(check,
              "[node] state_dir cannot be made, found %s: %s, expected a directory that vigied may write, "
              "hint: StateDirectory= of the unit makes it",
              path, strerror(errno));
    }
}

/* ---- listeners ---- */

/* Its port may be in use by the daemon that runs: the address alone is tried. */
static void try_address(struct check *check, const char *key, const char *setting)
{
    struct sockaddr_storage address;
    if (config_address(setting, &address) != OK)
        return; /* off; a wrong one was refused with the file */
    if (address.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&address)->sin6_port = 0;
    else
        ((struct sockaddr_in *)&address)->sin_port = 0;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fault(check,
              "[listen] %s cannot be bound, found %s: %s, expected an address of this host, hint: ip address",
              key, setting, strerror(errno));
    if (fd >= 0)
        close(fd);
}

static void try_listeners(struct check *check)
{
    for (enum ingest_listener i = 0; i < LISTENERS; i++)
        try_address(check, listener_name(i), listener_setting(i, check->config));
    try_address(check, "admin", check->config->listen_admin);
}

/* ---- rules ---- */

static void try_presets(struct check *check)
{
    const struct config *config = check->config;
    const struct rule_bounds bounds = {config->alerting_lookback, config->alerting_lookback_continuous};
    struct presets presets;
    struct preset_fault found = {0};
    enum err error = presets_load(config->alerting_presets_dir, &bounds, &presets, &found);
    if (error == OK) {
        presets_free(&presets);
        return;
    }
    if (error == ERR_REFUSED || error == ERR_FORMAT)
        fault(check, "preset %s rule %s key %s, found %s, expected %s, hint: vigiectl rules check FILE",
              found.file, found.rule, found.fault.key, found.fault.found, found.fault.expected);
    else
        fault(check,
              "[alerting] presets_dir cannot be read, found %s: %s, expected a directory of presets, hint: "
              "set presets_dir",
              config->alerting_presets_dir, err_text(error));
}

/* ---- Kafka ---- */

/* As far as the registry of the last run tells: 0 before the first. */
static uint32_t count_organizations(struct check *check)
{
    char path[4200];
    struct rows *rows;
    int64_t version;
    uint32_t count = 0;
    snprintf(path, sizeof path, "%s/registry", check->config->node_state_dir);
    if (check->keys.count == 0 || access(path, R_OK) != 0)
        return 0;
    struct registry_file *file = registry_file_new(path, &check->keys);
    enum err error = registry_file_load(file, &rows, &version);
    if (error == OK) {
        count = rows_count(rows, ROW_ORGANIZATION);
        rows_free(rows);
    } else if (error == ERR_KEY_MISSING) { /* and so is the journal: a start would be refused */
        fault(check,
              "[journal] key does not open %s, found another master key, expected the one it was sealed "
              "under, hint: put the old key into [journal] old_keys",
              path);
    }
    registry_file_free(file);
    return count;
}

static void try_kafka(struct check *check)
{
    const struct config *config = check->config;
    char found[KAFKA_FAULT_MAX];
    const struct kafka_endpoint endpoint = {config->kafka_bootstrap, config->kafka_rdkafka};
    if (kafka_conf_check(&endpoint, found) != OK)
        fault(check,
              "[kafka] rdkafka.* or security_*, found %s, expected what librdkafka takes, hint: "
              "CONFIGURATION.md of librdkafka 2.0",
              found);
    uint32_t organizations = count_organizations(check);
    if (organizations > 1 && !kafka_topic_is_template(config->kafka_topic))
        fault(check,
              "[kafka] topic is one for %u organisations, found %s, expected a template with {organization}, "
              "hint: topic = vigie.alerts.{organization}, then vigiectl kafka create",
              (unsigned)organizations, config->kafka_topic);
}

/* Secrets come before what is sealed under them. */
static void (*const trials[])(struct check *check) = {
    try_certificates, try_secrets, try_state_dir, try_listeners, try_presets, try_kafka, NULL,
};
/* What SIGHUP takes over: a fault elsewhere must not hold up a renewed certificate or revocation list. */
static void (*const reload_trials[])(struct check *check) = {try_certificates, NULL};

static int try_all(void (*const *trial)(struct check *check), struct check check)
{
    for (; *trial != NULL; trial++)
        (*trial)(&check);
    cipher_keys_clear(&check.keys);
    return check.faults == 0 ? 0 : 1;
}

int check_run(const struct config *config, void (*report)(void *context, const char *line), void *context)
{
    return try_all(trials, (struct check){.config = config, .report = report, .context = context});
}

int check_reload(const struct config *config, void (*report)(void *context, const char *line), void *context)
{
    return try_all(reload_trials, (struct check){.config = config, .report = report, .context = context});
}
