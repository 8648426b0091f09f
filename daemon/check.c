/* check: a table of trials; all are made, so that the operator sees every fault at once. */
#include "daemon/check.h"

#include <stdio.h>
#include <string.h>

#include "alerting/kafka_conf.h"
#include "alerting/preset.h"
#include "daemon/ingest/tls.h"

static bool certificates_load(const struct config *config, char *line, size_t size)
{
    if (*config->listen_https == '\0' || strcmp(config->listen_https, "off") == 0)
        return true;
    struct tls_server *server;
    if (tls_server_new(config, &server) == OK) {
        tls_server_free(server);
        return true;
    }
    snprintf(
        line, size,
        "[tls] cannot be used, found certificate %s and key %s, expected PEM files that are whole and fit "
        "each other, hint: the log line above names the cause",
        config->tls_certificate, config->tls_key);
    return false;
}

static bool presets_are_good(const struct config *config, char *line, size_t size)
{
    const struct rule_bounds bounds = {config->alerting_lookback, config->alerting_lookback_continuous};
    struct presets presets;
    struct preset_fault fault = {0};
    enum err error = presets_load(config->alerting_presets_dir, &bounds, &presets, &fault);
    if (error == OK) {
        presets_free(&presets);
        return true;
    }
    if (error == ERR_REFUSED || error == ERR_FORMAT)
        snprintf(line, size,
                 "preset %s rule %s key %s, found %s, expected %s, hint: vigiectl rules check FILE",
                 fault.file, fault.rule, fault.fault.key, fault.fault.found, fault.fault.expected);
    else
        snprintf(line, size,
                 "[alerting] presets_dir cannot be read, found %s: %s, expected a directory of presets, "
                 "hint: set presets_dir",
                 config->alerting_presets_dir, err_text(error));
    return false;
}

static bool kafka_is_good(const struct config *config, char *line, size_t size)
{
    char fault[KAFKA_FAULT_MAX];
    const struct kafka_endpoint endpoint = {config->kafka_bootstrap, config->kafka_rdkafka};
    if (kafka_conf_check(&endpoint, fault) == OK)
        return true;
    snprintf(
        line, size,
        "[kafka] rdkafka.* or security_*, found %s, expected what librdkafka takes, hint: CONFIGURATION.md "
        "of librdkafka 2.0",
        fault);
    return false;
}

struct key_line {
    char *line;
    size_t size;
};

static void keep_line(void *context, const char *text)
{
    const struct key_line *key_line = context;
    snprintf(key_line->line, key_line->size, "%s", text);
}

static bool keys_are_there(const struct config *config, char *line, size_t size)
{
    if (config->node_mode == MODE_TEST) /* made at random by the first start */
        return true;
    struct cipher_keys keys;
    struct key_line key_line = {line, size};
    if (config_keys(config, keep_line, &key_line, &keys) != OK)
        return false;
    cipher_keys_clear(&keys);
    return true;
}

static bool (*const trials[])(const struct config *config, char *line, size_t size) = {
    certificates_load,
    presets_are_good,
    keys_are_there,
    kafka_is_good,
};

int check_run(const struct config *config, void (*report)(void *context, const char *line), void *context)
{
    int faults = 0;
    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++) {
        char line[1200];
        if (trials[i](config, line, sizeof line))
            continue;
        report(context, line);
        faults++;
    }
    return faults == 0 ? 0 : 1;
}
