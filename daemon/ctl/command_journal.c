/* journal status adds up what the directory and the daemon say and reads no block; journal verify reads them
 * all. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sysexits.h>

#include "daemon/base/limits.h"
#include "daemon/ctl/ctl_daemon.h"
#include "storage/journal.h"

enum { PATH_BYTES_MAX = 4096 };

/* ---- shards of the state directory ---- */

static bool shard_directory(const struct ctl *ctl, unsigned shard, char out[PATH_BYTES_MAX])
{
    struct stat status;
    int size = snprintf(out, PATH_BYTES_MAX, "%s/journal/%u", ctl->config->node_state_dir, shard);
    return size > 0 && size < PATH_BYTES_MAX && stat(out, &status) == 0 && S_ISDIR(status.st_mode);
}

static int no_journal(const struct ctl *ctl)
{
    return ctl_fail(ERR_NOT_FOUND, ctl->config->node_state_dir, "no journal",
                    "a state_dir that vigied has used", "check [node] state_dir and your rights");
}

/* ---- status ---- */

struct shard_status {
    uint64_t segments, bytes, free_bytes, first, last; /* numbers of the oldest and newest segment */
};

static void count_file(const char *directory, const char *name, struct shard_status *status)
{
    char path[PATH_BYTES_MAX + 300], *end;
    struct stat file;
    uint64_t number = strtoull(name, &end, 16);
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (end != name + 8 || strcmp(end, ".wal") != 0 || stat(path, &file) != 0)
        return;
    status->first = status->segments == 0 || number < status->first ? number : status->first;
    status->last = number > status->last ? number : status->last;
    status->segments++;
    status->bytes += (uint64_t)file.st_size;
}

static enum err read_status(const char *directory, struct shard_status *ret)
{
    struct statvfs system;
    struct shard_status status = {.segments = 0};
    DIR *listing = opendir(directory);
    if (listing == NULL)
        return err_from_errno(errno);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;)
        count_file(directory, entry->d_name, &status);
    closedir(listing);
    if (statvfs(directory, &system) != 0)
        return err_from_errno(errno);
    status.free_bytes = (uint64_t)system.f_bavail * system.f_frsize;
    *ret = status;
    return OK;
}

/* The value of a metric in the text of /metrics; -1: the daemon is down or does not say. */
static double metric(const struct admin_reply *metrics, const char *name)
{
    const char *at = metrics->body.data;
    size_t size = strlen(name);
    while (at != NULL && *at != '\0') {
        if (strncmp(at, name, size) == 0 && at[size] == ' ')
            return strtod(at + size + 1, NULL);
        at = strchr(at, '\n');
        at = at == NULL ? NULL : at + 1;
    }
    return -1;
}

static void ask_metrics(const struct ctl *ctl, struct admin_reply *ret)
{
    const struct admin_exchange exchange = {
        .state_dir = ctl->config->node_state_dir, .method = "GET", .target = "/metrics", .timeout_s = 10};
    if (admin_exchange(&exchange, ret) != OK || ret->status != 200)
        buffer_deinit(&ret->body);
}

static void print_sink(const struct admin_reply *metrics, const char *sink, bool json)
{
    char name[80];
    snprintf(name, sizeof(name), "vigie_sink_lag_records{sink=\"%s\"}", sink);
    double records = metric(metrics, name);
    snprintf(name, sizeof(name), "vigie_sink_lag_seconds{sink=\"%s\"}", sink);
    double seconds = metric(metrics, name);
    if (json && records < 0)
        printf("\"%s\":null", sink);
    else if (json)
        printf("\"%s\":{\"lag_records\":%.0f,\"lag_seconds\":%.3f}", sink, records, seconds);
    else if (records < 0)
        printf("sink %-8s not known: the daemon is down\n", sink);
    else
        printf("sink %-8s %.0f records behind, the oldest for %.1f s\n", sink, records, seconds);
}

/* How long the disk takes what comes, if the sinks stay away and nothing is trimmed. */
static void print_disk(const struct ctl *ctl, const struct admin_reply *metrics, bool json)
{
    struct statvfs disk;
    if (statvfs(ctl->config->node_state_dir, &disk) != 0)
        disk = (struct statvfs){.f_frsize = 1};
    uint64_t left = (uint64_t)disk.f_bavail * disk.f_frsize;
    uint64_t total = (uint64_t)(disk.f_blocks - disk.f_bfree) * disk.f_frsize + left;
    double used = total == 0 ? 0 : 100.0 * (double)(total - left) / (double)total;
    double hours = metric(metrics, "vigie_journal_hours_left");
    bool known = hours >= 0 && isfinite(hours);
    if (json) {
        printf("\"disk\":{\"free_bytes\":%" PRIu64 ",\"total_bytes\":%" PRIu64
               ",\"used_percent\":%.1f,\"hours_left\":",
               left, total, used);
        printf(known ? "%.1f}" : "null}", hours);
        return;
    }
    printf("disk: %.1f %% used, %" PRIu64 " bytes free of %" PRIu64, used, left, total);
    if (known)
        printf(", %.1f hours left at the present rate\n", hours);
    else
        printf(hours >= 0 ? ", nothing is written at present\n" : ", rate not known: the daemon is down\n");
}

/* What the daemon says of snapshots: how long a restart would replay, what the last one found. */
static void print_snapshot(const struct admin_reply *metrics, unsigned shard, bool json)
{
    static const struct {
        const char *metric, *member;
    } rows[] = {
        {"vigie_snapshot_age_seconds", "snapshot_age_seconds"},
        {"vigie_snapshot_position", "snapshot_position"},
        {"vigie_snapshots_damaged", "snapshots_damaged"},
        {"vigie_replay_records", "replayed_records"},
        {"vigie_replay_differences", "replay_differences"},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    double values[ROWS];
    for (unsigned i = 0; i < ROWS; i++) {
        char name[80];
        snprintf(name, sizeof(name), "%s{shard=\"%u\"}", rows[i].metric, shard);
        values[i] = metric(metrics, name);
    }
    bool known = values[3] >= 0, any = known && values[1] > 0;
    for (unsigned i = 0; json && i < ROWS; i++)
        if (known && (i > 1 || any))
            printf(",\"%s\":%.0f", rows[i].member, values[i]);
        else
            printf(",\"%s\":null", rows[i].member);
    if (json || !known)
        return;
    if (any)
        printf("  snapshot %.0f s old, a restart replays from position %.0f\n", values[0], values[1]);
    else
        printf("  no snapshot yet: a restart replays the whole journal\n");
    printf("  last start: %.0f records replayed, %.0f differences, %.0f snapshots damaged\n", values[3],
           values[4], values[2]);
}

static void print_shard(const struct admin_reply *metrics, unsigned shard, const struct shard_status *status,
                        bool json)
{
    if (json)
        printf("%s{\"shard\":%u,\"segments\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"oldest_segment\":%" PRIu64
               ",\"newest_segment\":%" PRIu64 ",\"trimmed_to\":%" PRIu64 ",\"free_bytes\":%" PRIu64,
               shard == 0 ? "" : ",", shard, status->segments, status->bytes, status->first, status->last,
               status->first, status->free_bytes);
    else
        printf("shard %u: %" PRIu64 " segments (%08" PRIx64 " to %08" PRIx64 "; what is before the first is "
               "trimmed), %" PRIu64 " bytes, %" PRIu64 " bytes free\n",
               shard, status->segments, status->first, status->last, status->bytes, status->free_bytes);
    print_snapshot(metrics, shard, json);
    if (json)
        printf("}");
}

static int print_shards(const struct ctl *ctl, const struct admin_reply *metrics, bool json)
{
    char directory[PATH_BYTES_MAX];
    unsigned shard = 0;
    for (; shard < SHARDS_MAX && shard_directory(ctl, shard, directory); shard++) {
        struct shard_status status = {.segments = 0};
        enum err error = read_status(directory, &status);
        if (error != OK)
            return ctl_fail(error, directory, err_text(error), "a readable directory",
                            "run it as the daemon's user");
        print_shard(metrics, shard, &status, json);
    }
    return shard == 0 ? EX_NOINPUT : EX_OK;
}

static enum err parse_json_only(int argc, char **argv, bool *json)
{
    const struct ctl_option options[] = {{"json", NULL, json}, {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    if (ctl_parse(argc, argv, options, &arguments) != OK)
        return ERR_USAGE;
    if (arguments.count == 0)
        return OK;
    ctl_fail(ERR_USAGE, "arguments", arguments.items[0], "none", "see --help behind the command");
    return ERR_USAGE;
}

int ctl_journal_status(struct ctl *ctl, int argc, char **argv)
{
    bool json = false;
    char directory[PATH_BYTES_MAX];
    if (parse_json_only(argc, argv, &json) != OK)
        return EX_USAGE;
    if (!shard_directory(ctl, 0, directory))
        return no_journal(ctl);
    struct admin_reply metrics;
    ask_metrics(ctl, &metrics);
    if (json)
        printf("{\"shards\":[");
    int status = print_shards(ctl, &metrics, json);
    if (json)
        printf("],");
    print_disk(ctl, &metrics, json);
    if (json)
        printf(",\"sinks\":{");
    print_sink(&metrics, "postgres", json);
    if (json)
        printf(",");
    print_sink(&metrics, "kafka", json);
    if (json)
        printf("}}\n");
    buffer_deinit(&metrics.body);
    return status;
}

/* ---- verify ---- */

static void print_finding(void *context, const char *line)
{
    fprintf(stderr, "%s: %s\n", (const char *)context, line);
}

static void print_verified(unsigned shard, const struct journal_figures *figures, enum err error, bool json)
{
    if (json)
        printf("%s{\"shard\":%u,\"whole\":%s,\"segments\":%" PRIu64 ",\"bytes\":%" PRIu64
               ",\"turns\":%" PRIu64 ",\"records\":%" PRIu64 ",\"oldest\":%" PRIu64 ",\"durable\":%" PRIu64
               "}",
               shard == 0 ? "" : ",", shard, error == OK ? "true" : "false", figures->segments,
               figures->bytes, figures->turns, figures->records, figures->oldest, figures->durable);
    else
        printf("shard %u: %s, %" PRIu64 " segments, %" PRIu64 " turns, %" PRIu64
               " records, positions %" PRIu64 " to %" PRIu64 "\n",
               shard, error == OK ? "whole" : "NOT WHOLE", figures->segments, figures->turns,
               figures->records, figures->oldest, figures->durable);
}

int ctl_journal_verify(struct ctl *ctl, int argc, char **argv)
{
    bool json = false;
    char directory[PATH_BYTES_MAX];
    int status = EX_OK;
    unsigned shard = 0;
    struct cipher_keys keys;
    if (parse_json_only(argc, argv, &json) != OK)
        return EX_USAGE;
    if (!shard_directory(ctl, 0, directory))
        return no_journal(ctl);
    if (config_keys(ctl->config, print_finding, ctl->config->path, &keys) != OK)
        return EX_CONFIG;
    if (json)
        printf("{\"shards\":[");
    for (; shard < SHARDS_MAX && shard_directory(ctl, shard, directory); shard++) {
        struct journal_figures figures = {.segments = 0};
        enum err error = journal_verify(directory, &keys, print_finding, directory, &figures);
        print_verified(shard, &figures, error, json);
        if (error != OK)
            status = ctl_fail(error, directory, err_text(error), "every block whole and in order",
                              "keep a copy of the directory before anything else");
    }
    if (json)
        printf("]}\n");
    cipher_keys_clear(&keys);
    return status;
}
