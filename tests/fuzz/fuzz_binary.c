/* Fuzzes the binary protocol: see fuzz_server.h. Each input begins with the magic byte. What both servers say
 * is the same, but that a frame with more key than a server's input can hold is refused before it is there.
 * Its replies are whole frames. */
#include "fuzz_server.h"

#include <endian.h>

#define HEAD_SIZE 24u

/* Statistics tell of the server's own. */
static bool comparable(const uint8_t *data, size_t size)
{
    return memmem(data, size, "\x80\x10", 2) == NULL;
}

static void check_frames(const struct buffer *reply)
{
    for (size_t at = 0; at < reply->size;) {
        uint32_t body_size;
        ASSERT(reply->size - at >= HEAD_SIZE && (uint8_t)reply->data[at] == 0x81);
        memcpy(&body_size, reply->data + at + 8, sizeof body_size);
        ASSERT(be32toh(body_size) <= reply->size - at - HEAD_SIZE);
        at += HEAD_SIZE + be32toh(body_size);
    }
}

static void compare(const struct server *whole, const struct server *pieces, const uint8_t *data, size_t size)
{
    check_frames(&whole->reply);
    check_frames(&pieces->reply);
    if (!comparable(data, size) || whole->closed != pieces->closed)
        return;
    ASSERT(whole->reply.size == pieces->reply.size);
    ASSERT(whole->reply.size == 0 || memcmp(whole->reply.data, pieces->reply.data, whole->reply.size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4 && data[4] == 0x80)
        fuzz_both(data, size, compare);
    return 0;
}
