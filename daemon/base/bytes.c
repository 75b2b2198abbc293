#include "base/bytes.h"

#include <stdint.h>

/* ThreadSanitizer does not see what is stored past the caches. */
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
#include <emmintrin.h>

#define LINE_SIZE 64u

static void line_put(char *to, const char *from)
{
    __m128i part[LINE_SIZE / sizeof(__m128i)];
    memcpy(part, from, sizeof part);
#pragma GCC unroll 4
    for (unsigned i = 0; i < LINE_SIZE / sizeof(__m128i); i++)
        _mm_stream_si128((__m128i *)(void *)to + i, part[i]);
}

void bytes_put_far(char *to, const char *from, size_t size)
{
    size_t head = -(uintptr_t)to % LINE_SIZE;
    if (head > size)
        head = size;
    size_t lines_end = head + (size - head) / LINE_SIZE * LINE_SIZE;
    memcpy(to, from, head);
    for (size_t at = head; at < lines_end; at += LINE_SIZE)
        line_put(to + at, from + at);
    memcpy(to + lines_end, from + lines_end, size - lines_end);
    /* Such stores are not ordered by a later release: whoever sees that is to see these, too. */
    _mm_sfence();
}
#else
void bytes_put_far(char *to, const char *from, size_t size)
{
    memcpy(to, from, size);
}
#endif
