#include "admin/cursor_priv.h"

#include "base/hash.h"

#include <string.h>

#define CURSOR_VERSION 1u

/* What the text is base64 of. */
struct packed {
    uint64_t place, after;
    uint64_t tag; /* its lowest byte is the version */
};
_Static_assert(sizeof(struct packed) == 24, "no padding: it is hashed and encoded");
_Static_assert(BASE64_SIZE(sizeof(struct packed)) < CURSOR_TEXT_MAX, "the text has room");

static uint64_t tag_of(const struct cursor *cursor, uint64_t filter, uint64_t seed)
{
    uint64_t words[3] = {cursor->place, cursor->after, filter};
    return (hash_bytes(words, sizeof(words), seed) & ~(uint64_t)0xff) | CURSOR_VERSION;
}

void cursor_encode(const struct cursor *cursor, uint64_t filter, uint64_t seed, char out[CURSOR_TEXT_MAX])
{
    struct packed packed = {cursor->place, cursor->after, tag_of(cursor, filter, seed)};
    encode_base64url((struct slice){(const char *)&packed, sizeof(packed)}, out);
}

bool cursor_decode(struct slice text, uint64_t filter, uint64_t seed, struct cursor *cursor)
{
    struct packed packed;
    char bytes[CURSOR_TEXT_MAX];
    size_t size;
    if (text.size >= CURSOR_TEXT_MAX || !decode_base64(text, bytes, &size) || size != sizeof(packed))
        return false;
    memcpy(&packed, bytes, sizeof(packed));
    *cursor = (struct cursor){packed.place, packed.after};
    return packed.tag == tag_of(cursor, filter, seed);
}
