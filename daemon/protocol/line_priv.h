/* A line of text put together piece by piece, for streams of lines: no format string, no allocation.
 * Place: private to protocol. Thread-safety: pure. Ownership: the caller's memory, with room for all of it.
 */
#ifndef VITRINE_PROTOCOL_LINE_PRIV_H
#define VITRINE_PROTOCOL_LINE_PRIV_H

#include "base/number.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What line_uri makes of a key at most. */
#define LINE_URI_SIZE(size) (3 * (size))

static inline char *line_bytes(char *out, const void *data, size_t size)
{
    memcpy(out, data, size);
    return out + size;
}

static inline char *line_text(char *out, const char *text)
{
    return line_bytes(out, text, strlen(text));
}

static inline char *line_u64(char *out, uint64_t number)
{
    return out + number_format_u64(out, number);
}

static inline char *line_i64(char *out, int64_t number)
{
    if (number < 0)
        *out++ = '-';
    return line_u64(out, number < 0 ? -(uint64_t)number : (uint64_t)number);
}

/* All but letters, digits and -._~ as %XX: memcached's way to show keys. */
char *line_uri(char *out, const char *data, size_t size);

/* Whether the key can stand in a line of text as it is. */
bool line_takes_key(const char *data, size_t size);

#endif
