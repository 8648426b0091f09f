/* control: the routes of the admin port: what vigiectl asks of a running daemon. Changes go to the registry
 * thread or, as commands, to every shard; the answer leaves when they are durable and in force. Runs on the
 * loop of main alone. */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/control_internal.h"
#include "daemon/gauges.h"

enum { REGISTRY_DONE_SLOTS = 1024 };

struct control {
    struct service *service;
    struct admin *admin;
    uv_poll_t bell;
    struct ring *registry_done; /* from the registry thread */
    unsigned outstanding;       /* fanouts and registry requests under way */
    bool serving;
    struct metrics_gauge gauges[GAUGES_MAX]; /* as last read */
};

/* ---- shards ---- */

static void fanout_free(struct fanout *fanout)
{
    for (uint32_t i = 0; i < fanout->shards; i++) {
        buffer_deinit(&fanout->command[i].json);
        buffer_deinit(&fanout->command[i].reply);
    }
    fanout->control->outstanding--;
    free(fanout);
}

/* Sends `json` to the first `shards`; finish() answers when all are back. Takes the buffer's content. */
static struct fanout *fanout_send_to(struct control *control, unsigned shards, enum command_kind kind,
                                     struct buffer *json, void (*finish)(struct fanout *fanout))
{
    struct service *service = control->service;
    struct fanout *fanout = calloc(1, sizeof *fanout);
    ensure(fanout != NULL);
    *fanout = (struct fanout){.control = control, .finish = finish, .shards = shards, .outstanding = shards};
    control->outstanding++;
    for (uint32_t i = 0; i < shards; i++) {
        struct command *command = &fanout->command[i];
        command->job.kind = JOB_COMMAND;
        command->kind = kind;
        command->owner = fanout;
        buffer_append(&command->json, json->data, json->size);
        inlet_send(&service->admin_inlet[i], &command->job);
    }
    buffer_deinit(json);
    return fanout;
}

void control__fanout(struct control *control, struct admin_request *request, enum command_kind kind,
                     struct buffer *json, void (*finish)(struct fanout *fanout))
{
    fanout_send_to(control, control->service->shards, kind, json, finish)->request = request;
}

static void tell_done(struct fanout *fanout)
{
    fanout->done(fanout->context, fanout->command[0].outcome == OK && fanout->command[0].job.result == OK);
}

void control_tell_node(struct control *control, struct buffer *json, void (*done)(void *context, bool taken),
                       void *context)
{
    struct fanout *fanout = fanout_send_to(control, 1, COMMAND_CONDITION, json, tell_done);
    fanout->done = done;
    fanout->context = context;
}

static void collect_commands(struct control *control)
{
    struct service *service = control->service;
    for (uint32_t i = 0; i < service->shards; i++) {
        for (struct job *job; (job = inlet_collect(&service->admin_inlet[i])) != NULL;) {
            struct fanout *fanout = ((struct command *)job)->owner;
            if (--fanout->outstanding > 0)
                continue;
            fanout->finish(fanout);
            fanout_free(fanout);
        }
    }
}

/* The command that speaks for all: one that was carried out, else one that was refused, else the first. */
static struct command *fanout_verdict(struct fanout *fanout)
{
    struct command *chosen = &fanout->command[0];
    for (uint32_t i = 0; i < fanout->shards; i++) {
        struct command *command = &fanout->command[i];
        if (command->outcome == OK)
            return command;
        if (command->outcome != ERR_NOT_FOUND)
            chosen = command;
    }
    return chosen;
}

void control__answer_command(struct fanout *fanout)
{
    struct command *command = fanout_verdict(fanout);
    if (command->outcome == ERR_NOT_FOUND)
        admin_refuse(fanout->request, 404, "not-found",
                     command->kind == COMMAND_ACKNOWLEDGE || command->kind == COMMAND_HANDLE ||
                             command->kind == COMMAND_SHELVE || command->kind == COMMAND_UNSHELVE
                         ? "no such episode is held"
                         : "no such patient is enrolled");
    else
        admin_answer(fanout->request, command->outcome == OK ? 200 : 422, NULL, &command->reply);
}

/* ---- alerts ---- */

static const struct alert_verb {
    const char *word; /* /v1/alerts/EPISODE/WORD */
    enum command_kind kind;
} alert_verbs[] = {
    {"ack", COMMAND_ACKNOWLEDGE},
    {"handle", COMMAND_HANDLE},
    {"shelve", COMMAND_SHELVE},
    {"unshelve", COMMAND_UNSHELVE},
};
enum { ALERT_VERBS = sizeof alert_verbs / sizeof alert_verbs[0] };

/* EPISODE/WORD; NULL when it is none. */
static const struct alert_verb *alert_verb_of(const struct admin_request *request)
{
    uint8_t episode[UUID_BYTES];
    const char *rest = request->rest.data;
    size_t size = request->rest.size;
    if (size <= UUID_TEXT + 1 || rest[UUID_TEXT] != '/' || uuid_parse(rest, UUID_TEXT, episode) != OK)
        return NULL;
    for (unsigned i = 0; i < ALERT_VERBS; i++)
        if (strlen(alert_verbs[i].word) == size - UUID_TEXT - 1 &&
            memcmp(rest + UUID_TEXT + 1, alert_verbs[i].word, size - UUID_TEXT - 1) == 0)
            return &alert_verbs[i];
    return NULL;
}

/* The members of a call that are texts: the engine says which of them a command must have. */
static void append_words(struct buffer *json, const json_t *body)
{
    static const char *const keys[] = {"note", "outcome", "until", "reason"};
    for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *value = json_object_get(body, keys[i]);
        if (!json_is_string(value))
            continue;
        render_key(json, keys[i]);
        render_text(json, json_string_value(value));
    }
}

/* Every member a text (or null) and one that is known. */
static bool are_words(json_t *body)
{
    static const char known[] = " author note outcome until reason ";
    const char *key;
    json_t *value;
    char word[32];
    json_object_foreach(body, key, value)
    {
        int size = snprintf(word, sizeof word, " %s ", key);
        if (size >= (int)sizeof word || strstr(known, word) == NULL ||
            !(json_is_string(value) || json_is_null(value)))
            return false;
    }
    return json_is_object(body);
}

/* POST /v1/alerts/EPISODE/ack|handle|shelve|unshelve {"author","note","outcome","until","reason"} */
static void act_on_alert(void *context, struct admin_request *request)
{
    const struct alert_verb *verb = alert_verb_of(request);
    if (verb == NULL) {
        admin_refuse(request, 404, "not-found",
                     "expected /v1/alerts/EPISODE/ack, handle, shelve or unshelve with the episode's UUID");
        return;
    }
    json_error_t fault;
    json_t *body =
        request->body_size == 0 ? json_object() : json_loadb(request->body, request->body_size, 0, &fault);
    if (!are_words(body)) {
        json_decref(body);
        admin_refuse(
            request, 400, "bad-request",
            "expected a JSON object of texts {\"author\",\"note\",\"outcome\",\"until\",\"reason\"}");
        return;
    }
    struct buffer json = {0};
    render_open(&json, '{');
    render_key(&json, "command");
    render_text(&json, command_word(verb->kind));
    render_key(&json, "episode");
    render_string(&json, request->rest.data, UUID_TEXT);
    const json_t *author = json_object_get(body, "author");
    render_key(&json, "author");
    render_text(&json, json_is_string(author) ? json_string_value(author) : request->author);
    append_words(&json, body);
    render_close(&json, '}');
    json_decref(body);
    control__fanout(context, request, verb->kind, &json, control__answer_command);
}

/* ---- rules ---- */

/* GET /v1/rules?patient=REF */
static void show_rules(void *context, struct admin_request *request)
{
    struct control *control = context;
    static const char name[] = "patient=";
    size_t name_size = sizeof name - 1;
    if (request->query.size <= name_size || memcmp(request->query.data, name, name_size) != 0) {
        admin_refuse(request, 400, "bad-request", "expected /v1/rules?patient=REF");
        return;
    }
    struct buffer json = {0};
    render_open(&json, '{');
    render_key(&json, "command");
    render_text(&json, command_word(COMMAND_SHOW));
    render_key(&json, "patient");
    render_string(&json, request->query.data + name_size, request->query.size - name_size);
    render_close(&json, '}');
    control__fanout(control, request, COMMAND_SHOW, &json, control__answer_command);
}

/* One list of what the shards list, in their order. */
static void answer_unconfirmed(struct fanout *fanout)
{
    json_t *patients = json_array();
    json_int_t total = 0;
    for (uint32_t i = 0; i < fanout->shards; i++) {
        const struct buffer *reply = &fanout->command[i].reply;
        json_t *listed = json_loadb(reply->data, reply->size, 0, NULL);
        total += json_integer_value(json_object_get(listed, "total"));
        json_array_extend(patients, json_object_get(listed, "patients"));
        json_decref(listed);
    }
    json_t *all = json_pack("{s:I,s:o}", "total", total, "patients", patients);
    char *text = json_dumps(all, JSON_COMPACT);
    struct buffer json = {0};
    ensure(text != NULL);
    buffer_text(&json, text);
    admin_answer(fanout->request, 200, NULL, &json);
    buffer_deinit(&json);
    free(text);
    json_decref(all);
}

/* GET /v1/rules/unconfirmed */
static void list_unconfirmed(void *context, struct admin_request *request)
{
    struct buffer json = {0};
    buffer_text(&json, "{\"command\":\"unconfirmed\"}");
    control__fanout(context, request, COMMAND_UNCONFIRMED, &json, answer_unconfirmed);
}

/* ---- registry ---- */

/* On the registry thread: hands the request back to the loop of main. */
static void registry_done(struct registry_request *done)
{
    struct control *control = done->owner;
    bool was_empty;
    ensure(ring_push(control->registry_done, done, &was_empty) == OK);
    wakeup_ring(&control->service->admin_bell);
}

static void collect_registry(struct control *control)
{
    for (struct registry_call *call; (call = ring_pop(control->registry_done)) != NULL;) {
        if (call->finish != NULL)
            call->finish(control, call);
        else
            admin_answer(call->request, call->registry.status, NULL, &call->registry.reply);
        buffer_deinit(&call->registry.reply);
        json_decref(call->body);
        free(call);
        control->outstanding--;
    }
}

void control__ask_registry(struct control *control, struct admin_request *request,
                           const struct registry_request *asked, json_t *body,
                           void (*finish)(struct control *control, struct registry_call *call))
{
    struct registry_call *call = calloc(1, sizeof *call);
    ensure(call != NULL);
    call->registry = *asked;
    call->registry.done = registry_done;
    call->registry.owner = control;
    snprintf(call->registry.author, sizeof call->registry.author, "%s", request->author);
    call->request = request;
    call->body = body;
    call->finish = finish;
    control->outstanding++;
    registry_request(control->service->registry, &call->registry);
}

/* POST /v1/import, NDJSON of INTERFACES.md section 2 */
static void import_lines(void *context, struct admin_request *request)
{
    const struct registry_request asked = {
        .kind = REGISTRY_IMPORT, .body = request->body, .body_size = request->body_size};
    control__ask_registry(context, request, &asked, NULL, NULL);
}

/* POST /v1/token {"source":REF} or {"admin":ROLE} */
static void issue_token(void *context, struct admin_request *request)
{
    json_error_t fault;
    json_t *body = json_loadb(request->body, request->body_size, 0, &fault);
    const char *source = json_string_value(json_object_get(body, "source"));
    const char *role = json_string_value(json_object_get(body, "admin"));
    if ((source == NULL) == (role == NULL) || (role != NULL && admin_role_from_word(role) == 0)) {
        json_decref(body);
        admin_refuse(request, 400, "bad-request",
                     "expected a JSON object {\"source\":REF} or {\"admin\":ROLE}");
        return;
    }
    const char *asked_for = role != NULL ? role : source;
    const struct registry_request asked = {.kind = role != NULL ? REGISTRY_ADMIN_TOKEN : REGISTRY_TOKEN,
                                           .body = asked_for,
                                           .body_size = strlen(asked_for)};
    control__ask_registry(context, request, &asked, body, NULL);
}

static unsigned roles_of_token(void *context, const uint8_t sha256[SHA256_BYTES],
                               char author[REF_BYTES_MAX + 1])
{
    const struct control *control = context;
    struct admin_token token;
    if (!registry_find_admin_token(control->service->registry, sha256, &token))
        return 0;
    snprintf(author, REF_BYTES_MAX + 1, "%s", token.name);
    return admin_role_from_word(token.role);
}

/* ---- test clock, INTERFACES.md section 7 ---- */

static bool clock_is_held(const struct service *service, int64_t *ret_now_ms)
{
    int64_t held_ms = atomic_load(&service->node.engine_held_ms);
    *ret_now_ms = held_ms != INSTANT_NONE
                      ? held_ms
                      : clock_monotonic_ms() + atomic_load(&service->node.engine_offset_ms);
    return held_ms != INSTANT_NONE;
}

static void answer_clock(struct control *control, struct admin_request *request)
{
    int64_t now_ms;
    bool held = clock_is_held(control->service, &now_ms);
    struct buffer json = {0};
    render_open(&json, '{');
    render_key(&json, "now");
    render_instant(&json, now_ms);
    render_key(&json, "running");
    render_boolean(&json, !held);
    render_close(&json, '}');
    admin_answer(request, 200, NULL, &json);
    buffer_deinit(&json);
}

static bool refuse_in_production(struct control *control, struct admin_request *request)
{
    if (control->service->config->node_mode == MODE_TEST)
        return false;
    admin_refuse(request, 404, "not-found", "the test clock exists with mode=test only");
    return true;
}

static void show_clock(void *context, struct admin_request *request)
{
    if (!refuse_in_production(context, request))
        answer_clock(context, request);
}

static void finish_clock(struct fanout *fanout)
{
    if (fanout_verdict(fanout)->outcome == OK)
        answer_clock(fanout->control, fanout->request);
    else
        admin_refuse(fanout->request, 422, "refused", "the test clock never goes backwards");
}

/* The instant that {"set"} or {"advance"} names; INSTANT_NONE when it names none. */
static int64_t clock_target(const struct service *service, const json_t *body)
{
    const char *set = json_string_value(json_object_get(body, "set"));
    const char *advance = json_string_value(json_object_get(body, "advance"));
    struct instant_parsed instant;
    int64_t step_ms, now_ms;
    if (set != NULL && instant_parse(set, strlen(set), &instant) == INSTANT_GOOD &&
        instant.precision == PRECISION_TIME)
        return instant.ms;
    if (advance == NULL || instant_parse_duration(advance, strlen(advance), &step_ms) != OK)
        return INSTANT_NONE;
    clock_is_held(service, &now_ms);
    return now_ms + step_ms;
}

/* POST /v1/test/clock {"set":T} | {"advance":D} | {"run":true} */
static void set_clock(void *context, struct admin_request *request)
{
    struct control *control = context;
    if (refuse_in_production(control, request))
        return;
    json_error_t fault;
    json_t *body = json_loadb(request->body, request->body_size, 0, &fault);
    bool run = json_is_true(json_object_get(body, "run"));
    int64_t target_ms = run ? INSTANT_NONE : clock_target(control->service, body);
    json_decref(body);
    if (!run && target_ms == INSTANT_NONE) {
        admin_refuse(request, 400, "bad-request",
                     "expected {\"set\":\"2026-12-01T00:00:00Z\"}, {\"advance\":\"36h\"} or {\"run\":true}");
        return;
    }
    struct buffer json = {0};
    if (run)
        buffer_text(&json, "{\"command\":\"clock\",\"run\":true}");
    else
        buffer_printf(&json, "{\"command\":\"clock\",\"set\":%lld}", (long long)target_ms);
    control__fanout(control, request, COMMAND_CLOCK, &json, finish_clock);
}

/* ---- the clock of the node ---- */

/* GET /v1/clock */
static void show_engine_clock(void *context, struct admin_request *request)
{
    const struct service *service = ((struct control *)context)->service;
    static const char *const paces[] = {[PACE_WALL] = "wall", [PACE_HELD] = "held", [PACE_MOVED] = "moved"};
    int64_t now_ms, wall_ms = clock_wall_ms();
    int pace = atomic_load(&service->node.clock_pace);
    bool held = clock_is_held(service, &now_ms), jump = atomic_load(&service->node.clock_jump_ms) != 0;
    const char *state = pace != PACE_WALL                               ? paces[pace]
                        : jump                                          ? "jump"
                        : atomic_load(&service->node.clock_catching_up) ? "catching-up"
                                                                        : "following";
    struct buffer json = {0};
    render_open(&json, '{');
    render_key(&json, "now");
    render_instant(&json, now_ms);
    render_key(&json, "wall");
    render_instant(&json, wall_ms);
    render_key(&json, "difference_ms");
    render_integer(&json, wall_ms - now_ms);
    render_key(&json, "state");
    render_text(&json, state);
    render_key(&json, "running");
    render_boolean(&json, !held);
    render_close(&json, '}');
    admin_answer(request, 200, NULL, &json);
    buffer_deinit(&json);
}

static void finish_accept(struct fanout *fanout)
{
    bool taken = fanout_verdict(fanout)->outcome == OK;
    log_write(LOG_NOTICE, "clock", "wall clock confirmed by=%s outcome=%s", fanout->request->author,
              taken ? "taken" : "nothing to confirm");
    if (taken)
        show_engine_clock(fanout->control, fanout->request);
    else
        admin_refuse(fanout->request, 422, "refused",
                     "nothing to confirm: the wall clock is within 60 s, or the test clock holds");
}

/* POST /v1/clock/accept {"author"} */
static void accept_clock(void *context, struct admin_request *request)
{
    json_error_t fault;
    json_t *body =
        request->body_size == 0 ? json_object() : json_loadb(request->body, request->body_size, 0, &fault);
    if (!json_is_object(body)) {
        json_decref(body);
        admin_refuse(request, 400, "bad-request", "expected a JSON object {\"author\"}");
        return;
    }
    const char *person = json_string_value(json_object_get(body, "author"));
    struct buffer json = {0};
    buffer_printf(&json, "{\"command\":\"clock-accept\",\"wall\":%lld,\"monotonic\":%lld,\"author\":",
                  (long long)clock_wall_ms(), (long long)clock_monotonic_ms());
    render_text(&json, person != NULL ? person : request->author);
    buffer_text(&json, "}");
    json_decref(body);
    control__fanout(context, request, COMMAND_CLOCK_ACCEPT, &json, finish_accept);
}

/* ---- the table ---- */

static const struct admin_route routes[] = {
    {METHOD_POST, "/v1/import", ADMIN_ROLE_OPERATOR | ADMIN_ROLE_ADMINISTRATOR | ADMIN_ROLE_SYSTEM,
     import_lines},
    {METHOD_POST, "/v1/token", ADMIN_ROLE_ADMINISTRATOR, issue_token},
    {METHOD_GET, "/v1/rules", ADMIN_ROLE_ANY, show_rules},
    {METHOD_GET, "/v1/rules/unconfirmed", ADMIN_ROLE_ANY, list_unconfirmed},
    {METHOD_POST, "/v1/alerts/*", ADMIN_ROLE_PHYSICIAN | ADMIN_ROLE_NURSE, act_on_alert},
    {METHOD_POST, "/v1/quarantine/*", ADMIN_ROLE_PHYSICIAN | ADMIN_ROLE_NURSE, control__settle_quarantine},
    {METHOD_GET, "/v1/clock", ADMIN_ROLE_ANY, show_engine_clock},
    {METHOD_POST, "/v1/clock/accept", ADMIN_ROLE_OPERATOR | ADMIN_ROLE_ADMINISTRATOR, accept_clock},
    {METHOD_GET, "/v1/test/clock", ADMIN_ROLE_ANY, show_clock},
    {METHOD_POST, "/v1/test/clock", ADMIN_ROLE_OPERATOR | ADMIN_ROLE_ADMINISTRATOR | ADMIN_ROLE_SYSTEM,
     set_clock},
    {0, NULL, 0, NULL},
};

static void tell_starting(const struct service *service, struct buffer *json)
{
    char text[80] = "not accepting: draining";
    if (service->starting != NULL && strcmp(service->starting, "recovery") == 0)
        snprintf(text, sizeof text, "not accepting: replaying %u %%", service_replayed_percent(service));
    else if (service->starting != NULL)
        snprintf(text, sizeof text, "not accepting: starting %s", service->starting);
    render_text(json, text);
}

/* Appends what keeps readings from being accepted. */
static bool is_ready(void *context, struct buffer *json)
{
    const struct service *service = ((struct control *)context)->service;
    bool ready = true;
    if (service->starting != NULL || !atomic_load(&service->node.accepting)) {
        tell_starting(service, json);
        ready = false;
    }
    if (watchdog_tell(&service->watchdog, clock_monotonic_ms(), json))
        ready = false;
    for (uint32_t i = 0; i < service->shards && service->journal[i] != NULL; i++) {
        struct journal_figures figures;
        journal_figures(service->journal[i], &figures);
        if (figures.free_bytes >= (uint64_t)service->config->journal_low_water)
            continue;
        render_text(json, "disk at low water: readings are refused until space returns");
        ready = false;
        break;
    }
    return ready;
}

static void tell_sink(struct buffer *json, const char *name, const struct sink_figures *figures)
{
    static const char *const words[] = {[SINK_WAITING] = "away", [SINK_STUCK] = "stuck"};
    int state = atomic_load_explicit(&figures->state, memory_order_relaxed);
    char text[120];
    if (state == SINK_CONNECTED)
        return;
    snprintf(text, sizeof text, "%s is %s: %llu records wait in the journal", name, words[state],
             (unsigned long long)atomic_load_explicit(&figures->records_lag, memory_order_relaxed));
    render_text(json, text);
}

/* A sink that is away costs no reading: the journal holds what it lacks. */
static void tell_degraded(void *context, struct buffer *json)
{
    const struct service *service = ((struct control *)context)->service;
    if (service->starting != NULL)
        return;
    tell_sink(json, "PostgreSQL", &service->postgres);
    tell_sink(json, "Kafka", &service->kafka);
}

static int64_t count_connections(void *context, const char *protocol)
{
    struct service *service = context;
    const _Atomic int64_t *open = service->ingest_shared.connections;
    for (enum ingest_listener i = 0; i < LISTENERS; i++)
        if (strcmp(protocol, listener_name(i)) == 0)
            return atomic_load_explicit(&open[i], memory_order_relaxed);
    return 0; /* not served */
}

static void read_metrics(void *context, struct metrics_sources *ret)
{
    struct control *control = context;
    struct service *service = control->service;
    size_t count = COUNTERS_FIXED + service->loops + service->shards;
    *ret = (struct metrics_sources){
        .registry = &service->registry_figures,
        .counters = service->counters,
        .counters_count = count,
        .postgres = &service->postgres,
        .kafka = &service->kafka,
        .journals = service->journal,
        .journals_count = service->journal[0] != NULL ? service->shards : 0,
        .snapshots = service->snapshots,
        .slabs = service->slab,
        .slabs_count = service->journal[0] != NULL ? service->shards : 0,
        .quarantine_rows = atomic_load(&service->postgres.quarantine_rows),
        .connections = count_connections,
        .connections_context = service,
    };
    ret->gauges = control->gauges;
    ret->gauges_count = gauges_read(service, control->gauges);
    clock_is_held(service, &ret->engine_now_ms);
}

/* ---- life ---- */

static void on_bell(uv_poll_t *poll, int status, int events)
{
    struct control *control = poll->data;
    wakeup_wait(&control->service->admin_bell, 0);
    collect_commands(control);
    collect_registry(control);
    reload_collect(control->service);
}

static bool is_serving(void *context)
{
    return ((struct control *)context)->serving;
}

enum err control_start(struct service *service, struct control **ret_control)
{
    struct control *control = calloc(1, sizeof *control);
    ensure(control != NULL);
    control->service = service;
    control->registry_done = ring_new(REGISTRY_DONE_SLOTS);
    ensure(control->registry_done != NULL);
    *ret_control = control;
    const struct admin_options options = {
        .config = service->config,
        .routes = routes,
        .roles_of_token = roles_of_token,
        .is_serving = is_serving,
        .is_ready = is_ready,
        .tell_degraded = tell_degraded,
        .read_metrics = read_metrics,
        .context = control,
    };
    return admin_start(&service->admin_loop, &options, &control->admin);
}

int control_port(const struct control *control)
{
    return admin_port(control->admin);
}

void control_serve(struct control *control)
{
    struct service *service = control->service;
    ensure(uv_poll_init(&service->admin_loop, &control->bell, service->admin_bell.fd) == 0);
    control->bell.data = control;
    ensure(uv_poll_start(&control->bell, UV_READABLE, on_bell) == 0);
    control->serving = true;
}

void control_end_service(struct control *control)
{
    if (control == NULL || !control->serving)
        return;
    control->serving = false;
    while (control->outstanding > 0) /* shards and registry still run: what was asked is answered */
        uv_run(&control->service->admin_loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&control->bell, NULL);
    uv_run(&control->service->admin_loop, UV_RUN_NOWAIT); /* closed before its bell is */
}

void control_stop(struct control *control)
{
    if (control == NULL)
        return;
    uv_loop_t *loop = &control->service->admin_loop;
    if (control->admin != NULL)
        admin_stop(control->admin);
    uv_run(loop, UV_RUN_DEFAULT);
    if (control->admin != NULL)
        admin_free(control->admin);
    ring_free(control->registry_done);
    free(control);
}
