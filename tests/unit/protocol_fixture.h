/* What the protocol's tests share: a small store, a worker's part of the protocol, and a feeder that stands
 * for net: it hands bytes in as they would be received and takes replies out as they would be sent.
 * Thread-safety: none. Ownership: the fixture owns everything; a reply is valid until the next feed. */
#ifndef VITRINE_TESTS_PROTOCOL_FIXTURE_H
#define VITRINE_TESTS_PROTOCOL_FIXTURE_H

#include "base/buffer.h"
#include "base/clock.h"
#include "protocol/protocol.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    struct settings settings;
    struct metrics *metrics;
    struct metrics_block *block;
    struct store *store;
    struct store_thread *store_thread;
    struct protocol *protocol;
    struct protocol_thread *thread;
    struct session session;
    struct output output;
    char *input; /* what is received and not consumed */
    size_t input_size, input_capacity;
    struct buffer reply; /* all that was sent */
    size_t output_max;   /* the most that ever waited in the output */
    bool closed;
    unsigned yields, shutdowns;
};

static void fixture_on_shutdown(void *context, bool graceful)
{
    struct fixture *f = context;
    f->shutdowns += graceful ? 100 : 1;
}

static inline void fixture_connect(struct fixture *f)
{
    session_fini(&f->session);
    output_clear(&f->output);
    session_init(&f->session);
    f->input_size = 0;
    f->closed = false;
    f->reply.size = 0;
}

struct fixture_sizes {
    size_t memory, input, output;
    bool no_eviction;
};

static inline struct fixture *fixture_open(const struct fixture_sizes *sizes)
{
    struct fixture *f = calloc(1, sizeof *f);
    settings_init(&f->settings);
    f->settings.enable_shutdown = true;
    f->metrics = metrics_create();
    f->block = metrics_block_create(f->metrics);
    struct store_config config = {.memory_size = sizes->memory,
                                  .item_size_max = 1 << 20,
                                  .no_eviction = sizes->no_eviction,
                                  .thread_count = 1,
                                  .hash_seed = 7};
    char error[256];
    f->store = store_create(&config, f->metrics, error, sizeof error);
    ck_assert_msg(f->store != NULL, "%s", error);
    f->store_thread = store_thread_create(f->store, f->block);
    store_thread_online(f->store_thread);
    struct protocol_host host = {.context = f, .shutdown = fixture_on_shutdown};
    f->protocol = protocol_create(&f->settings, f->store, f->metrics, &host);
    f->thread = protocol_thread_create(f->protocol, f->store_thread, f->block);
    f->input_capacity = sizes->input;
    f->input = malloc(sizes->input);
    f->output.capacity = sizes->output;
    f->output.data = malloc(sizes->output);
    session_init(&f->session);
    return f;
}

static inline void fixture_close(struct fixture *f)
{
    session_fini(&f->session);
    output_clear(&f->output);
    protocol_thread_destroy(f->thread);
    protocol_destroy(f->protocol);
    store_thread_offline(f->store_thread);
    store_thread_destroy(f->store_thread);
    store_destroy(f->store);
    metrics_destroy(f->metrics);
    settings_fini(&f->settings);
    buffer_fini(&f->reply);
    free(f->output.data);
    free(f->input);
    free(f);
}

/* Takes all of the output, seven bytes at a time where there are many: sends may be short. */
static inline void fixture_send(struct fixture *f)
{
    if (output_pending(&f->output) > f->output_max)
        f->output_max = output_pending(&f->output);
    while (output_pending(&f->output) > 0) {
        struct iovec vectors[4];
        int count = output_vectors(&f->output, vectors, 4);
        ck_assert_int_gt(count, 0);
        size_t size = 0;
        for (int i = 0; i < count; i++) {
            ck_assert_uint_gt(vectors[i].iov_len, 0);
            size_t part =
                i + 1 < count || vectors[i].iov_len < 8 ? vectors[i].iov_len : vectors[i].iov_len - 7;
            buffer_append(&f->reply, vectors[i].iov_base, part);
            size += part;
        }
        output_advance(&f->output, size);
    }
    ck_assert_uint_eq(f->output.size, 0);
}

/* Runs until more input is needed. The input is handed over in memory of its exact size, so that a sanitizer
 * sees any byte read beyond it. */
static inline void fixture_run(struct fixture *f)
{
    enum protocol_next next;
    do {
        char *exact = malloc(f->input_size > 0 ? f->input_size : 1);
        memcpy(exact, f->input, f->input_size);
        size_t pending = output_pending(&f->output);
        struct protocol_input input = {.data = exact, .size = f->input_size, .capacity = f->input_capacity};
        next = protocol_run(f->thread, &f->session, &input, &f->output);
        free(exact);
        ck_assert_uint_le(input.consumed, f->input_size);
        memmove(f->input, f->input + input.consumed, f->input_size - input.consumed);
        f->input_size -= input.consumed;
        f->yields += next == PROTOCOL_YIELD;
        /* Some progress, or it would be asked for ever. */
        ck_assert(next != PROTOCOL_WRITE || pending > 0 || output_pending(&f->output) > 0);
        fixture_send(f);
        store_thread_quiesce(f->store_thread);
    } while (next == PROTOCOL_WRITE || next == PROTOCOL_YIELD);
    f->closed = next == PROTOCOL_CLOSE;
    ck_assert_msg(f->closed || f->input_size < f->input_capacity, "a full input and more is asked for");
}

/* Feeds bytes in pieces of at most `piece`. */
static inline void fixture_feed(struct fixture *f, const char *data, size_t size, size_t piece)
{
    while (size > 0 && !f->closed) {
        size_t room = f->input_capacity - f->input_size;
        size_t step = size < piece ? size : piece;
        if (step > room)
            step = room;
        memcpy(f->input + f->input_size, data, step);
        f->input_size += step;
        data += step;
        size -= step;
        fixture_run(f);
    }
}

static inline const char *fixture_reply(struct fixture *f)
{
    buffer_append(&f->reply, "", 1);
    f->reply.size = 0; /* read once */
    return f->reply.data;
}

/* One whole exchange on an open connection. */
static inline const char *fixture_ask(struct fixture *f, const char *text)
{
    f->reply.size = 0;
    fixture_feed(f, text, strlen(text), SIZE_MAX);
    return fixture_reply(f);
}

/* A body of `size` bytes with its line end, for the caller to free. */
static inline char *fixture_body(size_t size)
{
    char *data = malloc(size + 3);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)('a' + (i * 7 + i / 251) % 26);
    memcpy(data + size, "\r\n", 3);
    return data;
}

static inline uint64_t fixture_metric(struct fixture *f, enum metric id)
{
    struct metrics_snapshot snapshot;
    metrics_snapshot_take(f->metrics, &snapshot);
    return snapshot.value[id];
}

#endif
