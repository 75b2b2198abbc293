/* Ghosts of the small pool: which keys it threw out of late. One that is written again enters main.
 *
 * The index leaves traces in free slots, too, but only to tell why a key is missed: they are few where the
 * index is full, and of any kind. Here there is room for as many ghosts as there are items, at two bytes
 * each, and only what left small unread counts. A line holds the prints of its keys, the oldest of which
 * makes way. A print is 16 bits of the hash: one key in 2000 is taken for a ghost by mistake, and is then
 * merely kept for longer. There is no table before the first item is evicted. */
#include "store/store_priv.h"

#include <sys/mman.h>

#define LINE_GHOSTS   31u
#define LINES_A_PAGE  (STORE_PAGE_SIZE / sizeof(struct ghost_line))
#define ITEM_SIZE_MIN 40u /* with its share of the index: there are no more items than memory over this */

struct ghost_line {
    _Alignas(64) _Atomic uint16_t next; /* the oldest one's place */
    _Atomic uint16_t print[LINE_GHOSTS];
};
_Static_assert(sizeof(struct ghost_line) == 64, "a line is one cache line");

static size_t size_of_lines(uint32_t count)
{
    return (size_t)count * sizeof(struct ghost_line);
}

bool ghosts_open(struct store *store, size_t memory_size_max)
{
    size_t pages = memory_size_max / ITEM_SIZE_MIN / LINE_GHOSTS / LINES_A_PAGE + 1;
    store->ghost_line_max = (uint32_t)(pages * LINES_A_PAGE);
    store->ghost_lines = index_reserve(size_of_lines(store->ghost_line_max));
    return store->ghost_lines != NULL;
}

void ghosts_close(struct store *store)
{
    if (store->ghost_lines)
        munmap(store->ghost_lines, size_of_lines(store->ghost_line_max));
}

size_t ghosts_size(const struct store *store)
{
    return size_of_lines(atomic_load_explicit(&store->ghost_line_count, memory_order_relaxed));
}

static uint32_t lines_wanted(struct store *store)
{
    int64_t items = threads_slot_balance(store);
    uint64_t pages = items > 0 ? (uint64_t)items / LINE_GHOSTS / LINES_A_PAGE + 1 : 1;
    uint64_t lines = pages * LINES_A_PAGE;
    return lines < store->ghost_line_max ? (uint32_t)lines : store->ghost_line_max;
}

/* Memory is charged beyond the limit if need be: this is called where segments are about to be freed. Ghosts
 * are then found in other places; those there were are forgotten. */
void ghosts_settle(struct store *store)
{
    uint32_t wanted = lines_wanted(store);
    uint32_t count = atomic_load_explicit(&store->ghost_line_count, memory_order_relaxed);
    if (count > 0 && (uint64_t)wanted * 3 <= (uint64_t)count * 4 && wanted * 2 >= count)
        return;
    if (wanted > count)
        budget_charge(store, size_of_lines(wanted - count));
    /* Relaxed: whoever still counts with the old one looks in the wrong line, and sees no ghost. */
    atomic_store_explicit(&store->ghost_line_count, wanted, memory_order_relaxed);
    if (count > 0)
        madvise(store->ghost_lines, size_of_lines(count), MADV_DONTNEED);
    if (wanted < count)
        budget_return(store, size_of_lines(count - wanted));
}

static struct ghost_line *line_of(const struct store *store, uint64_t hash)
{
    uint64_t count = atomic_load_explicit(&store->ghost_line_count, memory_order_relaxed);
    return count == 0 ? NULL : &store->ghost_lines[(hash >> 16 & UINT32_MAX) * count >> 32];
}

static uint16_t print_of(uint64_t hash)
{
    uint16_t print = (uint16_t)(hash >> 48);
    return print != 0 ? print : 1; /* 0: no ghost */
}

/* Relaxed here and below: hints that nothing else hangs on. */
void ghosts_add(struct store *store, uint64_t hash)
{
    struct ghost_line *line = line_of(store, hash);
    if (!line)
        return;
    unsigned next = atomic_load_explicit(&line->next, memory_order_relaxed) % LINE_GHOSTS;
    atomic_store_explicit(&line->print[next], print_of(hash), memory_order_relaxed);
    atomic_store_explicit(&line->next, (uint16_t)(next + 1), memory_order_relaxed);
}

bool ghosts_take(struct store *store, uint64_t hash)
{
    struct ghost_line *line = line_of(store, hash);
    uint16_t print = print_of(hash);
    for (unsigned i = 0; line && i < LINE_GHOSTS; i++)
        if (atomic_load_explicit(&line->print[i], memory_order_relaxed) == print) {
            atomic_store_explicit(&line->print[i], 0, memory_order_relaxed);
            return true;
        }
    return false;
}
