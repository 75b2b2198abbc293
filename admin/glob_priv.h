/* Glob patterns over keys: `*` any run of bytes, `?` any one byte, `\x` the byte x itself.
 *
 * Place: admin. Time: at most pattern x text steps whatever the pattern, since only the last `*` is ever
 * retried; no recursion, no memory. Thread-safety: pure. */
#ifndef VITRINE_ADMIN_GLOB_PRIV_H
#define VITRINE_ADMIN_GLOB_PRIV_H

#include "admin/decode_priv.h"

#define GLOB_SIZE_MAX 256u

/* False for a pattern that is too long or ends in a lone backslash. */
bool glob_valid(struct slice pattern);
bool glob_match(struct slice pattern, struct slice text);

#endif
