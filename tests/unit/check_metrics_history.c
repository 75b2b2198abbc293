/* History: curves at three resolutions, windows of the counters, gaps; the seconds are driven by hand. */
#include "base/clock.h"
#include "metrics/history.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#define START 100u
#define MS    1000000ull

static struct metrics *metrics;
static struct metrics_block *block;
static struct history *history;
static uint32_t now_s;
static uint64_t connections_now;

static void probe(void *context, struct metrics_snapshot *snapshot)
{
    (void)context;
    snapshot->value[METRIC_get_hits] = snapshot->request[0][RESULT_HIT];
    snapshot->value[METRIC_get_misses] = snapshot->request[0][RESULT_MISS];
    snapshot->value[METRIC_curr_connections] = connections_now;
}

static void setup(void)
{
    now_s = START;
    clock_freeze_for_test(now_s);
    metrics = metrics_create();
    block = metrics_block_create(metrics);
    metrics_probe_register(metrics, probe, NULL);
    history = history_create(metrics);
    ck_assert_ptr_nonnull(history);
}

static void teardown(void)
{
    history_destroy(history);
    metrics_destroy(metrics);
}

static void request(enum result result, unsigned count, uint64_t ns)
{
    for (unsigned i = 0; i < count; i++)
        metrics_request(block, 0, result);
    metrics_turn_end(block, ns);
}

static void step(uint32_t seconds)
{
    now_s += seconds;
    clock_freeze_for_test(now_s);
    history_sample(history, now_s);
}

static unsigned series(const char *name)
{
    int found = history_series_find(name);
    ck_assert_int_ge(found, 0);
    return (unsigned)found;
}

/* The value of a series at one second and resolution; fails when there is no such point. */
static double point_at(const char *name, uint32_t second, uint32_t step_s)
{
    struct history_point point;
    struct history_range range = {second, second, step_s};
    ck_assert_uint_eq(history_read(history, series(name), &range, &point, 1), 1);
    ck_assert_uint_eq(range.step_s, step_s);
    ck_assert_uint_eq(point.second, second);
    return point.value;
}

START_TEST(a_rate_is_the_growth_of_its_second)
{
    request(RESULT_HIT, 7, MS);
    step(1);
    step(1);
    ck_assert_double_eq(point_at("hits", START + 1, 1), 7);
    ck_assert_double_eq(point_at("hits", START + 2, 1), 0);
}
END_TEST

START_TEST(a_level_is_what_it_was_at_the_end_of_the_step)
{
    connections_now = 5;
    step(1);
    connections_now = 9;
    step(1);
    ck_assert_double_eq(point_at("connections", START + 1, 1), 5);
    ck_assert_double_eq(point_at("connections", START + 2, 1), 9);
}
END_TEST

START_TEST(a_ratio_with_nothing_to_divide_is_no_number)
{
    request(RESULT_HIT, 3, MS);
    request(RESULT_MISS, 1, MS);
    step(1);
    step(1);
    ck_assert_double_eq(point_at("hit_ratio", START + 1, 1), 0.75);
    ck_assert(isnan(point_at("hit_ratio", START + 2, 1)));
    ck_assert(isnan(point_at("latency_p99", START + 2, 1)));
}
END_TEST

START_TEST(a_missed_second_leaves_a_gap_and_nothing_else_missing)
{
    request(RESULT_HIT, 4, MS);
    step(1);
    request(RESULT_HIT, 30, MS);
    step(3);
    ck_assert_double_eq(point_at("hits", START + 1, 1), 4);
    ck_assert(isnan(point_at("hits", START + 2, 1)));
    ck_assert(isnan(point_at("hits", START + 3, 1)));
    ck_assert_double_eq(point_at("hits", START + 4, 1), 10);
}
END_TEST

START_TEST(a_second_sampled_twice_counts_once)
{
    request(RESULT_HIT, 2, MS);
    step(1);
    request(RESULT_HIT, 2, MS);
    history_sample(history, now_s);
    step(1);
    ck_assert_double_eq(point_at("hits", START + 1, 1), 2);
    ck_assert_double_eq(point_at("hits", START + 2, 1), 2);
}
END_TEST

START_TEST(coarser_points_are_means_of_their_whole_step)
{
    for (unsigned i = 0; i < 300; i++) {
        request(RESULT_HIT, i < 10 ? 20 : 5, MS);
        step(1);
    }
    ck_assert_double_eq(point_at("hits", START + 10, 10), 20);
    ck_assert_double_eq(point_at("hits", START + 20, 10), 5);
    uint32_t boundary = 300; /* START lies within the first 300 s step */
    ck_assert_double_eq_tol(point_at("hits", boundary, 300), (10 * 20 + 190 * 5) / 200.0, 1e-9);
}
END_TEST

START_TEST(a_coarse_quantile_comes_from_all_requests_of_its_step)
{
    for (unsigned i = 0; i < 10; i++) {
        request(RESULT_HIT, 100, i == 4 ? 50 * MS : 1 * MS);
        step(1);
    }
    ck_assert_double_eq_tol(point_at("latency_p50", START + 10, 10), 1e-3, 0.032e-3);
    ck_assert_double_eq_tol(point_at("latency_p99", START + 10, 10), 50e-3, 1.6e-3);
    ck_assert_double_eq_tol(point_at("latency_p99", START + 10, 1), 1e-3, 0.032e-3);
}
END_TEST

START_TEST(old_seconds_are_answered_by_the_coarser_ring)
{
    for (unsigned i = 0; i < 1000; i++) {
        request(RESULT_HIT, 4, MS);
        step(1);
    }
    struct history_point points[2000];
    struct history_range range = {START, now_s, 1};
    size_t count = history_read(history, series("hits"), &range, points, 2000);
    ck_assert_uint_eq(range.step_s, 10);
    ck_assert_uint_eq(count, 100);
    for (size_t i = 0; i < count; i++)
        ck_assert_double_eq(points[i].value, 4);
    range = (struct history_range){now_s - 899, now_s, 1};
    count = history_read(history, series("hits"), &range, points, 2000);
    ck_assert_uint_eq(range.step_s, 1);
    ck_assert_uint_eq(count, 900);
}
END_TEST

START_TEST(too_many_points_leave_the_newest_oldest_first)
{
    for (unsigned i = 0; i < 50; i++)
        step(1);
    struct history_point points[8];
    struct history_range range = {0, UINT32_MAX, 1};
    ck_assert_uint_eq(history_read(history, series("hits"), &range, points, 8), 8);
    ck_assert_uint_eq(points[0].second, now_s - 7);
    ck_assert_uint_eq(points[7].second, now_s);
}
END_TEST

START_TEST(nothing_is_told_of_the_time_before_the_start_or_to_come)
{
    struct history_point points[8];
    struct history_range always = {0, UINT32_MAX, 1};
    ck_assert_uint_eq(history_read(history, series("hits"), &always, points, 8), 0);
    step(1);
    struct history_range before = {0, START, 1}, after = {now_s + 1, UINT32_MAX, 1};
    ck_assert_uint_eq(history_read(history, series("hits"), &before, points, 8), 0);
    ck_assert_uint_eq(history_read(history, series("hits"), &after, points, 8), 0);
}
END_TEST

static struct metrics_snapshot growth;
static struct histogram latency;

/* Reads a window and checks that it spans at least `seconds`, by at most the part of a second since. */
static void read_window(enum history_window window, double seconds)
{
    double spanned_s;
    history_window_read(history, window, &growth, &spanned_s, &latency);
    ck_assert_double_ge(spanned_s, seconds);
    ck_assert_double_lt(spanned_s, seconds + 60); /* real time passes while the driven clock stands */
}

/* One request in each of `seconds` seconds. */
static void serve(unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        request(RESULT_HIT, 1, MS);
        step(1);
    }
}

START_TEST(each_window_counts_its_own_span)
{
    serve(4040); /* START + 4040 ends a step of a minute */
    static const struct {
        enum history_window window;
        uint64_t span;
    } cases[] = {
        {WINDOW_10S, 10}, {WINDOW_1M, 60}, {WINDOW_5M, 300}, {WINDOW_1H, 3600}, {WINDOW_TOTAL, 4040}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        read_window(cases[i].window, (double)cases[i].span);
        ck_assert_uint_eq(growth.value[METRIC_get_hits], cases[i].span);
        ck_assert_uint_eq(growth.value[METRIC_requests], cases[i].span);
        ck_assert_uint_eq(growth.request[0][RESULT_HIT], cases[i].span);
        ck_assert_uint_eq(histogram_count(&latency), cases[i].span);
    }
}
END_TEST

START_TEST(a_window_that_ends_within_a_step_is_longer_by_less_than_one_and_tells_so)
{
    serve(4077); /* 7 s into a step of 10 s, 37 s into one of a minute */
    read_window(WINDOW_5M, 307);
    ck_assert_uint_eq(growth.value[METRIC_get_hits], 307);
    read_window(WINDOW_1H, 3637);
    ck_assert_uint_eq(growth.value[METRIC_get_hits], 3637);
    ck_assert_uint_eq(histogram_count(&latency), 3637);
}
END_TEST

START_TEST(a_window_longer_than_the_life_tells_what_it_really_spans)
{
    serve(5);
    read_window(WINDOW_1H, 5);
    ck_assert_uint_eq(growth.value[METRIC_get_hits], 5);
    ck_assert_uint_eq(histogram_count(&latency), 5);
}
END_TEST

START_TEST(a_window_reaches_to_this_moment_and_not_to_the_last_sample)
{
    serve(30);
    request(RESULT_MISS, 3, 7 * MS);
    for (unsigned window = 0; window < WINDOW_COUNT; window++) {
        history_window_read(history, (enum history_window)window, &growth, NULL, &latency);
        ck_assert_uint_eq(growth.value[METRIC_get_misses], 3);
        ck_assert_uint_eq(growth.request[0][RESULT_MISS], 3);
        ck_assert_double_eq_tol((double)histogram_quantile(&latency, 1), 7e6, 0.032 * 7e6);
    }
}
END_TEST

START_TEST(gauges_in_a_window_are_their_level_now)
{
    connections_now = 3;
    serve(20);
    connections_now = 8;
    read_window(WINDOW_10S, 10);
    ck_assert_uint_eq(growth.value[METRIC_curr_connections], 8);
}
END_TEST

START_TEST(a_reset_of_stats_does_not_disturb_history)
{
    serve(20);
    metrics_reset(metrics);
    request(RESULT_HIT, 2, MS);
    step(1);
    ck_assert_double_eq(point_at("hits", now_s, 1), 2);
    read_window(WINDOW_TOTAL, 21);
    ck_assert_uint_eq(growth.value[METRIC_get_hits], 22);
}
END_TEST

START_TEST(names_of_windows_and_series_are_found)
{
    ck_assert_int_eq(history_window_find("5m"), WINDOW_5M);
    ck_assert_int_eq(history_window_find("2m"), -1);
    ck_assert_str_eq(history_window_name(WINDOW_TOTAL), "total");
    ck_assert_int_eq(history_series_find("no_such"), -1);
    for (unsigned i = 0; i < history_series_count(); i++)
        ck_assert_int_eq(history_series_find(history_series_name(i)), (int)i);
}
END_TEST

START_TEST(memory_is_fixed_and_charged_to_observing)
{
    size_t size = history_memory_size(history), all = metrics_memory_size(metrics);
    ck_assert_uint_gt(size, 1u << 20);
    ck_assert_uint_lt(size, 4u << 20);
    ck_assert_uint_gt(all, size);
    serve(3000);
    ck_assert_uint_eq(history_memory_size(history), size);
    history_destroy(history);
    history = NULL;
    ck_assert_uint_lt(metrics_memory_size(metrics), all);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics/history");
    TCase *curves = tcase_create("curves");
    tcase_add_checked_fixture(curves, setup, teardown);
    tcase_set_timeout(curves, 60);
    tcase_add_test(curves, a_rate_is_the_growth_of_its_second);
    tcase_add_test(curves, a_level_is_what_it_was_at_the_end_of_the_step);
    tcase_add_test(curves, a_ratio_with_nothing_to_divide_is_no_number);
    tcase_add_test(curves, a_missed_second_leaves_a_gap_and_nothing_else_missing);
    tcase_add_test(curves, a_second_sampled_twice_counts_once);
    tcase_add_test(curves, coarser_points_are_means_of_their_whole_step);
    tcase_add_test(curves, a_coarse_quantile_comes_from_all_requests_of_its_step);
    tcase_add_test(curves, old_seconds_are_answered_by_the_coarser_ring);
    tcase_add_test(curves, too_many_points_leave_the_newest_oldest_first);
    tcase_add_test(curves, nothing_is_told_of_the_time_before_the_start_or_to_come);
    suite_add_tcase(suite, curves);
    TCase *marks = tcase_create("windows");
    tcase_add_checked_fixture(marks, setup, teardown);
    tcase_set_timeout(marks, 60);
    tcase_add_test(marks, each_window_counts_its_own_span);
    tcase_add_test(marks, a_window_that_ends_within_a_step_is_longer_by_less_than_one_and_tells_so);
    tcase_add_test(marks, a_window_longer_than_the_life_tells_what_it_really_spans);
    tcase_add_test(marks, a_window_reaches_to_this_moment_and_not_to_the_last_sample);
    tcase_add_test(marks, gauges_in_a_window_are_their_level_now);
    tcase_add_test(marks, a_reset_of_stats_does_not_disturb_history);
    tcase_add_test(marks, names_of_windows_and_series_are_found);
    tcase_add_test(marks, memory_is_fixed_and_charged_to_observing);
    suite_add_tcase(suite, marks);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
