#include "store/bits.h"

#include <sys/mman.h>

bool bits_init(struct bits *bits, uint32_t count)
{
    size_t at[BITS_LEVELS_MAX], words = 0, n = count;
    *bits = (struct bits){0};
    do {
        n = (n + 63) / 64;
        at[bits->level_count++] = words;
        words += n;
    } while (n > 1);
    bits->size = words * sizeof(uint64_t);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *base = mmap(NULL, bits->size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (base == MAP_FAILED)
        return false;
    for (unsigned level = 0; level < bits->level_count; level++)
        bits->level[level] = (uint64_t *)base + at[level];
    return true;
}

void bits_fini(struct bits *bits)
{
    if (bits->level[0])
        munmap(bits->level[0], bits->size);
    *bits = (struct bits){0};
}

void bits_set(struct bits *bits, uint32_t number)
{
    for (unsigned level = 0; level < bits->level_count; level++, number /= 64) {
        uint64_t *word = &bits->level[level][number / 64], before = *word;
        *word = before | 1ull << number % 64;
        if (before != 0)
            return; /* the levels above know */
    }
}

void bits_clear(struct bits *bits, uint32_t number)
{
    for (unsigned level = 0; level < bits->level_count; level++, number /= 64) {
        uint64_t *word = &bits->level[level][number / 64];
        *word &= ~(1ull << number % 64);
        if (*word != 0)
            return;
    }
}

uint32_t bits_lowest(const struct bits *bits)
{
    uint32_t at = 0;
    if (bits->level[bits->level_count - 1][0] == 0)
        return BITS_NONE;
    for (unsigned level = bits->level_count; level-- > 0;)
        at = at * 64 + (uint32_t)__builtin_ctzll(bits->level[level][at]);
    return at;
}
