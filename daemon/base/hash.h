/* The one hash of a key: XXH3, 64 bits, with a seed drawn at start so that no client can choose collisions.
 * Place: base. Thread-safety: pure. */
#ifndef VITRINE_BASE_HASH_H
#define VITRINE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const void *data, size_t size, uint64_t seed);

/* A seed from the kernel's random source; falls back to the clock and the process id. */
uint64_t hash_random_seed(void);

#endif
