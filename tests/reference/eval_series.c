/* eval_series: what counts of all that was received, RULES.md section 1: versions, aliases, the look-back,
 * and the series in its order. Everything that an amendment may mean has a token (its alias, its key, each
 * plain reading it names); amendments that share a token are rivals, and one counts when no rival beats it.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ensure.h"
#include "tests/reference/eval_internal.h"
#include "tests/reference/evaluator.h"

typedef const struct fact_reading *reading_p;

static int order_of(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static bool is_mark(reading_p reading)
{
    return reading->status == CORRECTED || reading->status == VOID;
}

static int by_key(reading_p a, reading_p b)
{
    int order = order_of(a->measured_at, b->measured_at);
    order = order != 0 ? order : order_of(a->device, b->device);
    return order != 0 ? order : order_of(a->sensor, b->sensor);
}

static int by_identity(reading_p a, reading_p b)
{
    int order = by_key(a, b);
    order = order != 0 ? order : order_of(a->value, b->value);
    return order != 0 ? order : order_of(a->comparator, b->comparator);
}

/* The same again is a duplicate; a final stands for a preliminary of its identity. */
static int sort_versions(const void *left, const void *right)
{
    reading_p a = *(reading_p const *)left, b = *(reading_p const *)right;
    int order = by_identity(a, b);
    order = order != 0 ? order : order_of(is_mark(a) ? a->status : 0, is_mark(b) ? b->status : 0);
    order = order != 0 ? order : is_mark(a) ? order_of(a->issued, b->issued) : order_of(b->status, a->status);
    return order != 0 ? order : order_of(a->request, b->request);
}

static bool is_same_version(reading_p a, reading_p b)
{
    if (by_identity(a, b) != 0 || is_mark(a) != is_mark(b))
        return false;
    return !is_mark(a) || (a->status == b->status && a->issued == b->issued);
}

static int sort_series(const void *left, const void *right)
{
    return by_identity(*(reading_p const *)left, *(reading_p const *)right);
}

static int sort_alias(const void *left, const void *right)
{
    reading_p a = *(reading_p const *)left, b = *(reading_p const *)right;
    int order = order_of(a->source, b->source);
    order = order != 0 ? order : order_of(a->alias, b->alias);
    return order != 0 ? order : by_identity(a, b);
}

struct pool {
    reading_p *plain, *aliased, *mark; /* plain in series order; aliased: the same by source and alias */
    size_t plains, aliaseds, marks;
};

struct token {
    uint64_t kind, low, high; /* 1 alias, 2 key, 3 plain reading */
    size_t mark;
};

struct tokens {
    struct token *token;
    size_t count, room;
};

static void add_token(struct tokens *tokens, struct token token)
{
    if (tokens->count == tokens->room) {
        tokens->room = tokens->room == 0 ? 64 : 2 * tokens->room;
        tokens->token = realloc(tokens->token, tokens->room * sizeof *tokens->token);
        ensure(tokens->token != NULL);
    }
    tokens->token[tokens->count++] = token;
}

/* First of `count` sorted readings that is not before `wanted`. */
static size_t seek(reading_p *sorted, size_t count, reading_p wanted, int (*compare)(reading_p, reading_p))
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare(sorted[middle], wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int by_alias(reading_p a, reading_p b)
{
    int order = order_of(a->source, b->source);
    return order != 0 ? order : order_of(a->alias, b->alias);
}

/* A final takes the place of every preliminary of its key unless both have identifiers and they differ. */
static bool takes_place(reading_p final, reading_p preliminary)
{
    return final->status == FINAL && preliminary->status == PRELIMINARY && by_key(final, preliminary) == 0 &&
           (final->alias == 0 || preliminary->alias == 0 || final->alias == preliminary->alias);
}

/* A reading is all its versions: who means a preliminary means the final in its place, and the other way. */
static void mean_one(const struct pool *pool, size_t mark, reading_p target, struct tokens *tokens,
                     bool *lost)
{
    size_t place = seek(pool->plain, pool->plains, target, by_key);
    for (; place < pool->plains && by_key(pool->plain[place], target) == 0; place++) {
        reading_p other = pool->plain[place];
        if (other != target && !takes_place(other, target) && !takes_place(target, other))
            continue;
        lost[place] = true;
        add_token(tokens, (struct token){3, place, 0, mark});
    }
}

/* The plain readings that a mark means, as tokens; each of them loses to it. True when it means its key. */
static bool mean(const struct pool *pool, size_t mark, struct tokens *tokens, bool *lost)
{
    reading_p of = pool->mark[mark];
    size_t first = 0, end = 0, own = 0;
    if (of->alias != 0) {
        first = end = seek(pool->aliased, pool->aliaseds, of, by_alias);
        for (; end < pool->aliaseds && by_alias(pool->aliased[end], of) == 0; end++)
            own += by_key(pool->aliased[end], of) == 0;
    }
    bool by_name = end > first;
    reading_p *list = by_name ? pool->aliased : pool->plain;
    if (!by_name) {
        first = end = seek(pool->plain, pool->plains, of, by_key);
        while (end < pool->plains && by_key(pool->plain[end], of) == 0)
            end++;
    }
    for (size_t i = first; i < end; i++) {
        if (by_name && own > 0 && by_key(list[i], of) != 0)
            continue; /* several: the one with its key */
        mean_one(pool, mark, list[i], tokens, lost);
    }
    return !by_name;
}

/* Later version time wins, none at all (of a void) above all; then the void, then the greater value. */
static bool beats(reading_p a, reading_p b)
{
    int order = order_of(a->issued == NO_TIME ? NEVER : a->issued, b->issued == NO_TIME ? NEVER : b->issued);
    order = order != 0 ? order : order_of(a->status == VOID, b->status == VOID);
    order = order != 0 ? order : order_of(a->value, b->value);
    order = order != 0 ? order : order_of(a->comparator, b->comparator);
    return order != 0 ? order > 0 : by_key(a, b) < 0; /* equals of two keys: the first in series order */
}

static int sort_tokens(const void *left, const void *right)
{
    const struct token *a = left, *b = right;
    int order = order_of((int64_t)a->kind, (int64_t)b->kind);
    order = order != 0 ? order : (a->high > b->high) - (a->high < b->high);
    return order != 0 ? order : (a->low > b->low) - (a->low < b->low);
}

static size_t root_of(size_t *parent, size_t mark)
{
    while (parent[mark] != mark)
        mark = parent[mark];
    return mark;
}

/* Those that share a token amend one reading; of those that stand at one key only if one of them means it: a
 * correction that came there by an identifier is no version of what another identifier names. */
static void join_token(const struct token *token, size_t count, const bool *by_key_of, size_t *parent)
{
    bool joined = token[0].kind != 2;
    for (size_t i = 0; i < count; i++)
        joined = joined || by_key_of[token[i].mark];
    for (size_t i = 1; i < count && joined; i++)
        parent[root_of(parent, token[i].mark)] = root_of(parent, token[0].mark);
}

/* Of all amendments that mean any part of a reading one wins. */
static void choose_marks(const struct pool *pool, size_t *parent, bool *lost_mark)
{
    size_t *best = calloc(pool->marks + 1, sizeof *best);
    ensure(best != NULL);
    for (size_t i = 0; i < pool->marks; i++) {
        size_t *of = &best[root_of(parent, i)];
        *of = *of == 0 || beats(pool->mark[i], pool->mark[*of - 1]) ? i + 1 : *of;
    }
    for (size_t i = 0; i < pool->marks; i++)
        lost_mark[i] = best[root_of(parent, i)] != i + 1;
    free(best);
}

static void judge_marks(const struct pool *pool, bool *lost_plain, bool *lost_mark)
{
    struct tokens tokens = {.count = 0};
    bool *by_key_of = calloc(pool->marks + 1, sizeof *by_key_of);
    size_t *parent = calloc(pool->marks + 1, sizeof *parent);
    ensure(by_key_of != NULL && parent != NULL);
    for (size_t i = 0; i < pool->marks; i++) {
        reading_p of = pool->mark[i];
        parent[i] = i;
        if (of->alias != 0)
            add_token(&tokens, (struct token){1, of->alias, of->source, i});
        add_token(&tokens,
                  (struct token){2, (uint64_t)of->measured_at, (uint64_t)of->device << 8 | of->sensor, i});
        by_key_of[i] = mean(pool, i, &tokens, lost_plain);
    }
    qsort(tokens.token, tokens.count, sizeof *tokens.token, sort_tokens);
    for (size_t i = 0, end; i < tokens.count; i = end) {
        for (end = i; end < tokens.count && sort_tokens(&tokens.token[i], &tokens.token[end]) == 0;)
            end++;
        join_token(&tokens.token[i], end - i, by_key_of, parent);
    }
    choose_marks(pool, parent, lost_mark);
    free(parent);
    free(by_key_of);
    free(tokens.token);
}

static bool has_final(const struct pool *pool, size_t place)
{
    reading_p of = pool->plain[place];
    for (size_t i = seek(pool->plain, pool->plains, of, by_key); i < pool->plains; i++)
        if (takes_place(pool->plain[i], of))
            return true;
        else if (by_key(pool->plain[i], of) != 0)
            return false;
    return false;
}

static size_t collect(const struct facts *facts, int parameter, reading_p *all)
{
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < facts->readings; i++) {
        reading_p reading = &facts->reading[i];
        bool judged = reading->received_at - reading->measured_at <= facts_lookback(facts, parameter);
        if (reading->parameter == parameter && judged && !reading->quarantined && !reading->test &&
            !reading->day_only)
            all[count++] = reading;
    }
    qsort(all, count, sizeof(reading_p), sort_versions);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || !is_same_version(all[kept - 1], all[i]))
            all[kept++] = all[i];
    return kept;
}

static void *room_for(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    ensure(memory != NULL);
    return memory;
}

const struct fact_reading **evaluate_series(const struct facts *facts, int parameter, size_t *ret_count)
{
    reading_p *all = room_for(facts->readings, sizeof(reading_p));
    size_t count = collect(facts, parameter, all), won = 0;
    struct pool pool = {.plain = room_for(count, sizeof(reading_p)),
                        .aliased = room_for(count, sizeof(reading_p)),
                        .mark = room_for(count, sizeof(reading_p))};
    for (size_t i = 0; i < count; i++) {
        if (is_mark(all[i]))
            pool.mark[pool.marks++] = all[i];
        else
            pool.plain[pool.plains++] = all[i];
        if (!is_mark(all[i]) && all[i]->alias != 0)
            pool.aliased[pool.aliaseds++] = all[i];
    }
    qsort(pool.aliased, pool.aliaseds, sizeof(reading_p), sort_alias);
    bool *lost_plain = room_for(count, sizeof(bool)), *lost_mark = room_for(count, sizeof(bool));
    judge_marks(&pool, lost_plain, lost_mark);
    for (size_t i = 0; i < pool.plains; i++)
        if (!lost_plain[i] && !(pool.plain[i]->status == PRELIMINARY && has_final(&pool, i)))
            all[won++] = pool.plain[i];
    for (size_t i = 0; i < pool.marks; i++)
        if (pool.mark[i]->status == CORRECTED && !lost_mark[i])
            all[won++] = pool.mark[i];
    qsort(all, won, sizeof(reading_p), sort_series);
    free(pool.plain);
    free(pool.aliased);
    free(pool.mark);
    free(lost_plain);
    free(lost_mark);
    *ret_count = won;
    return all;
}

struct series told_series_make(const struct facts *facts, int parameter)
{
    struct series series = {.instants = 0};
    series.reading = evaluate_series(facts, parameter, &series.readings);
    series.instant = room_for(series.readings, sizeof *series.instant);
    for (size_t i = 0, end; i < series.readings; i = end) {
        struct instant instant = {.t = series.reading[i]->measured_at, .first = i};
        for (end = i; end < series.readings && by_key(series.reading[i], series.reading[end]) == 0; end++)
            if (instant.number == NULL && series.reading[end]->comparator == 0)
                instant.number = series.reading[end];
        instant.end = end;
        series.instant[series.instants++] = instant;
    }
    return series;
}

void told_series_free(struct series *series)
{
    free(series->reading);
    free(series->instant);
}
