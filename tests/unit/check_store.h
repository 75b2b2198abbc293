/* What the store's unit tests share: a small store with one thread, short forms of the calls, and the
 * invariants that must hold whenever nothing is under way. Where a test names no hash seed its stores have
 * the program's, drawn at random: it is printed, and VITRINE_HASH_SEED=<n> plays one again. */
#ifndef VITRINE_TESTS_CHECK_STORE_H
#define VITRINE_TESTS_CHECK_STORE_H

#include "base/clock.h"
#include "base/hash.h"
#include "store/store.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

struct fixture {
    struct metrics *metrics;
    struct store *store;
    struct store_thread *thread;
};

/* Set before the tests' processes are forked; 0: each store draws its own. */
static uint64_t fixture_hash_seed;

static inline struct fixture fixture_open(struct store_config config)
{
    struct fixture f;
    char error[200] = "";
    clock_freeze_for_test(100);
    if (config.item_size_max == 0)
        config.item_size_max = MIB;
    if (config.hash_seed == 0)
        config.hash_seed = fixture_hash_seed;
    config.thread_count = config.thread_count ? config.thread_count : 1;
    f.metrics = metrics_create();
    f.store = store_create(&config, f.metrics, error, sizeof error);
    ck_assert_msg(f.store != NULL, "%s", error);
    f.thread = store_thread_create(f.store, metrics_block_create(f.metrics));
    store_thread_online(f.thread);
    return f;
}

static inline struct fixture fixture_of_size(size_t memory_size)
{
    return fixture_open((struct store_config){.memory_size = memory_size});
}

static inline uint64_t fixture_metric(struct fixture *f, enum metric id)
{
    struct metrics_snapshot *snapshot = malloc(sizeof *snapshot);
    metrics_snapshot_take(f->metrics, snapshot);
    uint64_t value = snapshot->value[id];
    free(snapshot);
    return value;
}

static void count_visit(void *context, const struct store_view *view)
{
    (void)view;
    ++*(uint64_t *)context;
}

/* Conservation, exact at rest: what was stored is there or was removed for one reason; the segments' own
 * counts agree. Needs every dead item swept away, since a browse does not show those. */
static inline void fixture_check_conservation(struct fixture *f)
{
    struct metrics_snapshot *s = malloc(sizeof *s);
    struct store_usage usage;
    uint64_t browsed = 0, band_items = 0, band_bytes = 0;
    metrics_snapshot_take(f->metrics, s);
    store_usage_read(f->store, &usage);
    store_browse(f->thread, 0, UINT32_MAX, UINT32_MAX, count_visit, &browsed);
    ck_assert_uint_eq(s->value[METRIC_curr_items], usage.item_count);
    ck_assert_uint_le(browsed, usage.item_count);
    for (unsigned band = 0; band < METRICS_BAND_COUNT; band++) {
        band_items += s->band[band][BAND_stored] - s->band[band][BAND_removed];
        band_bytes += s->band[band][BAND_stored_bytes] - s->band[band][BAND_removed_bytes];
    }
    ck_assert_uint_eq(band_items, usage.item_count);
    ck_assert_uint_eq(band_bytes, s->value[METRIC_bytes]);
    ck_assert_uint_le(usage.used_size, usage.limit_size + 65536);
    free(s);
}

static inline void fixture_close(struct fixture *f)
{
    fixture_check_conservation(f);
    store_thread_offline(f->thread);
    store_thread_destroy(f->thread);
    store_destroy(f->store);
    metrics_destroy(f->metrics);
}

static inline struct store_key fixture_key(struct fixture *f, const char *name)
{
    return store_key(f->store, name, strlen(name));
}

static inline enum result fixture_write(struct fixture *f, enum store_mode mode, const char *name,
                                        const char *value, uint32_t expiry_s)
{
    struct store_write write = {.key = fixture_key(f, name),
                                .value = value,
                                .size = strlen(value),
                                .expiry_s = expiry_s,
                                .mode = mode};
    return store_write(f->thread, &write, NULL);
}

static inline enum result fixture_set(struct fixture *f, const char *name, const char *value)
{
    return fixture_write(f, STORE_SET, name, value, STORE_NEVER_S);
}

static inline enum result fixture_increment(struct fixture *f, const char *name)
{
    struct store_delta delta = {.key = fixture_key(f, name), .delta = 1};
    struct store_number number;
    return store_arithmetic(f->thread, &delta, &number);
}

static inline bool fixture_has(struct fixture *f, const char *name, const char *value)
{
    struct store_key key = fixture_key(f, name);
    struct store_view view;
    return store_get(f->thread, &key, &view, NULL) == RESULT_HIT && view.size == strlen(value) &&
           memcmp(view.value, value, view.size) == 0;
}

static inline enum store_miss fixture_miss(struct fixture *f, const char *name)
{
    struct store_key key = fixture_key(f, name);
    struct store_view view;
    enum store_miss miss = STORE_MISS_NEVER_SEEN;
    ck_assert_int_eq(store_get(f->thread, &key, &view, &miss), RESULT_MISS);
    return miss;
}

static inline enum result fixture_delete(struct fixture *f, const char *name)
{
    struct store_key key = fixture_key(f, name);
    return store_delete(f->thread, &key, 0);
}

/* Rounds of the maintainer with this thread offline, so that grace periods pass. */
static inline void fixture_maintain(struct fixture *f, unsigned rounds)
{
    store_thread_offline(f->thread);
    while (rounds-- > 0)
        store_maintain(f->store);
    store_thread_online(f->thread);
}

static inline int fixture_run(Suite *suite)
{
    const char *text = getenv("VITRINE_HASH_SEED");
    fixture_hash_seed = text ? strtoull(text, NULL, 10) : hash_random_seed();
    printf("hash seed %llu\n", (unsigned long long)fixture_hash_seed);
    fflush(stdout); /* or each test's process prints it once more */
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
