/* agree: does the engine agree with the evaluator? Scenario by scenario, each told in several orders. At the
 * first difference the scenario is shrunk while it stays one, and printed with both lists; exit 1. agree
 * [--seed A] [--count N] [--readings M] [--kinds limit,change,...] [--tellings N] [--checks PERCENT]
 *         [--shrink SECONDS] [--quiet] [--go-on] [--calm: told in order, each id is that of the beginning]
 *   agree --cases    the evaluator against episodes counted by hand */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/base/ensure.h"
#include "daemon/model/parameter.h"
#include "tests/reference/cases.h"
#include "tests/reference/drive.h"

struct options {
    uint64_t seed, count;
    unsigned readings, kinds, tellings, checks, shrink_s;
    bool quiet, go_on, calm;
};

struct totals {
    uint64_t scenarios, readings, released, episodes, events, checks, per_kind[KINDS], failures;
};

static const char *const telling_words[TELLINGS] = {"as made", "in order", "shuffled", "newest first"};

static void run(const struct scenario *scenario, const struct options *options, struct outcome *out)
{
    struct drive_wish wish = {.checks_percent = options->checks, .ids = options->calm};
    drive(scenario, &wish, out);
}

/* ---- shrinking ---- */

static bool fails_alike(const struct scenario *scenario, const struct options *options,
                        enum verdict_of_drive verdict)
{
    struct outcome outcome;
    run(scenario, options, &outcome);
    bool alike = outcome.verdict == verdict;
    outcome_deinit(&outcome);
    return alike;
}

/* Leaves out acts, in ever smaller pieces, while what remains fails alike. */
static void shrink(struct scenario *scenario, const struct options *options, enum verdict_of_drive verdict)
{
    time_t until = time(NULL) + (time_t)options->shrink_s;
    for (size_t piece = scenario->count / 2; piece > 0; piece = piece > 1 ? (piece + 1) / 2 : 0) {
        bool progress = true;
        while (progress && time(NULL) < until) {
            progress = false;
            for (size_t at = 0; at < scenario->count && time(NULL) < until;) {
                struct scenario *less = scenario_copy(scenario);
                size_t size = at + piece > less->count ? less->count - at : piece;
                memmove(less->act + at, less->act + at + size, (less->count - at - size) * sizeof *less->act);
                less->count -= size;
                if (fails_alike(less, options, verdict)) {
                    memcpy(scenario->act, less->act, less->count * sizeof *less->act);
                    scenario->count = less->count;
                    progress = true;
                } else {
                    at += size;
                }
                scenario_free(less);
            }
            if (piece > 1)
                break;
        }
    }
}

static void report(struct scenario *scenario, enum telling telling, const struct options *options,
                   const struct outcome *outcome)
{
    static const char *const words[] = {"agreed", "different", "law broken", "refused"};
    printf("FAILED seed %llu, told %s: %s\n", (unsigned long long)scenario->seed, telling_words[telling],
           words[outcome->verdict]);
    if (options->quiet)
        return;
    struct options always = *options;
    struct buffer text = {0};
    always.checks = 100; /* the earliest moment, and no chance in what is left out */
    if (!fails_alike(scenario, &always, outcome->verdict))
        always.checks = options->checks;
    if (outcome->verdict != WAS_REFUSED)
        shrink(scenario, &always, outcome->verdict);
    struct outcome shrunk;
    run(scenario, &always, &shrunk);
    scenario_render(scenario, &text);
    fwrite(text.data, 1, text.size, stdout);
    printf("  %s\n", shrunk.text != NULL ? shrunk.text : outcome->text);
    outcome_deinit(&shrunk);
    buffer_deinit(&text);
}

/* ---- the run ---- */

static void count_in(struct totals *totals, const struct outcome *outcome)
{
    totals->readings += outcome->readings;
    totals->released += outcome->released;
    totals->episodes += outcome->episodes;
    totals->events += outcome->events;
    totals->checks += outcome->checks;
    for (int i = 0; i < KINDS; i++)
        totals->per_kind[i] += outcome->per_kind[i];
}

static bool try_seed(const struct options *options, uint64_t seed, struct totals *totals)
{
    struct scenario_wish wish = {
        .seed = seed, .readings = options->readings, .kinds = options->kinds, .calm = options->calm};
    struct scenario *scenario = scenario_make(&wish);
    uint64_t judged = 0, episodes = 0;
    bool good = true;
    for (enum telling telling = AS_MADE; telling < options->tellings && good; telling++) {
        struct scenario *told = scenario_copy(scenario);
        struct outcome outcome;
        scenario_tell(told, telling);
        run(told, options, &outcome);
        if (telling == AS_MADE) {
            judged = outcome.judged_digest;
            episodes = outcome.episodes_digest;
        }
        good = outcome.verdict == AGREED;
        if (good && outcome.judged_digest == judged && outcome.episodes_digest != episodes) {
            printf("FAILED seed %llu: told %s the evaluator has other episodes\n", (unsigned long long)seed,
                   telling_words[telling]);
            good = false;
        }
        count_in(totals, &outcome);
        if (outcome.verdict != AGREED)
            report(told, telling, options, &outcome);
        outcome_deinit(&outcome);
        scenario_free(told);
    }
    scenario_free(scenario);
    totals->scenarios++;
    return good;
}

/* "limit,change" as bits; "all" is all of them. */
static unsigned kinds_of(const char *text)
{
    unsigned kinds = 0;
    for (const char *word = text; *word != '\0'; word += *word == ',') {
        size_t size = strcspn(word, ",");
        for (unsigned i = 0; i < KINDS; i++) {
            const char *name = fact_kind_names[i];
            bool named = strlen(name) == size && memcmp(name, word, size) == 0;
            kinds |= named || (size == 3 && memcmp(word, "all", size) == 0) ? 1u << i : 0;
        }
        word += size;
    }
    return kinds;
}

static void print_totals(const struct totals *totals, double seconds)
{
    printf("scenarios %llu, readings %llu, episodes %llu, events %llu, comparisons %llu, %.1f s;",
           (unsigned long long)totals->scenarios, (unsigned long long)totals->readings,
           (unsigned long long)totals->episodes, (unsigned long long)totals->events,
           (unsigned long long)totals->checks, seconds);
    for (int i = 0; i < KINDS; i++)
        printf(" %s %llu", fact_kind_names[i], (unsigned long long)totals->per_kind[i]);
    printf("; released %llu; %llu failed\n", (unsigned long long)totals->released,
           (unsigned long long)totals->failures);
}

static struct options options_of(int argc, char **argv)
{
    static const struct option known[] = {
        {"seed", 1, NULL, 's'},   {"count", 1, NULL, 'c'},    {"readings", 1, NULL, 'r'},
        {"kinds", 1, NULL, 'k'},  {"tellings", 1, NULL, 't'}, {"checks", 1, NULL, 'p'},
        {"shrink", 1, NULL, 'x'}, {"quiet", 0, NULL, 'q'},    {"go-on", 0, NULL, 'g'},
        {"calm", 0, NULL, 'm'},   {NULL, 0, NULL, 0}};
    struct options options = {.seed = 1,
                              .count = 100,
                              .readings = 200,
                              .kinds = (1u << KINDS) - 1,
                              .tellings = TELLINGS,
                              .checks = 2,
                              .shrink_s = 20};
    for (int choice; (choice = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (choice) {
        case 's':
            options.seed = strtoull(optarg, NULL, 10);
            break;
        case 'c':
            options.count = strtoull(optarg, NULL, 10);
            break;
        case 'r':
            options.readings = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'k':
            options.kinds = kinds_of(optarg);
            break;
        case 't':
            options.tellings = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'p':
            options.checks = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'x':
            options.shrink_s = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'q':
            options.quiet = true;
            break;
        case 'm':
            options.calm = true;
            options.tellings = 1;
            break;
        case 'g':
            options.go_on = true;
            break;
        default:
            exit(64);
        }
    }
    return options;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--cases") == 0)
        return cases_run();
    struct options options = options_of(argc, argv);
    struct totals totals = {0};
    struct timespec start, now;
    ensure(parameter_init() == OK);
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (uint64_t i = 0; i < options.count && (totals.failures == 0 || options.go_on); i++)
        totals.failures += !try_seed(&options, options.seed + i, &totals);
    clock_gettime(CLOCK_MONOTONIC, &now);
    print_totals(&totals, (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) * 1e-9);
    return totals.failures == 0 ? 0 : 1;
}
