/* control_quarantine: a person releases or discards a quarantined reading. The registry thread reads its row,
 * which makes the command; the patient's shard carries it out. */
#include <string.h>

#include "daemon/control_internal.h"

static const struct quarantine_verb {
    const char *word; /* /v1/quarantine/ID/WORD */
    enum command_kind kind;
} verbs[] = {{"release", COMMAND_RELEASE}, {"discard", COMMAND_DISCARD}};
enum { VERBS = sizeof verbs / sizeof verbs[0], ID_DIGITS_MAX = 18 };

/* ID/WORD; NULL when it is none. *ret_digits are those of the ID. */
static const struct quarantine_verb *verb_of(const struct admin_request *request, size_t *ret_digits)
{
    size_t digits = 0;
    while (digits < request->rest.size && request->rest.data[digits] >= '0' &&
           request->rest.data[digits] <= '9')
        digits++;
    if (digits == 0 || digits > ID_DIGITS_MAX || digits == request->rest.size ||
        request->rest.data[digits] != '/')
        return NULL;
    *ret_digits = digits;
    size_t size = request->rest.size - digits - 1;
    for (unsigned i = 0; i < VERBS; i++)
        if (strlen(verbs[i].word) == size &&
            memcmp(request->rest.data + digits + 1, verbs[i].word, size) == 0)
            return &verbs[i];
    return NULL;
}

static const char *word_of(const json_t *body, const char *key)
{
    return json_string_value(json_object_get(body, key));
}

/* The author is the peer unless it names the person (INTERFACES.md section 7). The row's object becomes the
 * command's tail: its '{' gives way. */
static void send_command(struct control *control, struct registry_call *call)
{
    const struct buffer *row = &call->registry.reply;
    size_t digits = 0;
    const struct quarantine_verb *verb = verb_of(call->request, &digits);
    if (call->registry.status != 200) {
        admin_answer(call->request, call->registry.status, NULL, &call->registry.reply);
        return;
    }
    ensure(verb != NULL && row->size > 2 && row->data[0] == '{');
    struct buffer json = {0};
    render_open(&json, '{');
    render_text_member(&json, "command", command_word(verb->kind));
    render_text_member(&json, "by", call->request->author);
    const char *author = word_of(call->body, "author"), *reason = word_of(call->body, "reason");
    render_text_member(&json, "author", author != NULL ? author : call->request->author);
    if (reason != NULL)
        render_text_member(&json, "reason", reason);
    buffer_text(&json, ",");
    buffer_append(&json, row->data + 1, row->size - 1);
    control__fanout(control, call->request, verb->kind, &json, control__answer_command);
}

/* An object of these two texts, each of them left out or not empty. */
static bool are_words(const json_t *body)
{
    static const char *const keys[] = {"author", "reason"};
    size_t known = 0;
    for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *value = json_object_get(body, keys[i]);
        if (value != NULL && json_string_length(value) == 0)
            return false;
        known += value != NULL;
    }
    return json_is_object(body) && json_object_size(body) == known;
}

void control__settle_quarantine(void *context, struct admin_request *request)
{
    size_t digits = 0;
    if (verb_of(request, &digits) == NULL) {
        admin_refuse(request, 404, "not-found",
                     "expected /v1/quarantine/ID/release or discard with the number of a row");
        return;
    }
    json_error_t fault;
    json_t *body = json_loadb(request->body, request->body_size, 0, &fault);
    if (!are_words(body)) {
        json_decref(body);
        admin_refuse(request, 400, "bad-request",
                     "expected a JSON object {\"author\",\"reason\"} of texts that say something");
        return;
    }
    const struct registry_request asked = {
        .kind = REGISTRY_QUARANTINE, .body = request->rest.data, .body_size = digits};
    control__ask_registry(context, request, &asked, body, send_command);
}
