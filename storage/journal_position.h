/* journal_position: what a position is made of, and the alignment of all that lies in the journal.
 * Threads: pure functions. */
#ifndef VIGIE_STORAGE_JOURNAL_POSITION_H
#define VIGIE_STORAGE_JOURNAL_POSITION_H

#include <stdint.h>

enum { JOURNAL_ALIGN = 8 };

static inline uint64_t position_make(uint32_t segment, uint64_t offset)
{
    return (uint64_t)segment << 32 | offset;
}

static inline uint32_t position_segment(uint64_t position)
{
    return (uint32_t)(position >> 32);
}

static inline uint64_t position_offset(uint64_t position)
{
    return position & UINT32_MAX;
}

static inline uint64_t journal__align(uint64_t size)
{
    return (size + JOURNAL_ALIGN - 1) & ~(uint64_t)(JOURNAL_ALIGN - 1);
}

#endif
