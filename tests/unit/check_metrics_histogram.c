/* Histograms: every value is reported within 3.2 %, quantiles agree with sorted values, windows subtract. */
#include "metrics/histogram.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_MAX 0.032

static struct histogram histogram, other;

static void setup(void)
{
    memset(&histogram, 0, sizeof histogram);
    memset(&other, 0, sizeof other);
}

/* xorshift64: the same numbers in every run. */
static uint64_t random_state = 0x9e3779b97f4a7c15ull;
static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Any magnitude below 2^40 with the same chance. */
static uint64_t random_value(void)
{
    return (random_next() >> 24) >> (random_next() % HISTOGRAM_OCTAVES);
}

START_TEST(every_value_lies_in_its_bucket)
{
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t value = random_value();
        unsigned bucket = histogram_bucket_of(value);
        ck_assert_uint_le(histogram_bucket_low(bucket), value);
        ck_assert_uint_ge(histogram_bucket_high(bucket), value);
    }
}
END_TEST

START_TEST(buckets_follow_each_other_without_a_gap)
{
    ck_assert_uint_eq(histogram_bucket_low(0), 0);
    for (unsigned bucket = 0; bucket + 1 < HISTOGRAM_BUCKET_COUNT; bucket++) {
        ck_assert_uint_eq(histogram_bucket_high(bucket) + 1, histogram_bucket_low(bucket + 1));
        ck_assert_uint_eq(histogram_bucket_of(histogram_bucket_low(bucket)), bucket);
        ck_assert_uint_eq(histogram_bucket_of(histogram_bucket_high(bucket)), bucket);
    }
}
END_TEST

START_TEST(a_single_value_is_reported_within_the_error)
{
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t value = random_value();
        setup();
        histogram_add(&histogram, value, 1);
        double reported = (double)histogram_quantile(&histogram, 0.5);
        ck_assert_double_le(reported, (double)value * (1 + ERROR_MAX));
        ck_assert_double_ge(reported, (double)value * (1 - ERROR_MAX));
    }
}
END_TEST

START_TEST(small_values_are_exact)
{
    for (uint64_t value = 0; value < 32; value++) {
        setup();
        histogram_add(&histogram, value, 3);
        ck_assert_uint_eq(histogram_quantile(&histogram, 1), value);
    }
}
END_TEST

START_TEST(values_beyond_the_range_count_as_the_largest)
{
    histogram_add(&histogram, UINT64_MAX / 4, 1);
    histogram_add(&histogram, 1ull << 40, 1);
    ck_assert_uint_eq(histogram_count(&histogram), 2);
    ck_assert_uint_eq(histogram_bucket_of(UINT64_MAX), HISTOGRAM_BUCKET_COUNT - 1);
    ck_assert_double_ge((double)histogram_quantile(&histogram, 0), (1 - ERROR_MAX) * (double)(1ull << 40));
}
END_TEST

#define SAMPLE_COUNT 10000u

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

START_TEST(quantiles_agree_with_the_sorted_values)
{
    static const double quantiles[] = {0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1};
    static uint64_t values[SAMPLE_COUNT];
    for (unsigned i = 0; i < SAMPLE_COUNT; i++) {
        values[i] = random_value();
        histogram_add(&histogram, values[i], 1);
    }
    qsort(values, SAMPLE_COUNT, sizeof *values, compare);
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        unsigned rank = (unsigned)(quantiles[i] * SAMPLE_COUNT + 0.5);
        double exact = (double)values[rank == 0 ? 0 : rank - 1];
        double reported = (double)histogram_quantile(&histogram, quantiles[i]);
        ck_assert_double_ge(reported, exact * (1 - ERROR_MAX));
        ck_assert_double_le(reported, exact * (1 + ERROR_MAX));
    }
}
END_TEST

START_TEST(an_empty_histogram_answers_0)
{
    ck_assert_uint_eq(histogram_count(&histogram), 0);
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.99), 0);
    ck_assert_uint_eq(histogram_count_below(&histogram, UINT64_MAX), 0);
}
END_TEST

START_TEST(the_sum_is_of_the_exact_values)
{
    histogram_add(&histogram, 1000003, 7);
    histogram_add(&histogram, 5, 1);
    ck_assert_uint_eq(histogram.sum, 7 * 1000003 + 5);
}
END_TEST

START_TEST(a_merge_is_as_if_all_had_been_added_to_one)
{
    static struct histogram both;
    memset(&both, 0, sizeof both);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t value = random_value(), count = random_next() % 5;
        histogram_add(i % 2 ? &histogram : &other, value, count);
        histogram_add(&both, value, count);
    }
    histogram_merge(&histogram, &other);
    ck_assert_mem_eq(&histogram, &both, sizeof both);
}
END_TEST

START_TEST(subtracting_an_earlier_reading_leaves_what_came_since)
{
    static struct histogram since;
    memset(&since, 0, sizeof since);
    for (unsigned i = 0; i < 500; i++)
        histogram_add(&histogram, random_value(), 1);
    other = histogram;
    for (unsigned i = 0; i < 500; i++) {
        uint64_t value = random_value();
        histogram_add(&histogram, value, 2);
        histogram_add(&since, value, 2);
    }
    histogram_subtract(&histogram, &other);
    ck_assert_mem_eq(&histogram, &since, sizeof since);
}
END_TEST

START_TEST(cumulative_counts_include_a_value_equal_to_the_limit)
{
    static const uint64_t values[] = {0, 16, 60, 100, 1024, 3600, 1000000};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        histogram_add(&histogram, values[i], 1);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        ck_assert_uint_eq(histogram_count_below(&histogram, values[i]), i + 1);
        if (values[i] != 0)
            ck_assert_uint_eq(histogram_count_below(&histogram, values[i] - values[i] / 8 - 1), i);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics/histogram");
    TCase *tcase = tcase_create("histogram");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, every_value_lies_in_its_bucket);
    tcase_add_test(tcase, buckets_follow_each_other_without_a_gap);
    tcase_add_test(tcase, a_single_value_is_reported_within_the_error);
    tcase_add_test(tcase, small_values_are_exact);
    tcase_add_test(tcase, values_beyond_the_range_count_as_the_largest);
    tcase_add_test(tcase, quantiles_agree_with_the_sorted_values);
    tcase_add_test(tcase, an_empty_histogram_answers_0);
    tcase_add_test(tcase, the_sum_is_of_the_exact_values);
    tcase_add_test(tcase, a_merge_is_as_if_all_had_been_added_to_one);
    tcase_add_test(tcase, subtracting_an_earlier_reading_leaves_what_came_since);
    tcase_add_test(tcase, cumulative_counts_include_a_value_equal_to_the_limit);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
