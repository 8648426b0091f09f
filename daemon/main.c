/* vigied: reads its configuration, starts the service in the foreground, ends by SIGTERM with 0. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "config/config.h"
#include "daemon/base/library_memory.h"
#include "daemon/base/log.h"
#include "daemon/check.h"
#include "daemon/model/parameter.h"
#include "daemon/service.h"

static const char help[] =
    "vigied: receives readings of patients at home, keeps them, decides alerts, stores and publishes\n"
    "\n"
    "  vigied --config FILE           run in the foreground; SIGTERM drains and exits 0\n"
    "  vigied --config FILE --check   check the configuration, certificates and rule presets, then exit 0 or "
    "1\n"
    "\n"
    "  --config FILE   default /etc/vigie/vigie.conf; every key is in vigie.conf.example\n"
    "  --version       print the version\n"
    "  --help          this text\n"
    "\n"
    "Exit codes follow sysexits.h: 64 usage, 65 data, 69 unavailable, 74 input/output, 75 busy, 78 "
    "configuration.\n";

struct arguments {
    const char *config_path;
    bool check;
};

/* 0: go on; otherwise the exit status + 1. */
static int take_arguments(int argc, char **argv, struct arguments *ret)
{
    static const struct option table[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    opterr = 0; /* one line a fault, below */
    *ret = (struct arguments){.config_path = "/etc/vigie/vigie.conf"};
    for (int id; (id = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        switch (id) {
        case 'c':
            ret->config_path = optarg;
            break;
        case 'k':
            ret->check = true;
            break;
        case 'h':
            fputs(help, stdout);
            return 1;
        case 'v':
            puts("vigied " VIGIE_VERSION);
            return 1;
        default:
            fprintf(stderr,
                    "vigied: wrong usage, found %s, expected --config FILE [--check], hint: vigied --help\n",
                    argv[optind - 1]);
            return 65;
        }
    }
    if (optind == argc)
        return 0;
    fprintf(stderr, "vigied: wrong usage, found argument %s, expected options only, hint: vigied --help\n",
            argv[optind]);
    return 65;
}

static void report_line(void *context, const char *line)
{
    fprintf(stderr, "vigied: %s\n", line);
}

/* The soft limit is there for programs that use select(); connections need all that the unit allows. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* a refusal costs connections, no more */
}

static int serve(const struct config *config)
{
    signal(SIGPIPE, SIG_IGN); /* PITFALLS U7: before any thread */
    sigset_t hangup;
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &hangup, NULL); /* no thread shall take it; service_run() does */
    raise_descriptor_limit();
    log_configure((enum log_level)config->log_level, (enum log_format)config->log_format);
    struct service *service;
    enum err error = service_start(config, &service);
    if (error != OK)
        return err_sysexit(error);
    service_run(service);
    service_stop(service);
    return 0;
}

int main(int argc, char **argv)
{
    library_memory_use_slabs(); /* before any library takes its first block */
    struct arguments arguments;
    int ended = take_arguments(argc, argv, &arguments);
    if (ended != 0)
        return ended - 1;
    if (parameter_init() != OK) {
        fputs("vigied: the parameter table cannot be built, found no memory\n", stderr);
        return 71;
    }
    struct config *config;
    enum err error = config_load(arguments.config_path, report_line, NULL, &config);
    if (error != OK)
        return arguments.check ? 1 : err_sysexit(error);
    int status = arguments.check ? check_run(config, report_line, NULL) : serve(config);
    config_free(config);
    return status;
}
