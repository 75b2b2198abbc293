/* Creation, destruction and the limit. */
#include "base/assert.h"
#include "base/hash.h"
#include "store/store_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LIMIT_SEGMENTS_MIN 16u /* fewer would leave eviction nothing to choose from */

static size_t machine_memory_size(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (size_t)pages * (size_t)size : 0;
}

static struct store *fail(struct store *store, char *error, size_t error_size, const char *reason)
{
    snprintf(error, error_size, "%s", reason);
    store_destroy(store);
    return NULL;
}

static void locks_init(struct store *store)
{
    lock_init(&store->maintain_lock, LOCK_STORE_MAINTAIN);
    lock_init(&store->segments_lock, LOCK_STORE_SEGMENTS);
    lock_init(&store->threads_lock, LOCK_STORE_THREADS);
    sem_init(&store->wake, 0, 0);
}

/* Address space for all that may ever be needed; where that cannot be had, for what is needed now. */
static bool memory_open(struct store *store, size_t size, size_t size_max)
{
    store->memory_size_max = size_max;
    if (segment_open_all(store, size, size_max) && index_open(store, size, size_max) &&
        ghosts_open(store, size_max))
        return true;
    segment_close_all(store);
    index_close(store);
    ghosts_close(store);
    store->segments = NULL;
    store->segment_base = NULL;
    store->ghost_lines = NULL;
    store->buckets = NULL;
    store->overflow = NULL;
    return false;
}

static size_t memory_size_max(const struct store_config *config)
{
    size_t size = config->memory_size_max ? config->memory_size_max : machine_memory_size();
    return size > config->memory_size ? size : config->memory_size;
}

static bool parts_open(struct store *store, const struct store_config *config)
{
    size_t size = config->memory_size;
    unsigned threads = config->thread_count ? config->thread_count : 1;
    return (memory_open(store, size, memory_size_max(config)) || memory_open(store, size, size)) &&
           lanes_open(store, size, threads);
}

struct store *store_create(const struct store_config *config, struct metrics *metrics, char *error,
                           size_t error_size)
{
    if (config->memory_size < STORE_MEMORY_SIZE_MIN)
        return fail(NULL, error, error_size, "memory limit is below 1 MiB");
    struct store *store = aligned_alloc(_Alignof(struct store), sizeof *store);
    if (!store)
        return fail(NULL, error, error_size, "out of memory");
    *store = (struct store){.no_eviction = config->no_eviction,
                            .item_size_max = config->item_size_max,
                            .metrics = metrics,
                            .hash_seed = config->hash_seed ? config->hash_seed : hash_random_seed()};
    locks_init(store);
    atomic_init(&store->limit_size, config->memory_size);
    atomic_init(&store->seq_next, 2); /* memcached's first CAS */
    atomic_init(&store->epoch, 1);
    if (!parts_open(store, config))
        return fail(store, error, error_size, "cannot reserve address space for the memory limit");
    if (store->item_size_max > large_size_max(store))
        store->item_size_max = large_size_max(store);
    struct metrics_block *block = metrics_block_create(metrics);
    store->reclaimer = block ? store_thread_create(store, block) : NULL;
    if (!store->reclaimer)
        return fail(store, error, error_size, "out of memory");
    recycler_destroy(store->reclaimer->recycler); /* it empties whole segments */
    store->reclaimer->recycler = NULL;
    metrics_probe_register(metrics, usage_probe, store);
    return store;
}

void store_destroy(struct store *store)
{
    if (!store)
        return;
    ASSERT(!store->running);
    store_thread_destroy(store->reclaimer);
    ASSERT(!store->threads);
    staging_free_spares(store);
    segment_close_all(store);
    index_close(store);
    ghosts_close(store);
    free(store->lanes);
    lock_fini(&store->maintain_lock);
    lock_fini(&store->segments_lock);
    lock_fini(&store->threads_lock);
    sem_destroy(&store->wake);
    free(store);
}

bool store_memory_limit_set(struct store *store, size_t size)
{
    if (size < STORE_MEMORY_SIZE_MIN || size >> store->segment_shift < LIMIT_SEGMENTS_MIN ||
        size > store->memory_size_max)
        return false;
    uint64_t before = atomic_exchange_explicit(&store->limit_size, size, memory_order_relaxed);
    if (size < before)
        atomic_store_explicit(&store->limit_lowered, true, memory_order_relaxed);
    index_floor_set(store, size);
    maintain_wake(store);
    return true;
}
