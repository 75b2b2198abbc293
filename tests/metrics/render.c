/* Prints the exposition of made-up traffic, for the checks that read it with Prometheus' own tools.
 * Use: render text|openmetrics        prints it
 *      render time                    prints its size in bytes and the median time of a rendering */
#include "base/buffer.h"
#include "base/clock.h"
#include "metrics/history.h"
#include "metrics/metrics.h"
#include "metrics/prometheus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKER_COUNT 4u
#define ROUND_COUNT  101u

/* The commands of a busy application, and what they come to. */
enum { GET, GETS, SET, ADD, CAS, DELETE, INCR, TOUCH, STATS, VERSION, NAME_COUNT };
static const char *const names[NAME_COUNT] = {"get",    "gets", "set",   "add",   "cas",
                                              "delete", "incr", "touch", "stats", "version"};
static const uint8_t kin[NAME_COUNT] = {GET, GET, SET, ADD, CAS, DELETE, INCR, TOUCH, STATS, VERSION};
static const struct {
    unsigned command;
    enum result result;
} pairs[] = {
    {GET, RESULT_HIT},          {GET, RESULT_MISS},      {GETS, RESULT_HIT},       {GETS, RESULT_MISS},
    {SET, RESULT_STORED},       {SET, RESULT_TOO_LARGE}, {ADD, RESULT_STORED},     {ADD, RESULT_NOT_STORED},
    {CAS, RESULT_STORED},       {CAS, RESULT_EXISTS},    {CAS, RESULT_NOT_FOUND},  {DELETE, RESULT_DELETED},
    {DELETE, RESULT_NOT_FOUND}, {INCR, RESULT_OK},       {INCR, RESULT_NOT_FOUND}, {TOUCH, RESULT_TOUCHED},
    {TOUCH, RESULT_NOT_FOUND},  {STATS, RESULT_OK},      {VERSION, RESULT_OK}};
#define PAIR_COUNT    (sizeof pairs / sizeof *pairs)
#define BANDS_IN_USE  16u /* items of up to 12 KiB */
#define REQUEST_COUNT 1000u

static void probe(void *context, struct metrics_snapshot *snapshot)
{
    (void)context;
    snapshot->value[METRIC_get_hits] = snapshot->request[0][RESULT_HIT];
    snapshot->value[METRIC_get_misses] = snapshot->request[0][RESULT_MISS];
    snapshot->value[METRIC_curr_connections] = 12;
    snapshot->value[METRIC_segment_size] = 512u << 10;
    snapshot->value[METRIC_memory_segments] = 60u << 20;
    snapshot->value[METRIC_limit_maxbytes] = 64u << 20;
}

static void serve(struct metrics_block *block)
{
    for (size_t pair = 0; pair < PAIR_COUNT; pair++)
        for (unsigned i = 0; i < REQUEST_COUNT; i++) {
            metrics_request(block, pairs[pair].command, pairs[pair].result);
            metrics_turn_end(block, 3000 + i * 700);
        }
    for (unsigned band = 0; band < BANDS_IN_USE; band++) {
        metrics_band_add(block, band, BAND_stored, 10 + band);
        metrics_band_add(block, band, BAND_stored_bytes, (10 + band) * metrics_band_size_max(band));
        metrics_band_add(block, band, BAND_cmd_set, 10 + band);
        metrics_distribution_add(block, DISTRIBUTION_value_size, (uint64_t)1 << band, 1);
        metrics_distribution_add(block, DISTRIBUTION_set_ttl, band * 60, 1);
    }
    metrics_add(block, METRIC_time_in_listen_disabled_us, 1234567);
}

static struct metrics *make_traffic(void)
{
    struct metrics *metrics = metrics_create();
    if (metrics == NULL)
        exit(1);
    metrics_commands_declare(metrics, names, kin, NAME_COUNT);
    metrics_probe_register(metrics, probe, NULL);
    for (unsigned i = 0; i < WORKER_COUNT; i++) {
        struct metrics_block *block = metrics_block_create(metrics);
        if (block == NULL)
            exit(1);
        serve(block);
    }
    return metrics;
}

static size_t print(struct metrics *metrics, bool openmetrics, FILE *to)
{
    struct prometheus_options options = {.openmetrics = openmetrics, .version = "1.6.45 \"a\\b\nc"};
    struct buffer out = {0};
    prometheus_render(metrics, &options, &out);
    size_t size = out.size;
    if (out.failed || fwrite(out.data, 1, size, to) != size)
        exit(1);
    buffer_fini(&out);
    return size;
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void measure(struct metrics *metrics)
{
    uint64_t ns[ROUND_COUNT];
    size_t size = 0;
    FILE *nowhere = fopen("/dev/null", "w");
    if (nowhere == NULL)
        exit(1);
    for (unsigned i = 0; i < ROUND_COUNT; i++) {
        uint64_t begin = clock_ns();
        size = print(metrics, false, nowhere);
        ns[i] = clock_ns() - begin;
    }
    fclose(nowhere);
    qsort(ns, ROUND_COUNT, sizeof *ns, compare);
    printf("exposition: %zu bytes, %llu us (median of %u)\n", size,
           (unsigned long long)ns[ROUND_COUNT / 2] / 1000, ROUND_COUNT);
    printf("of %zu pairs of command and result, %u size bands\n", PAIR_COUNT, BANDS_IN_USE);
    size_t counters = metrics_memory_size(metrics);
    struct history *history = history_create(metrics);
    if (history == NULL)
        exit(1);
    printf("memory: %zu bytes of counters and histograms (%u blocks, %zu pairs), %zu of history\n", counters,
           WORKER_COUNT, PAIR_COUNT, history_memory_size(history));
    uint64_t begin = clock_ns();
    for (unsigned i = 1; i <= ROUND_COUNT; i++)
        history_sample(history, clock_s() + i);
    printf("a sample of history: %llu us (mean)\n",
           (unsigned long long)(clock_ns() - begin) / ROUND_COUNT / 1000);
    history_destroy(history);
}

int main(int argc, char **argv)
{
    clock_init();
    struct metrics *metrics = make_traffic();
    if (argc == 2 && strcmp(argv[1], "time") == 0)
        measure(metrics);
    else
        print(metrics, argc == 2 && strcmp(argv[1], "openmetrics") == 0, stdout);
    metrics_destroy(metrics);
    return 0;
}
