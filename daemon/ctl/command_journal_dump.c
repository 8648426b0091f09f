/* journal dump: every record as a line of JSON, for whoever has to know what is really in there. It shows
 * patient data in clear; it needs the master key, as the daemon does. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "daemon/base/limits.h"
#include "daemon/ctl/ctl_daemon.h"
#include "daemon/model/alert_event.h"
#include "daemon/model/parameter.h"
#include "daemon/model/rejected.h"
#include "storage/journal.h"

enum { PATH_BYTES_MAX = 4096 };

struct dump {
    const struct cipher_keys *keys;
    unsigned shard;
    uint64_t from;
    struct buffer line;
};

static void number(struct dump *dump, const char *key, int64_t value)
{
    render_key(&dump->line, key);
    render_integer(&dump->line, value);
}

static void instant(struct dump *dump, const char *key, int64_t ms)
{
    render_key(&dump->line, key);
    render_instant(&dump->line, ms);
}

static void dump_tick(struct dump *dump, const struct record *record)
{
    struct record_tick tick;
    if (record->size != sizeof(tick))
        return;
    memcpy(&tick, record->data, sizeof(tick));
    instant(dump, "engine_time", tick.engine_ms);
    number(dump, "up_ms", tick.up_ms);
    render_key(&dump->line, "accepting");
    render_boolean(&dump->line, tick.accepting != 0);
    render_key(&dump->line, "start");
    render_boolean(&dump->line, tick.start != 0);
}

/* Texts of the sender; a tail of a later version may have more. */
static void dump_tail(struct dump *dump, const uint8_t *tail, size_t size)
{
    static const struct {
        enum tail_tag tag;
        const char *key;
    } rows[] = {{TAIL_KEY_DEVICE, "key_device"},
                {TAIL_SENSOR, "sensor"},
                {TAIL_ALIAS, "alias"},
                {TAIL_TEXT, "text"},
                {TAIL_UNIT, "unit"},
                {TAIL_CODE, "code"},
                {TAIL_CONTEXT, "context"},
                {TAIL_EPISODE, "episode"},
                {TAIL_CLASS, "class"}};
    for (size_t index = 0; index < sizeof(rows) / sizeof(rows[0]); index++) {
        struct slice text = tail_get(tail, size, rows[index].tag);
        if (text.data == NULL)
            continue;
        render_key(&dump->line, rows[index].key);
        render_string(&dump->line, text.data, text.size);
    }
}

/* What every reading and device event has in front. */
static bool dump_head(struct dump *dump, const struct record *record, const char *id_key, struct reading *ret)
{
    char id[UUID_TEXT + 1];
    if (record->size < sizeof(*ret))
        return false;
    memcpy(ret, record->data, sizeof(*ret));
    uuid_format(ret->reading_id, id);
    render_key(&dump->line, id_key);
    render_text(&dump->line, id);
    number(dump, "patient_id", ret->patient_id);
    number(dump, "device_id", ret->device_id);
    number(dump, "source_id", ret->source_id);
    instant(dump, "measured_at", ret->measured_at_ms);
    instant(dump, "received_at", ret->received_at_ms);
    number(dump, "flags", ret->flags);
    number(dump, "quarantine", ret->quarantine);
    dump_tail(dump, record->data + sizeof(*ret), record->size - sizeof(*ret));
    return true;
}

static void dump_reading(struct dump *dump, const struct record *record)
{
    struct reading reading;
    if (!dump_head(dump, record, "reading_id", &reading))
        return;
    number(dump, "revision", reading.revision);
    render_key(&dump->line, "parameter");
    render_text(&dump->line,
                reading.parameter < PARAMETER_COUNT ? parameter_row(reading.parameter)->name : NULL);
    render_key(&dump->line, "value");
    render_decimal(&dump->line, reading.value);
    instant(dump, "issued", reading.issued_ms);
    number(dump, "status", reading.status);
}

static void dump_device(struct dump *dump, const struct record *record)
{
    struct reading event;
    if (!dump_head(dump, record, "device_event_id", &event))
        return;
    render_key(&dump->line, "phase");
    render_text(&dump->line, event.value >= 0 && event.value < PHASE_COUNT
                                 ? reading_phase_text((enum device_phase)event.value)
                                 : NULL);
}

static void dump_event(struct dump *dump, const struct record *record)
{
    if (record->size <= sizeof(struct alert_event))
        return;
    render_key(&dump->line, "event");
    render_raw(&dump->line, (const char *)record->data + sizeof(struct alert_event),
               record->size - sizeof(struct alert_event));
}

static void dump_command(struct dump *dump, const struct record *record)
{
    render_key(&dump->line, "command");
    render_raw(&dump->line, (const char *)record->data, record->size);
}

static void dump_rejected(struct dump *dump, const struct record *record)
{
    struct rejected_view view;
    rejected_read(record->data, record->size, &view);
    number(dump, "source_id", view.head.source_id);
    instant(dump, "received_at", view.head.received_at_ms);
    render_key(&dump->line, "code");
    render_string(&dump->line, view.code.data, view.code.size);
    render_key(&dump->line, "text");
    render_string(&dump->line, view.text.data, view.text.size);
    number(dump, "original_bytes", view.head.original_size);
}

static const struct {
    const char *word;
    void (*dump)(struct dump *dump, const struct record *record);
} types[] = {
    [RECORD_TICK] = {"tick", dump_tick},
    [RECORD_READING] = {"reading", dump_reading},
    [RECORD_EVENT] = {"event", dump_event},
    [RECORD_COMMAND] = {"command", dump_command},
    [RECORD_REJECTED] = {"rejected", dump_rejected},
    [RECORD_DEVICE] = {"device-event", dump_device},
};

static void print_record(struct dump *dump, const struct record *record)
{
    buffer_clear(&dump->line);
    render_open(&dump->line, '{');
    number(dump, "shard", dump->shard);
    number(dump, "position", (int64_t)record->position);
    render_key(&dump->line, "type");
    render_text(&dump->line, types[record->type].word);
    types[record->type].dump(dump, record);
    render_close(&dump->line, '}');
    printf("%.*s\n", (int)dump->line.size, dump->line.data);
}

static void print_finding(void *context, const char *line)
{
    fprintf(stderr, "%s\n", line);
}

/* Up to the end of the last whole turn, which a walk over all blocks tells. */
static enum err dump_shard(struct dump *dump, const char *directory)
{
    struct journal_figures figures = {.segments = 0};
    struct journal_reader *reader;
    struct record record;
    enum err whole = journal_verify(directory, dump->keys, print_finding, NULL, &figures);
    enum err error = journal_reader_open(directory, dump->keys, dump->from, &reader);
    if (error != OK)
        return error;
    while ((error = journal_reader_next(reader, figures.durable, &record)) == OK)
        print_record(dump, &record);
    journal_reader_close(reader);
    return error == ERR_EMPTY ? whole : error;
}

static int dump_all(const struct ctl *ctl, struct dump *dump, int only)
{
    char directory[PATH_BYTES_MAX];
    int status = EX_OK;
    bool any = false;
    for (unsigned shard = 0; shard < SHARDS_MAX; shard++) {
        struct stat found;
        snprintf(directory, sizeof(directory), "%s/journal/%u", ctl->config->node_state_dir, shard);
        if ((only >= 0 && shard != (unsigned)only) || stat(directory, &found) != 0)
            continue;
        any = true;
        dump->shard = shard;
        enum err error = dump_shard(dump, directory);
        if (error != OK)
            status =
                ctl_fail(error, directory, err_text(error), "every block whole, --from not before the oldest",
                         "vigiectl journal verify names what is damaged");
    }
    return any ? status
               : ctl_fail(ERR_NOT_FOUND, ctl->config->node_state_dir, "no such journal",
                          "a state_dir that vigied has used",
                          "check [node] state_dir, --shard and your rights");
}

int ctl_journal_dump(struct ctl *ctl, int argc, char **argv)
{
    const char *shard_text = NULL, *from_text = NULL;
    bool json; /* as every listing takes it; there is no other form */
    const struct ctl_option options[] = {
        {"shard", &shard_text, NULL}, {"from", &from_text, NULL}, {"json", NULL, &json}, {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    struct cipher_keys keys;
    int shard;
    if (ctl_parse(argc, argv, options, &arguments) != OK ||
        ctl_number("--shard", shard_text, -1, &shard) != OK)
        return EX_USAGE;
    if (arguments.count > 0)
        return ctl_fail(ERR_USAGE, "arguments", arguments.items[0], "options alone",
                        "vigiectl journal dump --help");
    if (config_keys(ctl->config, print_finding, NULL, &keys) != OK)
        return EX_CONFIG;
    struct dump dump = {.keys = &keys, .from = from_text == NULL ? 0 : strtoull(from_text, NULL, 10)};
    int status = dump_all(ctl, &dump, shard);
    buffer_deinit(&dump.line);
    cipher_keys_clear(&keys);
    return status;
}
