/* observe_turn: the CPU time that a worker's turn takes in the protocol and the store, without sockets.
 *
 * Built twice, with and without METRICS_ON, the difference is what observation costs an operation; over
 * sockets it drowns in what the kernel does. A turn is what one recv may bring: requests are made beforehand,
 * run, counted as a worker counts them, and followed by a quiescent state. Prints, for each case, the ns an
 * operation in the quickest tenth of many short stretches: what disturbs a stretch only ever makes it slower.
 */
#include "base/clock.h"
#include "protocol/protocol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEM_COUNT    1000000u
#define VALUE_SIZE    100u
#define INPUT_SIZE    65536u
#define TURNS_MADE    4096u /* made beforehand, then gone through in a circle */
#define STRETCH_COUNT 400u
#define STRETCH_NS    1000000u

struct turn_case {
    const char *name;
    unsigned operations;
    void (*write)(char *out, unsigned operations);
};

struct server {
    struct settings settings;
    struct metrics *metrics;
    struct metrics_block *block;
    struct store *store;
    struct store_thread *store_thread;
    struct protocol *protocol;
    struct protocol_thread *thread;
    struct session session;
    struct output output;
    uint64_t turn_begin_ns;
};

static char *turns[TURNS_MADE];
static uint64_t random_state = 7;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "observe_turn: %s\n", what);
    exit(EXIT_FAILURE);
}

static unsigned draw(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((random_state >> 33) % ITEM_COUNT);
}

/* ---- requests ---- */

static char *write_set(char *out, unsigned key)
{
    out += sprintf(out, "set key:%07u 0 0 %u\r\n", key, VALUE_SIZE);
    memset(out, 'v', VALUE_SIZE);
    memcpy(out + VALUE_SIZE, "\r\n", 3);
    return out + VALUE_SIZE + 2;
}

static void write_gets(char *out, unsigned operations)
{
    for (unsigned i = 0; i < operations; i++)
        out += sprintf(out, "get key:%07u\r\n", draw());
}

static void write_multiget(char *out, unsigned operations)
{
    out += sprintf(out, "get");
    for (unsigned i = 0; i < operations; i++)
        out += sprintf(out, " key:%07u", draw());
    strcpy(out, "\r\n");
}

static void write_sets(char *out, unsigned operations)
{
    for (unsigned i = 0; i < operations; i++)
        out = write_set(out, draw());
}

static const struct turn_case cases[] = {
    {"1 get a request, 50 connections", 1, write_gets},
    {"16 pipelined gets, 20 connections", 16, write_gets},
    {"50-key multigets, 20 connections", 50, write_multiget},
    {"16 pipelined sets, 20 connections", 16, write_sets},
};

/* ---- turns ---- */

/* The worker's own part: net does the same at the end of each turn. */
static void count_turn(struct server *server)
{
    if (!METRICS_ON)
        return;
    uint64_t now_ns = clock_ns();
    if (metrics_turn_end(server->block, now_ns - server->turn_begin_ns) == 0)
        die("a turn without requests");
    server->turn_begin_ns = now_ns;
}

static void run_turn(struct server *server, const char *text, size_t size)
{
    struct protocol_input input = {.data = (char *)text, .size = size, .capacity = INPUT_SIZE};
    protocol_run(server->thread, &server->session, &input, &server->output);
    if (input.consumed != size || server->output.size == 0)
        die("a turn was not run to its end");
    output_advance(&server->output, output_pending(&server->output));
    count_turn(server);
    store_thread_quiesce(server->store_thread);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void measure(struct server *server, const struct turn_case *of)
{
    static double ns[STRETCH_COUNT];
    static size_t sizes[TURNS_MADE];
    for (unsigned i = 0; i < TURNS_MADE; i++) {
        of->write(turns[i], of->operations);
        sizes[i] = strlen(turns[i]);
    }
    unsigned next = 0;
    for (unsigned i = 0; i < STRETCH_COUNT; i++) {
        uint64_t begin_ns = clock_ns(), operations = 0, spent_ns;
        do {
            for (unsigned turn = 0; turn < 8; turn++, next = (next + 1) % TURNS_MADE)
                run_turn(server, turns[next], sizes[next]);
            operations += 8 * of->operations;
            spent_ns = clock_ns() - begin_ns;
        } while (spent_ns < STRETCH_NS);
        ns[i] = (double)spent_ns / (double)operations;
    }
    qsort(ns, STRETCH_COUNT, sizeof *ns, compare);
    printf("%s\t%.2f\n", of->name, ns[STRETCH_COUNT / 10]);
}

/* ---- the server ---- */

static void fill(struct server *server)
{
    char text[256];
    for (unsigned key = 0; key < ITEM_COUNT; key++)
        run_turn(server, text, (size_t)(write_set(text, key) - text));
}

static void open_server(struct server *server)
{
    struct store_config config = {
        .memory_size = (size_t)1 << 30, .item_size_max = 1u << 20, .thread_count = 1, .hash_seed = 7};
    const struct protocol_host host = {0};
    char error[200] = "";
    settings_init(&server->settings);
    server->metrics = metrics_create();
    server->block = metrics_block_create(server->metrics);
    server->store = store_create(&config, server->metrics, error, sizeof error);
    if (!server->store)
        die(error);
    store_maintainer_start(server->store);
    server->store_thread = store_thread_create(server->store, server->block);
    store_thread_online(server->store_thread);
    server->protocol = protocol_create(&server->settings, server->store, server->metrics, &host);
    server->thread = protocol_thread_create(server->protocol, server->store_thread, server->block);
    server->output.capacity = INPUT_SIZE;
    server->output.data = malloc(INPUT_SIZE);
    session_init(&server->session);
}

int main(void)
{
    static struct server server;
    clock_init();
    open_server(&server);
    fill(&server);
    for (unsigned i = 0; i < TURNS_MADE; i++)
        turns[i] = malloc(2560);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
        measure(&server, &cases[i]);
    return EXIT_SUCCESS;
}
