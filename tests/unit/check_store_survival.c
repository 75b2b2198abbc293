/* What an item's size has to do with how long it lives: who survives a segment's end, and the pool that large
 * items pass through. */
#include "check_store.h"

#include "base/hash.h"
#include "store/store_priv.h"

#define MEAN   1000u
#define HASHES 20000u

/* ---- who survives, asked of the rule ---- */

struct ruled {
    struct fixture f;
    struct survival rule;
};

/* A store in which the mean size is MEAN, and a segment of it that is being emptied. */
static struct ruled ruled_open(enum drain_mode mode)
{
    struct ruled ruled = {.f = fixture_of_size(4 * MIB)};
    ruled.f.store->mean_count = 4096;
    ruled.f.store->mean_scaled = (uint64_t)MEAN << 12;
    survival_begin(ruled.f.store, &ruled.rule, mode, 0);
    ruled.rule.freq_min = 1;
    return ruled;
}

static uint64_t hash_of(unsigned i)
{
    return hash_bytes((const char *)&i, sizeof i, 7);
}

/* Of HASHES items of this size that were read as often, how many survive. */
static unsigned surviving(const struct ruled *ruled, size_t size, unsigned freq)
{
    unsigned count = 0;
    for (unsigned i = 0; i < HASHES; i++)
        count += survival_wants(&ruled->rule, size, hash_of(i), freq);
    return count;
}

START_TEST(main_keeps_unread_items_by_how_much_smaller_than_the_mean_they_are)
{
    static const unsigned sizes[] = {10, 100, 250, 500, 900, 999};
    struct ruled ruled = ruled_open(DRAIN_MAIN);
    double expected = HASHES * (1 - (double)sizes[_i] / MEAN);
    ck_assert_double_eq_tol(surviving(&ruled, sizes[_i], 0), expected,
                            4 * 71); /* of a deviation of 71 at most */
    fixture_close(&ruled.f);
}
END_TEST

START_TEST(from_the_mean_on_nothing_survives_unread)
{
    static const enum drain_mode modes[] = {DRAIN_SMALL, DRAIN_MAIN};
    struct ruled ruled = ruled_open(modes[_i]);
    ck_assert_uint_eq(surviving(&ruled, MEAN, 0), 0);
    ck_assert_uint_eq(surviving(&ruled, MEAN + 1, 0), 0);
    ck_assert_uint_eq(surviving(&ruled, 100 * MEAN, 0), 0);
    fixture_close(&ruled.f);
}
END_TEST

START_TEST(small_keeps_unread_what_is_below_a_third_of_the_mean_and_nothing_else)
{
    struct ruled ruled = ruled_open(DRAIN_SMALL);
    ck_assert_uint_eq(surviving(&ruled, MEAN / 3 - 1, 0), HASHES);
    ck_assert_uint_eq(surviving(&ruled, MEAN / 3, 0), 0);
    fixture_close(&ruled.f);
}
END_TEST

START_TEST(larger_items_must_have_been_read_more_often)
{
    static const struct {
        size_t size;
        unsigned freq;
    } cases[] = {{MEAN, 1}, {MEAN * 7 / 5, 1}, {MEAN * 7 / 5 + 1, 2}, {MEAN * 14 / 5 + 1, 3}};
    struct ruled ruled = ruled_open(DRAIN_MAIN);
    ck_assert_uint_eq(surviving(&ruled, cases[_i].size, cases[_i].freq - 1), 0);
    ck_assert_uint_eq(surviving(&ruled, cases[_i].size, cases[_i].freq), HASHES);
    ck_assert_uint_eq(surviving(&ruled, MEAN * 28 / 5 + 1, SLOT_FREQ_MAX), 0);
    fixture_close(&ruled.f);
}
END_TEST

/* An item may be asked for again when it has been copied. */
START_TEST(chance_says_the_same_in_one_round_and_something_new_in_the_next)
{
    struct ruled ruled = ruled_open(DRAIN_MAIN);
    struct survival next = ruled.rule;
    unsigned both = 0, kept = surviving(&ruled, MEAN / 2, 0);
    next.round++;
    for (unsigned i = 0; i < HASHES; i++) {
        bool wanted = survival_wants(&ruled.rule, MEAN / 2, hash_of(i), 0);
        ck_assert(survival_wants(&ruled.rule, MEAN / 2, hash_of(i), 0) == wanted);
        both += wanted && survival_wants(&next, MEAN / 2, hash_of(i), 0);
    }
    ck_assert_double_eq_tol(kept, HASHES / 2.0, 4 * 71);
    ck_assert_double_eq_tol(both, HASHES / 4.0, 4 * 71);
    fixture_close(&ruled.f);
}
END_TEST

START_TEST(what_is_spared_pays_no_reading)
{
    struct ruled ruled = ruled_open(DRAIN_MAIN);
    unsigned unpaid = 0;
    for (unsigned i = 0; i < HASHES; i++) {
        bool spared = survival_wants(&ruled.rule, MEAN / 4, hash_of(i), 0);
        ck_assert_uint_eq(survival_freq(&ruled.rule, MEAN / 4, hash_of(i), 2), spared ? 2 : 1);
        ck_assert_uint_eq(survival_freq(&ruled.rule, MEAN / 4, hash_of(i), 0), 0);
        ck_assert_uint_eq(survival_freq(&ruled.rule, MEAN, hash_of(i), 3), 2);
        unpaid += spared;
    }
    ck_assert_double_eq_tol(unpaid, HASHES * 0.75, 4 * 71);
    fixture_close(&ruled.f);
}
END_TEST

START_TEST(the_mean_follows_what_is_drained)
{
    struct ruled ruled = ruled_open(DRAIN_MAIN);
    for (unsigned i = 0; i < 5 * 4096; i++)
        survival_note_size(ruled.f.store, 10 * MEAN);
    survival_begin(ruled.f.store, &ruled.rule, DRAIN_MAIN, 0);
    ck_assert_uint_gt(surviving(&ruled, 5 * MEAN, 0), HASHES / 3);
    ck_assert_int_eq(pools_entry(ruled.f.store, 15 * MEAN), POOL_SMALL);
    ck_assert_int_eq(pools_entry(ruled.f.store, 20 * MEAN), POOL_BULK);
    fixture_close(&ruled.f);
}
END_TEST

/* ---- the pool that large items pass through ---- */

static unsigned pool_of(struct fixture *f, const char *name)
{
    struct found found;
    struct store_key key = fixture_key(f, name);
    ck_assert(index_find(f->store, &key, &found));
    return atomic_load_explicit(&segment_of(f->store, slot_location(found.value))->pool,
                                memory_order_relaxed);
}

static char *name_of(unsigned i)
{
    static char name[24];
    snprintf(name, sizeof name, "key-%07u", i);
    return name;
}

static void set_sized(struct fixture *f, const char *name, size_t size)
{
    static char value[200000];
    memset(value, 'v', size);
    struct store_write write = {
        .key = fixture_key(f, name), .value = value, .size = size, .expiry_s = STORE_NEVER_S};
    ck_assert_int_eq(store_write(f->thread, &write, NULL), RESULT_STORED);
}

/* `count` items, of which each tenth is of the second size. */
static void set_mixed(struct fixture *f, unsigned count, size_t size, size_t tenth_size)
{
    for (unsigned i = 0; i < count; i++) {
        set_sized(f, name_of(i), i % 10 == 0 ? tenth_size : size);
        if (i % 200 == 0)
            fixture_maintain(f, 1);
    }
}

static uint32_t sealed_in(const struct fixture *f, enum pool pool)
{
    return atomic_load_explicit(&f->store->fifo[pool].count, memory_order_relaxed);
}

START_TEST(before_anything_is_evicted_no_item_counts_as_large)
{
    struct fixture f = fixture_of_size(4 * MIB);
    set_mixed(&f, 1000, 100, 5000);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_removed_evicted), 0);
    ck_assert_uint_eq(pool_of(&f, name_of(990)), POOL_SMALL);
    fixture_close(&f);
}
END_TEST

START_TEST(where_all_are_of_about_one_size_none_counts_as_large)
{
    struct fixture f = fixture_of_size(4 * MIB);
    set_mixed(&f, 60000, 200, 300);
    ck_assert_uint_gt(fixture_metric(&f, METRIC_removed_evicted), 0);
    ck_assert_uint_eq(sealed_in(&f, POOL_BULK), 0);
    fixture_close(&f);
}
END_TEST

/* How many of the items written last are there, of those whose numbers end in this digit: a read would keep
 * them, so none is. */
static unsigned lasting(struct fixture *f, unsigned written, unsigned digit)
{
    unsigned count = 0;
    struct found found;
    for (unsigned i = digit; i < written; i += 10) {
        struct store_key key = fixture_key(f, name_of(i));
        count += index_find(f->store, &key, &found);
    }
    return count;
}

START_TEST(unread_a_large_item_does_not_live_as_long_as_a_small_one)
{
    struct fixture f = fixture_of_size(4 * MIB);
    set_mixed(&f, 60000, 200, 2000);
    ck_assert_uint_gt(sealed_in(&f, POOL_BULK), 0);
    unsigned large = lasting(&f, 60000, 0), small = lasting(&f, 60000, 5);
    ck_assert_uint_gt(large, 0);
    ck_assert_uint_gt(small, 3 * large);
    fixture_close(&f);
}
END_TEST

/* By their size they would live for less than a thirteenth of it. */
START_TEST(the_largest_live_an_eighth_as_long_at_least)
{
    struct fixture f = fixture_of_size(16 * MIB);
    set_mixed(&f, 60000, 1500, 20000);
    unsigned large = lasting(&f, 60000, 0), small = lasting(&f, 60000, 5);
    ck_assert_uint_gt(12 * large, small);
    fixture_close(&f);
}
END_TEST

START_TEST(an_item_that_shrinks_leaves_bulk_and_one_in_main_stays_there)
{
    struct fixture f = fixture_of_size(4 * MIB);
    set_mixed(&f, 60000, 200, 2000);
    set_sized(&f, "changing", 2000);
    ck_assert_uint_eq(pool_of(&f, "changing"), POOL_BULK);
    set_sized(&f, "changing", 200);
    ck_assert_uint_eq(pool_of(&f, "changing"), POOL_SMALL);
    set_sized(&f, "changing", 2000);
    ck_assert_uint_eq(pool_of(&f, "changing"), POOL_BULK);
    ghosts_add(f.store, hash_bytes("wanted", 6, f.store->hash_seed), GHOST_SMALL);
    set_sized(&f, "wanted", 2000);
    ck_assert_uint_eq(pool_of(&f, "wanted"), POOL_MAIN);
    set_sized(&f, "wanted", 200);
    ck_assert_uint_eq(pool_of(&f, "wanted"), POOL_MAIN);
    fixture_close(&f);
}
END_TEST

/* Its chunks lie where its head lies, in bulk, and all come back. */
START_TEST(values_in_chunks_pass_through_bulk_and_are_read_back_whole)
{
    struct fixture f = fixture_of_size(16 * MIB);
    struct store_view view;
    set_mixed(&f, 60000, 200, 2000);
    for (unsigned i = 0; i < 200; i++) {
        set_sized(&f, "chunks", 150000);
        set_mixed(&f, 200, 200, 2000);
    }
    ck_assert_uint_eq(pool_of(&f, "chunks"), POOL_BULK);
    struct store_key key = fixture_key(&f, "chunks");
    ck_assert_int_eq(store_get(f.thread, &key, &view, NULL), RESULT_HIT);
    ck_assert_uint_eq(view.size, 150000);
    for (size_t at = 0; at < view.size; at++) {
        const char *part;
        ck_assert_uint_gt(store_view_part(&view, at, &part), 0);
        ck_assert_int_eq(*part, 'v');
    }
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_survival");
    TCase *tcase = tcase_create("rule");
    tcase_add_loop_test(tcase, main_keeps_unread_items_by_how_much_smaller_than_the_mean_they_are, 0, 6);
    tcase_add_loop_test(tcase, from_the_mean_on_nothing_survives_unread, 0, 2);
    tcase_add_test(tcase, small_keeps_unread_what_is_below_a_third_of_the_mean_and_nothing_else);
    tcase_add_loop_test(tcase, larger_items_must_have_been_read_more_often, 0, 4);
    tcase_add_test(tcase, chance_says_the_same_in_one_round_and_something_new_in_the_next);
    tcase_add_test(tcase, what_is_spared_pays_no_reading);
    tcase_add_test(tcase, the_mean_follows_what_is_drained);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("bulk");
    tcase_add_test(tcase, before_anything_is_evicted_no_item_counts_as_large);
    tcase_add_test(tcase, where_all_are_of_about_one_size_none_counts_as_large);
    tcase_add_test(tcase, unread_a_large_item_does_not_live_as_long_as_a_small_one);
    tcase_add_test(tcase, the_largest_live_an_eighth_as_long_at_least);
    tcase_add_test(tcase, an_item_that_shrinks_leaves_bulk_and_one_in_main_stays_there);
    tcase_add_test(tcase, values_in_chunks_pass_through_bulk_and_are_read_back_whole);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
