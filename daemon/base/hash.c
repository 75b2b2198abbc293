#include "base/hash.h"

#include "base/clock.h"
#include "base/hash_inline.h"

#include <sys/random.h>
#include <unistd.h>

uint64_t hash_bytes(const void *data, size_t size, uint64_t seed)
{
    return hash_bytes_inline(data, size, seed);
}

uint64_t hash_random_seed(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == (ssize_t)sizeof seed)
        return seed;
    seed = clock_ns() ^ ((uint64_t)getpid() << 32);
    return hash_bytes(&seed, sizeof seed, 0);
}
