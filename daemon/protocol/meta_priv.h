/* The meta commands' own: their flags as bits of a request, the walk through its words, base64.
 *
 * Place: private to the protocol. Flow: meta_parse.c turns a line into a struct request of DIALECT_META,
 * whose words are the flags as they came; meta_execute.c asks the store; meta_reply.c answers the flags in
 * their order. Thread-safety: pure. Source: doc/protocol.txt of memcached, "Meta Commands". */
#ifndef VITRINE_PROTOCOL_META_PRIV_H
#define VITRINE_PROTOCOL_META_PRIV_H

#include "protocol/protocol_priv.h"

enum meta_flag {
#define META_FLAG(id, letter, take, example, summary) META_##id,
#include "protocol/meta_flags.def"
    META_FLAG_COUNT
};
_Static_assert(META_FLAG_COUNT <= 32, "the flags of a request are bits of one word");

/* How large a key may be once it is decoded, and the bytes of base64 that show one. */
#define META_KEY_SHOWN_MAX ((STORE_KEY_SIZE_MAX + 2) / 3 * 4)

static inline bool meta_has(const struct request *request, enum meta_flag flag)
{
    return request->meta_flags >> flag & 1;
}

/* The next word of a text that is no line's end; false: there is none. */
static inline bool meta_next_word(const char **at, const char *end, struct token *word)
{
    const char *start = *at;
    while (start < end && *start == ' ')
        start++;
    const char *stop = start;
    while (stop < end && *stop != ' ')
        stop++;
    *at = stop;
    *word = (struct token){start, (size_t)(stop - start)};
    return stop > start;
}

/* The bit of a letter that is a flag. */
uint32_t meta_flag_bit(char letter);
/* Does the flag `first` come before `second` in the request's words? Both are there. */
bool meta_comes_before(const struct request *request, char first, char second);

/* ---- base64, by memcached's rules: bytes that are none of its digits are passed over ---- */
/* `out` has room for 3 bytes for each 4 of text. Returns how many there are, 0: the text is wrong. */
size_t base64_decode(const char *text, size_t size, char *out);
/* Returns how many bytes were written: 4 for each 3, rounded up. */
size_t base64_encode(const char *data, size_t size, char *out);

#endif
