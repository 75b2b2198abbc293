/* Finding the end of a word, sixteen bytes at a step where the machine can, eight elsewhere.
 * Place: private to the protocol. Pure. Reads no byte outside of what it is given. */
#ifndef VITRINE_PROTOCOL_SCAN_PRIV_H
#define VITRINE_PROTOCOL_SCAN_PRIV_H

#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define SCAN_ONES 0x0101010101010101ull

/* The bytes of a word that equal `byte`, as the top bits of those bytes; above the first there may be more.
 */
static inline uint64_t scan_equal(uint64_t word, char byte)
{
    word ^= SCAN_ONES * (unsigned char)byte;
    return (word - SCAN_ONES) & ~word & (SCAN_ONES << 7);
}

/* The first of two bytes in text[0..end), or end: eight bytes at a step, the last of which may overlap. */
static __attribute__((noinline)) const char *scan_words(const char *text, const char *end, char a, char b)
{
    const char *begin = text;
    for (; end - begin >= 8 && text < end; text += 8) {
        uint64_t word;
        if (end - text < 8)
            text = end - 8; /* what is looked at twice is neither of them */
        memcpy(&word, text, sizeof word);
        uint64_t hits = scan_equal(word, a) | scan_equal(word, b);
        if (hits != 0)
            return text + __builtin_ctzll(hits) / 8;
    }
    while (text < end && *text != a && *text != b)
        text++;
    return text;
}

/* The same; what is left of the last sixteen is out of the way. */
static inline const char *scan_either(const char *text, const char *end, char a, char b)
{
#ifdef __SSE2__
    const __m128i all_a = _mm_set1_epi8(a), all_b = _mm_set1_epi8(b);
    for (; end - text >= 16; text += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)text);
        __m128i hits = _mm_or_si128(_mm_cmpeq_epi8(bytes, all_a), _mm_cmpeq_epi8(bytes, all_b));
        unsigned mask = (unsigned)_mm_movemask_epi8(hits);
        if (mask != 0)
            return text + __builtin_ctz(mask);
    }
#endif
    return scan_words(text, end, a, b);
}

static inline const char *scan_for(const char *text, const char *end, char byte)
{
    return scan_either(text, end, byte, byte);
}

#endif
