/* engine_matching: which published episode a new one keeps, RULES.md section 5, against the text of it
 * written down literally: plain lists, every pair looked at. One patient, one rule of two levels, readings of
 * two devices that share instants, in any order, with voids and corrections; after each request the test
 * knows the episodes that are, chooses as the text says, and expects these events and no others (`live`
 * apart: it is taken as it comes, for what it does to the acknowledgement). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "tests/unit/engine_fixture.h"

static struct fixture fixture, *const f = &fixture;

#define RULE                                                                                                 \
    "{'id':'t.hr','parameter':'heart-rate','unit':'/min','kind':'limit','levels':["                          \
    "{'priority':'medium','above':100},{'priority':'high','above':120}],'text':{'fr':'f','en':'e'}}"

enum { INSTANTS = 40, DEVICES = 2, STEPS_MAX = 90, EPISODES_MAX = 600, OPEN = 1 << 20, NEVER = -1 };
enum { CALM, MEDIUM, HIGH, LEVELS };
static const char *const values[LEVELS] = {"80", "110", "130"};
static const char *const devices[DEVICES] = {"D", "E"};

struct step {
    int at, kind, level; /* kind: 0 raised, 1 escalated, 2 deescalated, 3 cleared */
};

struct tale { /* an episode as it is */
    int began;
    struct step step[STEPS_MAX];
    int count;
};

struct known { /* an episode as it was published */
    char id[40];
    struct tale tale;
    bool cancelled, acknowledged, open_at_cancel;
    int newest_at_cancel;
};

static struct model {
    int level[INSTANTS][DEVICES]; /* of the winning reading; NEVER without */
    int version;                  /* of the corrections */
    struct known known[EPISODES_MAX];
    int count;
    uint64_t dice;
    char expected[1 << 16], found[1 << 16];
} model, *const m = &model;

static unsigned roll(unsigned sides)
{
    m->dice = hash_mix64(m->dice + 0x9e3779b97f4a7c15u);
    return (unsigned)(m->dice % sides);
}

/* ---- what is ---- */

static void add_step(struct tale *tale, int at, int kind, int level)
{
    CU_ASSERT_FATAL(tale->count < STEPS_MAX);
    tale->step[tale->count++] = (struct step){at, kind, level};
}

/* The automaton of section 3.1 with count, clear_count 1 and no hysteresis. */
static int tell(struct tale *tales)
{
    int count = 0, active = CALM;
    for (int at = 0; at < INSTANTS; at++)
        for (int device = 0; device < DEVICES; device++) {
            int level = m->level[at][device];
            if (level == NEVER || level == active)
                continue;
            if (active == CALM)
                tales[count++] = (struct tale){.began = at};
            add_step(&tales[count - 1], at,
                     active == CALM   ? 0
                     : level > active ? 1
                     : level == CALM  ? 3
                                      : 2,
                     level == CALM ? active : level);
            active = level;
        }
    return count;
}

static int raised(const struct tale *tale)
{
    return tale->step[0].at;
}

static int end(const struct tale *tale)
{
    const struct step *last = &tale->step[tale->count - 1];
    return last->kind == 3 ? last->at : OPEN;
}

static int newest(void)
{
    for (int at = INSTANTS; at > 0; at--)
        for (int device = 0; device < DEVICES; device++)
            if (m->level[at - 1][device] != NEVER)
                return at - 1;
    return NEVER;
}

/* ---- the text ---- */

/* "match when their raised_at are equal or their [raised_at, cleared_at) share an instant"; "one that was
 * open when it was cancelled is taken only by an episode with the same raised_at, or whose first reading is
 * not newer than the newest reading of the series at that cancellation". */
static bool match(const struct tale *tale, const struct known *known)
{
    bool share = false;
    for (int at = raised(tale); at < end(tale) && at < INSTANTS && !share; at++)
        share = at >= raised(&known->tale) && at < end(&known->tale);
    if (raised(tale) == raised(&known->tale))
        return true;
    if (known->cancelled && known->open_at_cancel && tale->began > known->newest_at_cancel)
        return false;
    return share;
}

static struct known *earliest(const struct tale *tale, bool cancelled, struct known *const *taken, int count)
{
    struct known *best = NULL;
    for (int i = 0; i < m->count; i++) {
        struct known *known = &m->known[i];
        bool free = known->cancelled == cancelled && match(tale, known);
        for (int j = 0; j < count; j++)
            free &= taken[j] != known;
        if (free && (best == NULL || raised(&known->tale) < raised(&best->tale)))
            best = known;
    }
    return best;
}

/* ---- events ---- */

static void expect(const char *id, const char *event, const struct tale *tale, int steps, const char *reason,
                   const char *into)
{
    static const char *const words[] = {"low", "medium", "high"};
    const struct step *last = &tale->step[steps - 1];
    char *at = m->expected + strlen(m->expected);
    snprintf(at, sizeof m->expected - strlen(m->expected), "%s %s %s raised %d steps %d %s%s\n", id, event,
             words[last->level], raised(tale), steps, reason, into);
}

static void expect_steps(struct known *known, const struct tale *tale, int from, const char *reason)
{
    static const char *const words[] = {"raised", "escalated", "deescalated", "cleared"};
    for (int i = from; i < tale->count; i++) {
        expect(known->id, words[tale->step[i].kind], tale, i + 1, i == from ? reason : "", "");
        if (tale->step[i].kind == 1)
            known->acknowledged = false;
    }
    known->tale = *tale;
}

static bool is_prefix(const struct tale *published, const struct tale *tale)
{
    if (published->count > tale->count)
        return false;
    for (int i = 0; i < published->count; i++)
        if (published->step[i].at != tale->step[i].at || published->step[i].kind != tale->step[i].kind ||
            published->step[i].level != tale->step[i].level)
            return false;
    return true;
}

/* `merged`: the open episode that went into this one; NULL without. */
static void expect_amended(struct known *known, const struct tale *tale, const struct known *merged,
                           const char *cause)
{
    bool was_open = end(&known->tale) == OPEN, open = end(tale) == OPEN;
    const struct tale *before = merged == NULL ? &known->tale : &merged->tale;
    int published = before->step[before->count - 1].level, now = tale->step[tale->count - 1].level;
    expect(known->id, "amended", tale, tale->count, open && !was_open ? "reopened" : cause, "");
    known->acknowledged &= !open || was_open;
    if (merged != NULL && open)
        known->acknowledged = merged->acknowledged;
    if (open && now > published) {
        expect(known->id, "escalated", tale, tale->count, "", "");
        known->acknowledged = false;
    }
    if (was_open && !open)
        expect(known->id, "cleared", tale, tale->count, "", "");
    known->tale = *tale;
}

static struct known *new_episode(void)
{
    CU_ASSERT_FATAL(m->count < EPISODES_MAX);
    struct known *known = &m->known[m->count++];
    *known = (struct known){.tale.count = 0};
    snprintf(known->id, sizeof known->id, "new-%d", m->count);
    return known;
}

static void expect_cancelled(struct known *known, const struct tale *tales, struct known *const *taken,
                             int count, struct known **merged, const char *cause)
{
    int into = 0;
    while (into < count && !match(&tales[into], known))
        into++;
    bool open = end(&known->tale) == OPEN;
    if (into < count && open)
        merged[into] = known;
    known->cancelled = true;
    known->open_at_cancel = open;
    known->newest_at_cancel = newest();
    expect(known->id, "cancelled", &known->tale, known->tale.count, into < count ? "merged " : cause,
           into < count ? taken[into]->id : "");
}

static void expect_difference(const char *cause)
{
    static struct tale tales[INSTANTS * DEVICES];
    struct known *taken[INSTANTS * DEVICES] = {NULL}, *merged[INSTANTS * DEVICES] = {NULL};
    bool is_new[INSTANTS * DEVICES] = {false}, revived[INSTANTS * DEVICES] = {false};
    int count = tell(tales), published = m->count;
    m->expected[0] = '\0';
    for (int i = 0; i < count; i++)
        taken[i] = earliest(&tales[i], false, taken, i);
    for (int i = 0; i < count; i++)
        if (taken[i] == NULL) {
            taken[i] = earliest(&tales[i], true, taken, count);
            revived[i] = taken[i] != NULL;
        }
    for (int i = 0; i < count; i++)
        if (taken[i] == NULL) {
            taken[i] = new_episode();
            is_new[i] = true;
        }
    for (int k = 0; k < published; k++) {
        bool free = !m->known[k].cancelled;
        for (int i = 0; i < count; i++)
            free &= taken[i] != &m->known[k];
        if (free)
            expect_cancelled(&m->known[k], tales, taken, count, merged, cause);
    }
    for (int i = 0; i < count; i++) {
        if (revived[i])
            taken[i]->cancelled = taken[i]->acknowledged = false;
        if (is_new[i] || revived[i])
            expect_steps(taken[i], &tales[i], 0, revived[i] ? "reinstated" : "");
        else if (is_prefix(&taken[i]->tale, &tales[i]))
            expect_steps(taken[i], &tales[i], taken[i]->tale.count, "");
        else
            expect_amended(taken[i], &tales[i], merged[i], cause);
    }
}

/* ---- what the engine said ---- */

static int minute_of(const json_t *event, const char *key)
{
    struct instant_parsed parsed;
    const char *text = event_text(event, key);
    CU_ASSERT_EQUAL_FATAL(instant_parse(text, strlen(text), &parsed), INSTANT_GOOD);
    return (int)((parsed.ms - EPOCH_MS) / MINUTE_MS);
}

/* The episode of an id; one that is new to the test gets the id of the engine. */
static struct known *find(const char *id)
{
    for (int i = 0; i < m->count; i++)
        if (strcmp(m->known[i].id, id) == 0)
            return &m->known[i];
    return NULL;
}

static void rename_in(char *text, const char *from, const char *to)
{
    static char copy[1 << 16];
    char *at;
    while ((at = strstr(text, from)) != NULL) {
        snprintf(copy, sizeof copy, "%s", at + strlen(from));
        snprintf(at, sizeof m->expected - (size_t)(at - text), "%s%s", to, copy);
    }
}

/* A first `raised` names the episode that the test expects to be raised then. */
static void learn_id(const json_t *event)
{
    const char *id = event_text(event, "episode_id");
    for (int i = 0; find(id) == NULL && i < m->count; i++) {
        struct known *known = &m->known[i];
        if (strncmp(known->id, "new-", 4) != 0 || raised(&known->tale) != minute_of(event, "raised_at"))
            continue;
        char old[48], new[48];
        snprintf(old, sizeof old, "%s ", known->id);
        snprintf(new, sizeof new, "%s ", id);
        rename_in(m->expected, old, new);
        snprintf(old, sizeof old, "merged %s\n", known->id);
        snprintf(new, sizeof new, "merged %s\n", id);
        rename_in(m->expected, old, new);
        snprintf(known->id, sizeof known->id, "%s", id);
    }
}

static void describe(const json_t *event)
{
    bool over = strcmp(event_text(event, "state"), "open") != 0 &&
                json_is_string(json_object_get(event, "cleared_at"));
    size_t steps = json_array_size(json_object_get(event, "priorities")) + over;
    bool merged = json_is_string(json_object_get(event, "into"));
    char *at = m->found + strlen(m->found);
    snprintf(at, sizeof m->found - strlen(m->found), "%s %s %s raised %d steps %zu %s%s%s\n",
             event_text(event, "episode_id"), event_text(event, "event"), event_text(event, "priority"),
             minute_of(event, "raised_at"), steps, event_text(event, "reason"), merged ? " " : "",
             event_text(event, "into"));
}

static int compare_lines(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void sort_lines(char *text)
{
    static char copy[1 << 16];
    char *lines[1024], *save;
    int count = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *line = strtok_r(copy, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
        lines[count++] = line;
    qsort(lines, (size_t)count, sizeof lines[0], compare_lines);
    text[0] = '\0';
    for (int i = 0; i < count; i++)
        strcat(strcat(text, lines[i]), "\n");
}

/* The events since the first; true when they are the expected ones. */
static bool agree(int first)
{
    m->found[0] = '\0';
    for (int i = first; i < f->count; i++)
        learn_id(f->events[i]);
    for (int i = first; i < f->count; i++)
        if (strcmp(event_text(f->events[i], "event"), "live") != 0)
            describe(f->events[i]);
    for (int i = first; i < f->count; i++)
        if (strcmp(event_text(f->events[i], "event"), "live") == 0)
            find(event_text(f->events[i], "episode_id"))->acknowledged = false;
    sort_lines(m->expected);
    sort_lines(m->found);
    if (strcmp(m->expected, m->found) == 0)
        return true;
    fprintf(stderr, "\nexpected\n%sfound\n%s", m->expected, m->found);
    return false;
}

/* ---- the runs ---- */

static struct offer any_offer(void)
{
    int at = (int)roll(INSTANTS), device = (int)roll(DEVICES), level = (int)roll(LEVELS + 1);
    bool there = m->level[at][device] != NEVER, before = m->version > 0;
    struct offer offer = {.parameter = "heart-rate",
                          .value = values[level % LEVELS],
                          .at = at,
                          .device = devices[device],
                          .status = there || before ? "corrected" : "final"};
    if (level == LEVELS && there) {
        offer.status = "void";
        m->level[at][device] = NEVER;
    } else {
        m->level[at][device] = level % LEVELS;
    }
    offer.issued = 100 + 0.001 * ++m->version; /* each later than all before: the winner of its key */
    return offer;
}

static bool acknowledge_any(double minute)
{
    if (m->count == 0)
        return true;
    struct known *known = &m->known[roll((unsigned)m->count)];
    int first = f->count;
    enum err expected = known->cancelled ? ERR_REFUSED : OK;
    enum err found =
        fixture_command(f, COMMAND_ACKNOWLEDGE, minute, "{'episode':'%s','author':'N'}", known->id);
    bool told = f->count > first;
    bool good = found == expected && told == (found == OK && !known->acknowledged);
    known->acknowledged |= found == OK;
    return good;
}

static bool run(uint64_t seed)
{
    *m = (struct model){.dice = seed};
    for (int at = 0; at < INSTANTS; at++)
        for (int device = 0; device < DEVICES; device++)
            m->level[at][device] = NEVER;
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, RULE), OK);
    bool good = true;
    for (int unit = 0; unit < 60 && good; unit++) {
        double now = 1000 + unit;
        struct offer offers[8];
        int first = f->count, count = 1 + (int)roll(roll(4) == 0 ? 8 : 2);
        for (int i = 0; i < count; i++)
            offers[i] = any_offer();
        fixture_offer_all(f, offers, count, now);
        expect_difference(offers[count - 1].status);
        m->found[0] = '\0';
        good = agree(first) && (roll(2) == 0 || acknowledge_any(now + 0.5));
    }
    if (!good)
        fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    fixture_close(f);
    return good;
}

static void test_as_the_text_says(void)
{
    for (uint64_t seed = 1; seed <= SEEDS(400); seed++)
        CU_ASSERT_FATAL(run(seed));
}

/* ---- many ---- */

/* `count` episodes of one minute each, every second minute, from minute 1. */
static void make_episodes(int count)
{
    static struct offer offers[4096];
    CU_ASSERT_FATAL(2 * count <= 4096);
    for (int i = 0; i < count; i++) {
        offers[2 * i] = (struct offer){.parameter = "heart-rate", .value = "110", .at = 2 * i + 1};
        offers[2 * i + 1] = (struct offer){.parameter = "heart-rate", .value = "80", .at = 2 * i + 2};
    }
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, RULE), OK);
    fixture_offer_all(f, offers, 2 * count, 5000);
    CU_ASSERT_EQUAL(f->count, 2 * count);
}

static uint8_t late(const char *value, double at, const char *status)
{
    return fixture_offer(
        f, (struct offer){
               .parameter = "heart-rate", .value = value, .at = at, .received = 5010, .status = status});
}

/* A thousand are matched again by every late reading, a hundred times over: it takes well below a second, by
 * a wide margin, and would take many were it the square. */
static void test_a_thousand(void)
{
    make_episodes(1000);
    int64_t began_ns = clock_monotonic_ns();
    for (int i = 0; i < 100; i++)
        late("110", 2 * i + 1.5, "final"); /* one more within an episode: nothing is told */
    int64_t took_us = (clock_monotonic_ns() - began_ns) / 1000;
    CU_ASSERT_EQUAL(f->count, 2000);
    fprintf(stderr, "%lld us a late reading among 1000 episodes ", (long long)took_us / 100);
    CU_ASSERT(took_us < 2000000);
    fixture_close(f);
}

static enum err acknowledge(int event)
{
    return fixture_command(f, COMMAND_ACKNOWLEDGE, 5020, "{'episode':'%s','author':'N'}",
                           event_text(f->events[event], "episode_id"));
}

/* At most 1,024 are held; the oldest beyond are frozen: facts that nothing changes any more. */
static void test_the_oldest_are_frozen(void)
{
    make_episodes(1030); /* the first six are frozen */
    CU_ASSERT_EQUAL(acknowledge(10), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(acknowledge(12), OK);
    int told = f->count;
    CU_ASSERT_EQUAL(late("110", 5, "void"), VERDICT_ACCEPTED); /* the third */
    CU_ASSERT_EQUAL(f->count, told);
    late("80", 3.5, "final"); /* between two of them */
    CU_ASSERT_EQUAL(f->count, told);
    fixture_close(f);
    make_episodes(1030);
    told = f->count;
    late("80", 12, "void"); /* the sixth goes on into the seventh, which is held and keeps its id */
    CU_ASSERT_EQUAL(f->count, told + 1);
    CU_ASSERT_STRING_EQUAL(event_text(f->events[told], "event"), "amended");
    CU_ASSERT_STRING_EQUAL(event_text(f->events[told], "episode_id"),
                           event_text(f->events[12], "episode_id"));
    CU_ASSERT_STRING_EQUAL(event_text(f->events[told], "raised_at"), fixture_time(11));
    fixture_close(f);
}

/* What is open is never frozen, nor what is on a shelf: its end is told. */
static void test_a_shelf_is_not_frozen(void)
{
    make_episodes(1024);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_SHELVE, 5001,
                                    "{'episode':'%s','author':'N','reason':'r','until':'%s'}",
                                    event_text(f->events[0], "episode_id"), fixture_time(5500)),
                    OK);
    struct offer more[] = {{.parameter = "heart-rate", .value = "110", .at = 5002},
                           {.parameter = "heart-rate", .value = "80", .at = 5003},
                           {.parameter = "heart-rate", .value = "110", .at = 5004}};
    fixture_offer_all(f, more, 3, 5005);
    CU_ASSERT_EQUAL(acknowledge(0), OK);
    CU_ASSERT_EQUAL(acknowledge(2), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(acknowledge(4), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(acknowledge(6), OK);
    (void)fixture_trace(f);
    fixture_run(f, 5600);
    TRACE_IS("unshelved medium 2");
    fixture_close(f);
}

SUITE(engine_matching) = {
    {"new and published episodes, as the text says", test_as_the_text_says},
    {"a thousand episodes", test_a_thousand},
    {"the oldest are frozen", test_the_oldest_are_frozen},
    {"a shelf is not frozen", test_a_shelf_is_not_frozen},
    {NULL, NULL},
};
