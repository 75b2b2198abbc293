/* What the fuzzers of the protocol share: a server over a small store, fed with any bytes, in any pieces,
 * through any buffers.
 *
 * An input is a seed (4 bytes) and the bytes a client sends. They are sent twice, each time to a fresh
 * server: whole, and cut up by the seed (sizes of pieces, of the input and output buffers, of sends; bodies
 * received directly). Checked: no byte is read beyond what was given (each piece lies in memory of its exact
 * size), the output keeps within its buffer, something moves in every run, and what was stored is there or
 * was removed for a reason. Thread-safety: none. */
#ifndef VITRINE_TESTS_FUZZ_SERVER_H
#define VITRINE_TESTS_FUZZ_SERVER_H

#include "base/assert.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "protocol/protocol.h"

#include <stdlib.h>
#include <string.h>

#define INPUT_MAX  4096u
#define OUTPUT_MAX 65536u
/* The least input that a server of pieces has, above which the pieces matter. */
#define UNIT_MAX 512u

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
    char output_data[OUTPUT_MAX], input[INPUT_MAX + 1];
    size_t input_size, input_capacity;
    struct buffer reply;
    uint32_t random; /* 0: nothing is cut */
    bool closed;
};

static inline uint32_t draw(struct server *server, uint32_t limit)
{
    server->random = server->random * 1664525u + 1013904223u;
    return (server->random >> 8) % limit;
}

static inline void server_open(struct server *server, uint32_t seed)
{
    memset(server, 0, sizeof *server);
    settings_init(&server->settings);
    server->metrics = metrics_create();
    server->block = metrics_block_create(server->metrics);
    struct store_config config = {
        .memory_size = 1 << 20, .item_size_max = 1 << 18, .thread_count = 1, .hash_seed = 3};
    char error[128];
    server->store = store_create(&config, server->metrics, error, sizeof error);
    ASSERT(server->store != NULL);
    server->store_thread = store_thread_create(server->store, server->block);
    store_thread_online(server->store_thread);
    struct protocol_host host = {0};
    server->protocol = protocol_create(&server->settings, server->store, server->metrics, &host);
    server->thread = protocol_thread_create(server->protocol, server->store_thread, server->block);
    session_init(&server->session);
    server->random = seed;
    server->output.data = server->output_data;
    server->output.capacity = seed == 0 ? OUTPUT_MAX : 1024 + draw(server, 4096);
    server->input_capacity = seed == 0 ? INPUT_MAX : UNIT_MAX + 128 + draw(server, 1024);
}

static inline void server_close(struct server *server)
{
    session_fini(&server->session);
    output_clear(&server->output);
    protocol_thread_destroy(server->thread);
    protocol_destroy(server->protocol);
    store_thread_offline(server->store_thread);
    store_thread_destroy(server->store_thread);
    store_destroy(server->store);
    metrics_destroy(server->metrics);
    settings_fini(&server->settings);
    buffer_fini(&server->reply);
}

/* Takes some of the output, or all of it. */
static inline void server_send(struct server *server)
{
    ASSERT(server->output.size <= server->output.capacity);
    while (output_pending(&server->output) > 0) {
        struct iovec vectors[3];
        int count = output_vectors(&server->output, vectors, 3);
        ASSERT(count > 0 && vectors[0].iov_len > 0);
        size_t size = vectors[0].iov_len;
        if (server->random != 0)
            size = 1 + draw(server, (uint32_t)size);
        buffer_append(&server->reply, vectors[0].iov_base, size);
        output_advance(&server->output, size);
        if (server->random != 0 && draw(server, 8) == 0)
            return;
    }
}

static inline enum protocol_next server_run_once(struct server *server)
{
    char *exact = malloc(server->input_size > 0 ? server->input_size : 1);
    memcpy(exact, server->input, server->input_size);
    struct protocol_input input = {
        .data = exact, .size = server->input_size, .capacity = server->input_capacity};
    size_t pending = output_pending(&server->output);
    protocol_prefetch(server->thread, &input, 1);
    enum protocol_next next = protocol_run(server->thread, &server->session, &input, &server->output);
    free(exact);
    ASSERT(input.consumed <= input.size);
    ASSERT(next != PROTOCOL_WRITE || pending > 0 || output_pending(&server->output) > 0);
    ASSERT(next != PROTOCOL_YIELD || input.consumed > 0);
    memmove(server->input, server->input + input.consumed, input.size - input.consumed);
    server->input_size -= input.consumed;
    return next;
}

static inline void server_run(struct server *server)
{
    enum protocol_next next;
    do {
        next = server_run_once(server);
        server_send(server);
        store_thread_quiesce(server->store_thread);
    } while (next == PROTOCOL_WRITE || next == PROTOCOL_YIELD);
    server->closed = next == PROTOCOL_CLOSE;
    ASSERT(server->closed || server->input_size < server->input_capacity);
}

/* Puts bytes where a large body wants them. Returns how many. */
static inline size_t server_receive_body(struct server *server, const uint8_t *data, size_t size)
{
    size_t room;
    if (server->input_size > 0 || server->random == 0 || draw(server, 2) == 0)
        return 0;
    char *to = protocol_body_room(&server->session, &room);
    if (to == NULL)
        return 0;
    if (room > size)
        room = size;
    memcpy(to, data, room);
    protocol_body_received(&server->session, room);
    return room;
}

static inline void server_feed(struct server *server, const uint8_t *data, size_t size)
{
    while (size > 0 && !server->closed) {
        size_t step = server_receive_body(server, data, size);
        if (step == 0) {
            step = server->input_capacity - server->input_size;
            if (step > size)
                step = size;
            if (server->random != 0)
                step = 1 + draw(server, (uint32_t)step);
            memcpy(server->input + server->input_size, data, step);
            server->input_size += step;
        }
        data += step;
        size -= step;
        server_run(server);
    }
    while (output_pending(&server->output) > 0)
        server_send(server);
}

/* stored = current + removed, for whatever reason. */
static inline void check_conservation(struct server *server)
{
    struct metrics_snapshot snapshot;
    metrics_snapshot_take(server->metrics, &snapshot);
    const uint64_t *value = snapshot.value;
    ASSERT(value[METRIC_total_items] == value[METRIC_curr_items] + value[METRIC_removed_evicted] +
                                            value[METRIC_removed_expired] + value[METRIC_removed_deleted] +
                                            value[METRIC_removed_replaced] + value[METRIC_removed_flushed]);
    ASSERT(value[METRIC_cmd_get] == value[METRIC_get_hits] + value[METRIC_get_misses]);
    ASSERT(value[METRIC_cmd_touch] == value[METRIC_touch_hits] + value[METRIC_touch_misses]);
}

static inline void feed_and_check(struct server *server, const uint8_t *data, size_t size)
{
    server_feed(server, data, size);
    check_conservation(server);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    clock_init();
    clock_freeze_for_test(100000);
    return 0;
}

/* Plays an input to both servers, which `compare` then looks at. */
typedef void (*compare_fn)(const struct server *whole, const struct server *pieces, const uint8_t *data,
                           size_t size);
static inline void fuzz_both(const uint8_t *data, size_t size, compare_fn compare)
{
    static struct server whole, pieces;
    uint32_t seed;
    if (size < sizeof seed || size > INPUT_MAX)
        return;
    memcpy(&seed, data, sizeof seed);
    data += sizeof seed;
    size -= sizeof seed;
    server_open(&whole, 0);
    server_open(&pieces, seed | 1u);
    feed_and_check(&whole, data, size);
    feed_and_check(&pieces, data, size);
    compare(&whole, &pieces, data, size);
    server_close(&whole);
    server_close(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
