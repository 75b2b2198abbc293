/* gzip in and out, in memory. Place: admin. Thread-safety: pure. Ownership: results are malloc'ed. */
#ifndef VITRINE_ADMIN_DEFLATE_PRIV_H
#define VITRINE_ADMIN_DEFLATE_PRIV_H

#include "base/buffer.h"

#include <stdbool.h>

/* Replaces the buffer's bytes by their gzip form; false (and unchanged) when that is no gain. */
bool gzip_buffer(struct buffer *buffer);
/* The `size` bytes that `gzip` unpacks to; NULL when it does not, or out of memory. */
unsigned char *gunzip(const unsigned char *gzip, size_t gzip_size, size_t size);

#endif
