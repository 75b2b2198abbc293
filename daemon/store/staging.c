/* Bodies that arrive in pieces: each in address space of its own, charged to the budget as it fills. Some
 * that are done with are kept, memory and charge, for the bodies to come: mapping, faulting in and unmapping
 * the pages of a 45 KB body cost more than receiving it. */
#include "base/assert.h"
#include "store/store_priv.h"

#include <stdlib.h>
#include <sys/mman.h>

#define STEP_SIZE_MIN 16384u /* the first charge: a body that never comes costs little */
#define STEP_SIZE_MAX 262144u
#define STAGING_SHARE 4u
#define SPARE_SHARE   16u        /* of the memory may be kept for bodies to come */
#define SPARE_MAX     (8u << 20) /* larger ones are rare, and unmapped */
#define MAPPED_MIN    65536u

struct store_staging {
    struct store *store; /* borrowed */
    char *data;          /* owned mapping of `mapped` bytes */
    size_t size, mapped;
    size_t filled, charged;
    struct store_staging *next; /* while it is spare */
};

static size_t page_round(size_t size)
{
    return (size + STORE_PAGE_SIZE - 1) & ~(size_t)(STORE_PAGE_SIZE - 1);
}

/* The quarter of the memory that all bodies may take together. */
static bool quota_take(struct store *store, size_t size)
{
    uint64_t quota = atomic_load_explicit(&store->limit_size, memory_order_relaxed) / STAGING_SHARE;
    if (atomic_fetch_add_explicit(&store->staging_size, size, memory_order_relaxed) + size <= quota)
        return true;
    atomic_fetch_sub_explicit(&store->staging_size, size, memory_order_relaxed);
    return false;
}

/* Sizes in powers of two: what one body had will do for another. */
static size_t mapped_size(size_t size)
{
    size_t mapped = MAPPED_MIN;
    while (mapped < size && mapped < SPARE_MAX)
        mapped *= 2;
    return mapped >= size ? mapped : page_round(size);
}

/* ---- spare ones ---- */

static void staging_free(struct store_staging *staging)
{
    munmap(staging->data, staging->mapped);
    budget_return(staging->store, staging->charged);
    free(staging);
}

/* One that is large enough, with what it is charged taken from the quota again. */
static struct store_staging *spare_take(struct store *store, size_t size)
{
    spin_acquire(&store->spare_spin);
    struct store_staging **link = &store->spare, *staging;
    while ((staging = *link) != NULL && staging->mapped < size)
        link = &staging->next;
    if (staging) {
        *link = staging->next;
        store->spare_size -= staging->charged;
        if (store->spare_idle_size > store->spare_size)
            store->spare_idle_size = store->spare_size;
    }
    spin_release(&store->spare_spin);
    if (staging && !quota_take(store, staging->charged)) {
        staging_free(staging);
        return NULL;
    }
    return staging;
}

static bool spare_keep(struct store_staging *staging)
{
    struct store *store = staging->store;
    uint64_t limit = atomic_load_explicit(&store->limit_size, memory_order_relaxed);
    if (staging->charged == 0 || staging->mapped > SPARE_MAX ||
        atomic_load_explicit(&store->held_size, memory_order_relaxed) > limit)
        return false;
    spin_acquire(&store->spare_spin);
    bool keep = store->spare_size + staging->charged <= limit / SPARE_SHARE;
    if (keep) {
        staging->next = store->spare;
        store->spare = staging;
        store->spare_size += staging->charged;
    }
    spin_release(&store->spare_spin);
    return keep;
}

static void staging_free_list(struct store_staging *staging)
{
    while (staging) {
        struct store_staging *next = staging->next;
        staging_free(staging);
        staging = next;
    }
}

void staging_free_spares(struct store *store)
{
    spin_acquire(&store->spare_spin);
    struct store_staging *spares = store->spare;
    store->spare = NULL;
    store->spare_size = store->spare_idle_size = 0;
    spin_release(&store->spare_spin);
    staging_free_list(spares);
}

/* Any of them will do: what they are charged is what counts. */
void staging_trim_spares(struct store *store)
{
    struct store_staging *idle = NULL, *staging;
    spin_acquire(&store->spare_spin);
    for (struct store_staging **link = &store->spare; (staging = *link) != NULL;) {
        if (staging->charged > store->spare_idle_size) {
            link = &staging->next;
            continue;
        }
        *link = staging->next;
        store->spare_idle_size -= staging->charged;
        store->spare_size -= staging->charged;
        staging->next = idle;
        idle = staging;
    }
    store->spare_idle_size = store->spare_size;
    spin_release(&store->spare_spin);
    staging_free_list(idle);
}

/* ---- one body ---- */

static struct store_staging *staging_map(struct store *store, size_t size)
{
    struct store_staging *staging = calloc(1, sizeof *staging);
    if (!staging)
        return NULL;
    *staging = (struct store_staging){.store = store, .mapped = mapped_size(size)};
    staging->data = mmap(NULL, staging->mapped, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (staging->data != MAP_FAILED)
        return staging;
    free(staging);
    return NULL;
}

struct store_staging *store_staging_open(struct store *store, size_t size)
{
    ASSERT(size > 0);
    struct store_staging *staging = spare_take(store, size);
    if (!staging)
        staging = staging_map(store, size);
    if (!staging)
        return NULL;
    staging->size = size;
    staging->filled = 0;
    return staging;
}

/* Segments make room: free ones at once. Where there is none, the limit is passed by a little until the
 * maintainer has emptied one: a worker that receives cannot wait for it. */
static bool charge(struct store *store, size_t size)
{
    if (!quota_take(store, size))
        return false;
    if (budget_try(store, size))
        return true;
    budget_charge(store, size);
    segment_settle(store);
    maintain_wake(store);
    uint64_t held = atomic_load_explicit(&store->held_size, memory_order_relaxed);
    if (held <= atomic_load_explicit(&store->limit_size, memory_order_relaxed) + STORE_OVERDRAFT_SIZE)
        return true;
    budget_return(store, size);
    atomic_fetch_sub_explicit(&store->staging_size, size, memory_order_relaxed);
    return false;
}

static size_t next_step(const struct store_staging *staging)
{
    size_t step = staging->charged < STEP_SIZE_MIN ? STEP_SIZE_MIN : staging->charged;
    size_t missing = page_round(staging->size) - staging->charged;
    if (step > STEP_SIZE_MAX)
        step = STEP_SIZE_MAX;
    return step < missing ? step : missing;
}

char *store_staging_room(struct store_staging *staging, size_t *size)
{
    ASSERT(staging->filled < staging->size);
    if (staging->filled == staging->charged) {
        size_t step = next_step(staging);
        if (!charge(staging->store, step))
            return NULL;
        staging->charged += step;
    }
    size_t end = staging->charged < staging->size ? staging->charged : staging->size;
    *size = end - staging->filled;
    return staging->data + staging->filled;
}

void store_staging_fill(struct store_staging *staging, size_t size)
{
    ASSERT(size <= staging->charged - staging->filled && staging->filled + size <= staging->size);
    staging->filled += size;
}

const char *store_staging_data(const struct store_staging *staging)
{
    return staging->data;
}

void store_staging_close(struct store_staging *staging)
{
    if (!staging)
        return;
    atomic_fetch_sub_explicit(&staging->store->staging_size, staging->charged, memory_order_relaxed);
    if (!spare_keep(staging))
        staging_free(staging);
}
