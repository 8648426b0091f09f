/* doctor, certificates: how long what the listeners show and judge by will last. Read from the files, so that
 * what SIGHUP would take is seen before it does. */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/instant.h"
#include "daemon/ctl/doctor.h"

enum { CERTIFICATE_WARN_DAYS = 21, CRL_WARN_DAYS = 1, PATH_BYTES_MAX = 4096 };

static int64_t ms_of(const ASN1_TIME *time)
{
    int days, seconds;
    if (time == NULL || ASN1_TIME_diff(&days, &seconds, NULL, time) != 1)
        return INSTANT_NONE;
    return clock_wall_ms() + ((int64_t)days * 86400 + seconds) * 1000;
}

/* The earliest end of what is in the file; INSTANT_NONE when there is nothing. */
static int64_t first_certificate_end(BIO *file)
{
    int64_t first_ms = INSTANT_NONE;
    for (X509 *item; (item = PEM_read_bio_X509(file, NULL, NULL, NULL)) != NULL; X509_free(item)) {
        int64_t ms = ms_of(X509_get0_notAfter(item));
        if (first_ms == INSTANT_NONE || ms < first_ms)
            first_ms = ms;
    }
    return first_ms;
}

static int64_t first_list_end(BIO *file)
{
    int64_t first_ms = INSTANT_NONE;
    for (X509_CRL *item; (item = PEM_read_bio_X509_CRL(file, NULL, NULL, NULL)) != NULL;
         X509_CRL_free(item)) {
        int64_t ms = ms_of(X509_CRL_get0_nextUpdate(item));
        if (first_ms == INSTANT_NONE || ms < first_ms)
            first_ms = ms;
    }
    return first_ms;
}

struct subject {
    struct doctor_check check;
    int64_t (*end)(BIO *file);
    int warn_days;
};

static void look_at(struct doctor *doctor, const struct subject *subject, const char *setting)
{
    char path[PATH_BYTES_MAX], until[INSTANT_TEXT_MAX];
    if (*setting == '\0')
        return;
    BIO *file = config_file(setting, path, sizeof path) == OK ? BIO_new_file(path, "r") : NULL;
    int64_t end_ms = file == NULL ? INSTANT_NONE : subject->end(file);
    BIO_free(file);
    if (end_ms == INSTANT_NONE) {
        doctor_tell(doctor, &subject->check, DOCTOR_FAIL, "%s: %s", setting,
                    file == NULL ? "cannot be read" : "nothing of its kind in it");
        return;
    }
    double days = (double)(end_ms - clock_wall_ms()) / 86400000.0;
    instant_format(end_ms, until);
    doctor_tell(doctor, &subject->check,
                days <= 0                   ? DOCTOR_FAIL
                : days < subject->warn_days ? DOCTOR_WARN
                                            : DOCTOR_OK,
                "%s until %s, %.1f days", path, until, days);
}

void doctor_certificates(struct doctor *doctor)
{
    static const struct subject server = {
        {"certificate.server", "valid for 21 days or more", "renew it, then systemctl reload vigied"},
        first_certificate_end,
        CERTIFICATE_WARN_DAYS};
    static const struct subject client_ca = {
        {"certificate.client_ca", "valid for 21 days or more", "no client certificate is taken after it"},
        first_certificate_end,
        CERTIFICATE_WARN_DAYS};
    static const struct subject crl = {
        {"certificate.crl", "a next update a day ahead or more",
         "fetch the new list, then systemctl reload vigied: past it every client certificate is refused"},
        first_list_end,
        CRL_WARN_DAYS};
    const struct config *config = doctor->config;
    if (config_listeners(config, true) > 0)
        look_at(doctor, &server, config->tls_certificate);
    look_at(doctor, &client_ca, config->tls_client_ca);
    look_at(doctor, &crl, config->tls_crl);
}
