/* Which items survive when their segment is emptied, by how often they were read and what room they take.
 *
 * Place: private to the store; reclaim.c asks. A reading buys an item a round through a pool, and costs the
 * more the larger the item is, as in GreedyDual-Size-Frequency (Cherkasova, 1998), whose items live in
 * proportion to readings over size. Two bits of frequency are enough for it: from 1.4 times the mean on a
 * round takes more than one reading, below the mean only some rounds take one. With STORE_MAINTAIN held. */
#include "base/hash.h"
#include "store/store_priv.h"

#define MEAN_SHIFT 12u /* the mean size is that of some 4096 items */

static uint64_t mean_size(const struct store *store)
{
    return store->mean_scaled >> MEAN_SHIFT;
}

/* When the first item has to go, the mean is that of all there is. What was drained until then is no measure:
 * behind a few tiny items any other would be too large to be kept. */
static void seed_mean(struct store *store)
{
    uint64_t size = 0, count = 0;
    uint32_t segments = atomic_load_explicit(&store->segment_count, memory_order_acquire);
    for (uint32_t id = 0; id < segments; id++) {
        size += segment_live_size(&store->segments[id]);
        count += segment_live_count(&store->segments[id]);
    }
    if (count == 0)
        return;
    store->mean_scaled = (size / count) << MEAN_SHIFT;
    store->mean_count = count < 1u << MEAN_SHIFT ? (uint32_t)count : 1u << MEAN_SHIFT;
}

void survival_note_size(struct store *store, size_t size)
{
    if (store->mean_count == 0) /* not seeded: nothing has been evicted */
        return;
    if (store->mean_count < 1u << MEAN_SHIFT)
        store->mean_count++;
    int64_t mean = (int64_t)store->mean_scaled, scaled = (int64_t)((uint64_t)size << MEAN_SHIFT);
    store->mean_scaled = (uint64_t)(mean + (scaled - mean) / (int64_t)store->mean_count);
}

void survival_begin(struct store *store, struct survival *survival, enum drain_mode mode, uint32_t id)
{
    if (store->mean_count == 0)
        seed_mean(store);
    survival->store = store;
    survival->mode = mode;
    survival->grade = (enum grade)atomic_load_explicit(&store->segments[id].grade, memory_order_relaxed);
    survival->round = atomic_load_explicit(&store->segments[id].serial, memory_order_relaxed);
    if (store->mean_count > 0) /* relaxed: a hint to writers */
        atomic_store_explicit(&store->mean_size, mean_size(store), memory_order_relaxed);
}

/* Readings that an item of this size must have to survive: once more for each doubling beyond 1.4 times the
 * mean. In the lists of larger ones a round is shorter (pools.c), and the doublings begin later. As many as
 * can be told are always enough. */
static unsigned freq_needed(const struct survival *survival, size_t size)
{
    static const uint64_t begin[GRADE_COUNT] = {
        [GRADE_COMMON] = 1, [GRADE_LARGE] = GRADE_LARGE_ABOVE, [GRADE_HUGE] = GRADE_HUGE_ABOVE};
    unsigned needed = survival->freq_min;
    uint64_t limit = mean_size(survival->store) * begin[survival->grade] * 7 / 5;
    for (; limit > 0 && size > limit && needed < SLOT_FREQ_MAX; limit *= 2)
        needed++;
    return needed;
}

/* Readings that an item is credited with when it leaves small: one for each halving from a third of the mean
 * on. What costs so little room is worth keeping unread. */
static unsigned freq_credit(const struct survival *survival, size_t size)
{
    unsigned credit = 0;
    uint64_t limit = mean_size(survival->store) / 3;
    for (; survival->mode == DRAIN_SMALL && size < limit && credit < SLOT_FREQ_MAX; limit /= 2)
        credit++;
    return credit;
}

/* Whether main keeps the item for this round for nothing: by a chance of one less its share of the mean size,
 * so that it lives for as many rounds as the mean is times its size. Chance is drawn from its hash and the
 * segment that it lies in: anew in each round, and the same whenever it is asked in one. */
static bool is_spared(const struct survival *survival, size_t size, uint64_t hash)
{
    uint64_t mean = mean_size(survival->store);
    if (survival->mode != DRAIN_MAIN || size >= mean)
        return false;
    uint64_t drawn = hash_bytes((const char *)&survival->round, sizeof survival->round, hash) >> 32;
    return (drawn * mean) >> 32 >= size;
}

bool survival_wants(const struct survival *survival, size_t size, uint64_t hash, unsigned freq)
{
    return freq_credit(survival, size) > 0 || freq >= freq_needed(survival, size) ||
           is_spared(survival, size, hash);
}

unsigned survival_freq(const struct survival *survival, size_t size, uint64_t hash, unsigned freq)
{
    unsigned paid = freq > 0 && !is_spared(survival, size, hash);
    unsigned after = freq - paid + freq_credit(survival, size);
    return after < SLOT_FREQ_MAX ? after : SLOT_FREQ_MAX;
}
