/* Bytes in and out of URLs and JSON: percent escapes, base64, UTF-8. All strict, all by hand, since what a
 * library decodes for us it decodes by its own rules.
 *
 * Place: admin, below everything else in the folder. Thread-safety: pure. Ownership: callers own all memory.
 * Sources: RFC 3986 section 2.1, RFC 4648, RFC 3629. */
#ifndef VITRINE_ADMIN_DECODE_PRIV_H
#define VITRINE_ADMIN_DECODE_PRIV_H

#include <stdbool.h>
#include <stddef.h>

struct slice {
    const char *data;
    size_t size;
};

/* Whether [data, data + size) is the text `text`. */
bool slice_is(struct slice slice, const char *text);
bool slice_begins(struct slice slice, struct slice prefix);

/* Decodes each %XX once. False on a broken escape and on bytes that may not stand in a URL raw (controls,
 * space, DEL). `out` has room for `text.size` bytes and may be `text.data` itself. In a query `+` is a
 * space. */
bool decode_percent(struct slice text, bool query, char *out, size_t *out_size);

/* Base64 of either alphabet, padded or not, canonical. `out` has room for 3/4 of the text. */
bool decode_base64(struct slice text, char *out, size_t *out_size);

#define BASE64_SIZE(n) (((n) + 2) / 3 * 4)
/* Writes BASE64_SIZE(bytes.size) characters and a NUL, in the standard alphabet with padding. */
void encode_base64(struct slice bytes, char *out);
/* The same in the URL's alphabet, without padding; returns the length. */
size_t encode_base64url(struct slice bytes, char *out);

/* The size of the leading part that is whole, valid UTF-8: bytes.size when all of it is. */
size_t utf8_valid_size(struct slice bytes);
/* Whether what follows the valid part could be the beginning of a character cut off by the end. */
bool utf8_is_cut(struct slice bytes);

#endif
