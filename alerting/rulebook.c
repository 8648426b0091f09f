/* rulebook: versions sorted by layer, scope and rule id. Lookups are binary searches; it changes on the
 * control plane only. The timelines are built in timeline.c. */
#include "alerting/rulebook.h"

#include <stdlib.h>
#include <string.h>

#include "alerting/grow.h"

static const char *const layer_words[LAYER_COUNT] = {"patient", "team", "organization", "line"};

const char *rule_layer_word(enum rule_layer layer)
{
    ensure(layer < LAYER_COUNT);
    return layer_words[layer];
}

enum rule_layer rule_layer_from_word(const char *word)
{
    unsigned layer = 0;
    while (layer < LAYER_COUNT && strcmp(layer_words[layer], word) != 0)
        layer++;
    return (enum rule_layer)layer;
}

void rule_version_free(struct rule_version *version)
{
    if (version == NULL)
        return;
    rule_free(version->rule);
    slab_give(version->author);
    slab_give(version->role);
    slab_give(version->reason);
    slab_give(version);
}

static void definition_free(struct definition *definition)
{
    for (size_t i = 0; i < definition->count; i++)
        rule_version_free(definition->versions[i]);
    slab_give(definition->versions);
    slab_give(definition->scope);
    slab_give(definition);
}

void rulebook_deinit(struct rulebook *book)
{
    for (size_t i = 0; i < book->count; i++)
        definition_free(book->items[i]);
    slab_give(book->items);
    *book = (struct rulebook){0};
}

static int compare(const struct definition *item, enum rule_layer layer, const char *scope,
                   const char *rule_id)
{
    if (item->layer != layer)
        return item->layer < layer ? -1 : 1;
    int order = strcmp(item->scope, scope);
    return order != 0 ? order : strcmp(item->rule_id, rule_id);
}

static size_t place(const struct rulebook *book, enum rule_layer layer, const char *scope,
                    const char *rule_id)
{
    size_t low = 0, high = book->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(book->items[middle], layer, scope, rule_id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t rulebook_first(const struct rulebook *book, enum rule_layer layer, const char *scope)
{
    return place(book, layer, scope, "");
}

struct definition *rulebook_find(const struct rulebook *book, enum rule_layer layer, const char *scope,
                                 const char *rule_id)
{
    size_t index = place(book, layer, scope, rule_id);
    if (index == book->count || compare(book->items[index], layer, scope, rule_id) != 0)
        return NULL;
    return book->items[index];
}

static struct definition *definition_new(enum rule_layer layer, const char *scope, const char *rule_id)
{
    struct definition *definition = zeroed(sizeof *definition);
    definition->layer = layer;
    definition->scope = copied(scope);
    copy_text(definition->rule_id, sizeof definition->rule_id, rule_id);
    return definition;
}

void rulebook_add(struct rulebook *book, const char *scope, struct rule_version *version)
{
    const char *rule = rule_id(version->rule);
    struct definition *definition = rulebook_find(book, version->layer, scope, rule);
    if (definition == NULL) {
        size_t index = place(book, version->layer, scope, rule);
        definition = definition_new(version->layer, scope, rule);
        book->items = grow_short(book->items, book->count + 1, &book->capacity, sizeof book->items[0]);
        memmove(book->items + index + 1, book->items + index, (book->count - index) * sizeof book->items[0]);
        book->items[index] = definition;
        book->count++;
    }
    version->needs_physician = rule_requires_validation(version->rule);
    if (definition->count > 0)
        version->needs_physician |= definition->versions[definition->count - 1]->needs_physician;
    definition->versions = grow(definition->versions, definition->count + 1, &definition->capacity,
                                sizeof definition->versions[0]);
    definition->versions[definition->count++] = version;
    version->ordinal = ++book->versions;
}
