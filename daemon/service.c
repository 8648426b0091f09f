/* service: the start table below is the order, one row and one reason a step; stop is the same table
 * backwards. The larger steps live in service_shards.c, service_loops.c, service_sinks.c and service_watch.c.
 */
#include "daemon/service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/base/file.h"
#include "daemon/base/log.h"
#include "daemon/service_steps.h"

static uint32_t half_the_cores(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 4 ? 1 : cores / 2 > SHARDS_MAX ? SHARDS_MAX : (uint32_t)(cores / 2);
}

/* ---- identity and secrets ---- */

static enum err start_identity(struct service *service)
{
    const struct config *config = service->config;
    enum err error = identity_open(config->node_state_dir, (uint32_t)config->node_shards, half_the_cores(),
                                   &service->identity);
    if (error != OK)
        return error;
    service->identity_is_open = true;
    service->shards = service->identity.shards;
    service->loops = config->node_loops > 0 ? (unsigned)config->node_loops : half_the_cores();
    char ports[4096];
    snprintf(ports, sizeof ports, "%s/ports.json", config->node_state_dir);
    unlink(ports);
    size_t blocks = COUNTERS_FIXED + service->loops + service->shards;
    service->counters = aligned_alloc(64, blocks * sizeof *service->counters);
    ensure(service->counters != NULL);
    memset(service->counters, 0, blocks * sizeof *service->counters);
    return OK;
}

static void stop_identity(struct service *service)
{
    free(service->counters);
    if (service->identity_is_open)
        identity_close(&service->identity);
}

static void report_key(void *context, const char *line)
{
    log_write(LOG_ERROR, "service", "%s", line);
}

/* Both keys are tried before the start ends: one round for an operator who has to supply them. */
static enum err start_secrets(struct service *service)
{
    const char *setting = service->config->auth_identifier_key;
    enum err error = config_secret(service->config, setting, "identifier-key", service->identifier_key);
    if (error != OK)
        log_write(
            LOG_ERROR, "service",
            "[auth] identifier_key cannot be used, found %s: %s, expected 32 bytes or 64 hexadecimal digits, "
            "hint: LoadCredential=identifier-key: of the unit, or a path",
            setting, err_text(error));
    enum err keys_error = config_keys(service->config, report_key, NULL, &service->keys);
    if (error != OK || keys_error != OK)
        return ERR_CONFIG;
    uint8_t key[16];
    hash_derive(service->identifier_key, sizeof service->identifier_key, "vigie reading id", key, sizeof key);
    memcpy(&service->reading_key, key, sizeof key);
    return OK;
}

static void stop_secrets(struct service *service)
{
    explicit_bzero(service->identifier_key, sizeof service->identifier_key);
    cipher_keys_clear(&service->keys);
}

/* ---- admin ---- */

static enum err start_admin(struct service *service)
{
    ensure(uv_loop_init(&service->admin_loop) == 0);
    return control_start(service, &service->control);
}

static enum err start_control(struct service *service)
{
    control_serve(service->control);
    return OK;
}

static void stop_control(struct service *service)
{
    control_end_service(service->control);
}

static void stop_admin(struct service *service)
{
    control_stop(service->control);
    uv_run(&service->admin_loop, UV_RUN_DEFAULT);
    ensure(uv_loop_close(&service->admin_loop) == 0);
}

/* ---- accepting ---- */

static void tell_port(struct buffer *json, const char *protocol, int port)
{
    if (port == 0)
        return;
    render_key(json, protocol);
    render_integer(json, port);
    log_write(LOG_NOTICE, "service", "listening protocol=%s port=%d", protocol, port);
}

static enum err write_ports(struct service *service, const char *path)
{
    struct buffer json = {0};
    render_open(&json, '{');
    for (enum ingest_listener i = 0; i < LISTENERS; i++)
        tell_port(&json, listener_name(i), ingest_port(service->ingest[0], i));
    tell_port(&json, "admin", control_port(service->control));
    render_close(&json, '}');
    buffer_append(&json, "\n", 1);
    enum err error = file_replace(path, json.data, json.size, 0644);
    buffer_deinit(&json);
    return error;
}

static enum err start_accepting(struct service *service)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/ports.json", service->config->node_state_dir);
    atomic_store(&service->node.accepting, true);
    enum err error = write_ports(service, path);
    if (error == OK)
        sd_notify(0, "READY=1\nSTATUS=accepting readings");
    return error;
}

static void stop_accepting(struct service *service)
{
    sd_notify(0, "STOPPING=1\nSTATUS=draining");
    atomic_store(&service->node.accepting, false);
    char path[4096];
    snprintf(path, sizeof path, "%s/ports.json", service->config->node_state_dir);
    unlink(path);
}

/* ---- signals ---- */

static void on_hangup(uv_signal_t *signal, int number)
{
    reload_begin(signal->data);
}

static void on_end(uv_signal_t *signal, int number)
{
    log_write(LOG_NOTICE, "service", "stopping signal=%d", number);
    uv_stop(signal->loop);
}

static void mask_hangup(int how)
{
    sigset_t hangup;
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    ensure(pthread_sigmask(how, &hangup, NULL) == 0);
}

static void listen_to(struct service *service, uv_signal_t *signal, int number, uv_signal_cb taken)
{
    ensure(uv_signal_init(&service->admin_loop, signal) == 0);
    signal->data = service;
    ensure(uv_signal_start(signal, taken, number) == 0);
}

/* main() has blocked SIGHUP before any thread: one that came during the start is taken now. */
static enum err start_signals(struct service *service)
{
    listen_to(service, &service->terminate, SIGTERM, on_end);
    listen_to(service, &service->interrupt, SIGINT, on_end);
    listen_to(service, &service->hangup, SIGHUP, on_hangup);
    mask_hangup(SIG_UNBLOCK);
    return OK;
}

static void stop_signals(struct service *service)
{
    mask_hangup(SIG_BLOCK); /* its default would end the drain */
    uv_close((uv_handle_t *)&service->hangup, NULL);
    uv_close((uv_handle_t *)&service->terminate, NULL);
    uv_close((uv_handle_t *)&service->interrupt, NULL);
}

/* ---- the start table ---- */

static const struct step {
    const char *name;
    enum err (*start)(struct service *service);
    void (*stop)(struct service *service);
} steps[] = {
    {"identity", start_identity,
     stop_identity}, /* the lock comes first: nothing of state_dir is touched without it */
    {"secrets", start_secrets, stop_secrets}, /* reading ids and patient matching need them */
    {"admin", start_admin, stop_admin},       /* health, while the rest takes its time */
    {"recovery", service__start_shards, service__stop_shards}, /* state = f(journal), before anyone can ask */
    {"wiring", service__start_wiring, service__stop_wiring},   /* bells and rings, before any thread runs */
    {"loader", service__start_loader, service__stop_loader},   /* a shard wakes it after its first commit */
    {"publisher", service__start_publisher, service__stop_publisher}, /* likewise */
    {"shards", service__start_threads, service__stop_threads},        /* the registry's commands need them */
    {"registry", service__start_registry,
     service__stop_registry},                             /* loops admit nothing without a snapshot */
    {"loops", service__start_loops, service__stop_loops}, /* listeners bind last of what serves readings */
    {"control", start_control, stop_control},             /* calls reach registry and shards */
    {"conditions", service__start_conditions,
     service__stop_conditions}, /* what the node knows of itself becomes alerts */
    {"watchdog", service__start_watchdog, service__stop_watchdog}, /* every thread runs */
    {"signals", start_signals, stop_signals},       /* whoever sees ports.json may end us in order */
    {"accepting", start_accepting, stop_accepting}, /* everything stands: say so */
};

enum { STEPS = sizeof steps / sizeof steps[0] };

static void undo_steps(struct service *service)
{
    while (service->started > 0) {
        const struct step *step = &steps[--service->started];
        if (step->stop != NULL)
            step->stop(service);
    }
    free(service);
}

enum err service_start(const struct config *config, struct service **ret_service)
{
    struct service *service = aligned_alloc(64, (sizeof *service + 63) / 64 * 64);
    if (service == NULL)
        return ERR_NO_MEMORY;
    memset(service, 0, sizeof *service);
    service->config = config;
    atomic_store(&service->node.engine_held_ms, INSTANT_NONE);
    for (unsigned i = 0; i < STEPS; i++) {
        service->starting = steps[i].name;
        enum err error = steps[i].start(service);
        service->started = i + 1;
        if (error == OK)
            continue;
        log_write(LOG_ERROR, "service", "cannot start step=%s found=%s hint=the lines above name the cause",
                  steps[i].name, err_text(error));
        undo_steps(service);
        return error;
    }
    service->starting = NULL;
    *ret_service = service;
    return OK;
}

void service_run(struct service *service)
{
    uv_run(&service->admin_loop, UV_RUN_DEFAULT);
}

void service_stop(struct service *service)
{
    if (service != NULL)
        undo_steps(service);
}
