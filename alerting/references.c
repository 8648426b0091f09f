/* references: a sorted array; a patient has a few. */
#include "alerting/references.h"

#include <string.h>

#include "alerting/grow.h"

void references_deinit(struct references *references)
{
    for (size_t i = 0; i < references->count; i++) {
        slab_give(references->items[i].name);
        slab_give(references->items[i].author);
    }
    slab_give(references->items);
    *references = (struct references){0};
}

int reference_compare(const struct reference *a, const struct reference *b)
{
    if (a->parameter != b->parameter)
        return a->parameter < b->parameter ? -1 : 1;
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : (a->from_ms > b->from_ms) - (a->from_ms < b->from_ms);
}

/* How many sort at or before it. */
static size_t count_upto(const struct references *references, const struct reference *like)
{
    size_t low = 0, high = references->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (reference_compare(&references->items[middle], like) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool replace(struct reference *held, const struct reference *reference)
{
    bool same_author = strcmp(held->author, reference->author) == 0;
    if (held->value == reference->value && same_author)
        return false;
    held->value = reference->value;
    if (!same_author) {
        slab_give(held->author);
        held->author = copied(reference->author);
    }
    return true;
}

bool references_set(struct references *references, const struct reference *reference)
{
    size_t place = count_upto(references, reference);
    if (place > 0 && reference_compare(&references->items[place - 1], reference) == 0)
        return replace(&references->items[place - 1], reference);
    references->items = grow_short(references->items, references->count + 1, &references->capacity,
                                   sizeof references->items[0]);
    struct reference *at = references->items + place;
    memmove(at + 1, at, (references->count++ - place) * sizeof *at);
    *at = *reference;
    at->name = copied(reference->name);
    at->author = copied(reference->author);
    return true;
}

static const struct reference *find_at(const struct references *references, enum parameter parameter,
                                       const char *name, int64_t ms)
{
    struct reference like = {.parameter = parameter, .from_ms = ms, .name = (char *)(uintptr_t)name};
    size_t place = count_upto(references, &like);
    if (place == 0)
        return NULL;
    const struct reference *last = &references->items[place - 1];
    return last->parameter == parameter && strcmp(last->name, name) == 0 ? last : NULL;
}

const struct reference *references_at(const struct references *references, enum parameter parameter,
                                      const char *name, int64_t ms)
{
    const struct reference *own = find_at(references, parameter, name, ms);
    return own != NULL ? own : find_at(references, parameter_row(parameter)->whole, name, ms);
}

bool reference_serves(const struct reference *reference, enum parameter parameter)
{
    return reference->parameter == parameter || reference->parameter == parameter_row(parameter)->whole;
}
