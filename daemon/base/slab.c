/* slab: an address space cut into chunks of 64 KiB.
 *
 *   | blocks of 96 | span of 3 chunks (order 2, 4 reserved) | blocks of 1,024 | free | never used ...      |
 *     ^ chunk[0]     ^ chunk[1]    inside    inside   inside  ^ chunk[5]                ^ chunks_met     ^
 * chunks
 *
 * - A block of up to 32 KiB comes from a chunk of its class: every 16 bytes to 512, then eight steps a
 *   doubling, so at most an eighth is lost. A chunk hands out blocks that were given back first, then fresh
 *   ones; chunks with room are a list a class.
 * - A larger one is a span: 2^order chunks of address space, of which only what is touched is memory.
 * - What a chunk is stands beside the address space, never in it: struct chunk has a bit for every block that
 *   is taken, so that a stray or second slab_give() is found at once.
 * - The address space is made readable in steps of 4 MiB: memory is committed as it is used, not by plan.
 * - Blocks that another thread gives back are pushed on `given`, linked through their first bytes; the owner
 *   takes the whole list at once, so that no block can come back in between. */
#include "daemon/base/slab.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/base/limits.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { WATCHED = 1 };
#else
enum { WATCHED = 0 };
#endif

enum {
    CHUNK_SHIFT = 16,
    CHUNK_BYTES = 1 << CHUNK_SHIFT,
    GRAIN = 16,
    FINE_MAX = 512, /* classes of every 16 bytes up to here */
    FINE = FINE_MAX / GRAIN,
    STEPS = 8, /* classes a doubling behind */
    BLOCK_MAX = 32768,
    CLASSES = FINE + 6 * STEPS, /* 512 to 32,768 doubles six times */
    ORDERS = 24,
    OPEN_CHUNKS = 64,
    SLABS_MAX = SHARDS_MAX + LOOPS_MAX + 8,
    KEPT_MAX = 64, /* empty chunks that keep their memory: growing series move on from class to class */
    NONE = -1,
};

static const size_t ADDRESS_SPARE_BYTES = (size_t)256 << 20; /* beyond four times the plan */

enum chunk_kind { CHUNK_FRESH, CHUNK_BLOCKS, CHUNK_SPAN, CHUNK_INSIDE, CHUNK_FREE };

struct chunk {
    uint8_t kind, class;    /* class of BLOCKS, order of SPAN and FREE */
    uint16_t used, met;     /* blocks taken; blocks handed out at least once */
    uint16_t back;          /* number + 1 of a block that was given back, linked through them */
    int32_t next, previous; /* in the list of its class with room, or of its order when free */
    size_t span_bytes;      /* of a SPAN, whole pages */
    uint64_t taken[CHUNK_BYTES / GRAIN / 64];
};

struct slab {
    /* the using thread's */
    char *base;
    size_t chunks, chunks_open, chunks_met;
    struct chunk *chunk;
    int32_t room[CLASSES], free[ORDERS], kept; /* heads of lists */
    unsigned kept_count;
    /* met by others: written by the using thread, read by any (slab_read) */
    size_t planned_bytes;
    _Atomic uint64_t used_bytes, held_bytes, system_bytes;
    /* pushed by any thread (release), taken by the using one (acquire) */
    _Alignas(64) void *_Atomic given;
};

static struct slab *_Atomic slabs[SLABS_MAX]; /* to find the owner of a block */
static _Thread_local struct slab *in_use;

static void count(_Atomic uint64_t *figure, int64_t more)
{
    uint64_t old = atomic_load_explicit(figure, memory_order_relaxed);
    atomic_store_explicit(figure, old + (uint64_t)more, memory_order_relaxed);
}

/* ---- classes ---- */

static unsigned class_of(size_t size)
{
    if (size <= FINE_MAX)
        return (unsigned)((size + GRAIN - 1) / GRAIN) - 1;
    unsigned doubling = 63 - (unsigned)__builtin_clzll(size - 1) - 9; /* 513..1024: 0 */
    size_t step = (size_t)FINE_MAX / STEPS << doubling, over = size - ((size_t)FINE_MAX << doubling);
    return FINE + doubling * STEPS + (unsigned)((over + step - 1) / step) - 1;
}

static size_t class_bytes(unsigned class)
{
    if (class < FINE)
        return (class + 1) * (size_t)GRAIN;
    unsigned doubling = (class - FINE) / STEPS, step = (class - FINE) % STEPS + 1;
    return ((size_t)FINE_MAX + (size_t)FINE_MAX / STEPS * step) << doubling;
}

static unsigned order_of(size_t size)
{
    size_t chunks = (size + CHUNK_BYTES - 1) >> CHUNK_SHIFT;
    return chunks <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(chunks - 1);
}

static size_t pages(size_t size)
{
    return (size + 4095) & ~(size_t)4095;
}

size_t slab_fit(size_t size)
{
    if (size > BLOCK_MAX)
        return pages(size);
    return class_bytes(class_of(size == 0 ? 1 : size));
}

/* ---- chunks ---- */

static void link_first(struct slab *slab, int32_t *head, int32_t index)
{
    struct chunk *chunk = &slab->chunk[index];
    chunk->next = *head;
    chunk->previous = NONE;
    if (*head != NONE)
        slab->chunk[*head].previous = index;
    *head = index;
}

static void unlink_from(struct slab *slab, int32_t *head, int32_t index)
{
    struct chunk *chunk = &slab->chunk[index];
    if (chunk->previous != NONE)
        slab->chunk[chunk->previous].next = chunk->next;
    else
        *head = chunk->next;
    if (chunk->next != NONE)
        slab->chunk[chunk->next].previous = chunk->previous;
}

static char *chunk_base(const struct slab *slab, int32_t index)
{
    return slab->base + ((size_t)index << CHUNK_SHIFT);
}

static bool open_up_to(struct slab *slab, size_t chunks)
{
    if (chunks <= slab->chunks_open)
        return true;
    size_t open = (chunks + OPEN_CHUNKS - 1) / OPEN_CHUNKS * OPEN_CHUNKS;
    open = open < slab->chunks ? open : slab->chunks;
    if (mprotect(slab->base + (slab->chunks_open << CHUNK_SHIFT), (open - slab->chunks_open) << CHUNK_SHIFT,
                 PROT_READ | PROT_WRITE) != 0)
        return false;
    slab->chunks_open = open;
    return true;
}

/* 2^order chunks in a row, of no kind yet; NONE when the address space is used up. */
static int32_t chunks_get(struct slab *slab, unsigned order)
{
    ensure(order < ORDERS);
    int32_t index = slab->free[order];
    if (index != NONE) {
        unlink_from(slab, &slab->free[order], index);
        return index;
    }
    size_t end = slab->chunks_met + ((size_t)1 << order);
    if (end > slab->chunks || !open_up_to(slab, end))
        return NONE;
    index = (int32_t)slab->chunks_met;
    slab->chunks_met = end;
    for (size_t inside = (size_t)index + 1; inside < end; inside++)
        slab->chunk[inside].kind = CHUNK_INSIDE;
    return index;
}

/* Their memory goes back to the system, their address stays for the next of the order. */
static void chunks_put(struct slab *slab, int32_t index, unsigned order, size_t touched_bytes)
{
    struct chunk *chunk = &slab->chunk[index];
    ensure(madvise(chunk_base(slab, index), touched_bytes, MADV_DONTNEED) == 0);
    count(&slab->held_bytes, -(int64_t)touched_bytes);
    chunk->kind = CHUNK_FREE;
    chunk->class = (uint8_t)order;
    link_first(slab, &slab->free[order], index);
}

/* ---- blocks ---- */

/* A chunk for blocks, with memory if one was kept. */
static int32_t block_chunk_get(struct slab *slab)
{
    int32_t index = slab->kept;
    if (index != NONE) {
        unlink_from(slab, &slab->kept, index);
        slab->kept_count--;
        return index;
    }
    index = chunks_get(slab, 0);
    if (index != NONE)
        count(&slab->held_bytes, CHUNK_BYTES);
    return index;
}

static void block_chunk_put(struct slab *slab, int32_t index)
{
    if (slab->kept_count == KEPT_MAX) {
        chunks_put(slab, index, 0, CHUNK_BYTES);
        return;
    }
    slab->chunk[index].kind = CHUNK_FREE;
    slab->kept_count++;
    link_first(slab, &slab->kept, index);
}

static int32_t blocks_new(struct slab *slab, unsigned class)
{
    int32_t index = block_chunk_get(slab);
    if (index == NONE)
        return NONE;
    struct chunk *chunk = &slab->chunk[index];
    chunk->kind = CHUNK_BLOCKS;
    chunk->class = (uint8_t) class;
    chunk->used = chunk->met = chunk->back = 0;
    link_first(slab, &slab->room[class], index);
    return index;
}

static bool is_full(const struct chunk *chunk, size_t size)
{
    return chunk->back == 0 && (chunk->met + (size_t)1) * size > CHUNK_BYTES;
}

static void *block_take(struct slab *slab, unsigned class)
{
    size_t size = class_bytes(class);
    int32_t index = slab->room[class] != NONE ? slab->room[class] : blocks_new(slab, class);
    if (index == NONE)
        return NULL;
    struct chunk *chunk = &slab->chunk[index];
    unsigned number = chunk->back != 0 ? chunk->back - 1u : chunk->met++;
    char *block = chunk_base(slab, index) + number * size;
    if (chunk->back != 0)
        memcpy(&chunk->back, block, sizeof chunk->back);
    uint64_t bit = (uint64_t)1 << (number % 64);
    ensure((chunk->taken[number / 64] & bit) == 0);
    chunk->taken[number / 64] |= bit;
    chunk->used++;
    if (is_full(chunk, size))
        unlink_from(slab, &slab->room[class], index);
    count(&slab->used_bytes, (int64_t)size);
    return block;
}

static void block_give(struct slab *slab, int32_t index, char *block)
{
    struct chunk *chunk = &slab->chunk[index];
    unsigned class = chunk->class;
    size_t size = class_bytes(class), offset = (size_t)(block - chunk_base(slab, index));
    unsigned number = (unsigned)(offset / size);
    uint64_t bit = (uint64_t)1 << (number % 64);
    ensure(offset % size == 0 && (chunk->taken[number / 64] & bit) != 0); /* stray, or given twice */
    if (is_full(chunk, size))
        link_first(slab, &slab->room[class], index);
    chunk->taken[number / 64] &= ~bit;
    memcpy(block, &chunk->back, sizeof chunk->back);
    chunk->back = (uint16_t)(number + 1);
    chunk->used--;
    count(&slab->used_bytes, -(int64_t)size);
    bool alone = chunk->next == NONE && chunk->previous == NONE;
    if (chunk->used == 0 && !alone) { /* the last one with room stays: what comes and goes costs no call */
        unlink_from(slab, &slab->room[class], index);
        block_chunk_put(slab, index);
    }
}

/* ---- spans ---- */

static void *span_take(struct slab *slab, size_t size)
{
    unsigned order = order_of(size);
    int32_t index = chunks_get(slab, order);
    if (index == NONE)
        return NULL;
    struct chunk *chunk = &slab->chunk[index];
    chunk->kind = CHUNK_SPAN;
    chunk->class = (uint8_t)order;
    chunk->span_bytes = pages(size);
    count(&slab->held_bytes, (int64_t)chunk->span_bytes);
    count(&slab->used_bytes, (int64_t)chunk->span_bytes);
    return chunk_base(slab, index);
}

static void span_give(struct slab *slab, int32_t index)
{
    struct chunk *chunk = &slab->chunk[index];
    count(&slab->used_bytes, -(int64_t)chunk->span_bytes);
    chunks_put(slab, index, chunk->class, chunk->span_bytes);
}

/* ---- whose is it ---- */

static bool is_within(const struct slab *slab, const void *block)
{
    return (uintptr_t)block - (uintptr_t)slab->base < slab->chunks << CHUNK_SHIFT;
}

static struct slab *owner_of(const void *block)
{
    if (in_use != NULL && is_within(in_use, block))
        return in_use;
    for (unsigned i = 0; i < SLABS_MAX; i++) {
        struct slab *slab = atomic_load_explicit(&slabs[i], memory_order_acquire);
        if (slab != NULL && is_within(slab, block))
            return slab;
    }
    return NULL;
}

static int32_t index_of(const struct slab *slab, const void *block)
{
    return (int32_t)(((uintptr_t)block - (uintptr_t)slab->base) >> CHUNK_SHIFT);
}

static size_t block_bytes(const struct slab *slab, const void *block)
{
    const struct chunk *chunk = &slab->chunk[index_of(slab, block)];
    ensure(chunk->kind == CHUNK_BLOCKS || chunk->kind == CHUNK_SPAN);
    return chunk->kind == CHUNK_BLOCKS ? class_bytes(chunk->class) : chunk->span_bytes;
}

static void give_here(struct slab *slab, void *block)
{
    int32_t index = index_of(slab, block);
    const struct chunk *chunk = &slab->chunk[index];
    if (chunk->kind == CHUNK_BLOCKS) {
        block_give(slab, index, block);
        return;
    }
    ensure(chunk->kind == CHUNK_SPAN && block == (void *)chunk_base(slab, index)); /* stray, or given twice */
    span_give(slab, index);
}

/* Takes in what other threads gave back. */
static void collect(struct slab *slab)
{
    void *block = atomic_exchange_explicit(&slab->given, NULL, memory_order_acquire);
    while (block != NULL) {
        void *next;
        memcpy(&next, block, sizeof next);
        give_here(slab, block);
        block = next;
    }
}

static void push_given(struct slab *slab, void *block)
{
    void *first = atomic_load_explicit(&slab->given, memory_order_relaxed);
    do
        memcpy(block, &first, sizeof first);
    while (!atomic_compare_exchange_weak_explicit(&slab->given, &first, block, memory_order_release,
                                                  memory_order_relaxed));
}

/* ---- what others call ---- */

static void *system_take(size_t size)
{
    void *block = malloc(size);
    ensure(block != NULL);
    if (in_use != NULL && !WATCHED)
        count(&in_use->system_bytes, (int64_t)size);
    return block;
}

void *slab_take(size_t size)
{
    struct slab *slab = in_use;
    void *block = NULL;
    size = size == 0 ? 1 : size;
    if (slab == NULL)
        return system_take(size);
    if (atomic_load_explicit(&slab->given, memory_order_relaxed) != NULL)
        collect(slab);
    if (slab->chunks > 0)
        block = size <= BLOCK_MAX ? block_take(slab, class_of(size)) : span_take(slab, size);
    return block != NULL ? block : system_take(size);
}

void *slab_take_zeroed(size_t size)
{
    return memset(slab_take(size), 0, size);
}

void *slab_take_many(size_t count_, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(count_, size, &bytes) ? NULL : slab_take_zeroed(bytes);
}

char *slab_take_text(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(slab_take(size), text, size);
}

/* A block of the same class and a span of the same order keep their place. */
static bool resize_here(struct slab *slab, void *block, size_t size)
{
    struct chunk *chunk = &slab->chunk[index_of(slab, block)];
    if (chunk->kind == CHUNK_BLOCKS)
        return size <= BLOCK_MAX && class_of(size) == chunk->class;
    if (size <= BLOCK_MAX || order_of(size) != chunk->class)
        return false;
    if (pages(size) > chunk->span_bytes) { /* what a shorter one has touched stays counted */
        count(&slab->held_bytes, (int64_t)(pages(size) - chunk->span_bytes));
        count(&slab->used_bytes, (int64_t)(pages(size) - chunk->span_bytes));
        chunk->span_bytes = pages(size);
    }
    return true;
}

void *slab_resize(void *block, size_t size)
{
    if (block == NULL)
        return slab_take(size);
    size = size == 0 ? 1 : size;
    struct slab *owner = owner_of(block);
    if (owner == NULL) {
        block = realloc(block, size);
        ensure(block != NULL);
        return block;
    }
    if (owner == in_use && resize_here(owner, block, size))
        return block;
    size_t old = block_bytes(owner, block);
    void *moved = slab_take(size);
    memcpy(moved, block, old < size ? old : size);
    slab_give(block);
    return moved;
}

void slab_give(void *block)
{
    if (block == NULL)
        return;
    struct slab *owner = owner_of(block);
    if (owner == NULL)
        free(block);
    else if (owner == in_use)
        give_here(owner, block);
    else
        push_given(owner, block);
}

void slab_use(struct slab *slab)
{
    in_use = slab;
}

void slab_read(const struct slab *slab, struct slab_figures *ret_figures)
{
    *ret_figures = (struct slab_figures){
        .planned_bytes = slab->planned_bytes,
        .used_bytes = atomic_load_explicit(&slab->used_bytes, memory_order_relaxed),
        .held_bytes = atomic_load_explicit(&slab->held_bytes, memory_order_relaxed),
        .system_bytes = atomic_load_explicit(&slab->system_bytes, memory_order_relaxed),
    };
}

/* ---- life ---- */

static enum err reserve(struct slab *slab)
{
    if (WATCHED)
        return OK;
    size_t chunks = (4 * slab->planned_bytes + ADDRESS_SPARE_BYTES) >> CHUNK_SHIFT;
    slab->base =
        mmap(NULL, chunks << CHUNK_SHIFT, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (slab->base == MAP_FAILED)
        return ERR_NO_MEMORY;
    slab->chunk = mmap(NULL, chunks * sizeof *slab->chunk, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (slab->chunk == MAP_FAILED) {
        munmap(slab->base, chunks << CHUNK_SHIFT);
        return ERR_NO_MEMORY;
    }
    slab->chunks = chunks;
    return OK;
}

static void enlist(struct slab *slab)
{
    for (unsigned i = 0; i < SLABS_MAX; i++) {
        struct slab *none = NULL;
        if (atomic_compare_exchange_strong(&slabs[i], &none, slab))
            return;
    }
    ensure_unreachable();
}

enum err slab_new(size_t planned_bytes, struct slab **ret_slab)
{
    ensure(planned_bytes > 0 && planned_bytes < (size_t)1 << 44);
    size_t size = (sizeof(struct slab) + 63) / 64 * 64;
    struct slab *slab = aligned_alloc(64, size);
    if (slab == NULL)
        return ERR_NO_MEMORY;
    memset(slab, 0, size);
    slab->planned_bytes = planned_bytes;
    slab->kept = NONE;
    for (unsigned i = 0; i < CLASSES; i++)
        slab->room[i] = NONE;
    for (unsigned i = 0; i < ORDERS; i++)
        slab->free[i] = NONE;
    enum err error = reserve(slab);
    if (error != OK) {
        free(slab);
        return error;
    }
    enlist(slab);
    *ret_slab = slab;
    return OK;
}

void slab_free(struct slab *slab)
{
    if (slab == NULL)
        return;
    ensure(in_use != slab);
    for (unsigned i = 0; i < SLABS_MAX; i++)
        if (atomic_load(&slabs[i]) == slab)
            atomic_store(&slabs[i], NULL);
    if (slab->chunks > 0) {
        munmap(slab->chunk, slab->chunks * sizeof *slab->chunk);
        munmap(slab->base, slab->chunks << CHUNK_SHIFT);
    }
    free(slab);
}
