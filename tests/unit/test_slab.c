/* slab: every class gives what it says, nothing overlaps, what is given back is used again, other threads may
 * give back, and what was not taken, or twice given, ends the process. */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/hash.h"
#include "daemon/base/slab.h"
#include "tests/unit/unit.h"

enum { PLAN = 64 << 20, BLOCKS = 4000 };

static struct slab *begin(void)
{
    struct slab *slab;
    CU_ASSERT_EQUAL_FATAL(slab_new(PLAN, &slab), OK);
    slab_use(slab);
    return slab;
}

static void end(struct slab *slab)
{
    slab_use(NULL);
    slab_free(slab);
}

static struct slab_figures figures_of(const struct slab *slab)
{
    struct slab_figures figures;
    slab_read(slab, &figures);
    return figures;
}

/* Under the sanitizers a slab leaves everything to them. */
static bool is_watched(void)
{
    struct slab *slab = begin();
    slab_give(slab_take(1));
    bool watched = figures_of(slab).held_bytes == 0;
    end(slab);
    return watched;
}

static void test_fit(void)
{
    size_t last = 0;
    for (size_t size = 1; size <= 200000; size++) {
        size_t fit = slab_fit(size);
        if (fit < size || fit < last || slab_fit(fit) != fit ||
            (size > 128 && fit - size > size / 8 + 16 && size <= 32768))
            CU_FAIL_FATAL("a class does not hold what it says");
        last = fit;
    }
}

struct held_block {
    unsigned char *data;
    size_t size;
    unsigned char mark;
};

static bool is_whole(const struct held_block *block)
{
    for (size_t i = 0; i<block->size; i += block->size> 4096 ? 509 : 1)
        if (block->data[i] != block->mark)
            return false;
    return block->data[block->size - 1] == block->mark;
}

/* A hundred thousand takes, resizes and gives of every size; each block keeps what was written. */
static void test_nothing_overlaps(void)
{
    struct slab *slab = begin();
    struct held_block *blocks = calloc(BLOCKS, sizeof *blocks);
    uint64_t random = 1;
    bool whole = true;
    for (unsigned step = 0; step < 100000; step++) {
        random = hash_mix64(random + step);
        struct held_block *block = &blocks[random % BLOCKS];
        size_t size = 1 + (random >> 16) % (random >> 60 == 0 ? 200000 : random >> 60 < 4 ? 20000 : 300);
        if (block->data != NULL && !is_whole(block))
            whole = false;
        if (block->data != NULL && random >> 40 & 1) {
            slab_give(block->data);
            *block = (struct held_block){0};
            continue;
        }
        size_t kept = block->data == NULL ? 0 : block->size < size ? block->size : size;
        block->data = slab_resize(block->data, size);
        if (kept > 0 && (block->data[0] != block->mark || block->data[kept - 1] != block->mark))
            whole = false;
        whole &= (uintptr_t)block->data % 16 == 0;
        block->size = size;
        block->mark = (unsigned char)(random >> 8);
        memset(block->data, block->mark, size);
    }
    CU_ASSERT_TRUE(whole);
    for (unsigned i = 0; i < BLOCKS; i++)
        slab_give(blocks[i].data);
    CU_ASSERT_EQUAL(figures_of(slab).used_bytes, 0);
    free(blocks);
    end(slab);
}

/* What is given back is used again: a second round holds no more than the first. */
static void test_used_again(void)
{
    struct slab *slab = begin();
    static void *blocks[BLOCKS];
    uint64_t held = 0;
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < BLOCKS; i++)
            blocks[i] = slab_take(16 + i % 60 * 550);
        CU_ASSERT(round == 0 || figures_of(slab).held_bytes <= held);
        held = figures_of(slab).held_bytes;
        for (unsigned i = 0; i < BLOCKS; i++)
            slab_give(blocks[(i * 7919u + round) % BLOCKS]);
        CU_ASSERT_EQUAL(figures_of(slab).used_bytes, 0);
    }
    CU_ASSERT(figures_of(slab).held_bytes <= (80 + 64) * 65536);
    end(slab);
}

static void test_zeroed_and_text(void)
{
    struct slab *slab = begin();
    unsigned char *dirty = slab_take(400);
    memset(dirty, 0xff, 400);
    slab_give(dirty);
    unsigned char *clean = slab_take_zeroed(400);
    unsigned sum = 0;
    for (unsigned i = 0; i < 400; i++)
        sum += clean[i];
    CU_ASSERT_EQUAL(sum, 0);
    char *text = slab_take_text("seven");
    CU_ASSERT_STRING_EQUAL(text, "seven");
    CU_ASSERT_PTR_NULL(slab_take_many(SIZE_MAX / 2, 3));
    slab_give(text);
    slab_give(clean);
    slab_give(NULL);
    end(slab);
}

struct hand_over {
    void *blocks[BLOCKS];
};

static void *give_all(void *argument)
{
    struct hand_over *hand = argument;
    for (unsigned i = 0; i < BLOCKS; i++)
        slab_give(hand->blocks[i]);
    return NULL;
}

/* Another thread gives back; the owner takes it in. */
static void test_given_elsewhere(void)
{
    struct slab *slab = begin();
    struct hand_over *hand = calloc(1, sizeof *hand);
    pthread_t thread;
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < BLOCKS; i++)
            hand->blocks[i] = slab_take(1 + i % 50 * 1000);
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, give_all, hand), 0);
        for (unsigned i = 0; i < BLOCKS; i++)
            slab_give(slab_take(100 + i));
        pthread_join(thread, NULL);
    }
    slab_give(slab_take(1));
    CU_ASSERT_EQUAL(figures_of(slab).used_bytes, 0);
    free(hand);
    end(slab);
}

/* Beyond its plan and beyond its address space it goes on, and says so. */
static void test_never_refuses(void)
{
    struct slab *slab;
    CU_ASSERT_EQUAL_FATAL(slab_new(1 << 20, &slab), OK);
    slab_use(slab);
    void *blocks[400];
    for (unsigned i = 0; i < 400; i++)
        blocks[i] = slab_take((size_t)1 << 20);
    CU_ASSERT(figures_of(slab).held_bytes > figures_of(slab).planned_bytes);
    CU_ASSERT(figures_of(slab).system_bytes > 0);
    for (unsigned i = 0; i < 400; i++)
        slab_give(blocks[i]);
    CU_ASSERT_EQUAL(figures_of(slab).used_bytes, 0);
    CU_ASSERT_EQUAL(figures_of(slab).held_bytes, 0);
    end(slab);
}

static void give_twice(void)
{
    void *block = slab_take(100);
    slab_give(slab_take(100));
    slab_give(block);
    slab_give(block);
}

static void give_twice_large(void)
{
    void *block = slab_take(100000);
    slab_give(block);
    slab_give(block);
}

static void give_stray(void)
{
    char *block = slab_take(100);
    slab_give(block + 16);
}

/* True when the process dies of it. */
static bool is_caught(void (*act)(void))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        CU_ASSERT_PTR_NOT_NULL(freopen("/dev/null", "w", stderr));
        struct slab *slab;
        if (slab_new(PLAN, &slab) != OK)
            _exit(0);
        slab_use(slab);
        act();
        _exit(0);
    }
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void test_faults_are_caught(void)
{
    CU_ASSERT_TRUE(is_caught(give_twice));
    CU_ASSERT_TRUE(is_caught(give_twice_large));
    CU_ASSERT_TRUE(is_caught(give_stray));
}

static void only_unwatched(void (*run)(void))
{
    if (!is_watched())
        run();
}

static void test_used_again_(void)
{
    only_unwatched(test_used_again);
}

static void test_never_refuses_(void)
{
    only_unwatched(test_never_refuses);
}

static void test_faults_are_caught_(void)
{
    only_unwatched(test_faults_are_caught);
}

SUITE(slab) = {
    {"every class holds what it says and wastes little", test_fit},
    {"nothing overlaps, everything keeps its bytes", test_nothing_overlaps},
    {"what is given back is used again", test_used_again_},
    {"zeroed memory is zero, text is copied", test_zeroed_and_text},
    {"another thread gives back", test_given_elsewhere},
    {"it goes on beyond its plan", test_never_refuses_},
    {"given twice or never taken is caught", test_faults_are_caught_},
    {NULL, NULL},
};
