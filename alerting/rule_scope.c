/* rule_scope: definitions of one layer and scope lie in order of their id, so the scopes are merged. */
#include "alerting/rule_scope.h"

#include <string.h>

struct scope_walk {
    const struct rulebook *book;
    enum rule_layer layer;
    const char *scope;
    size_t index;
};

/* The id at hand; NULL at the end of the scope. */
static const char *id_at(const struct scope_walk *walk)
{
    if (walk->book == NULL || walk->index >= walk->book->count)
        return NULL;
    const struct definition *definition = walk->book->items[walk->index];
    bool inside = definition->layer == walk->layer && strcmp(definition->scope, walk->scope) == 0;
    return inside ? definition->rule_id : NULL;
}

static const char *least_id(const struct scope_walk walks[LAYER_COUNT], const char *added)
{
    const char *least = added;
    for (unsigned layer = 0; layer < LAYER_COUNT; layer++) {
        const char *id = id_at(&walks[layer]);
        if (id != NULL && (least == NULL || strcmp(id, least) < 0))
            least = id;
    }
    return least;
}

unsigned rule_scope_count(const struct rule_subject *subject, const struct membership *member,
                          const char *added)
{
    struct scope_walk walks[LAYER_COUNT] = {{subject->own, LAYER_PATIENT, "", 0}};
    char text[2 * REF_BYTES_MAX + 2];
    unsigned count = 0;
    for (unsigned layer = LAYER_TEAM; member != NULL && layer < LAYER_COUNT; layer++) {
        const char *scope = subject_scope(subject, (enum rule_layer)layer, member, text);
        if (scope[0] != '\0')
            walks[layer] =
                (struct scope_walk){subject->shared, (enum rule_layer)layer, scope,
                                    rulebook_first(subject->shared, (enum rule_layer)layer, scope)};
    }
    for (const char *id; (id = least_id(walks, added)) != NULL; count++) {
        if (added != NULL && strcmp(added, id) == 0)
            added = NULL;
        for (unsigned layer = 0; layer < LAYER_COUNT; layer++) {
            const char *at = id_at(&walks[layer]);
            walks[layer].index += at != NULL && strcmp(at, id) == 0;
        }
    }
    return count;
}
