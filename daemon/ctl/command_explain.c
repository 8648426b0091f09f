/* explain: an episode decided again from PostgreSQL, without the daemon. */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/explain_text.h"

enum { EX_DIFFERENT = 1 };

/* --lang, else the terminal's. */
static enum err read_language(const char *option, enum language *ret)
{
    const char *text = option != NULL ? option : getenv("LC_ALL");
    if (text == NULL || *text == '\0')
        text = getenv("LC_MESSAGES");
    if (text == NULL || *text == '\0')
        text = getenv("LANG");
    *ret = text != NULL && strncmp(text, "fr", 2) == 0 ? LANGUAGE_FR : LANGUAGE_EN;
    if (option == NULL || strcmp(option, "fr") == 0 || strcmp(option, "en") == 0)
        return OK;
    ctl_fail(ERR_USAGE, "--lang", option, "fr or en", "leave it out for the terminal's language");
    return ERR_USAGE;
}

static int fail(enum err error, const char *episode, const struct history *history)
{
    if (error == ERR_NOT_FOUND)
        return ctl_fail(error, "episode", episode, "an episode that was published",
                        "vigiectl alerts lists them");
    if (error == ERR_CORRUPT)
        return ctl_fail(error, "history of the patient", "no journaled commands, or readings before them",
                        "a history that is whole in PostgreSQL", "it is kept since migration 008");
    return ctl_fail(error, "PostgreSQL", history_message(history), "the database of [postgres] conninfo",
                    "vigiectl db status shows whether the schema is there");
}

static int show(const struct explanation *explanation, bool json, enum language language)
{
    struct buffer text = {.data = NULL};
    if (json) {
        explanation_render(explanation, &text);
        printf("%.*s\n", (int)text.size, text.data);
        buffer_deinit(&text);
    } else {
        explain_text(stdout, explanation, language);
    }
    return explanation->equal ? EX_OK : EX_DIFFERENT;
}

int ctl_explain(struct ctl *ctl, int argc, char **argv)
{
    bool json = false;
    const char *lang = NULL;
    const struct ctl_option options[] = {{"json", NULL, &json}, {"lang", &lang, NULL}, {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    enum language language;
    uint8_t episode[UUID_BYTES];
    if (ctl_parse(argc, argv, options, &arguments) != OK || read_language(lang, &language) != OK)
        return EX_USAGE;
    if (arguments.count != 1)
        return ctl_fail(ERR_USAGE, "arguments", "another number", "the id of one episode",
                        "vigiectl alerts shows them");
    if (uuid_parse(arguments.items[0], strlen(arguments.items[0]), episode) != OK)
        return fail(ERR_NOT_FOUND, arguments.items[0], NULL); /* what is no id is the id of no episode */
    struct engine_settings settings = ctl_engine_settings(ctl->config);
    struct explanation *explanation = NULL;
    struct history *history = NULL;
    enum err error = history_open(ctl->config->postgres_conninfo, -1, &history);
    if (error == OK)
        error = explain_episode(history, &settings, episode, &explanation);
    int status = error == OK ? show(explanation, json, language) : fail(error, arguments.items[0], history);
    explanation_free(explanation);
    history_close(history);
    return status;
}
