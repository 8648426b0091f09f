/* slab: the memory of one thread: blocks by size class, reserved at the start, without lock or system call.
 * Owner:   a shard and a loop make one each, which lives as long as the process.
 * Threads: one thread (at a time) uses a slab: slab_use(). The same calls without a slab in use are malloc(),
 *          so the engine, the decoders and OpenSSL ask slab_take() wherever they run. A block may be given
 *          back on any thread: its address tells whose it is, and the owner takes it in at its next take.
 * Holds:   a block is 16-byte aligned. A slab never moves, and never refuses: beyond what is planned it goes
 *          on (a reading's need is always met), beyond its address space it asks the system; both are
 *          figures, and whoever enrols looks at them first.
 * Fails:   giving back what was not taken, or twice, is ensure(); so is a system without memory.
 * Choices: under AddressSanitizer and ThreadSanitizer a slab has no address space, so that every block comes
 *          from the system and is watched. */
#ifndef VIGIE_BASE_SLAB_H
#define VIGIE_BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/ensure.h"
#include "daemon/base/err.h"

struct slab;

/* `planned_bytes`: what it may hold by plan; only what is taken is ever backed by memory. */
MUST_CHECK enum err slab_new(size_t planned_bytes, struct slab **ret_slab);
/* Never of a thread that calls OpenSSL: what a library keeps for the whole process lies in the slab of
 * whoever came first, so shards and loops leave theirs to the end of the process. */
void slab_free(struct slab *slab);

/* The calling thread takes from this slab from now on; NULL: from the system. */
void slab_use(struct slab *slab);

/* Room for `size` bytes; never NULL. */
void *slab_take(size_t size);
void *slab_take_zeroed(size_t size);
char *slab_take_text(const char *text);
/* As realloc(): `block` NULL takes. */
void *slab_resize(void *block, size_t size);
void slab_give(void *block); /* NULL: nothing */

/* What a block of `size` bytes really has: what an array may grow to at no cost. */
size_t slab_fit(size_t size);

struct slab_figures {
    uint64_t planned_bytes;
    uint64_t used_bytes;   /* blocks handed out, by their classes */
    uint64_t held_bytes;   /* taken from the system for them: what counts against the plan */
    uint64_t system_bytes; /* ever asked of malloc() because the address space was used up */
};
/* Any thread may ask. */
void slab_read(const struct slab *slab, struct slab_figures *ret_figures);

/* For libraries that want functions of their own. */
void *slab_take_many(size_t count, size_t size); /* zeroed, as calloc(); NULL when the product overflows */

#endif
