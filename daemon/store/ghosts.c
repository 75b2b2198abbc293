/* Ghosts: which keys have left of late, and how. A key that is written again enters the pool its ghost says.
 *
 * The index leaves traces in free slots, too, but only to tell why a key is missed: they are few where the
 * index is full. Here there is room for as many ghosts of the small pool as there are items, at two bytes
 * each, and for a seventh as many of the main pool: those only tell what a somewhat larger main pool would
 * have kept (pools.c). A line holds the prints of its keys in two rings, in each of which the oldest makes
 * way. A print is 15 bits of the hash and a mark: one key in 1200 is taken for a ghost by mistake, and is
 * then merely kept for longer. There is no table before the first item is evicted. */
#include "store/store_priv.h"

#include <sys/mman.h>

#define RING_SMALL    27u
#define RING_MAIN     4u
#define PRINT_MARK    1u /* it died in main */
#define LINES_A_PAGE  (STORE_PAGE_SIZE / sizeof(struct ghost_line))
#define ITEM_SIZE_MIN 40u /* with its share of the index: there are no more items than memory over this */

struct ghost_line {
    _Alignas(64) _Atomic uint8_t small_next; /* the oldest one's place */
    _Atomic uint8_t main_next;
    _Atomic uint16_t small[RING_SMALL]; /* prints; 0: no ghost */
    _Atomic uint16_t main[RING_MAIN];
};
_Static_assert(sizeof(struct ghost_line) == 64, "a line is one cache line");

static size_t size_of_lines(uint32_t count)
{
    return (size_t)count * sizeof(struct ghost_line);
}

bool ghosts_open(struct store *store, size_t memory_size_max)
{
    size_t pages = memory_size_max / ITEM_SIZE_MIN / RING_SMALL / LINES_A_PAGE + 1;
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
    uint64_t pages = items > 0 ? (uint64_t)items / RING_SMALL / LINES_A_PAGE + 1 : 1;
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
    /* Relaxed: whoever still counts with the old one looks in the wrong line, and sees no ghost; a ghost that
     * he leaves there holds a page that nobody is charged for until the table shrinks the next time. */
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
    uint16_t print = (uint16_t)(hash >> 48 & ~(uint64_t)PRINT_MARK);
    return print != 0 ? print : PRINT_MARK << 1;
}

/* Relaxed here and below: hints that nothing else hangs on. Two that add at once may take the same place. */
static void ring_add(_Atomic uint16_t *ring, _Atomic uint8_t *next, unsigned count, uint16_t print)
{
    unsigned at = atomic_load_explicit(next, memory_order_relaxed) % count;
    atomic_store_explicit(&ring[at], print, memory_order_relaxed);
    atomic_store_explicit(next, (uint8_t)((at + 1) % count), memory_order_relaxed);
}

/* The place of the print, marked or not; `count` when it is not there. */
static unsigned ring_find(const _Atomic uint16_t *ring, unsigned count, uint16_t print)
{
    unsigned at = 0;
    while (at < count && (atomic_load_explicit(&ring[at], memory_order_relaxed) & ~PRINT_MARK) != print)
        at++;
    return at;
}

void ghosts_add(struct store *store, uint64_t hash, enum ghost ghost)
{
    struct ghost_line *line = line_of(store, hash);
    uint16_t print = print_of(hash);
    if (!line)
        return;
    if (ghost == GHOST_MAIN)
        ring_add(line->main, &line->main_next, RING_MAIN, print);
    else
        ring_add(line->small, &line->small_next, RING_SMALL,
                 ghost == GHOST_DIED ? print | PRINT_MARK : print);
}

/* How many came after the one at this place. */
static unsigned small_age(const struct ghost_line *line, unsigned at)
{
    unsigned next = atomic_load_explicit(&line->small_next, memory_order_relaxed) % RING_SMALL;
    return (next + RING_SMALL - 1 - at) % RING_SMALL;
}

static enum ghost small_take(struct ghost_line *line, unsigned at)
{
    uint16_t found = atomic_load_explicit(&line->small[at], memory_order_relaxed);
    atomic_store_explicit(&line->small[at], 0, memory_order_relaxed);
    if (found & PRINT_MARK)
        return GHOST_DIED;
    return small_age(line, at) < RING_MAIN ? GHOST_SMALL_LATEST : GHOST_SMALL;
}

enum ghost ghosts_take(struct store *store, uint64_t hash)
{
    struct ghost_line *line = line_of(store, hash);
    uint16_t print = print_of(hash);
    if (!line)
        return GHOST_NONE;
    unsigned at = ring_find(line->small, RING_SMALL, print);
    if (at < RING_SMALL)
        return small_take(line, at);
    at = ring_find(line->main, RING_MAIN, print);
    if (at == RING_MAIN)
        return GHOST_NONE;
    atomic_store_explicit(&line->main[at], 0, memory_order_relaxed);
    return GHOST_MAIN;
}
