/* A set of whole numbers that gives its lowest at once: bits, and above each 64 of them one that tells
 * whether any is set, and so on up to a single word.
 *
 * Place: private to the store; knows nothing of it. Memory: address space for the largest set is reserved,
 * pages come as they are touched. Thread-safety: none; the caller's lock. */
#ifndef VITRINE_STORE_BITS_H
#define VITRINE_STORE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BITS_LEVELS_MAX 6u /* 64^6 > 2^32 */
#define BITS_NONE       UINT32_MAX

struct bits {
    uint64_t *level[BITS_LEVELS_MAX]; /* owned, one mapping from level[0] on */
    unsigned level_count;
    size_t size; /* of the mapping, bytes */
};

bool bits_init(struct bits *bits, uint32_t count); /* numbers below count; false: no address space */
void bits_fini(struct bits *bits);
void bits_set(struct bits *bits, uint32_t number);
void bits_clear(struct bits *bits, uint32_t number);
uint32_t bits_lowest(const struct bits *bits); /* BITS_NONE when the set is empty */

static inline bool bits_has(const struct bits *bits, uint32_t number)
{
    return bits->level[0][number / 64] >> number % 64 & 1;
}

#endif
