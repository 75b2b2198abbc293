/* What the tests of hazards share: a second thread that is stopped at a marked point of the code
 * (base/perturb.h) while the test's own thread does what must not hurt it, so that each interleaving is
 * exact.
 *
 * Every test names the guard that it holds: with that guard taken out of the code it fails. */
#ifndef VITRINE_TESTS_HAZARDS_H
#define VITRINE_TESTS_HAZARDS_H

#include "base/perturb.h"
#include "check_store.h"
#include "store/store_priv.h"

#include <pthread.h>

#define HELPER_ROUNDS 8u /* of the maintainer: claiming, walking and freeing each want a grace period */

struct helper {
    struct fixture f; /* the test's store, with a thread of its own */
    void (*act)(struct helper *helper);
    const char *key, *value;
    enum store_mode mode;
    uint32_t expiry_s;
    uint64_t cas;
    bool stale_allowed, create; /* of a write */
    struct store_fetch fetch;   /* what is asked of a lookup, and what came of it */
    struct store_lease lease;
    enum result result;
    struct store_view view; /* void, but for its plain fields, once the helper has ended */
    char seen[256];         /* the value that it read */
    size_t seen_size;
    pthread_t thread;
};

static inline void *helper_run(void *arg)
{
    struct helper *helper = arg;
    helper->act(helper);
    perturb_give_up();
    return NULL;
}

/* Starts the helper, which needs not come to any point. */
static inline void helper_start(struct helper *helper, const struct fixture *f)
{
    helper->f = *f;
    helper->f.thread = store_thread_create(f->store, metrics_block_create(f->metrics));
    ck_assert_int_eq(pthread_create(&helper->thread, NULL, helper_run, helper), 0);
}

/* Starts the helper and waits until it stands at the point. */
static inline void helper_start_until(struct helper *helper, const struct fixture *f,
                                      enum perturb_point point)
{
    perturb_hold(point, 0);
    helper_start(helper, f);
    ck_assert_msg(perturb_await(point), "the helper ended without coming to the point");
}

static inline void helper_join(struct helper *helper)
{
    ck_assert_int_eq(pthread_join(helper->thread, NULL), 0);
    store_thread_destroy(helper->f.thread);
}

static inline void helper_release(struct helper *helper, enum perturb_point point)
{
    perturb_release(point);
    helper_join(helper);
}

/* ---- what helpers do ---- */

static inline void helper_keep(struct helper *helper)
{
    const char *data;
    helper->seen_size = 0;
    while (helper->seen_size < helper->view.size && helper->seen_size < sizeof helper->seen) {
        size_t part = store_view_part(&helper->view, helper->seen_size, &data);
        size_t room = sizeof helper->seen - helper->seen_size;
        part = part < room ? part : room;
        memcpy(helper->seen + helper->seen_size, data, part);
        helper->seen_size += part;
    }
}

/* Whether gets look up several keys at once, as pipelines do: tests that have a reader are run both ways. */
static bool reads_many;

static inline void get_one(struct helper *helper)
{
    struct store_key key = fixture_key(&helper->f, helper->key);
    helper->result = store_get(helper->f.thread, &key, &helper->view, NULL);
    if (helper->result == RESULT_HIT)
        helper_keep(helper);
}

/* Before a key that is not there. */
static inline void get_many(struct helper *helper)
{
    struct store_key keys[2] = {fixture_key(&helper->f, helper->key), fixture_key(&helper->f, "absent")};
    struct store_hit hits[2];
    store_hash_keys(helper->f.store, keys, 2);
    ck_assert_uint_eq(store_get_many(helper->f.thread, keys, 2, sizeof helper->seen, 8, hits), 2);
    helper->result = hits[0].value ? RESULT_HIT : RESULT_MISS;
    helper->seen_size = 0;
    if (hits[0].value)
        memcpy(helper->seen, hits[0].value, helper->seen_size = hits[0].size);
}

static inline void act_get(struct helper *helper)
{
    store_thread_online(helper->f.thread);
    if (reads_many)
        get_many(helper);
    else
        get_one(helper);
    store_thread_offline(helper->f.thread);
}

static inline void act_write(struct helper *helper)
{
    struct store_write write = {.key = fixture_key(&helper->f, helper->key),
                                .value = helper->value,
                                .size = strlen(helper->value),
                                .expiry_s = helper->expiry_s,
                                .mode = helper->mode,
                                .cas = helper->cas,
                                .stale_allowed = helper->stale_allowed,
                                .create = helper->create};
    store_thread_online(helper->f.thread);
    struct store_written written = {0};
    helper->result = store_write(helper->f.thread, &write, &written);
    helper->cas = written.cas;
    store_thread_offline(helper->f.thread);
}

static inline void act_fetch(struct helper *helper)
{
    struct store_key key = fixture_key(&helper->f, helper->key);
    store_thread_online(helper->f.thread);
    helper->result = store_fetch(helper->f.thread, &key, &helper->fetch, &helper->view, &helper->lease, NULL);
    if (helper->result == RESULT_HIT)
        helper_keep(helper);
    store_thread_offline(helper->f.thread);
}

static inline void act_invalidate(struct helper *helper)
{
    struct store_invalidation stale = {.key = fixture_key(&helper->f, helper->key), .stale = true};
    store_thread_online(helper->f.thread);
    helper->result = store_invalidate(helper->f.thread, &stale);
    store_thread_offline(helper->f.thread);
}

static inline void act_create(struct helper *helper)
{
    struct store_delta delta = {
        .key = fixture_key(&helper->f, helper->key), .delta = 1, .create = true, .initial = 10};
    struct store_number number;
    store_thread_online(helper->f.thread);
    helper->result = store_arithmetic(helper->f.thread, &delta, &number);
    store_thread_offline(helper->f.thread);
}

static inline void act_delete(struct helper *helper)
{
    store_thread_online(helper->f.thread);
    helper->result = fixture_delete(&helper->f, helper->key);
    store_thread_offline(helper->f.thread);
}

static inline void act_touch(struct helper *helper)
{
    struct store_key key = fixture_key(&helper->f, helper->key);
    store_thread_online(helper->f.thread);
    helper->result = store_touch(helper->f.thread, &key, helper->expiry_s, &helper->view);
    if (helper->result == RESULT_HIT)
        helper_keep(helper);
    store_thread_offline(helper->f.thread);
}

static inline void act_increment(struct helper *helper)
{
    store_thread_online(helper->f.thread);
    helper->result = fixture_increment(&helper->f, helper->key);
    store_thread_offline(helper->f.thread);
}

static inline void act_maintain(struct helper *helper)
{
    for (unsigned i = 0; i < HELPER_ROUNDS; i++)
        store_maintain(helper->f.store);
}

static inline bool helper_saw(const struct helper *helper, const char *value)
{
    return helper->result == RESULT_HIT && helper->seen_size == strlen(value) &&
           memcmp(helper->seen, value, helper->seen_size) == 0;
}

/* ---- keys in places of our choosing ---- */

static inline uint64_t location_of(struct fixture *f, const char *name)
{
    struct store_key key = fixture_key(f, name);
    struct found found;
    ck_assert_msg(index_find(f->store, &key, &found), "%s is not there", name);
    return slot_location(found.value);
}

static inline uint32_t segment_id_of(struct fixture *f, const char *name)
{
    return location_segment(location_of(f, name));
}

/* Sets fillers behind the key until its segment is full and left, and returns how many. */
static inline unsigned fill_behind(struct fixture *f, const char *name, uint32_t expiry_s)
{
    char filler[32], value[201];
    unsigned count = 0;
    memset(value, 'f', sizeof value - 1);
    value[sizeof value - 1] = 0;
    do {
        snprintf(filler, sizeof filler, "filler-%u", count++);
        ck_assert_int_eq(fixture_write(f, STORE_SET, filler, value, expiry_s), RESULT_STORED);
    } while (segment_id_of(f, filler) == segment_id_of(f, name));
    return count;
}

/* Writes over the memory of segments that were freed lately. */
static inline void write_over_freed(struct fixture *f)
{
    char name[32], value[1001];
    memset(value, 'o', sizeof value - 1);
    value[sizeof value - 1] = 0;
    for (unsigned i = 0; i < 10 * segment_size(f->store) / sizeof value; i++) {
        snprintf(name, sizeof name, "over-%u", i);
        ck_assert_int_eq(fixture_set(f, name, value), RESULT_STORED);
    }
}

/* Stores a key and makes its segment one that the maintainer compacts next: sealed, and nothing but the key
 * is alive in it. */
static inline void set_lonely(struct fixture *f, const char *name, const char *value, uint32_t expiry_s)
{
    char filler[32];
    ck_assert_int_eq(fixture_write(f, STORE_SET, name, value, expiry_s), RESULT_STORED);
    unsigned count = fill_behind(f, name, expiry_s);
    for (unsigned i = 0; i < count; i++) {
        snprintf(filler, sizeof filler, "filler-%u", i);
        ck_assert_int_eq(fixture_delete(f, filler), RESULT_DELETED);
    }
}

/* The maintainer stops at the point; the test's thread, offline meanwhile, delays no grace period. */
static inline void maintain_until(struct helper *helper, struct fixture *f, enum perturb_point point)
{
    helper->act = act_maintain;
    store_thread_offline(f->thread);
    helper_start_until(helper, f, point);
    store_thread_online(f->thread);
}

static inline void maintain_on(struct helper *helper, struct fixture *f, enum perturb_point point)
{
    store_thread_offline(f->thread);
    helper_release(helper, point);
    store_thread_online(f->thread);
}

/* After a flush and its sweep not a byte may count as alive. */
static inline void check_nothing_lives(struct fixture *f)
{
    struct store_usage usage;
    store_flush(f->thread, 0);
    fixture_maintain(f, 8);
    store_usage_read(f->store, &usage);
    ck_assert_uint_eq(usage.item_count, 0);
    ck_assert_uint_eq(usage.live_size, 0);
}

static inline Suite *hazards_suite(const char *name, TCase **tcase)
{
    Suite *suite = suite_create(name);
    *tcase = tcase_create(name);
    tcase_set_timeout(*tcase, 60);
    suite_add_tcase(suite, *tcase);
    return suite;
}

static inline void read_many(void)
{
    reads_many = true;
}

/* For tests that have a reader: a case of the suite in which it gets many keys at once. */
static inline TCase *hazards_of_many(Suite *suite)
{
    TCase *tcase = tcase_create("many at once");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, read_many, NULL);
    suite_add_tcase(suite, tcase);
    return tcase;
}

#endif
