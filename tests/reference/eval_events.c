/* eval_events: a device's own alarms, RULES.md section 3, `event`: one episode for each device episode,
 * raised at its first message, its priority by class at each, cleared at the last when that is an end. */
#include <stdlib.h>

#include "daemon/base/ensure.h"
#include "tests/reference/eval_internal.h"

static int sort_messages(const void *left, const void *right)
{
    const struct fact_message *a = left, *b = right;
    int order = a->device != b->device ? a->device - b->device : a->episode - b->episode;
    if (order != 0)
        return order;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return a->phase != b->phase ? a->phase - b->phase : a->class - b->class;
}

void walk_event(struct walk *walk)
{
    const struct facts *facts = walk->facts;
    struct fact_message *list = calloc(facts->messages + 1, sizeof *list);
    ensure(list != NULL);
    size_t count = 0;
    for (size_t i = 0; i < facts->messages; i++)
        if (facts->message[i].received_at - facts->message[i].at <= 35 * MS_DAY &&
            versions_at(walk->timeline, facts->message[i].at) != NULL)
            list[count++] = facts->message[i];
    qsort(list, count, sizeof *list, sort_messages);
    for (size_t i = 0, end; i < count; i = end) {
        walk->active = 0;
        walk->ends_seen = NO_TIME;
        for (end = i;
             end < count && list[end].device == list[i].device && list[end].episode == list[i].episode;
             end++) {
            const struct fact_rule *rule = versions_at(walk->timeline, list[end].at);
            int priority =
                rule->classes[list[end].class] != 0 ? rule->classes[list[end].class] : rule->classes[0];
            if (end == i)
                walk_raise(walk, list[i].at, priority)->began_at = list[i].episode;
            else if (priority != walk->active)
                walk_step(walk, list[end].at, priority);
        }
        if (list[end - 1].phase == 2)
            walk_clear(walk, list[end - 1].at, CLEARED);
        else
            while (walk->active != 0 && walk_end(walk, NEVER))
                ;
    }
    free(list);
}
