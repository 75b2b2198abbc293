/* The bytes on their way from the watching thread to a watcher's worker: a ring that takes a line whole or
 * not at all. Place: private to protocol. Thread-safety: one thread offers, one takes; neither waits.
 * Ownership: the buffer owns its memory. */
#ifndef VITRINE_PROTOCOL_WATCH_BUFFER_PRIV_H
#define VITRINE_PROTOCOL_WATCH_BUFFER_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watch_buffer {
    char *data;             /* owned */
    uint64_t size;          /* a power of two */
    uint64_t skipped;       /* lines not taken since the last that was; the offerer's */
    _Atomic uint64_t head;  /* the offerer's */
    _Atomic uint64_t tail;  /* the taker's */
    _Atomic bool is_called; /* the taker has been called and has not looked since */
};

/* `size` is rounded up to a power of two. False: no memory. */
bool watch_buffer_init(struct watch_buffer *buffer, size_t size);
void watch_buffer_fini(struct watch_buffer *buffer);

/* Appends the line, behind one that tells of those skipped, if any. False: no room, it is skipped. */
bool watch_buffer_offer(struct watch_buffer *buffer, const char *line, size_t size);
/* Whether the taker is to be called: something is there, and it has not been called yet. */
bool watch_buffer_call(struct watch_buffer *buffer);
/* Moves at most `size` bytes out; when nothing is left, the next offer calls again. */
size_t watch_buffer_take(struct watch_buffer *buffer, char *out, size_t size);

#endif
