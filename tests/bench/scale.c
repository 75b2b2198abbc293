/* scale: how the store's speed grows with threads, without sockets in between.
 *
 * Each thread is pinned to a core and does what a worker does: it makes keys, looks up or writes, copies
 * values out, and passes a quiescent state after each turn. Values name their key and verify themselves, so
 * a wrong read ends the run. For each workload the thread counts take turns, several rounds of them; medians
 * are printed. Linear is the rate of one thread times the threads that have a core of their own. Beside the
 * rate stands the CPU time an operation: where threads share cores with each other or with the maintainer
 * the rate cannot grow, but the CPU time shows whether they get in each other's way. */
#include "base/clock.h"
#include "store/store.h"

#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREAD_MAX     64u
#define COUNTS_MAX     8u
#define ROUNDS_MAX     32u
#define TURN           50u /* operations between two quiescent states; keys of a batch */
#define KEY_SIZE       11u
#define VALUE_SIZE     100u
#define MEMORY_AN_ITEM 640u /* room for overwrites before the maintainer must compact */
#define PAUSE_NS       20000000

enum workload { GETS, HOT, BATCH, SETS, MIX, WORKLOAD_COUNT };

static const char *const workload_names[] = {
    [GETS] = "gets", [HOT] = "gets of one key",  [BATCH] = "50-key batches",
    [SETS] = "sets", [MIX] = "90 gets, 10 sets",
};

struct options {
    uint64_t item_count;
    size_t memory_size;                        /* 0: by the items */
    unsigned counts[COUNTS_MAX], counts_count; /* of threads */
    unsigned rounds;
    double seconds; /* of one measurement */
    bool chosen[WORKLOAD_COUNT];
};

struct actor {
    _Alignas(128) pthread_t thread;
    unsigned index;
    enum workload workload;
    uint64_t item_count, random;
    struct metrics_block *block; /* borrowed */
    uint64_t operations, cpu_ns;
};

/* One measurement of one workload at one thread count. */
struct outcome {
    double rate, ns; /* operations a second; CPU time of one */
};

static struct store *store;
static pthread_barrier_t start;
static _Alignas(128) _Atomic bool stopping;
static struct actor actors[THREAD_MAX];

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "scale: %s\n", what);
    exit(EXIT_FAILURE);
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccd;
    return x ^ x >> 33;
}

static uint64_t draw(struct actor *actor)
{
    actor->random += 0x9e3779b97f4a7c15;
    return (uint64_t)((__uint128_t)mix(actor->random) * actor->item_count >> 64);
}

static uint64_t clock_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void pin_to_core(unsigned index)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(index % (unsigned)sysconf(_SC_NPROCESSORS_ONLN), &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

/* ---- keys and values that verify themselves ---- */

static void key_make(uint64_t number, char bytes[KEY_SIZE])
{
    memcpy(bytes, "key", 3);
    memcpy(bytes + 3, &number, sizeof number);
}

static struct store_key key_of(uint64_t number, char bytes[KEY_SIZE])
{
    key_make(number, bytes);
    return store_key(store, bytes, KEY_SIZE);
}

static void value_make(char value[VALUE_SIZE], uint64_t number, uint64_t version)
{
    uint64_t seal = mix(number ^ version);
    memset(value, (char)seal, VALUE_SIZE);
    memcpy(value, &number, 8);
    memcpy(value + 8, &version, 8);
    memcpy(value + VALUE_SIZE - 8, &seal, 8);
}

static void value_check(const char *found, size_t size, uint64_t number)
{
    char value[VALUE_SIZE];
    uint64_t told, version, seal;
    if (size != VALUE_SIZE)
        die("a value of another size was read");
    memcpy(value, found, VALUE_SIZE);
    memcpy(&told, value, 8);
    memcpy(&version, value + 8, 8);
    memcpy(&seal, value + VALUE_SIZE - 8, 8);
    if (told != number || seal != mix(number ^ version) || value[VALUE_SIZE / 2] != (char)seal)
        die("a wrong value was read");
}

/* ---- operations ---- */

static void get_one(struct store_thread *thread, uint64_t number)
{
    char bytes[KEY_SIZE];
    struct store_key key = key_of(number, bytes);
    struct store_view view;
    if (store_get(thread, &key, &view, NULL) != RESULT_HIT)
        die("an item that fits in memory was not found");
    value_check(view.value, view.size, number);
}

static void set_one(struct store_thread *thread, uint64_t number, uint64_t version)
{
    char bytes[KEY_SIZE], value[VALUE_SIZE];
    struct store_write write = {.key = key_of(number, bytes), .value = value, .size = VALUE_SIZE};
    value_make(value, number, version);
    if (store_write(thread, &write, NULL) != RESULT_STORED)
        die("a set was refused");
}

/* As the keys of a multiget are: hashed together, then looked up in one call. */
static void get_batch(struct store_thread *thread, struct actor *actor)
{
    char bytes[TURN][KEY_SIZE];
    uint64_t numbers[TURN];
    struct store_key keys[TURN];
    struct store_hit hits[TURN];
    for (unsigned i = 0; i < TURN; i++) {
        numbers[i] = draw(actor);
        key_make(numbers[i], bytes[i]);
        keys[i] = (struct store_key){.data = bytes[i], .size = KEY_SIZE};
    }
    store_hash_keys(store, keys, TURN);
    if (store_get_many(thread, keys, TURN, SIZE_MAX, 0, hits) != TURN)
        die("a batch was not looked up to its end");
    for (unsigned i = 0; i < TURN; i++) {
        if (!hits[i].value)
            die("an item that fits in memory was not found");
        value_check(hits[i].value, hits[i].size, numbers[i]);
    }
}

static void turn(struct store_thread *thread, struct actor *actor)
{
    if (actor->workload == BATCH) {
        get_batch(thread, actor);
        return;
    }
    for (unsigned i = 0; i < TURN; i++) {
        uint64_t number = actor->workload == HOT ? 7 : draw(actor);
        if (actor->workload == SETS || (actor->workload == MIX && i % 10 == 9))
            set_one(thread, number, actor->random);
        else
            get_one(thread, number);
    }
}

static void *act(void *context)
{
    struct actor *actor = context;
    pin_to_core(actor->index);
    struct store_thread *thread = store_thread_create(store, actor->block);
    if (!thread)
        die("no memory for a thread");
    pthread_barrier_wait(&start);
    uint64_t begin_ns = clock_of(CLOCK_THREAD_CPUTIME_ID);
    store_thread_online(thread);
    /* Relaxed: no data hangs on it. */
    while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
        turn(thread, actor);
        actor->operations += TURN;
        store_thread_quiesce(thread);
    }
    store_thread_offline(thread);
    actor->cpu_ns = clock_of(CLOCK_THREAD_CPUTIME_ID) - begin_ns;
    store_thread_destroy(thread);
    return NULL;
}

/* ---- measuring ---- */

static void sleep_ns(uint64_t ns)
{
    nanosleep(&(struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)}, NULL);
}

static struct outcome measure(enum workload workload, unsigned count, const struct options *options)
{
    static uint64_t seed;
    pthread_barrier_init(&start, NULL, count + 1);
    atomic_store_explicit(&stopping, false, memory_order_relaxed);
    for (unsigned i = 0; i < count; i++) {
        actors[i] = (struct actor){.index = i,
                                   .workload = workload,
                                   .item_count = options->item_count,
                                   .random = mix(++seed) << 16,
                                   .block = actors[i].block};
        if (pthread_create(&actors[i].thread, NULL, act, &actors[i]) != 0)
            die("cannot start a thread");
    }
    pthread_barrier_wait(&start);
    uint64_t begin_ns = clock_of(CLOCK_MONOTONIC), operations = 0, cpu_ns = 0;
    sleep_ns((uint64_t)(options->seconds * 1e9));
    atomic_store_explicit(&stopping, true, memory_order_relaxed);
    for (unsigned i = 0; i < count; i++) {
        pthread_join(actors[i].thread, NULL);
        operations += actors[i].operations;
        cpu_ns += actors[i].cpu_ns;
    }
    uint64_t ns = clock_of(CLOCK_MONOTONIC) - begin_ns;
    pthread_barrier_destroy(&start);
    sleep_ns(PAUSE_NS); /* the maintainer catches up on its own time */
    clock_tick();
    return (struct outcome){(double)operations * 1e9 / (double)ns, (double)cpu_ns / (double)operations};
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static struct outcome median(const struct outcome *results, unsigned count)
{
    double rates[ROUNDS_MAX] = {0}, costs[ROUNDS_MAX] = {0};
    for (unsigned i = 0; i < count; i++) {
        rates[i] = results[i].rate;
        costs[i] = results[i].ns;
    }
    qsort(rates, count, sizeof *rates, compare);
    qsort(costs, count, sizeof *costs, compare);
    return (struct outcome){rates[count / 2], costs[count / 2]};
}

static void print_row(enum workload workload, unsigned count, const struct outcome *one,
                      const struct outcome *now)
{
    unsigned cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    unsigned own = count < cores ? count : cores;
    printf("| %s | %u%s | %.2f M/s | %.0f ns | %.2f | %.2f |\n", workload_names[workload], count,
           count > cores ? " (sharing cores)" : "", now->rate / 1e6, now->ns, now->rate / (one->rate * own),
           one->ns / now->ns);
    fflush(stdout);
}

/* The thread counts take turns, so that what else the machine does falls on all of them. */
static void run_workload(enum workload workload, const struct options *options)
{
    static struct outcome results[COUNTS_MAX][ROUNDS_MAX];
    measure(workload, options->counts[0], options);
    for (unsigned round = 0; round < options->rounds; round++)
        for (unsigned i = 0; i < options->counts_count; i++)
            results[i][round] = measure(workload, options->counts[i], options);
    struct outcome one = median(results[0], options->rounds);
    for (unsigned i = 0; i < options->counts_count; i++) {
        struct outcome now = median(results[i], options->rounds);
        print_row(workload, options->counts[i], &one, &now);
    }
}

static void fill(const struct options *options, struct metrics *metrics)
{
    struct store_thread *thread = store_thread_create(store, metrics_block_create(metrics));
    store_thread_online(thread);
    for (uint64_t number = 0; number < options->item_count; number++) {
        set_one(thread, number, number);
        if (number % TURN == 0)
            store_thread_quiesce(thread);
    }
    store_thread_offline(thread);
    store_thread_destroy(thread);
}

/* ---- the command line ---- */

static const char USAGE[] = "usage: scale [--items N] [--threads 1,2,4] [--rounds N] [--seconds S]\n"
                            "             [--memory MIB] [--workload gets|hot|batch|sets|mix]\n";

static void parse_threads(struct options *options, char *text)
{
    options->counts_count = 0;
    for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
        long count = strtol(word, NULL, 10);
        if (count < 1 || count > (long)THREAD_MAX || options->counts_count == COUNTS_MAX)
            die("--threads takes up to 8 counts of 1 to 64");
        options->counts[options->counts_count++] = (unsigned)count;
    }
    if (options->counts_count == 0 || options->counts[0] != 1)
        die("--threads begins with 1, which the others are compared with");
}

static void parse_workload(struct options *options, const char *text)
{
    static const char *const words[] = {"gets", "hot", "batch", "sets", "mix"};
    for (unsigned i = 0; i < WORKLOAD_COUNT; i++)
        if (strcmp(text, words[i]) == 0) {
            options->chosen[i] = true;
            return;
        }
    die("no such workload");
}

static void parse(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {
        {"items", required_argument, NULL, 'i'},
        {"memory", required_argument, NULL, 'm'},
        {"threads", required_argument, NULL, 't'},
        {"rounds", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'},
        {"workload", required_argument, NULL, 'w'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option == 'i')
            options->item_count = strtoull(optarg, NULL, 10);
        else if (option == 'm')
            options->memory_size = (size_t)strtoull(optarg, NULL, 10) << 20;
        else if (option == 't')
            parse_threads(options, optarg);
        else if (option == 'r')
            options->rounds = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 's')
            options->seconds = strtod(optarg, NULL);
        else if (option == 'w')
            parse_workload(options, optarg);
        else
            die(USAGE);
    }
    if (options->item_count < 8 || options->rounds < 1 || options->rounds > ROUNDS_MAX ||
        !(options->seconds > 0))
        die(USAGE);
}

int main(int argc, char **argv)
{
    struct options options = {
        .item_count = 1000000, .counts = {1, 2, 4, 8, 16}, .counts_count = 5, .rounds = 5, .seconds = 0.5};
    char error[200] = "";
    parse(&options, argc, argv);
    clock_init();
    struct metrics *metrics = metrics_create();
    size_t usual_size = (64u << 20) + options.item_count * MEMORY_AN_ITEM;
    struct store_config config = {.memory_size = options.memory_size ? options.memory_size : usual_size,
                                  .item_size_max = 1u << 20,
                                  .thread_count = options.counts[options.counts_count - 1]};
    store = store_create(&config, metrics, error, sizeof error);
    if (!store)
        die(error);
    store_maintainer_start(store);
    fill(&options, metrics);
    for (unsigned i = 0; i < THREAD_MAX; i++)
        actors[i].block = metrics_block_create(metrics);
    bool all = true;
    for (unsigned i = 0; i < WORKLOAD_COUNT; i++)
        all = all && !options.chosen[i];
    printf(
        "| %llu items | threads | all together | CPU an operation | rate / linear | CPU of 1 thread / CPU |\n"
        "|---|---|---|---|---|---|\n",
        (unsigned long long)options.item_count);
    for (unsigned i = 0; i < WORKLOAD_COUNT; i++)
        if (all || options.chosen[i])
            run_workload((enum workload)i, &options);
    store_maintainer_stop(store);
    store_destroy(store);
    metrics_destroy(metrics);
    return EXIT_SUCCESS;
}
