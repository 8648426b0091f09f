/* explain_text: every sentence is a row of a table in two languages. A word of the events that has no row is
 * shown as it is. */
#include "daemon/ctl/explain_text.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/zone.h"
#include "daemon/model/parameter.h"

enum phrase {
    PHRASE_EPISODE,
    PHRASE_PATIENT,
    PHRASE_NODE,
    PHRASE_RULE,
    PHRASE_IN_FORCE,
    PHRASE_AUTHOR,
    PHRASE_BUILT_IN,
    PHRASE_SAYS,
    PHRASE_TIMES,
    PHRASE_DAYS,
    PHRASE_DAY,
    PHRASE_JUDGED,
    PHRASE_RECEIVED,
    PHRASE_INSIDE,
    PHRASE_BREACH,
    PHRASE_EXTREME,
    PHRASE_REFERENCE,
    PHRASE_SLOPE,
    PHRASE_COUNTED,
    PHRASE_NO_RULE,
    PHRASE_LATE,
    PHRASE_EVENTS,
    PHRASE_DECIDED,
    PHRASE_RETROSPECTIVE,
    PHRASE_BECAUSE,
    PHRASE_EQUAL,
    PHRASE_DIFFERENT,
    PHRASE_BYTES,
    PHRASE_MISSING,
    PHRASE_EXTRA,
    PHRASES
};

/* `%` stands for a text. */
static const char *const phrases[PHRASES][2] = {
    [PHRASE_EPISODE] = {"Episode", "Épisode"},
    [PHRASE_PATIENT] = {"patient %, line %", "patient %, ligne %"},
    [PHRASE_NODE] = {"this server", "ce serveur"},
    [PHRASE_RULE] = {"Rule %, version %, layer %", "Règle %, version %, niveau %"},
    [PHRASE_IN_FORCE] = {"in force from", "en vigueur depuis le"},
    [PHRASE_AUTHOR] = {"by % (%): %", "par % (%) : %"},
    [PHRASE_BUILT_IN] = {"Built-in rule %", "Règle intégrée %"},
    [PHRASE_SAYS] = {"it says: ", "elle dit : "},
    [PHRASE_TIMES] = {"Times are those of %.", "Heures de %."},
    [PHRASE_DAYS] = {"Days that it rests on:", "Jours pris en compte :"},
    [PHRASE_DAY] = {"%: % from % readings", "% : % pour % mesures"},
    [PHRASE_JUDGED] = {"Readings, one by one:", "Les mesures, une à une :"},
    [PHRASE_RECEIVED] = {"What was received:", "Ce qui a été reçu :"},
    [PHRASE_INSIDE] = {"no breach", "pas de dépassement"},
    [PHRASE_BREACH] = {"breach, % in a row", "dépassement, % de suite"},
    [PHRASE_EXTREME] = {"% − % = %", "% − % = %"},
    [PHRASE_REFERENCE] = {"against the reference, % − % = %", "par rapport à la référence, % − % = %"},
    [PHRASE_SLOPE] = {"on the side of the rule, a minute: %", "dans le sens de la règle, par minute : %"},
    [PHRASE_COUNTED] = {"% of %", "% sur %"},
    [PHRASE_NO_RULE] = {"no version in force: not judged", "aucune version en vigueur : non jugée"},
    [PHRASE_LATE] = {"received late, on ", "reçue en retard, le "},
    [PHRASE_EVENTS] = {"What was decided:", "Ce qui a été décidé :"},
    [PHRASE_DECIDED] = {"decided on", "décidé le"},
    [PHRASE_RETROSPECTIVE] = {"retrospective", "rétrospectif"},
    [PHRASE_BECAUSE] = {"because: ", "motif : "},
    [PHRASE_EQUAL] = {"recomputed: identical to what was published",
                      "recalculé : identique à ce qui a été publié"},
    [PHRASE_DIFFERENT] = {"recomputed: DIFFERENT from what was published",
                          "recalculé : DIFFÉRENT de ce qui a été publié"},
    [PHRASE_BYTES] = {"event % has other contents", "l'événement % a un autre contenu"},
    [PHRASE_MISSING] = {"event % was published and does not follow from what is stored",
                        "l'événement % a été publié et ne découle pas de ce qui est enregistré"},
    [PHRASE_EXTRA] = {"event % follows from what is stored and was not published",
                      "l'événement % découle de ce qui est enregistré et n'a pas été publié"},
};

static const struct {
    const char *word, *en, *fr;
} words[] = {
    {"low", "low", "faible"},
    {"medium", "medium", "moyenne"},
    {"high", "high", "haute"},
    {"raised", "raised", "alerte levée"},
    {"live", "live", "alerte de nouveau actuelle"},
    {"escalated", "escalated", "aggravée"},
    {"deescalated", "de-escalated", "atténuée"},
    {"cleared", "cleared", "terminée"},
    {"acknowledged", "acknowledged", "acquittée"},
    {"handled", "handled", "traitée"},
    {"shelved", "shelved", "mise en attente"},
    {"unshelved", "no longer shelved", "sortie d'attente"},
    {"suspended", "suspended", "suspendue"},
    {"resumed", "resumed", "reprise"},
    {"amended", "amended", "rectifiée"},
    {"cancelled", "cancelled", "annulée"},
    {"closed", "closed", "close"},
    {"patient", "patient", "patient"},
    {"team", "care team", "équipe de soins"},
    {"organization", "organisation", "établissement"},
    {"line", "line", "ligne"},
    {"corrected", "corrected", "corrigée"},
    {"preliminary", "preliminary", "provisoire"},
    {"void", "taken back by its sender", "retirée par l'émetteur"},
    {"above", "above", "au-dessus de"},
    {"below", "below", "au-dessous de"},
    {"rise", "a rise of more than", "hausse de plus de"},
    {"fall", "a fall of more than", "baisse de plus de"},
    {"rise_percent", "a rise of more than (%)", "hausse de plus de (%)"},
    {"fall_percent", "a fall of more than (%)", "baisse de plus de (%)"},
    {"rise_per", "a rise per minute of more than", "hausse par minute de plus de"},
    {"fall_per", "a fall per minute of more than", "baisse par minute de plus de"},
    {"within", "within", "en l'espace de"},
    {"count", "breaches in a row needed", "dépassements de suite nécessaires"},
    {"clear_count", "readings inside needed to clear", "mesures dans la norme pour terminer"},
    {"hysteresis", "margin to clear", "marge pour terminer"},
    {"for", "lasting at least", "pendant au moins"},
    {"max_gap", "longest gap", "plus long intervalle"},
    {"missed_days", "days without a reading", "jours sans mesure"},
    {"times", "times", "nombre de fois"},
    {"rearm", "margin to count again", "marge pour recompter"},
    {"priority", "priority", "priorité"},
    {"statistic", "statistic of the day", "statistique du jour"},
    {"days", "days in a row", "jours de suite"},
    {"reference", "against the reference", "par rapport à la référence"},
    {"readings", "readings needed", "mesures nécessaires"},
    {"parameters", "parameters", "paramètres"},
    {"late-data", "late data", "données reçues en retard"},
    {"rule-changed", "the rule was changed", "règle modifiée"},
    {"rule-disabled", "the rule was disabled", "règle désactivée"},
    {"left", "the patient left", "patient sorti"},
    {"reopened", "reopened", "rouverte"},
    {"reinstated", "reinstated", "rétablie"},
    {"merged", "merged into another episode", "réunie à un autre épisode"},
    {"clock", "time went by", "le temps a passé"},
    {"impossible", "impossible value", "valeur impossible"},
    {"future", "measured in the future", "datée du futur"},
    {"unit", "impossible unit", "unité impossible"},
    {"day_start", "the day begins at", "le jour commence à"},
    {"grace", "waiting after the day's end", "attente après la fin du jour"},
    {"min_readings", "readings needed in a day", "mesures nécessaires par jour"},
    {"over", "days compared with", "jours de comparaison"},
    {"min_days", "days with data needed", "jours avec données nécessaires"},
    {"minimum", "at least", "au moins"},
    {"missing", "days without data", "jours sans données"},
    {"mode", "counting", "comptage"},
    {"class", "class", "classe"},
    {"start", "the device's alarm begins", "début de l'alarme de l'appareil"},
    {"continue", "the device's alarm goes on", "l'alarme de l'appareil continue"},
    {"end", "the device's alarm ends", "fin de l'alarme de l'appareil"},
    {"reason", "reason", "motif"},
};

struct teller {
    FILE *out;
    const struct explanation *of;
    enum language language;
    struct zone *zone; /* NULL: UTC */
};

static const char *phrase(const struct teller *teller, enum phrase number)
{
    return phrases[number][teller->language];
}

/* A phrase with its texts in their places. */
static void say(const struct teller *teller, enum phrase number, const char *first, const char *second,
                const char *third)
{
    const char *const texts[] = {first, second, third};
    unsigned next = 0;
    for (const char *at = phrase(teller, number); *at != '\0'; at++)
        if (*at == '%')
            fputs(texts[next++], teller->out);
        else
            fputc(*at, teller->out);
}

struct number_text {
    char text[24];
};

static struct number_text in_digits(int64_t number)
{
    struct number_text digits;
    snprintf(digits.text, sizeof(digits.text), "%lld", (long long)number);
    return digits;
}

static const char *word(const struct teller *teller, const char *text)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(words[i].word, text) == 0)
            return teller->language == LANGUAGE_FR ? words[i].fr : words[i].en;
    return text;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

static void tell_time(const struct teller *teller, int64_t ms)
{
    int64_t local_ms = ms + (teller->zone == NULL ? 0 : zone_offset_s(teller->zone, ms) * INT64_C(1000));
    int64_t day = local_ms / 86400000 - (local_ms % 86400000 < 0),
            in_day_s = (local_ms - day * 86400000) / 1000;
    int year, month, of_month;
    instant_civil_from_days(day, &year, &month, &of_month);
    int hour = (int)(in_day_s / 3600), minute = (int)(in_day_s / 60 % 60), second = (int)(in_day_s % 60);
    if (teller->language == LANGUAGE_FR)
        fprintf(teller->out, "%02d/%02d/%04d %02d:%02d:%02d", of_month, month, year, hour, minute, second);
    else
        fprintf(teller->out, "%04d-%02d-%02d %02d:%02d:%02d", year, month, of_month, hour, minute, second);
}

static void tell_instant(const struct teller *teller, const char *text)
{
    struct instant_parsed parsed;
    if (instant_parse(text, strlen(text), &parsed) == INSTANT_GOOD)
        tell_time(teller, parsed.ms);
    else
        fputs("?", teller->out);
}

/* A number as it is written in the language. */
static struct number_text in_words(const struct teller *teller, int64_t millionths)
{
    struct number_text number;
    number.text[decimal_format(millionths, number.text)] = '\0';
    char *point = strchr(number.text, '.');
    if (point != NULL && teller->language == LANGUAGE_FR)
        *point = ',';
    return number;
}

/* ---- the rule in words ---- */

static void tell_number(const struct teller *teller, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    char *point = text == NULL ? NULL : strchr(text, '.');
    if (point != NULL && teller->language == LANGUAGE_FR)
        *point = ',';
    fputs(text == NULL ? "?" : text, teller->out);
    free(text);
}

static void tell_value(const struct teller *teller, const json_t *value)
{
    size_t index;
    json_t *one;
    if (json_is_string(value)) {
        fputs(word(teller, json_string_value(value)), teller->out);
    } else if (json_is_array(value)) {
        json_array_foreach(value, index, one)
        {
            fputs(index == 0 ? "" : ", ", teller->out);
            tell_value(teller, one);
        }
    } else {
        tell_number(teller, value);
    }
}

static bool is_limit(const char *key)
{
    return strcmp(key, "above") == 0 || strcmp(key, "below") == 0 || strcmp(key, "rise") == 0 ||
           strcmp(key, "fall") == 0;
}

static void tell_levels(const struct teller *teller, const json_t *levels)
{
    size_t index;
    json_t *level;
    json_array_foreach(levels, index, level)
    {
        const char *side = json_object_get(level, "below") != NULL ? "below" : "above";
        fprintf(teller->out, "%s%s ", index == 0 ? "" : "; ", word(teller, side));
        tell_value(teller, json_object_get(level, side));
        fprintf(teller->out, " (%s %s)", word(teller, "priority"), word(teller, text_of(level, "priority")));
    }
}

static void tell_parameters(const struct teller *teller, const json_t *parameters)
{
    const char *key, *separator = "";
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)parameters, key, value)
    {
        if (json_is_null(value) || strcmp(key, "unit") == 0)
            continue;
        fputs(separator, teller->out);
        separator = "; ";
        if (strcmp(key, "levels") == 0) {
            tell_levels(teller, value);
            continue;
        }
        fprintf(teller->out, "%s%s", word(teller, key), is_limit(key) ? " " : ": ");
        tell_value(teller, value);
    }
    fputs("\n", teller->out);
}

static void tell_rule(const struct teller *teller)
{
    const struct explanation *of = teller->of;
    const json_t *rule = json_object_get(of->last, "rule");
    const json_t *text = json_object_get(of->last, "text");
    const char *layer = text_of(rule, "layer");
    if (strcmp(layer, "built-in") == 0) {
        say(teller, PHRASE_BUILT_IN, of->rule_id, NULL, NULL);
    } else {
        say(teller, PHRASE_RULE, of->rule_id,
            in_digits(json_integer_value(json_object_get(rule, "version"))).text, word(teller, layer));
        fprintf(teller->out, ", %s ", phrase(teller, PHRASE_IN_FORCE));
        tell_instant(teller, text_of(rule, "in_force_from"));
    }
    fprintf(teller->out, "\n  « %s »\n", text_of(text, teller->language == LANGUAGE_FR ? "fr" : "en"));
    if (of->author != NULL) {
        fputs("  ", teller->out);
        say(teller, PHRASE_AUTHOR, text_of(of->author, "author"), text_of(of->author, "role"),
            text_of(of->author, "reason"));
        fputs("\n", teller->out);
    }
    const char *unit = text_of(json_object_get(of->last, "parameter"), "unit");
    fprintf(teller->out, "  %s", phrase(teller, PHRASE_SAYS));
    if (*unit != '\0')
        fprintf(teller->out, "[%s] ", unit);
    tell_parameters(teller, json_object_get(rule, "parameters"));
}

/* ---- the steps ---- */

static void tell_measure(const struct teller *teller, const struct explained_step *step)
{
    if (step->parameter >= PARAMETER_COUNT) {
        fprintf(teller->out, "  %s", word(teller, reading_phase_text((enum device_phase)step->value)));
        return;
    }
    const struct parameter_row *row = parameter_row((enum parameter)step->parameter);
    fprintf(teller->out, "  %s%s %s", reading_comparator_text((enum comparator)step->comparator),
            in_words(teller, step->value).text, row->unit);
    if (step->source == STEP_RECEIVED)
        fprintf(teller->out, "  %s", teller->language == LANGUAGE_FR ? row->fr : row->en);
    if (step->status != STATUS_FINAL)
        fprintf(teller->out, "  [%s]", word(teller, reading_status_text((enum reading_status)step->status)));
    if (step->quarantine != QUARANTINE_NONE)
        fprintf(teller->out, "  [%s]",
                word(teller, reading_quarantine_text((enum quarantine_reason)step->quarantine)));
}

/* What the rule allows of a comparison, as it is written; NULL when another version judged, or none is
 * written. */
static const json_t *allowed(const struct teller *teller, const struct explained_step *step, const char *rise,
                             const char *fall)
{
    const json_t *rule = json_object_get(teller->of->last, "rule");
    bool same_version = json_integer_value(json_object_get(rule, "version")) == step->version;
    bool low = strcmp(teller->of->side, "low") == 0;
    const json_t *value = json_object_get(json_object_get(rule, "parameters"), low ? fall : rise);
    return same_version && json_is_number(value) ? value : NULL;
}

/* " > 2,0" of a breach, " ≤ 2,0" of none. */
static void tell_allowed(const struct teller *teller, const struct explained_step *step, const json_t *limit)
{
    if (limit == NULL)
        return;
    fputs(step->breach ? " > " : " ≤ ", teller->out);
    tell_number(teller, limit);
}

/* How far a value went on the side of the rule: up from what was low, or down from what was high. */
static void tell_difference(const struct teller *teller, const struct explained_step *step,
                            enum phrase number)
{
    bool low = strcmp(teller->of->side, "low") == 0;
    int64_t difference = low ? step->against - step->value : step->value - step->against;
    say(teller, number, in_words(teller, low ? step->against : step->value).text,
        in_words(teller, low ? step->value : step->against).text, in_words(teller, difference).text);
    tell_allowed(teller, step, allowed(teller, step, "rise", "fall"));
}

static void tell_comparison(const struct teller *teller, const struct explained_step *step)
{
    if (step->compared == NULL)
        return;
    fputs("  ", teller->out);
    if (strcmp(step->compared, "counted") == 0) {
        const json_t *times = allowed(teller, step, "times", "times");
        say(teller, PHRASE_COUNTED, in_digits(step->against).text,
            times == NULL ? "?" : in_digits(json_integer_value(times)).text, NULL);
    } else if (strcmp(step->compared, "slope") == 0) {
        bool low = strcmp(teller->of->side, "low") == 0;
        say(teller, PHRASE_SLOPE, in_words(teller, low ? -step->against : step->against).text, NULL, NULL);
        tell_allowed(teller, step, allowed(teller, step, "rise_per", "fall_per"));
    } else {
        bool own = strcmp(step->compared, "reference") == 0;
        tell_difference(teller, step, own ? PHRASE_REFERENCE : PHRASE_EXTREME);
    }
}

static void tell_judgement(const struct teller *teller, const struct explained_step *step)
{
    tell_comparison(teller, step);
    fputs("  ", teller->out);
    if (step->layer == NULL)
        fputs(phrase(teller, PHRASE_NO_RULE), teller->out);
    else if (step->breach)
        say(teller, PHRASE_BREACH, in_digits(step->run).text, NULL, NULL);
    else
        fputs(phrase(teller, PHRASE_INSIDE), teller->out);
    if (step->decided != NULL)
        fprintf(teller->out, "  → %s", word(teller, step->decided));
    if (step->decided != NULL && step->priority != PRIORITY_NONE)
        fprintf(teller->out, " (%s %s)", word(teller, "priority"),
                word(teller, priority_word(step->priority)));
    if (step->late) {
        fprintf(teller->out, "  [%s", phrase(teller, PHRASE_LATE));
        tell_time(teller, step->received_ms);
        fputs("]", teller->out);
    }
}

static void tell_days(const struct teller *teller)
{
    const json_t *days = json_object_get(teller->of->last, "days");
    size_t index;
    json_t *day;
    if (json_array_size(days) == 0)
        return;
    fprintf(teller->out, "\n%s\n", phrase(teller, PHRASE_DAYS));
    json_array_foreach(days, index, day)
    {
        char *statistic =
            json_dumps(json_object_get(day, "statistic"), JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        fputs("  ", teller->out);
        say(teller, PHRASE_DAY, text_of(day, "day"), statistic == NULL ? "-" : statistic,
            in_digits(json_integer_value(json_object_get(day, "readings"))).text);
        fputs("\n", teller->out);
        free(statistic);
    }
}

static void tell_steps(const struct teller *teller)
{
    const struct explanation *of = teller->of;
    if (of->steps_count == 0)
        return;
    bool judged = of->steps[0].source == STEP_JUDGED;
    fprintf(teller->out, "\n%s\n", phrase(teller, judged ? PHRASE_JUDGED : PHRASE_RECEIVED));
    for (size_t i = 0; i < of->steps_count; i++) {
        const struct explained_step *step = &of->steps[i];
        fputs("  ", teller->out);
        tell_time(teller, judged ? step->measured_ms : step->received_ms);
        tell_measure(teller, step);
        if (judged)
            tell_judgement(teller, step);
        fputs("\n", teller->out);
    }
}

/* ---- the events ---- */

static void tell_event(const struct teller *teller, const json_t *event)
{
    const char *reason = text_of(event, "reason"), *author = text_of(event, "author");
    fprintf(teller->out, "  %lld. ", (long long)json_integer_value(json_object_get(event, "sequence")));
    tell_instant(teller, text_of(event, "measured_at"));
    fprintf(teller->out, "  %s (%s %s), %s ", word(teller, text_of(event, "event")), word(teller, "priority"),
            word(teller, text_of(event, "priority")), phrase(teller, PHRASE_DECIDED));
    tell_instant(teller, text_of(event, "decided_at"));
    if (json_is_true(json_object_get(event, "retrospective")))
        fprintf(teller->out, ", %s", phrase(teller, PHRASE_RETROSPECTIVE));
    if (*reason != '\0')
        fprintf(teller->out, ", %s%s", phrase(teller, PHRASE_BECAUSE), word(teller, reason));
    if (*author != '\0')
        fprintf(teller->out, ", %s", author);
    fputs("\n", teller->out);
}

static void tell_events(const struct teller *teller)
{
    fprintf(teller->out, "\n%s\n", phrase(teller, PHRASE_EVENTS));
    for (size_t i = 0; i < teller->of->events_count; i++) {
        const struct explained_event *shown = &teller->of->events[i];
        json_t *event = json_loads(shown->published != NULL ? shown->published : shown->again, 0, NULL);
        tell_event(teller, event);
        json_decref(event);
    }
}

static void tell_verdict(const struct teller *teller)
{
    const struct explanation *of = teller->of;
    fprintf(teller->out, "\n%s\n", phrase(teller, of->equal ? PHRASE_EQUAL : PHRASE_DIFFERENT));
    for (size_t i = 0; i < of->events_count; i++) {
        const struct explained_event *event = &of->events[i];
        enum phrase number = event->again == NULL       ? PHRASE_MISSING
                             : event->published == NULL ? PHRASE_EXTRA
                                                        : PHRASE_BYTES;
        if (number == PHRASE_BYTES && strcmp(event->published, event->again) == 0)
            continue;
        fputs("  ", teller->out);
        say(teller, number, in_digits(event->sequence).text, NULL, NULL);
        fputs("\n", teller->out);
    }
}

void explain_text(FILE *out, const struct explanation *explanation, enum language language)
{
    struct teller teller = {.out = out, .of = explanation, .language = language};
    char id[UUID_TEXT + 1];
    if (zone_load(explanation->past->zone, &teller.zone) != OK)
        teller.zone = NULL;
    uuid_format(explanation->episode_id, id);
    fprintf(out, "%s %s: ", phrase(&teller, PHRASE_EPISODE), id);
    if (explanation->past->patient_id == 0)
        fputs(phrase(&teller, PHRASE_NODE), out);
    else
        say(&teller, PHRASE_PATIENT, explanation->past->ref, explanation->past->line, NULL);
    fputs("\n", out);
    tell_rule(&teller);
    fprintf(out, "  ");
    say(&teller, PHRASE_TIMES, teller.zone == NULL ? "UTC" : zone_name(teller.zone), NULL, NULL);
    fputs("\n", out);
    tell_days(&teller);
    tell_steps(&teller);
    tell_events(&teller);
    tell_verdict(&teller);
    zone_free(teller.zone);
}
