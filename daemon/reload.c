/* reload: SIGHUP, all or nothing.
 *
 *   load      the file anew; of what `vigied --check` tries, the certificates: nothing else is taken over
 *   compare   an option that needs a restart has its old value, or nothing of the file is taken
 *   build     the settings of every loop, each with a TLS context of its own
 *   swap      each loop takes its own as mail; log and figures follow; systemd is told when all have it
 *
 * Whatever fails before the swap leaves everything as it was: a truncated certificate, an empty revocation
 * list or a want of descriptors never loosens what is in force. Open connections keep the context that they
 * were made from; those whose certificate no longer holds are closed by their loop. */
#include <systemd/sd-daemon.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/check.h"
#include "daemon/service_internal.h"

static void log_line(void *context, const char *line)
{
    log_write(LOG_ERROR, "reload", "%s", line);
}

/* The settings of all loops; false: none is left. */
static bool build_settings(const struct service *service, const struct config *config,
                           struct ingest_settings **ret_settings)
{
    for (unsigned i = 0; i < service->loops; i++) {
        if (ingest_settings_new(config, service->reload_generation + 1, &ret_settings[i]) == OK)
            continue;
        while (i > 0)
            ingest_settings_free(ret_settings[--i]);
        return false;
    }
    return true;
}

static bool load(const struct service *service, struct config **ret_config,
                 struct ingest_settings **ret_settings)
{
    struct config *config;
    if (config_load(service->config->path, log_line, NULL, &config) != OK)
        return false;
    if (check_reload(config, log_line, NULL) == 0 &&
        config_fixed_changes(service->config, config, log_line, NULL) == 0 &&
        build_settings(service, config, ret_settings)) {
        *ret_config = config;
        return true;
    }
    config_free(config);
    return false;
}

void reload_note_certificates(struct service *service, const struct ingest_settings *settings)
{
    struct tls_expiry expiry = {INSTANT_NONE, INSTANT_NONE, INSTANT_NONE};
    if (settings->tls != NULL)
        tls_server_expiry(settings->tls, &expiry);
    atomic_store(&service->certificates.server_ms, expiry.certificate_ms);
    atomic_store(&service->certificates.client_ca_ms, expiry.client_ca_ms);
    atomic_store(&service->certificates.crl_ms, expiry.crl_ms);
}

void reload_begin(struct service *service)
{
    struct config *config;
    struct ingest_settings *settings[LOOPS_MAX];
    log_write(LOG_NOTICE, "reload", "reloading config=%s", service->config->path);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)(clock_monotonic_ns() / 1000));
    if (!load(service, &config, settings)) {
        atomic_fetch_add(&service->certificates.reloads_refused, 1);
        log_write(LOG_ERROR, "reload",
                  "reload refused, everything stays as it was config=%s hint=\"the lines above name the "
                  "cause; vigied --check tries the file\"",
                  service->config->path);
        sd_notify(0, "READY=1\nSTATUS=reload refused: the old configuration is in force");
        return;
    }
    service->reload_generation++;
    service->reload_pending = true;
    reload_note_certificates(service, settings[0]);
    log_configure((enum log_level)config->log_level, (enum log_format)config->log_format);
    for (unsigned i = 0; i < service->loops; i++)
        ingest_reconfigure(service->ingest[i], settings[i]);
    config_free(config); /* settings are copies, and all that is borrowed elsewhere needs a restart */
}

void reload_collect(struct service *service)
{
    if (!service->reload_pending)
        return;
    for (unsigned i = 0; i < service->loops; i++)
        if (ingest_generation(service->ingest[i]) != service->reload_generation)
            return;
    service->reload_pending = false;
    atomic_fetch_add(&service->certificates.reloads, 1);
    log_write(LOG_NOTICE, "reload", "reloaded, in force on every loop config=%s generation=%lld",
              service->config->path, (long long)service->reload_generation);
    sd_notify(0, "READY=1\nSTATUS=the reloaded configuration is in force");
}
