/* Counters: each thread counts into its own block, sums are exact, resets subtract, readers disturb nobody.
 */
#include "base/clock.h"
#include "metrics/histogram.h"
#include "metrics/metrics.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#define THREAD_COUNT 4u
#define ROUND_COUNT  50000u
#define COMMAND_GET  0u
#define COMMAND_SET  1u

static struct metrics *metrics;
static struct metrics_block *block;
static struct metrics_snapshot snapshot;

static void setup(void)
{
    clock_init();
    metrics = metrics_create();
    ck_assert_ptr_nonnull(metrics);
    block = metrics_block_create(metrics);
    ck_assert_ptr_nonnull(block);
}

static void teardown(void)
{
    metrics_destroy(metrics);
}

static void *count(void *of)
{
    struct metrics_block *mine = of;
    for (unsigned i = 0; i < ROUND_COUNT; i++) {
        metrics_add(mine, METRIC_bytes_read, 3);
        metrics_band_add(mine, i % METRICS_BAND_COUNT, BAND_stored, 1);
        metrics_request(mine, COMMAND_GET, i % 4 == 0 ? RESULT_MISS : RESULT_HIT);
        metrics_distribution_add(mine, DISTRIBUTION_value_size, 100, 1);
        if (i % 8 == 7)
            metrics_turn_end(mine, 1000 + i);
    }
    return NULL;
}

static void check_sums(void)
{
    static struct histogram histogram;
    metrics_snapshot_take(metrics, &snapshot);
    ck_assert_uint_eq(snapshot.value[METRIC_bytes_read], 3ull * THREAD_COUNT * ROUND_COUNT);
    ck_assert_uint_eq(snapshot.value[METRIC_requests], (uint64_t)THREAD_COUNT * ROUND_COUNT);
    ck_assert_uint_eq(snapshot.request[COMMAND_GET][RESULT_MISS], THREAD_COUNT * ROUND_COUNT / 4);
    uint64_t stored = 0;
    for (unsigned band = 0; band < METRICS_BAND_COUNT; band++)
        stored += snapshot.band[band][BAND_stored];
    ck_assert_uint_eq(stored, (uint64_t)THREAD_COUNT * ROUND_COUNT);
    metrics_latency_read(metrics, -1, -1, &histogram);
    ck_assert_uint_eq(histogram_count(&histogram), (uint64_t)THREAD_COUNT * ROUND_COUNT);
    metrics_latency_read(metrics, (int)COMMAND_GET, RESULT_MISS, &histogram);
    ck_assert_uint_eq(histogram_count(&histogram), THREAD_COUNT * ROUND_COUNT / 4);
    metrics_distribution_read(metrics, DISTRIBUTION_value_size, &histogram);
    ck_assert_uint_eq(histogram_count(&histogram), (uint64_t)THREAD_COUNT * ROUND_COUNT);
    ck_assert_uint_eq(histogram.sum, 100ull * THREAD_COUNT * ROUND_COUNT);
}

START_TEST(threads_count_at_once_and_the_sums_are_exact)
{
    pthread_t threads[THREAD_COUNT];
    static struct histogram histogram;
    uint64_t last = 0;
    for (unsigned i = 0; i < THREAD_COUNT; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count, metrics_block_create(metrics)), 0);
    for (unsigned i = 0; i < 100; i++) {
        metrics_snapshot_take(metrics, &snapshot);
        ck_assert_uint_ge(snapshot.value[METRIC_bytes_read], last); /* a reader never sees it fall */
        last = snapshot.value[METRIC_bytes_read];
        metrics_latency_read(metrics, -1, -1, &histogram);
        metrics_reset(metrics);
        metrics_snapshot_take_since_reset(metrics, &snapshot);
    }
    for (unsigned i = 0; i < THREAD_COUNT; i++)
        pthread_join(threads[i], NULL);
    check_sums();
}
END_TEST

START_TEST(blocks_begin_on_a_cache_line_of_their_own)
{
    ck_assert_uint_eq((uintptr_t)block % 64, 0);
    ck_assert_uint_eq(sizeof *block % 64, 0);
}
END_TEST

static void level_probe(void *context, struct metrics_snapshot *out)
{
    out->value[METRIC_curr_connections] = *(const uint64_t *)context;
    out->value[METRIC_get_hits] = out->request[COMMAND_GET][RESULT_HIT];
}

START_TEST(a_reset_subtracts_counters_and_leaves_levels_and_cpu_time)
{
    uint64_t level = 7;
    metrics_probe_register(metrics, level_probe, &level);
    metrics_add(block, METRIC_bytes_read, 5);
    metrics_band_add(block, 3, BAND_evicted, 2);
    metrics_request(block, COMMAND_GET, RESULT_HIT);
    metrics_reset(metrics);
    metrics_snapshot_take_since_reset(metrics, &snapshot);
    ck_assert_uint_eq(snapshot.value[METRIC_bytes_read], 0);
    ck_assert_uint_eq(snapshot.value[METRIC_get_hits], 0);
    ck_assert_uint_eq(snapshot.value[METRIC_requests], 0);
    ck_assert_uint_eq(snapshot.band[3][BAND_evicted], 0);
    ck_assert_uint_eq(snapshot.request[COMMAND_GET][RESULT_HIT], 0);
    ck_assert_uint_eq(snapshot.value[METRIC_curr_connections], 7);
    ck_assert_uint_gt(snapshot.value[METRIC_rss_bytes], 0);
    metrics_add(block, METRIC_bytes_read, 2);
    metrics_snapshot_take_since_reset(metrics, &snapshot);
    ck_assert_uint_eq(snapshot.value[METRIC_bytes_read], 2);
    metrics_snapshot_take(metrics, &snapshot);
    ck_assert_uint_eq(snapshot.value[METRIC_bytes_read], 7); /* Prometheus never goes back */
}
END_TEST

START_TEST(cpu_time_outlives_a_reset)
{
    struct metrics_snapshot before;
    do /* until the kernel's clock has counted something */
        metrics_snapshot_take(metrics, &before);
    while (before.value[METRIC_cpu_us] == 0);
    metrics_reset(metrics);
    metrics_snapshot_take_since_reset(metrics, &snapshot);
    ck_assert_uint_ge(snapshot.value[METRIC_cpu_us], before.value[METRIC_cpu_us]);
}
END_TEST

START_TEST(a_removed_probe_is_not_called_again)
{
    uint64_t level = 7;
    metrics_probe_register(metrics, level_probe, &level);
    metrics_probe_remove(metrics, level_probe, &level);
    metrics_snapshot_take(metrics, &snapshot);
    ck_assert_uint_eq(snapshot.value[METRIC_curr_connections], 0);
}
END_TEST

START_TEST(the_requests_of_a_turn_share_its_latency)
{
    static struct histogram histogram;
    for (unsigned i = 0; i < 16; i++)
        metrics_request(block, COMMAND_GET, RESULT_HIT);
    metrics_request(block, COMMAND_SET, RESULT_STORED);
    metrics_latency_read(metrics, -1, -1, &histogram);
    ck_assert_uint_eq(histogram_count(&histogram), 0); /* the turn is still open */
    metrics_turn_end(block, 5000);
    metrics_turn_end(block, 9000); /* nothing happened in this one */
    metrics_latency_read(metrics, -1, -1, &histogram);
    ck_assert_uint_eq(histogram_count(&histogram), 17);
    ck_assert_uint_eq(histogram.sum, 17 * 5000);
    metrics_latency_read(metrics, (int)COMMAND_SET, RESULT_STORED, &histogram);
    ck_assert_uint_eq(histogram_count(&histogram), 1);
}
END_TEST

START_TEST(pairs_that_alternate_in_a_turn_are_each_recorded_once)
{
    static struct histogram histogram;
    for (unsigned turn = 1; turn <= 3; turn++) {
        for (unsigned i = 0; i < 10; i++) {
            metrics_request(block, COMMAND_GET, i % 2 ? RESULT_HIT : RESULT_MISS);
            metrics_requests(block, COMMAND_SET, RESULT_STORED, 3);
        }
        metrics_snapshot_take(metrics, &snapshot); /* a turn's requests are counted before it ends */
        ck_assert_uint_eq(snapshot.request[COMMAND_SET][RESULT_STORED], turn * 30);
        ck_assert_uint_eq(metrics_turn_end(block, 1000), 40);
        metrics_latency_read(metrics, (int)COMMAND_GET, RESULT_MISS, &histogram);
        ck_assert_uint_eq(histogram_count(&histogram), turn * 5);
        metrics_latency_read(metrics, (int)COMMAND_SET, RESULT_STORED, &histogram);
        ck_assert_uint_eq(histogram_count(&histogram), turn * 30);
    }
}
END_TEST

START_TEST(totals_are_the_sums_of_the_bands_and_reset_with_them)
{
    for (unsigned i = 0; i < 2; i++) {
        metrics_band_add(block, 0, BAND_stored, 2);
        metrics_band_add(block, METRICS_BAND_COUNT - 1, BAND_stored, 3);
        metrics_band_add(block, 4, BAND_stored_bytes, 70);
        metrics_band_add(block, 5, BAND_removed_bytes, 30);
        metrics_snapshot_take_since_reset(metrics, &snapshot);
        ck_assert_uint_eq(snapshot.value[METRIC_total_items], 5);
        ck_assert_uint_eq(snapshot.value[METRIC_bytes_stored], 70);
        ck_assert_uint_eq(snapshot.value[METRIC_bytes_removed], 30);
        metrics_reset(metrics);
    }
}
END_TEST

START_TEST(memory_grows_with_the_pairs_that_occur)
{
    size_t before = metrics_memory_size(metrics);
    metrics_request(block, COMMAND_GET, RESULT_HIT);
    metrics_turn_end(block, 1);
    ck_assert_uint_eq(metrics_memory_size(metrics), before + sizeof(struct histogram));
    metrics_request(block, COMMAND_GET, RESULT_HIT);
    metrics_turn_end(block, 1);
    ck_assert_uint_eq(metrics_memory_size(metrics), before + sizeof(struct histogram));
}
END_TEST

START_TEST(every_size_lies_in_its_band_and_bands_widen_evenly)
{
    for (size_t size = 0; size < 4u << 20; size += 1 + size / 512) {
        unsigned band = metrics_band_of(size);
        ck_assert_uint_le(size, metrics_band_size_max(band));
        if (band > 0)
            ck_assert_uint_gt(size, metrics_band_size_max(band - 1));
    }
    ck_assert_uint_eq(metrics_band_of(64), 0);
    ck_assert_uint_eq(metrics_band_of(65), 1);
    ck_assert_uint_eq(metrics_band_of(SIZE_MAX), METRICS_BAND_COUNT - 1);
    for (unsigned band = 1; band + 1 < METRICS_BAND_COUNT; band++) {
        double step = (double)metrics_band_size_max(band) / (double)metrics_band_size_max(band - 1);
        ck_assert_double_ge(step, 1.33);
        ck_assert_double_le(step, 1.5);
    }
}
END_TEST

START_TEST(commands_are_named_once_declared)
{
    static const char *const names[] = {"get", "set"};
    ck_assert_uint_eq(metrics_command_count(metrics), 0);
    static const uint8_t kin[] = {0, 0};
    metrics_commands_declare(metrics, names, kin, 2);
    ck_assert_uint_eq(metrics_command_count(metrics), 2);
    ck_assert_uint_eq(metrics_command_kin(metrics, COMMAND_SET), 0);
    ck_assert_str_eq(metrics_command_name(metrics, COMMAND_SET), "set");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics/blocks");
    TCase *tcase = tcase_create("blocks");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, threads_count_at_once_and_the_sums_are_exact);
    tcase_add_test(tcase, blocks_begin_on_a_cache_line_of_their_own);
    tcase_add_test(tcase, a_reset_subtracts_counters_and_leaves_levels_and_cpu_time);
    tcase_add_test(tcase, cpu_time_outlives_a_reset);
    tcase_add_test(tcase, a_removed_probe_is_not_called_again);
    tcase_add_test(tcase, the_requests_of_a_turn_share_its_latency);
    tcase_add_test(tcase, memory_grows_with_the_pairs_that_occur);
    tcase_add_test(tcase, pairs_that_alternate_in_a_turn_are_each_recorded_once);
    tcase_add_test(tcase, totals_are_the_sums_of_the_bands_and_reset_with_them);
    tcase_add_test(tcase, every_size_lies_in_its_band_and_bands_widen_evenly);
    tcase_add_test(tcase, commands_are_named_once_declared);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
