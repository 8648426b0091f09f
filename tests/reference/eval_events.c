/* eval_events: a device's own alarms, RULES.md section 3, `event`: one episode for each device episode,
 * raised at its first message, its priority by class at each, cleared at the last when that is an end. */
#include <stdlib.h>

#include "daemon/base/ensure.h"
#include "tests/reference/eval_internal.h"

static int sort_messages(const void *left, const void *right)
{
    const struct fact_message *a = left, *b = right;
    if (a->device != b->device)
        return a->device - b->device;
    if (a->episode != b->episode)
        return a->episode < b->episode ? -1 : 1;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return a->phase != b->phase ? a->phase - b->phase : a->class - b->class;
}

/* One device episode. The same message again changes nothing. */
static void walk_messages(struct walk *walk, const struct fact_message *message, size_t count)
{
    walk->active = 0;
    walk->ends_seen = message[0].at - 1;
    for (size_t i = 0; i < count; i++) {
        while (walk_end(walk, message[i].at))
            ;
        const struct fact_rule *rule = versions_at(walk->timeline, message[i].at);
        if (rule == NULL)
            continue;
        int own = rule->classes[message[i].class], priority = own != 0 ? own : rule->classes[0];
        if (walk->active == 0)
            walk_raise(walk, message[i].at, priority)->began_at = message[i].episode;
        else if (priority != walk->active)
            walk_step(walk, message[i].at, priority);
        if (i + 1 == count && message[i].phase == 2)
            walk_clear(walk, message[i].at, CLEARED);
    }
    while (walk_end(walk, NEVER))
        ;
}

void walk_event(struct walk *walk)
{
    const struct facts *facts = walk->facts;
    struct fact_message *list = calloc(facts->messages + 1, sizeof *list);
    ensure(list != NULL);
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < facts->messages; i++)
        if (facts->message[i].received_at - facts->message[i].at <= facts->lookback)
            list[count++] = facts->message[i];
    qsort(list, count, sizeof *list, sort_messages);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || sort_messages(&list[kept - 1], &list[i]) != 0)
            list[kept++] = list[i];
    for (size_t i = 0, end; i < kept; i = end) {
        for (end = i;
             end < kept && list[end].device == list[i].device && list[end].episode == list[i].episode;)
            end++;
        walk_messages(walk, &list[i], end - i);
    }
    free(list);
}
