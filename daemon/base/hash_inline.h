/* hash_bytes where many keys are hashed in a row: a key's few bytes take less than the call.
 * Place: base; included by the few files that hash on the way of a request. Thread-safety: pure. */
#ifndef VITRINE_BASE_HASH_INLINE_H
#define VITRINE_BASE_HASH_INLINE_H

#include <stddef.h>
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static inline uint64_t hash_bytes_inline(const void *data, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, size, seed);
}

#endif
