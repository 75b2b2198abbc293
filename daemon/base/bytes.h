/* Copies of few bytes, where a call would take longer than the copy, and of very many.
 * Place: base. Thread-safety: pure. Reads and writes nothing outside of what it is given. */
#ifndef VITRINE_BASE_BYTES_H
#define VITRINE_BASE_BYTES_H

#include <stddef.h>
#include <string.h>

/* The first and the last `width` bytes, which may overlap: all of them when size is width to twice width. */
#define BYTES_ENDS(to, from, size, width)                                                                    \
    do {                                                                                                     \
        memcpy(to, from, width);                                                                             \
        memcpy((to) + (size) - (width), (from) + (size) - (width), width);                                   \
    } while (0)

/* Copies 0 or more bytes that do not overlap; returns the end of the copy. */
static inline char *bytes_put(char *to, const char *from, size_t size)
{
    if (size - 16 > 128 - 16)
        memcpy(to, from, size);
    else if (size > 64)
        BYTES_ENDS(to, from, size, 64);
    else if (size > 32)
        BYTES_ENDS(to, from, size, 32);
    else
        BYTES_ENDS(to, from, size, 16);
    return to + size;
}

/* Copies very many bytes that do not overlap and that nobody will look at soon: past the caches, which
 * neither have to fetch what is overwritten nor to give up what they hold. */
void bytes_put_far(char *to, const char *from, size_t size);

#endif
