/* Tables of inputs and what they answer, played however their bytes are cut. */
#ifndef VITRINE_TESTS_PROTOCOL_EXCHANGES_H
#define VITRINE_TESTS_PROTOCOL_EXCHANGES_H

#include "protocol_fixture.h"

struct exchange {
    const char *input, *reply;
    bool closed;
};

static const struct fixture_sizes exchange_roomy = {4 << 20, 65536, 65536, false};
static const struct fixture_sizes exchange_tight = {4 << 20, 640, 1024, false};

/* The input up to `split`, then the rest in pieces. */
static inline void exchange_play(const struct exchange *exchange, const struct fixture_sizes *sizes,
                                 size_t split, size_t piece)
{
    struct fixture *f = fixture_open(sizes);
    size_t size = strlen(exchange->input);
    fixture_feed(f, exchange->input, split, piece);
    fixture_feed(f, exchange->input + split, size - split, piece);
    ck_assert_msg(strcmp(fixture_reply(f), exchange->reply) == 0, "%s cut at %zu: %s", exchange->input, split,
                  f->reply.data);
    ck_assert_msg(f->closed == exchange->closed, "%s cut at %zu: closed %d", exchange->input, split,
                  f->closed);
    fixture_close(f);
}

static inline void exchange_whole(const struct exchange *exchange)
{
    exchange_play(exchange, &exchange_roomy, 0, SIZE_MAX);
}

static inline void exchange_cut_anywhere(const struct exchange *exchange)
{
    for (size_t split = 1; split < strlen(exchange->input); split++)
        exchange_play(exchange, &exchange_roomy, split, SIZE_MAX);
}

static inline void exchange_byte_by_byte(const struct exchange *exchange)
{
    exchange_play(exchange, &exchange_roomy, 0, 1);
}

static inline void exchange_through_small_buffers(const struct exchange *exchange)
{
    exchange_play(exchange, &exchange_tight, 0, SIZE_MAX);
    exchange_play(exchange, &exchange_tight, 0, 1);
}

#endif
