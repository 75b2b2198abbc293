/* Values that verify themselves: all of their bytes, and their item's flags, follow from a key and a version.
 * Thread-safety: pure. */
#ifndef VITRINE_TESTS_STRESS_VALUE_H
#define VITRINE_TESTS_STRESS_VALUE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct head {
    uint32_t key, size;
    uint64_t version;
};

static inline uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccd;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53;
    return x ^ x >> 33;
}

static inline uint32_t flags_of(uint64_t version)
{
    return version % 3 == 0 ? 0 : (uint32_t)mix(version);
}

static inline size_t value_make(char *out, uint32_t key, uint64_t version, size_t size)
{
    if (size < sizeof(struct head))
        size = sizeof(struct head);
    struct head head = {key, (uint32_t)size, version};
    memcpy(out, &head, sizeof head);
    uint64_t seed = mix(key ^ version << 20);
    for (size_t i = sizeof head; i < size; i++)
        out[i] = (char)(seed >> (i % 8 * 8) ^ i);
    return size;
}

#endif
