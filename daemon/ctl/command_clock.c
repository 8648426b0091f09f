/* clock status | accept: the engine time of the running daemon, and the word of an operator on a wall clock
 * that jumped. */
#include <jansson.h>
#include <string.h>
#include <sysexits.h>

#include "daemon/ctl/ctl_daemon.h"

static const char *text_of(const json_t *body, const char *key)
{
    const char *text = json_string_value(json_object_get(body, key));
    return text == NULL ? "" : text;
}

/* Prints the answer; 75 when the clock jumped and nobody confirmed it. */
static int print_clock(struct admin_reply *reply, bool as_json)
{
    json_t *body = json_loadb(reply->body.data, reply->body.size, 0, NULL);
    int status = strcmp(text_of(body, "state"), "jump") == 0 ? EX_TEMPFAIL : EX_OK;
    if (as_json)
        printf("%.*s\n", (int)reply->body.size, reply->body.data);
    else
        printf("engine %s  wall %s  difference %lld ms  %s\n", text_of(body, "now"), text_of(body, "wall"),
               (long long)json_integer_value(json_object_get(body, "difference_ms")), text_of(body, "state"));
    json_decref(body);
    buffer_deinit(&reply->body);
    return status;
}

static int ask(struct ctl *ctl, const struct ctl_call *call, bool as_json)
{
    struct admin_reply reply;
    int status = EX_OK;
    return ctl_need_daemon(ctl, call, &reply, &status) ? print_clock(&reply, as_json) : status;
}

int ctl_clock_status(struct ctl *ctl, int argc, char **argv)
{
    bool json = false;
    const struct ctl_option options[] = {{"json", NULL, &json}, {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    if (ctl_parse(argc, argv, options, &arguments) != OK)
        return EX_USAGE;
    const struct ctl_call call = {.method = "GET", .target = "/v1/clock"};
    return ask(ctl, &call, json);
}

int ctl_clock_accept(struct ctl *ctl, int argc, char **argv)
{
    bool json = false;
    const char *author = NULL;
    const struct ctl_option options[] = {
        {"json", NULL, &json}, {"author", &author, NULL}, {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    if (ctl_parse(argc, argv, options, &arguments) != OK)
        return EX_USAGE;
    struct buffer body = {.data = NULL};
    render_open(&body, '{');
    if (author != NULL) {
        render_key(&body, "author");
        render_text(&body, author);
    }
    render_close(&body, '}');
    const struct ctl_call call = {.method = "POST",
                                  .target = "/v1/clock/accept",
                                  .content_type = "application/json",
                                  .body = body.data,
                                  .body_size = body.size};
    int status = ask(ctl, &call, json);
    buffer_deinit(&body);
    return status;
}
