/* What an item's size has to do with how long it lives: who survives a segment's end, and the lists in
 * which large items wait. */
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
        enum grade grade;
        size_t size;
        unsigned freq;
    } cases[] = {
        {GRADE_COMMON, MEAN, 1},
        {GRADE_COMMON, MEAN * 7 / 5, 1},
        {GRADE_COMMON, MEAN * 7 / 5 + 1, 2},
        {GRADE_LARGE, MEAN * 14 / 5, 1},
        {GRADE_LARGE, MEAN * 14 / 5 + 1, 2},
        {GRADE_LARGE, MEAN * 8, 3},
        {GRADE_HUGE, MEAN * 56 / 5, 1},
        {GRADE_HUGE, MEAN * 56 / 5 + 1, 2},
        {GRADE_HUGE, MEAN * 112 / 5 + 1, 3},
        {GRADE_HUGE, MEAN * 10000, 3},
    };
    struct ruled ruled = ruled_open(DRAIN_MAIN);
    ruled.rule.grade = cases[_i].grade;
    ck_assert_uint_eq(surviving(&ruled, cases[_i].size, cases[_i].freq - 1), 0);
    ck_assert_uint_eq(surviving(&ruled, cases[_i].size, cases[_i].freq), HASHES);
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
    ck_assert_int_eq(pools_grade(ruled.f.store, 15 * MEAN), GRADE_COMMON);
    ck_assert_int_eq(pools_grade(ruled.f.store, 21 * MEAN), GRADE_LARGE);
    ck_assert_int_eq(pools_grade(ruled.f.store, 75 * MEAN), GRADE_LARGE);
    ck_assert_int_eq(pools_grade(ruled.f.store, 81 * MEAN), GRADE_HUGE);
    fixture_close(&ruled.f);
}
END_TEST

/* ---- large items have lists of their own ---- */

static const struct segment *segment_with(struct fixture *f, const char *name)
{
    struct found found;
    struct store_key key = fixture_key(f, name);
    ck_assert(index_find(f->store, &key, &found));
    return segment_of(f->store, slot_location(found.value));
}

static enum pool pool_of(struct fixture *f, const char *name)
{
    return (enum pool)atomic_load_explicit(&segment_with(f, name)->pool, memory_order_relaxed);
}

static enum grade grade_of(struct fixture *f, const char *name)
{
    return (enum grade)atomic_load_explicit(&segment_with(f, name)->grade, memory_order_relaxed);
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

/* In both pools. */
static uint32_t sealed_of(const struct fixture *f, enum grade grade)
{
    return atomic_load_explicit(&f->store->fifo[POOL_SMALL][grade].count, memory_order_relaxed) +
           atomic_load_explicit(&f->store->fifo[POOL_MAIN][grade].count, memory_order_relaxed);
}

START_TEST(before_anything_is_evicted_no_item_counts_as_large)
{
    struct fixture f = fixture_of_size(4 * MIB);
    set_mixed(&f, 1000, 100, 5000);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_removed_evicted), 0);
    ck_assert_int_eq(grade_of(&f, name_of(990)), GRADE_COMMON);
    fixture_close(&f);
}
END_TEST

START_TEST(where_all_are_of_about_one_size_none_counts_as_large)
{
    struct fixture f = fixture_of_size(4 * MIB);
    set_mixed(&f, 60000, 200, 300);
    ck_assert_uint_gt(fixture_metric(&f, METRIC_removed_evicted), 0);
    ck_assert_uint_eq(sealed_of(&f, GRADE_LARGE) + sealed_of(&f, GRADE_HUGE), 0);
    fixture_close(&f);
}
END_TEST

/* Without reading it, which would keep it. */
static bool is_there(struct fixture *f, const char *name)
{
    struct found found;
    struct store_key key = fixture_key(f, name);
    return index_find(f->store, &key, &found);
}

/* How many of the items written are there, of those whose numbers end in this digit. */
static unsigned lasting(struct fixture *f, unsigned written, unsigned digit)
{
    unsigned count = 0;
    for (unsigned i = digit; i < written; i += 10)
        count += is_there(f, name_of(i));
    return count;
}

START_TEST(unread_a_large_item_does_not_live_as_long_as_a_small_one)
{
    struct fixture f = fixture_of_size(4 * MIB);
    set_mixed(&f, 60000, 200, 2000);
    ck_assert_uint_gt(sealed_of(&f, GRADE_LARGE), 0);
    unsigned large = lasting(&f, 60000, 0), small = lasting(&f, 60000, 5);
    ck_assert_uint_gt(large, 0);
    ck_assert_uint_gt(small, 3 * large);
    fixture_close(&f);
}
END_TEST

/* A reading, and a ghost, lead to main, where the same holds. */
START_TEST(wanted_a_large_item_does_not_live_as_long_either)
{
    struct fixture f = fixture_of_size(4 * MIB);
    for (unsigned round = 0; round < 3; round++)
        set_mixed(&f, 20000, 200, 2000);
    ck_assert_uint_gt(sealed_of(&f, GRADE_LARGE), 0);
    ck_assert_uint_gt(lasting(&f, 20000, 5), 3 * lasting(&f, 20000, 0));
    fixture_close(&f);
}
END_TEST

/* By their size they would live for a hundredth of it. */
START_TEST(the_largest_live_a_sixteenth_as_long_at_least)
{
    struct fixture f = fixture_of_size(64 * MIB);
    for (unsigned i = 0; i < 100000; i++) {
        set_sized(&f, name_of(i), i % 1000 == 0 ? 100000 : 1000);
        if (i % 200 == 0)
            fixture_maintain(&f, 1);
    }
    unsigned huge = 0, common = lasting(&f, 100000, 5);
    for (unsigned i = 0; i < 100000; i += 1000)
        huge += is_there(&f, name_of(i));
    ck_assert_uint_gt(huge, 0);
    ck_assert_uint_gt(24 * 100 * huge, common);
    fixture_close(&f);
}
END_TEST

/* A page that every visitor loads, a hundred times the mean size. */
START_TEST(a_huge_item_that_is_read_all_the_time_stays)
{
    struct fixture f = fixture_of_size(16 * MIB);
    struct store_view view;
    unsigned misses = 0;
    for (unsigned i = 0; i < 60000; i++) {
        struct store_key key = fixture_key(&f, "page");
        set_sized(&f, name_of(i), 900 + i % 200);
        if (i % 50 != 0)
            continue;
        if (store_get(f.thread, &key, &view, NULL) != RESULT_HIT) {
            set_sized(&f, "page", 100000);
            misses++;
        }
        fixture_maintain(&f, 1);
    }
    ck_assert_uint_gt(fixture_metric(&f, METRIC_removed_evicted), 30000);
    ck_assert_uint_le(misses, 3);
    fixture_close(&f);
}
END_TEST

START_TEST(an_item_is_graded_anew_with_each_write_and_stays_in_its_pool)
{
    struct fixture f = fixture_of_size(4 * MIB);
    set_mixed(&f, 60000, 200, 2000);
    ghosts_add(f.store, hash_bytes("wanted", 6, f.store->hash_seed), GHOST_SMALL);
    static const size_t sizes[] = {200, 2000, 20000, 200};
    static const enum grade grades[] = {GRADE_COMMON, GRADE_LARGE, GRADE_HUGE, GRADE_COMMON};
    for (unsigned i = 0; i < 4; i++) {
        set_sized(&f, "new", sizes[i]);
        set_sized(&f, "wanted", sizes[i]);
        ck_assert_int_eq(grade_of(&f, "new"), grades[i]);
        ck_assert_int_eq(grade_of(&f, "wanted"), grades[i]);
        ck_assert_int_eq(pool_of(&f, "new"), POOL_SMALL);
        ck_assert_int_eq(pool_of(&f, "wanted"), POOL_MAIN);
    }
    fixture_close(&f);
}
END_TEST

/* While everything around them is evicted and written again. */
START_TEST(values_in_chunks_are_graded_by_their_whole_size_and_read_back)
{
    struct fixture f = fixture_of_size(16 * MIB);
    struct store_view view;
    set_mixed(&f, 60000, 200, 2000);
    for (unsigned i = 0; i < 200; i++) {
        set_sized(&f, "chunks", 150000);
        set_mixed(&f, 200, 200, 2000);
    }
    ck_assert_int_eq(grade_of(&f, "chunks"), GRADE_HUGE);
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
    tcase_add_loop_test(tcase, larger_items_must_have_been_read_more_often, 0, 10);
    tcase_add_test(tcase, chance_says_the_same_in_one_round_and_something_new_in_the_next);
    tcase_add_test(tcase, what_is_spared_pays_no_reading);
    tcase_add_test(tcase, the_mean_follows_what_is_drained);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("grades");
    tcase_add_test(tcase, before_anything_is_evicted_no_item_counts_as_large);
    tcase_add_test(tcase, where_all_are_of_about_one_size_none_counts_as_large);
    tcase_add_test(tcase, unread_a_large_item_does_not_live_as_long_as_a_small_one);
    tcase_add_test(tcase, wanted_a_large_item_does_not_live_as_long_either);
    tcase_add_test(tcase, the_largest_live_a_sixteenth_as_long_at_least);
    tcase_add_test(tcase, a_huge_item_that_is_read_all_the_time_stays);
    tcase_add_test(tcase, an_item_is_graded_anew_with_each_write_and_stays_in_its_pool);
    tcase_add_test(tcase, values_in_chunks_are_graded_by_their_whole_size_and_read_back);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
