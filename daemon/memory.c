/* memory: see memory.h. */
#include "daemon/memory.h"

#include "daemon/base/log.h"

enum { LOOK_MS = 60000 };

static void on_timer(uv_timer_t *timer)
{
    const struct memory *memory = timer->data;
    for (unsigned i = 0; i < memory->count; i++) {
        struct slab_figures figures;
        slab_read(memory->slabs[i], &figures);
        if (figures.held_bytes <= figures.planned_bytes && figures.system_bytes == 0)
            continue;
        log_write(LOG_WARNING, "memory",
                  "more is held than planned shard=%u found=%llu expected=%llu system=%llu "
                  "hint=\"readings are taken and nobody is enrolled; raise [node] max_memory\"",
                  i, (unsigned long long)figures.held_bytes, (unsigned long long)figures.planned_bytes,
                  (unsigned long long)figures.system_bytes);
    }
}

void memory_start(struct memory *memory, uv_loop_t *loop, const struct slab *const *slabs, unsigned count)
{
    memory->slabs = slabs;
    memory->count = count;
    ensure(uv_timer_init(loop, &memory->timer) == 0);
    memory->timer.data = memory;
    ensure(uv_timer_start(&memory->timer, on_timer, LOOK_MS, LOOK_MS) == 0);
}

void memory_stop(struct memory *memory)
{
    if (memory->timer.data != NULL && !uv_is_closing((uv_handle_t *)&memory->timer))
        uv_close((uv_handle_t *)&memory->timer, NULL);
}
