/* Text that grows: for the control plane (stats, metrics, pages), never for a request's hot path.
 *
 * Place: base. A buffer starts as all zeroes; buffer_fini frees it. Out of memory is remembered in
 * `failed` and turns every later append into a no-op, so that a writer checks once, at the end.
 * Thread-safety: none; one owner. Ownership: the buffer owns `data`. */
#ifndef VITRINE_BASE_BUFFER_H
#define VITRINE_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct buffer {
    char *data; /* owned; not NUL-terminated */
    size_t size, capacity;
    bool failed;
};

void buffer_append(struct buffer *buffer, const void *data, size_t size);
void buffer_text(struct buffer *buffer, const char *text);
void buffer_format(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_fini(struct buffer *buffer);

/* Moves the bytes out as a malloc'ed block (NULL if failed) and leaves the buffer empty. */
char *buffer_take(struct buffer *buffer, size_t *size);

#endif
