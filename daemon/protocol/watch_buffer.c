#include "protocol/watch_buffer_priv.h"

#include "base/pages.h"
#include "protocol/line_priv.h"

#define SIZE_MIN         4096u /* a page; more than any line */
#define SKIPPED_LINE_MAX 32u

bool watch_buffer_init(struct watch_buffer *buffer, size_t size)
{
    *buffer = (struct watch_buffer){.size = SIZE_MIN};
    while (buffer->size < size)
        buffer->size *= 2;
    buffer->data = pages_take(buffer->size);
    return buffer->data != NULL;
}

void watch_buffer_fini(struct watch_buffer *buffer)
{
    pages_give(buffer->data, buffer->size);
}

/* The bytes from `at` on that lie in one piece. */
static size_t piece(const struct watch_buffer *buffer, uint64_t at, size_t size)
{
    uint64_t to_end = buffer->size - (at & (buffer->size - 1));
    return size < to_end ? size : (size_t)to_end;
}

static void append(struct watch_buffer *buffer, const char *data, size_t size)
{
    uint64_t head = atomic_load_explicit(&buffer->head, memory_order_relaxed); /* our own */
    size_t first = piece(buffer, head, size);
    memcpy(buffer->data + (head & (buffer->size - 1)), data, first);
    memcpy(buffer->data, data + first, size - first);
    /* Sequential: see watch_buffer_take. Pairs as release with the acquire there: the bytes are in place. */
    atomic_store_explicit(&buffer->head, head + size, memory_order_seq_cst);
}

bool watch_buffer_offer(struct watch_buffer *buffer, const char *line, size_t size)
{
    uint64_t head = atomic_load_explicit(&buffer->head, memory_order_relaxed); /* our own */
    /* Acquire pairs with the release in watch_buffer_take: the bytes are out. */
    uint64_t used = head - atomic_load_explicit(&buffer->tail, memory_order_acquire);
    if (buffer->size - used < size + SKIPPED_LINE_MAX) {
        buffer->skipped++;
        return false;
    }
    if (buffer->skipped > 0) {
        char told[SKIPPED_LINE_MAX];
        char *end = line_text(line_u64(line_text(told, "skipped="), buffer->skipped), "\n");
        append(buffer, told, (size_t)(end - told));
        buffer->skipped = 0;
    }
    append(buffer, line, size);
    return true;
}

bool watch_buffer_call(struct watch_buffer *buffer)
{
    uint64_t head = atomic_load_explicit(&buffer->head, memory_order_relaxed); /* our own */
    if (head == atomic_load_explicit(&buffer->tail, memory_order_relaxed))
        return false; /* all is taken, by a taker that had been called or looked by itself */
    /* Sequential: partner of the store in watch_buffer_take. */
    return !atomic_exchange_explicit(&buffer->is_called, true, memory_order_seq_cst);
}

size_t watch_buffer_take(struct watch_buffer *buffer, char *out, size_t size)
{
    uint64_t tail = atomic_load_explicit(&buffer->tail, memory_order_relaxed); /* our own */
    uint64_t head = atomic_load_explicit(&buffer->head, memory_order_acquire);
    if (head == tail) {
        /* Sequential, this store before that load, against the store of `head` before the exchange of
         * `is_called` on the other side: either we see the new bytes, or we are called for them. */
        atomic_store_explicit(&buffer->is_called, false, memory_order_seq_cst);
        head = atomic_load_explicit(&buffer->head, memory_order_seq_cst);
    }
    if (size > head - tail)
        size = (size_t)(head - tail);
    size_t first = piece(buffer, tail, size);
    memcpy(out, buffer->data + (tail & (buffer->size - 1)), first);
    memcpy(out + first, buffer->data, size - first);
    /* Release pairs with the acquire in watch_buffer_offer. */
    atomic_store_explicit(&buffer->tail, tail + size, memory_order_release);
    return size;
}
