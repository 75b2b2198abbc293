/* lookup: what the index costs, in bytes an item and in nanoseconds a lookup, without sockets in between.
 *
 * Fills a store to each of the counts given, in ascending order, and measures at each: the index's bytes an
 * item, the process's resident bytes an item beyond what it began with, how much of that lies in huge pages,
 * and the time of a key of a 50-key batch that finds all of its keys, and of one that finds none. Counts that
 * are not powers of two show the index in the middle of its growth, when some buckets hold twice the items of
 * others. Rounds of hits and misses alternate; medians are printed. */
#include "base/clock.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KEY_SIZE    10u
#define VALUE_SIZE  2u
#define BATCH       50u
#define ROUNDS      7u
#define LOOKUPS     400000u /* a round */
#define SETTLE_NS   10000000
#define COUNTS_MAX  16u
#define ITEM_MEMORY 64u /* what an item of this size takes, index included, and a margin */
#define MIB         (1u << 20)

struct machine {
    struct metrics *metrics;
    struct store *store;
    struct store_thread *thread;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "lookup: %s\n", what);
    exit(EXIT_FAILURE);
}

/* A field of /proc/self/smaps_rollup in bytes. */
static double resident_size(const char *field)
{
    char line[256];
    double kib = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    if (!file)
        die("cannot read /proc/self/smaps_rollup");
    while (fgets(line, sizeof line, file))
        if (strncmp(line, field, strlen(field)) == 0)
            kib = strtod(line + strlen(field) + 1, NULL);
    fclose(file);
    return kib * 1024;
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void key_write(char key[KEY_SIZE], uint64_t number)
{
    for (unsigned i = 0; i < KEY_SIZE; i++, number >>= 5)
        key[i] = (char)('A' + (number & 31));
}

static uint64_t draw(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15;
    uint64_t x = (*state ^ *state >> 33) * 0xff51afd7ed558ccd;
    return x ^ x >> 33;
}

static void fill(struct machine *m, uint64_t from, uint64_t to)
{
    char text[KEY_SIZE];
    store_thread_online(m->thread);
    for (uint64_t i = from; i < to; i++) {
        key_write(text, i);
        struct store_write write = {
            .key = store_key(m->store, text, KEY_SIZE), .value = "ab", .size = VALUE_SIZE, .mode = STORE_SET};
        if (store_write(m->thread, &write, NULL) != RESULT_STORED)
            die("an item was not stored");
        if (i % BATCH == 0)
            store_thread_quiesce(m->thread);
    }
    store_thread_offline(m->thread);
}

static void settle(const struct machine *m)
{
    struct timespec pause = {.tv_nsec = SETTLE_NS};
    struct store_usage usage;
    do {
        nanosleep(&pause, NULL);
        store_usage_read(m->store, &usage);
    } while (usage.growing);
}

/* One batch of keys numbered from `base` on, `span` of them, at random; returns how many were found. */
static unsigned look_up(const struct machine *m, uint64_t base, uint64_t span, uint64_t *state)
{
    char text[BATCH][KEY_SIZE];
    struct store_key keys[BATCH];
    struct store_view view;
    unsigned found = 0;
    for (unsigned i = 0; i < BATCH; i++) {
        key_write(text[i], base + (uint64_t)((__uint128_t)draw(state) * span >> 64));
        keys[i] = store_key(m->store, text[i], KEY_SIZE);
    }
    store_prefetch(m->thread, keys, BATCH);
    for (unsigned i = 0; i < BATCH; i++)
        found += store_get(m->thread, &keys[i], &view, NULL) == RESULT_HIT;
    store_thread_quiesce(m->thread);
    return found;
}

static double time_lookups(const struct machine *m, uint64_t base, uint64_t span, unsigned expected)
{
    static uint64_t state = 1;
    store_thread_online(m->thread);
    double start = now_ns();
    for (unsigned i = 0; i < LOOKUPS / BATCH; i++)
        if (look_up(m, base, span, &state) != expected)
            die("a lookup found what is not there or did not find what is");
    double ns = (now_ns() - start) / LOOKUPS;
    store_thread_offline(m->thread);
    return ns;
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, by_value);
    return values[count / 2];
}

static void measure(const struct machine *m, uint64_t count, double resident_before)
{
    double hits[ROUNDS], misses[ROUNDS];
    struct store_usage usage;
    for (unsigned i = 0; i < ROUNDS; i++) {
        hits[i] = time_lookups(m, 0, count, BATCH);
        misses[i] = time_lookups(m, 1ull << 40, count, 0);
    }
    store_usage_read(m->store, &usage);
    double n = (double)count, resident = resident_size("Rss:") - resident_before;
    printf("%11llu %10.2f %10.2f %11.2f %8.0f %% %8.1f %8.1f\n", (unsigned long long)count,
           n / (double)usage.bucket_count, (double)usage.index_size / n, resident / n,
           100 * resident_size("AnonHugePages:") / resident_size("Anonymous:"), median(hits, ROUNDS),
           median(misses, ROUNDS));
    fflush(stdout);
}

static struct machine machine_open(uint64_t count_max)
{
    char error[200];
    struct store_config config = {.memory_size = (size_t)count_max * ITEM_MEMORY + 64ull * MIB,
                                  .item_size_max = MIB,
                                  .thread_count = 1};
    struct machine m = {.metrics = metrics_create()};
    m.store = store_create(&config, m.metrics, error, sizeof error);
    if (!m.store)
        die(error);
    m.thread = store_thread_create(m.store, metrics_block_create(m.metrics));
    store_maintainer_start(m.store);
    settle(&m);
    return m;
}

int main(int argc, char **argv)
{
    uint64_t counts[COUNTS_MAX] = {600000, 1000000, 1300000, 1700000}, before = 0;
    unsigned count = argc > 1 ? 0 : 4;
    for (int i = 1; i < argc && count < COUNTS_MAX; i++)
        counts[count++] = strtoull(argv[i], NULL, 10);
    clock_init();
    struct machine m = machine_open(counts[count - 1]);
    double resident = resident_size("Rss:");
    printf("      items a bucket  index B/item  RSS B/item  huge pages   hit ns  miss ns\n");
    for (unsigned i = 0; i < count; i++) {
        fill(&m, before, counts[i]);
        before = counts[i];
        settle(&m);
        measure(&m, counts[i], resident);
    }
    store_maintainer_stop(m.store);
    store_thread_destroy(m.thread);
    store_destroy(m.store);
    metrics_destroy(m.metrics);
    return EXIT_SUCCESS;
}
