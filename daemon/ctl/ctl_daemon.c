/* Statuses of the admin port as exit statuses, and both of its error bodies ({"what",…} of the registry,
 * {"code","text"} of everything else) as one line. */
#include "daemon/ctl/ctl_daemon.h"

#include <jansson.h>
#include <sysexits.h>

#include "daemon/registry/import.h"

enum { TIMEOUT_S = 600 }; /* an import answers when every shard has it */

static int exit_status(int http)
{
    static const struct {
        int http, exit;
    } table[] = {{400, EX_DATAERR}, {401, EX_NOPERM},   {403, EX_NOPERM},
                 {404, EX_NOINPUT}, {409, EX_DATAERR},  {413, EX_DATAERR},
                 {422, EX_DATAERR}, {429, EX_TEMPFAIL}, {503, EX_UNAVAILABLE}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].http == http)
            return table[i].exit;
    return EX_SOFTWARE;
}

static const char *member(const json_t *body, const char *key, const char *absent)
{
    const char *text = json_string_value(json_object_get(body, key));
    return text == NULL ? absent : text;
}

static void print_refusal(const struct ctl_call *call, const struct admin_reply *reply)
{
    char number[48];
    json_t *body = json_loadb(reply->body.data, reply->body.size, 0, NULL);
    const char *what = member(body, "what", member(body, "code", "request"));
    const char *found = member(body, "found", member(body, "text", NULL));
    json_int_t line = json_integer_value(json_object_get(body, "line"));
    snprintf(number, sizeof(number), "HTTP status %d", reply->status);
    if (line > 0 && call->file != NULL)
        fprintf(stderr, "%s:%lld: ", call->file, (long long)line);
    else
        fputs("vigiectl: ", stderr);
    bool is_unknown = reply->status == 404;
    fprintf(stderr, "%s, found %s, expected %s, %s\n", what, found == NULL ? number : found,
            member(body, "expected",
                   is_unknown ? "a patient or an episode that exists" : "a request that the daemon accepts"),
            member(body, "hint",
                   is_unknown                                  ? "check how it is written"
                   : json_object_get(body, "expected") != NULL ? "see --help behind the command"
                                                               : "see its log"));
    json_decref(body);
}

enum err ctl_ask_daemon(const struct ctl *ctl, const struct ctl_call *call, struct admin_reply *ret_reply,
                        int *ret_status)
{
    const struct admin_exchange exchange = {
        .state_dir = ctl->config->node_state_dir,
        .method = call->method,
        .target = call->target,
        .content_type = call->content_type,
        .body = call->body,
        .body_size = call->body_size,
        .timeout_s = TIMEOUT_S,
    };
    enum err error = admin_exchange(&exchange, ret_reply);
    if (error == ERR_NOT_FOUND)
        return error;
    if (error != OK) {
        *ret_status =
            ctl_fail(error, "admin.sock", err_text(error), "an answer of the daemon",
                     error == ERR_PERMISSION ? "run it as root or as the daemon's user" : "see its log");
        return error == OK ? ERR_UNAVAILABLE : error;
    }
    if (ret_reply->status >= 200 && ret_reply->status < 300)
        return OK;
    print_refusal(call, ret_reply);
    *ret_status = exit_status(ret_reply->status);
    buffer_deinit(&ret_reply->body);
    return ERR_REFUSED;
}

static int daemon_is_down(const struct ctl *ctl)
{
    return ctl_fail(ERR_UNAVAILABLE, "admin.sock", "nobody listening", "a running daemon",
                    "start vigied, or name its configuration with --config");
}

bool ctl_need_daemon(const struct ctl *ctl, const struct ctl_call *call, struct admin_reply *ret_reply,
                     int *ret_status)
{
    enum err error = ctl_ask_daemon(ctl, call, ret_reply, ret_status);
    if (error == ERR_NOT_FOUND)
        *ret_status = daemon_is_down(ctl);
    return error == OK;
}
