/* ctl: what the commands of vigiectl share: the table row of a command, its options, and the one form of an
 * error.
 * Owner:   main makes one struct ctl; commands borrow it. Threads: one.
 * Exit:    sysexits.h; errors are one line on standard error: what, found, expected, hint. */
#ifndef VIGIE_DAEMON_CTL_CTL_H
#define VIGIE_DAEMON_CTL_CTL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "alerting/engine.h"
#include "config/config.h"

struct ctl {
    const char *config_path;
    struct config *config; /* loaded for every command that says so */
};

/* One option of a command: `--name VALUE` fills value, `--name` alone sets flag. */
struct ctl_option {
    const char *name; /* without the dashes; NULL ends the list */
    const char **value;
    bool *flag;
};

enum { CTL_ARGUMENTS_MAX = 256 };

struct ctl_arguments {
    const char *items[CTL_ARGUMENTS_MAX]; /* what is no option */
    int count;
};

struct ctl_command {
    const char *words;     /* "db migrate" */
    const char *arguments; /* as shown in the usage line */
    const char *summary;   /* one line of the list */
    const char *help;      /* what --help teaches */
    bool needs_config;
    int (*run)(struct ctl *ctl, int argc, char **argv);
};

/* Every command's function, one file a subject. */
int ctl_db_migrate(struct ctl *ctl, int argc, char **argv);
int ctl_db_status(struct ctl *ctl, int argc, char **argv);
int ctl_import(struct ctl *ctl, int argc, char **argv);
int ctl_token_issue(struct ctl *ctl, int argc, char **argv);
int ctl_rules_check(struct ctl *ctl, int argc, char **argv);
int ctl_rules_show(struct ctl *ctl, int argc, char **argv);
int ctl_rules_unconfirmed(struct ctl *ctl, int argc, char **argv);
int ctl_alerts(struct ctl *ctl, int argc, char **argv);
int ctl_alert_ack(struct ctl *ctl, int argc, char **argv);
int ctl_alert_handle(struct ctl *ctl, int argc, char **argv);
int ctl_alert_shelve(struct ctl *ctl, int argc, char **argv);
int ctl_alert_unshelve(struct ctl *ctl, int argc, char **argv);
int ctl_clock_status(struct ctl *ctl, int argc, char **argv);
int ctl_clock_accept(struct ctl *ctl, int argc, char **argv);
int ctl_journal_status(struct ctl *ctl, int argc, char **argv);
int ctl_journal_verify(struct ctl *ctl, int argc, char **argv);
int ctl_journal_dump(struct ctl *ctl, int argc, char **argv);
int ctl_kafka_check(struct ctl *ctl, int argc, char **argv);
int ctl_kafka_create(struct ctl *ctl, int argc, char **argv);
int ctl_doctor(struct ctl *ctl, int argc, char **argv);
int ctl_quarantine_list(struct ctl *ctl, int argc, char **argv);
int ctl_quarantine_release(struct ctl *ctl, int argc, char **argv);
int ctl_quarantine_discard(struct ctl *ctl, int argc, char **argv);
int ctl_rejected_list(struct ctl *ctl, int argc, char **argv);
int ctl_rejected_show(struct ctl *ctl, int argc, char **argv);
int ctl_explain(struct ctl *ctl, int argc, char **argv);
int ctl_backtest(struct ctl *ctl, int argc, char **argv);

/* Prints the error line and gives the exit status of `error`. */
int ctl_fail(enum err error, const char *what, const char *found, const char *expected, const char *hint);

/* What an engine of this configuration judges by; the shard is 0. */
struct engine_settings ctl_engine_settings(const struct config *config);

/* Sorts options from arguments; ERR_USAGE after an error line. `--name=VALUE` is the same as `--name VALUE`.
 */
MUST_CHECK enum err ctl_parse(int argc, char **argv, const struct ctl_option *options,
                              struct ctl_arguments *ret);
/* The number of an option, `initial` when it is not given; ERR_USAGE after an error line. */
MUST_CHECK enum err ctl_number(const char *name, const char *text, int initial, int *ret);

#endif
