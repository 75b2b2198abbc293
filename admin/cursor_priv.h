/* Cursors handed to clients: opaque, stateless, and of no use to anyone who makes one up.
 *
 * Place: admin. A cursor says where a walk goes on and carries a tag over that place and the walk's filter,
 * keyed with a seed of this process: another filter's, another run's or an invented cursor is refused.
 * Thread-safety: pure. */
#ifndef VITRINE_ADMIN_CURSOR_PRIV_H
#define VITRINE_ADMIN_CURSOR_PRIV_H

#include "admin/decode_priv.h"

#include <stdint.h>

#define CURSOR_TEXT_MAX 40u /* with its NUL */

struct cursor {
    uint64_t place; /* store_browse's, or the id of the last connection listed */
    uint64_t after; /* within the place: only what sorts behind this is still due; 0: all of it */
};

void cursor_encode(const struct cursor *cursor, uint64_t filter, uint64_t seed, char out[CURSOR_TEXT_MAX]);
bool cursor_decode(struct slice text, uint64_t filter, uint64_t seed, struct cursor *cursor);

#endif
