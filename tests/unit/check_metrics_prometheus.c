/* The exposition: both formats, label escaping, cumulative histograms, nothing that did not occur. */
#include "base/clock.h"
#include "metrics/prometheus.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { COMMAND_GET, COMMAND_SET, COMMAND_MG, COMMAND_TOLD };
static const char *const names[] = {"get", "set", "mg"};
static const uint8_t kin[] = {COMMAND_GET, COMMAND_SET, COMMAND_GET};
static struct metrics *metrics;
static struct metrics_block *block;
static struct prometheus_options options;
static char *text; /* of the last render */

static void setup(void)
{
    clock_init();
    metrics = metrics_create();
    block = metrics_block_create(metrics);
    metrics_commands_declare(metrics, names, kin, COMMAND_TOLD);
    options = (struct prometheus_options){.version = "1.6.45 test"};
    text = NULL;
}

static void teardown(void)
{
    free(text);
    metrics_destroy(metrics);
}

static void render(void)
{
    struct buffer out = {0};
    size_t size;
    prometheus_render(metrics, &options, &out);
    buffer_append(&out, "", 1);
    free(text);
    text = buffer_take(&out, &size);
    ck_assert_ptr_nonnull(text);
}

/* Does the exposition hold this line, whole? */
static bool has_line(const char *line)
{
    size_t size = strlen(line);
    for (const char *at = text; (at = strstr(at, line)) != NULL; at++)
        if ((at == text || at[-1] == '\n') && at[size] == '\n')
            return true;
    return false;
}

static void expect(const char *line)
{
    ck_assert_msg(has_line(line), "no line: %s", line);
}

static void request(enum result result, unsigned count, uint64_t ns)
{
    for (unsigned i = 0; i < count; i++)
        metrics_request(block, COMMAND_GET, result);
    metrics_turn_end(block, ns);
}

static bool family_exists(const char *name)
{
    for (unsigned i = 0; i < prometheus_family_count(); i++)
        if (strcmp(prometheus_family_row(i)->name, name) == 0)
            return true;
    return false;
}

START_TEST(every_family_that_a_figure_names_is_rendered)
{
    for (unsigned id = 0; id < METRIC_COUNT; id++) {
        const char *family = metrics_row((enum metric)id)->family;
        ck_assert_msg(family == NULL || family_exists(family), "metrics.def: %s", family);
    }
    for (unsigned id = 0; id < BAND_METRIC_COUNT; id++) {
        const char *family = metrics_band_row((enum band_metric)id)->family;
        ck_assert_msg(family == NULL || family_exists(family), "bands.def: %s", family);
    }
}
END_TEST

START_TEST(families_have_one_name_each)
{
    for (unsigned i = 0; i < prometheus_family_count(); i++)
        for (unsigned k = 0; k < i; k++)
            ck_assert_str_ne(prometheus_family_row(i)->name, prometheus_family_row(k)->name);
}
END_TEST

START_TEST(a_counter_has_its_help_type_and_value)
{
    metrics_add(block, METRIC_bytes_read, 42);
    render();
    expect("# HELP memcached_read_bytes_total Total number of bytes read by this server from network.");
    expect("# TYPE memcached_read_bytes_total counter");
    expect("memcached_read_bytes_total 42");
    expect("memcached_up 1");
}
END_TEST

START_TEST(openmetrics_names_a_counters_family_without_total)
{
    options.openmetrics = true;
    metrics_add(block, METRIC_bytes_read, 42);
    render();
    expect("# TYPE memcached_read_bytes counter");
    expect("memcached_read_bytes_total 42");
    ck_assert_str_eq(text + strlen(text) - strlen("\n# EOF\n"), "\n# EOF\n");
}
END_TEST

START_TEST(openmetrics_calls_a_counter_without_total_unknown)
{
    render();
    expect("# TYPE memcached_uptime_seconds counter");
    ck_assert_ptr_null(strstr(text, "# EOF"));
    options.openmetrics = true;
    render();
    expect("# TYPE memcached_uptime_seconds unknown");
    expect("memcached_uptime_seconds 0");
}
END_TEST

START_TEST(labels_are_escaped)
{
    options.version = "a\"b\\c\nd";
    render();
    expect("memcached_version{version=\"a\\\"b\\\\c\\nd\"} 1");
}
END_TEST

START_TEST(a_label_too_long_is_cut_at_a_whole_character)
{
    char version[400];
    for (size_t lead = 0; lead < 3; lead++) { /* the cut falls on each byte of a character in turn */
        memset(version, 'x', lead);
        for (size_t i = lead; i + 3 < sizeof version; i += 3)
            memcpy(version + i, "\xe2\x82\xac", 4);
        options.version = version;
        render();
        const char *end = strstr(strstr(text, "memcached_version{"), "\"}");
        ck_assert_ptr_nonnull(end);
        ck_assert_mem_eq(end - 3, "\xe2\x82\xac", 3);
    }
}
END_TEST

START_TEST(without_a_version_its_family_is_left_out)
{
    options.version = NULL;
    render();
    ck_assert_ptr_null(strstr(text, "memcached_version"));
}
END_TEST

START_TEST(a_histogram_is_cumulative_and_ends_with_all)
{
    request(RESULT_HIT, 3, 30000);
    request(RESULT_HIT, 2, 900000);
    request(RESULT_MISS, 1, 5000000000); /* all results of a command together */
    render();
    expect("# TYPE vitrine_command_duration_seconds histogram");
    expect("vitrine_command_duration_seconds_bucket{command=\"get\",le=\"5e-06\"} 0");
    expect("vitrine_command_duration_seconds_bucket{command=\"get\",le=\"5e-05\"} 3");
    expect("vitrine_command_duration_seconds_bucket{command=\"get\",le=\"0.001\"} 5");
    expect("vitrine_command_duration_seconds_bucket{command=\"get\",le=\"0.1\"} 5");
    expect("vitrine_command_duration_seconds_bucket{command=\"get\",le=\"+Inf\"} 6");
    expect("vitrine_command_duration_seconds_sum{command=\"get\"} 5.001890000");
    expect("vitrine_command_duration_seconds_count{command=\"get\"} 6");
}
END_TEST

START_TEST(words_for_the_same_work_are_timed_together_and_counted_apart)
{
    request(RESULT_HIT, 2, 30000);
    metrics_request(block, COMMAND_MG, RESULT_MISS);
    metrics_turn_end(block, 30000);
    render();
    expect("vitrine_command_duration_seconds_count{command=\"get\"} 3");
    expect("vitrine_requests_total{command=\"mg\",result=\"miss\"} 1");
    ck_assert_ptr_null(strstr(text, "duration_seconds_count{command=\"mg\""));
}
END_TEST

START_TEST(a_part_that_is_not_used_has_no_families)
{
    render();
    ck_assert_ptr_null(strstr(text, "vitrine_tls_handshakes_total"));
    metrics_add(block, METRIC_ssl_resumed_sessions, 1);
    render();
    expect("vitrine_tls_handshakes_total{kind=\"full\"} 0");
    expect("vitrine_tls_handshakes_total{kind=\"resumed\"} 1");
}
END_TEST

START_TEST(refusals_are_counted_but_not_timed)
{
    request(RESULT_BAD_FORMAT, 2, 30000);
    render();
    expect("vitrine_requests_total{command=\"get\",result=\"bad_format\"} 2");
    ck_assert_ptr_null(strstr(text, "duration_seconds_count{command=\"get\""));
}
END_TEST

START_TEST(a_distribution_counts_a_value_equal_to_its_limit)
{
    metrics_distribution_add(block, DISTRIBUTION_value_size, 1024, 1);
    render();
    expect("vitrine_value_size_bytes_bucket{le=\"256\"} 0");
    expect("vitrine_value_size_bytes_bucket{le=\"1024\"} 1");
    expect("vitrine_value_size_bytes_sum 1024");
    options.openmetrics = true;
    render();
    expect("vitrine_value_size_bytes_bucket{le=\"1024.0\"} 1");
}
END_TEST

START_TEST(only_pairs_that_occurred_are_told)
{
    request(RESULT_MISS, 1, 1000);
    render();
    expect("vitrine_requests_total{command=\"get\",result=\"miss\"} 1");
    ck_assert_ptr_null(strstr(text, "result=\"hit\""));
    ck_assert_ptr_null(strstr(text, "command=\"set\",result"));
}
END_TEST

START_TEST(a_family_without_samples_is_left_out)
{
    render();
    ck_assert_ptr_null(strstr(text, "memcached_slab_current_items"));
    ck_assert_ptr_null(strstr(text, "vitrine_requests_total"));
    metrics_band_add(block, 4, BAND_stored, 9);
    metrics_band_add(block, 4, BAND_removed, 2);
    render();
    expect("memcached_slab_current_items{slab=\"5\"} 7");
    expect("memcached_slab_chunk_size_bytes{slab=\"5\"} 256");
    ck_assert_ptr_null(strstr(text, "slab=\"4\""));
}
END_TEST

static void segment_probe(void *context, struct metrics_snapshot *snapshot)
{
    (void)context;
    snapshot->value[METRIC_segment_size] = 1024;
}

START_TEST(a_bands_pages_are_those_its_bytes_would_fill)
{
    metrics_probe_register(metrics, segment_probe, NULL);
    metrics_band_add(block, 4, BAND_stored, 9);
    metrics_band_add(block, 4, BAND_removed, 1);
    metrics_band_add(block, 4, BAND_stored_bytes, 3000);
    metrics_band_add(block, 4, BAND_removed_bytes, 300);
    render();
    expect("memcached_slab_mem_requested_bytes{slab=\"5\"} 2700");
    expect("memcached_slab_chunks_per_page{slab=\"5\"} 4");
    expect("memcached_slab_current_pages{slab=\"5\"} 3");
    expect("memcached_slab_current_chunks{slab=\"5\"} 12");
    expect("memcached_slab_chunks_used{slab=\"5\"} 8");
    expect("memcached_slab_chunks_free{slab=\"5\"} 4");
}
END_TEST

START_TEST(a_bands_set_count_leaves_cas_out)
{
    metrics_band_add(block, 0, BAND_stored, 1);
    metrics_band_add(block, 0, BAND_cmd_set, 10);
    metrics_band_add(block, 0, BAND_cas_hits, 3);
    metrics_band_add(block, 0, BAND_cas_badval, 2);
    render();
    expect("memcached_slab_commands_total{slab=\"1\",command=\"set\",status=\"hit\"} 5");
    expect("memcached_slab_commands_total{slab=\"1\",command=\"cas\",status=\"badval\"} 2");
}
END_TEST

START_TEST(one_figure_may_stand_in_several_families)
{
    metrics_add(block, METRIC_removed_evicted, 6);
    metrics_add(block, METRIC_miss_expired, 2);
    render();
    expect("memcached_items_evicted_total 6");
    expect("vitrine_items_removed_total{reason=\"evicted\"} 6");
    expect("vitrine_misses_total{reason=\"expired\"} 2");
}
END_TEST

START_TEST(microseconds_are_told_as_seconds)
{
    metrics_add(block, METRIC_time_in_listen_disabled_us, 1500007);
    render();
    expect("vitrine_listener_disabled_seconds_total 1.500007");
}
END_TEST

START_TEST(a_reset_of_stats_does_not_turn_counters_back)
{
    metrics_add(block, METRIC_bytes_read, 42);
    metrics_reset(metrics);
    render();
    expect("memcached_read_bytes_total 42");
}
END_TEST

/* Counted the slow way. */
static int descriptors_open(void)
{
    int count = 0;
    for (int fd = 0; fd < 4096; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

START_TEST(open_descriptors_are_counted_without_the_one_that_counts)
{
    render();
    const char *line = strstr(text, "\nprocess_open_fds ");
    ck_assert_ptr_nonnull(line);
    ck_assert_int_eq(atoi(line + strlen("\nprocess_open_fds ")), descriptors_open());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics/prometheus");
    TCase *tcase = tcase_create("prometheus");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_family_that_a_figure_names_is_rendered);
    tcase_add_test(tcase, families_have_one_name_each);
    tcase_add_test(tcase, a_counter_has_its_help_type_and_value);
    tcase_add_test(tcase, openmetrics_names_a_counters_family_without_total);
    tcase_add_test(tcase, openmetrics_calls_a_counter_without_total_unknown);
    tcase_add_test(tcase, labels_are_escaped);
    tcase_add_test(tcase, a_label_too_long_is_cut_at_a_whole_character);
    tcase_add_test(tcase, without_a_version_its_family_is_left_out);
    tcase_add_test(tcase, a_histogram_is_cumulative_and_ends_with_all);
    tcase_add_test(tcase, words_for_the_same_work_are_timed_together_and_counted_apart);
    tcase_add_test(tcase, a_part_that_is_not_used_has_no_families);
    tcase_add_test(tcase, refusals_are_counted_but_not_timed);
    tcase_add_test(tcase, a_distribution_counts_a_value_equal_to_its_limit);
    tcase_add_test(tcase, only_pairs_that_occurred_are_told);
    tcase_add_test(tcase, a_family_without_samples_is_left_out);
    tcase_add_test(tcase, a_bands_pages_are_those_its_bytes_would_fill);
    tcase_add_test(tcase, a_bands_set_count_leaves_cas_out);
    tcase_add_test(tcase, one_figure_may_stand_in_several_families);
    tcase_add_test(tcase, microseconds_are_told_as_seconds);
    tcase_add_test(tcase, a_reset_of_stats_does_not_turn_counters_back);
    tcase_add_test(tcase, open_descriptors_are_counted_without_the_one_that_counts);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
