/* What writes do to the memory: loads of overwrites, deletes and counters against the store, in-process, and
 * afterwards, at rest, how much of the memory in use is alive and what it cost in copies. Prints a table for
 * docs/writes.md. One writer and the maintainer; each load begins with an empty store. */
#include "base/clock.h"
#include "store/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MIB          ((size_t)1 << 20)
#define MEMORY_SIZE  (256 * MIB)
#define ALIVE_SIZE   (100 * MIB) /* of items */
#define WRITTEN_SIZE (800 * MIB) /* by the load, after every key was stored once */
#define TURN_COUNT   64u         /* operations between two quiescent states */
#define MIXED_MIN    50u
#define MIXED_MAX    2048u
#define MIXED_MEAN   ((MIXED_MIN + MIXED_MAX) / 2)
#define FIXED_SIZE   100u
#define CHANGED_SIZE 60u /* what every write leaves where all was FIXED_SIZE */
#define HEAD_SIZE    28u /* of an item: header and key, about */
#define ZIPF_ALPHA   0.99
#define REST_ROUNDS  25u /* without a change, of ... */
#define REST_NS      100000000

enum what { OVERWRITE, DELETE_SET, INCREMENT, EXPIRING };
enum sizes { FIXED, CHANGED, MIXED_BY_KEY, MIXED_BY_WRITE };

struct load {
    const char *name;
    enum what what;
    enum sizes sizes;
    bool zipf;
};

static const struct load loads[] = {
    {"50 % overwrites", OVERWRITE, FIXED, false},
    {"50 % overwrites", OVERWRITE, FIXED, true},
    {"50 % overwrites", OVERWRITE, CHANGED, false},
    {"50 % overwrites", OVERWRITE, MIXED_BY_KEY, false},
    {"50 % overwrites", OVERWRITE, MIXED_BY_KEY, true},
    {"50 % overwrites", OVERWRITE, MIXED_BY_WRITE, false},
    {"50 % overwrites", OVERWRITE, MIXED_BY_WRITE, true},
    {"25 % deletes, 25 % sets", DELETE_SET, FIXED, false},
    {"25 % deletes, 25 % sets", DELETE_SET, MIXED_BY_WRITE, false},
    {"25 % deletes, 25 % sets", DELETE_SET, MIXED_BY_WRITE, true},
    {"50 % incr", INCREMENT, FIXED, false},
    {"50 % incr", INCREMENT, FIXED, true},
    {"50 % overwrites, all expiring in an hour", EXPIRING, FIXED, false},
    {"50 % overwrites, all expiring in an hour", EXPIRING, MIXED_BY_WRITE, true},
};

struct bench {
    const struct load *load;
    struct metrics *metrics;
    struct store *store;
    struct store_thread *thread;
    uint64_t random;
    unsigned key_count;
    double zipf_scale;
    uint64_t written, writes; /* bytes; items */
    bool filled;
    double operation_ns; /* of the writer's processor time, after the fill */
    char value[MIXED_MAX];
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccd;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53;
    return x ^ x >> 33;
}

static uint64_t draw(struct bench *bench)
{
    return mix(bench->random += 0x9e3779b97f4a7c15);
}

/* Zipf by inversion of the continuous distribution; ranks are scattered over the keys. */
static unsigned draw_key(struct bench *bench)
{
    if (!bench->load->zipf)
        return (unsigned)(draw(bench) % bench->key_count);
    double u = (double)(draw(bench) >> 11) / 0x1p53;
    double rank = pow(1 + u * bench->zipf_scale, 1 / (1 - ZIPF_ALPHA)) - 1;
    return (unsigned)(mix((uint64_t)rank) % bench->key_count);
}

static size_t value_size(struct bench *bench, unsigned k)
{
    if (bench->load->sizes == FIXED)
        return FIXED_SIZE;
    if (bench->load->sizes == CHANGED)
        return bench->filled ? CHANGED_SIZE : FIXED_SIZE;
    uint64_t seed = bench->load->sizes == MIXED_BY_KEY ? mix(k) : draw(bench);
    return MIXED_MIN + seed % (MIXED_MAX - MIXED_MIN);
}

static struct store_key key_of(struct bench *bench, unsigned k, char name[32])
{
    int size = snprintf(name, 32, "key:%010u", k);
    return store_key(bench->store, name, (size_t)size);
}

static void set(struct bench *bench, unsigned k)
{
    char name[32];
    bool counts = bench->load->what == INCREMENT;
    struct store_write write = {.key = key_of(bench, k, name),
                                .value = counts ? "10000000" : bench->value,
                                .size = counts ? 8 : value_size(bench, k),
                                .expiry_s = bench->load->what == EXPIRING ? clock_s() + 3600 : STORE_NEVER_S};
    bench->written += HEAD_SIZE + write.size;
    bench->writes++;
    if (store_write(bench->thread, &write, NULL) != RESULT_STORED) {
        fprintf(stderr, "writes: a set failed\n");
        exit(EXIT_FAILURE);
    }
}

static void get(struct bench *bench, unsigned k)
{
    char name[32];
    struct store_key key = key_of(bench, k, name);
    struct store_view view;
    store_get(bench->thread, &key, &view, NULL);
}

static void write_one(struct bench *bench, unsigned k)
{
    char name[32];
    struct store_key key = key_of(bench, k, name);
    if (bench->load->what == INCREMENT) {
        struct store_delta delta = {.key = key, .delta = 1};
        struct store_number number = {0};
        store_arithmetic(bench->thread, &delta, &number);
        bench->written += HEAD_SIZE + number.size;
        bench->writes++;
    } else if (bench->load->what == DELETE_SET && draw(bench) % 2 == 0) {
        store_delete(bench->thread, &key, 0);
    } else {
        set(bench, k);
    }
}

static void turn_end(struct bench *bench, uint64_t operation)
{
    if (operation % TURN_COUNT != 0)
        return;
    store_thread_offline(bench->thread);
    clock_tick();
    store_thread_online(bench->thread);
}

static double processor_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (double)used.tv_sec * 1e9 + (double)used.tv_nsec;
}

static void run(struct bench *bench)
{
    uint64_t operation = 0;
    for (unsigned k = 0; k < bench->key_count; k++) {
        set(bench, k);
        turn_end(bench, operation++);
    }
    bench->filled = true;
    uint64_t end = bench->written + WRITTEN_SIZE;
    double begin_ns = processor_ns();
    operation = 0;
    while (bench->written < end) {
        unsigned k = draw_key(bench);
        if (draw(bench) % 2 == 0)
            get(bench, k);
        else
            write_one(bench, k);
        turn_end(bench, operation++);
    }
    bench->operation_ns = (processor_ns() - begin_ns) / (double)operation;
}

static uint64_t metric(struct bench *bench, enum metric id)
{
    struct metrics_snapshot *snapshot = malloc(sizeof *snapshot);
    metrics_snapshot_take(bench->metrics, snapshot);
    uint64_t value = snapshot->value[id];
    free(snapshot);
    return value;
}

/* Until the maintainer has copied nothing for a while. */
static void wait_for_rest(struct bench *bench)
{
    struct timespec round = {.tv_nsec = REST_NS};
    uint64_t before = UINT64_MAX;
    for (unsigned calm = 0; calm < REST_ROUNDS;) {
        uint64_t copied = metric(bench, METRIC_copied_bytes);
        calm = copied == before ? calm + 1 : 0;
        before = copied;
        nanosleep(&round, NULL);
        clock_tick();
    }
}

static size_t rss_size(void)
{
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (statm) {
        if (fscanf(statm, "%*u %lu", &pages) != 1)
            pages = 0;
        fclose(statm);
    }
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void report(struct bench *bench)
{
    static const char *const sizes[] = {"100 B", "100 B, then 60 B", "50 B to 2 KiB, by key",
                                        "50 B to 2 KiB, each write"};
    struct store_usage usage;
    store_usage_read(bench->store, &usage);
    double segments = (double)(usage.segments_used * usage.segment_size);
    printf("| %s | %s | %s | %.2f | %.2f | %.2f | %.0f %% | %.0f MiB | %.0f |\n", bench->load->name,
           bench->load->zipf ? "zipf" : "uniform",
           bench->load->what == INCREMENT ? "8 digits" : sizes[bench->load->sizes],
           (double)usage.live_size / segments,
           (double)usage.live_size / (segments + (double)usage.index_size),
           (double)metric(bench, METRIC_copied_bytes) / (double)bench->written,
           (double)metric(bench, METRIC_recycled_writes) * 100 / (double)bench->writes,
           (double)rss_size() / (double)MIB, bench->operation_ns);
    fflush(stdout);
}

static void bench_load(const struct load *load)
{
    struct store_config config = {.memory_size = MEMORY_SIZE, .item_size_max = MIB, .thread_count = 1};
    struct bench bench = {.load = load, .random = 1, .metrics = metrics_create()};
    char error[200] = "";
    size_t mean = HEAD_SIZE + (load->sizes == FIXED || load->sizes == CHANGED ? FIXED_SIZE : MIXED_MEAN);
    bench.key_count = (unsigned)(ALIVE_SIZE / mean);
    bench.zipf_scale = pow((double)bench.key_count + 1, 1 - ZIPF_ALPHA) - 1;
    memset(bench.value, 'v', sizeof bench.value);
    bench.store = store_create(&config, bench.metrics, error, sizeof error);
    if (!bench.store) {
        fprintf(stderr, "writes: %s\n", error);
        exit(EXIT_FAILURE);
    }
    bench.thread = store_thread_create(bench.store, metrics_block_create(bench.metrics));
    store_maintainer_start(bench.store);
    store_thread_online(bench.thread);
    run(&bench);
    store_thread_offline(bench.thread);
    wait_for_rest(&bench);
    report(&bench);
    store_maintainer_stop(bench.store);
    store_thread_destroy(bench.thread);
    store_destroy(bench.store);
    metrics_destroy(bench.metrics);
}

int main(void)
{
    clock_init();
    printf("| load | keys | sizes | alive / segments | with index | copied / written | recycled | RSS | "
           "ns/op |\n"
           "|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++)
        bench_load(&loads[i]);
    return EXIT_SUCCESS;
}
