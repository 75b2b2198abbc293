/* Items by size: exact sums of what threads count for themselves. */
#include "metrics/metrics.h"

#include <check.h>
#include <stdlib.h>

static struct metrics *metrics;

static void teardown(void)
{
    metrics_destroy(metrics);
}

static void setup_tracked(void)
{
    metrics = metrics_create();
    metrics_sizes_track(metrics, 4096);
}

static void setup_untracked(void)
{
    metrics = metrics_create();
}

struct rows {
    unsigned count;
    uint64_t size[8], items[8];
};

static void add_row(void *arg, uint64_t size, uint64_t count)
{
    struct rows *rows = arg;
    ck_assert_uint_lt(rows->count, 8);
    rows->size[rows->count] = size;
    rows->items[rows->count++] = count;
}

static struct rows read_rows(void)
{
    struct rows rows = {0};
    ck_assert(metrics_sizes_read(metrics, add_row, &rows));
    return rows;
}

START_TEST(test_untracked_sizes_are_not_told)
{
    struct metrics_block *block = metrics_block_create(metrics);
    struct rows rows = {0};
    metrics_size_add(block, 100, 1);
    ck_assert(!metrics_sizes_read(metrics, add_row, &rows));
    ck_assert_uint_eq(rows.count, 0);
}
END_TEST

START_TEST(test_sizes_are_told_in_steps_by_the_largest_of_each)
{
    static const size_t sizes[] = {1, 32, 33, 64, 64, 65, 4096};
    static const uint64_t steps[] = {32, 64, 96, 4096}, counts[] = {2, 3, 1, 1};
    struct metrics_block *block = metrics_block_create(metrics);
    ck_assert_uint_eq(read_rows().count, 0);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
        metrics_size_add(block, sizes[i], 1);
    struct rows rows = read_rows();
    ck_assert_uint_eq(rows.count, 4);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(rows.size[i], steps[i]);
        ck_assert_uint_eq(rows.items[i], counts[i]);
    }
}
END_TEST

START_TEST(test_what_one_thread_stored_another_may_remove)
{
    struct metrics_block *one = metrics_block_create(metrics), *other = metrics_block_create(metrics);
    for (unsigned i = 0; i < 5; i++)
        metrics_size_add(one, 100, 1);
    for (unsigned i = 0; i < 3; i++)
        metrics_size_add(other, 100, -1);
    struct rows rows = read_rows();
    ck_assert_uint_eq(rows.count, 1);
    ck_assert_uint_eq(rows.items[0], 2);
    metrics_size_add(other, 100, -1);
    metrics_size_add(other, 100, -1);
    ck_assert_uint_eq(read_rows().count, 0);
}
END_TEST

START_TEST(test_what_is_larger_than_any_item_is_in_the_last_step)
{
    struct metrics_block *block = metrics_block_create(metrics);
    metrics_size_add(block, 1 << 20, 1);
    struct rows rows = read_rows();
    ck_assert_uint_eq(rows.count, 1);
    ck_assert_uint_ge(rows.size[0], 4096);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sizes");
    TCase *off = tcase_create("untracked"), *on = tcase_create("tracked");
    tcase_add_checked_fixture(off, setup_untracked, teardown);
    tcase_add_test(off, test_untracked_sizes_are_not_told);
    tcase_add_checked_fixture(on, setup_tracked, teardown);
    tcase_add_test(on, test_sizes_are_told_in_steps_by_the_largest_of_each);
    tcase_add_test(on, test_what_one_thread_stored_another_may_remove);
    tcase_add_test(on, test_what_is_larger_than_any_item_is_in_the_last_step);
    suite_add_tcase(suite, off);
    suite_add_tcase(suite, on);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
