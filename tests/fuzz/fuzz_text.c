/* Fuzzes the text protocol: see fuzz_server.h. Both servers must say the same, whatever the pieces. */
#include "fuzz_server.h"

/* Whether the pieces must not matter: short lines, and nothing that tells of the server's own. */
static bool comparable(const uint8_t *data, size_t size)
{
    if (memmem(data, size, "stats", 5) != NULL)
        return false;
    for (const uint8_t *end = data + size; data < end;) {
        const uint8_t *newline = memchr(data, '\n', (size_t)(end - data));
        const uint8_t *line_end = newline == NULL ? end : newline + 1;
        if (line_end - data > (ptrdiff_t)UNIT_MAX)
            return false;
        data = line_end;
    }
    return true;
}

static void compare(const struct server *whole, const struct server *pieces, const uint8_t *data, size_t size)
{
    if (!comparable(data, size))
        return;
    ASSERT(whole->closed == pieces->closed);
    ASSERT(whole->reply.size == pieces->reply.size);
    ASSERT(size == 0 || whole->reply.size == 0 ||
           memcmp(whole->reply.data, pieces->reply.data, whole->reply.size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_both(data, size, compare);
    return 0;
}
