/* Requests that are sent together on one connection, and the check of their replies.
 *
 * Place: tests/bench, above workload. Flow: batch_build, send data[0..size), then batch_check over what is
 * received until it is complete. Thread-safety: none; one owner. */
#ifndef VITRINE_BENCH_BATCH_H
#define VITRINE_BENCH_BATCH_H

#include "workload.h"

struct batch {
    char *data; /* owned; the requests as they go out */
    size_t size;
    uint64_t *key;    /* owned; index of each key asked for or set, in order */
    uint32_t *key_at; /* owned; where its text lies in data */
    bool *set;        /* owned; for each request */
    unsigned request_count;
    unsigned request_done; /* requests whose reply is complete */
    unsigned key_done;     /* keys answered, or found missing */
    unsigned key_end;      /* end of the keys of the request whose reply is being read */
    unsigned multiget;     /* keys of a get */
};

struct tally {
    uint64_t requests, hits, misses, stored;
    uint64_t refused;         /* sets for which the server had no memory */
    uint64_t values_compared; /* byte for byte */
};

/* Room for batches of options->depth requests. False: out of memory. */
bool batch_init(struct batch *batch, const struct options *options);
void batch_fini(struct batch *batch);

/* A new batch of `count` requests, of which a share of `set_ratio` are sets. */
void batch_build(struct batch *batch, struct workload *workload, unsigned count, double set_ratio);

static inline bool batch_complete(const struct batch *batch)
{
    return batch->request_done == batch->request_count;
}

/* Checks as many whole replies as data[0..size) holds and counts them. Returns the bytes used, or -1 when
 * one is wrong (*wrong then points to it). */
long batch_check(struct batch *batch, const struct workload *workload, const char *data, size_t size,
                 struct tally *tally, const char **wrong);

/* The largest number of bytes a single reply block can take: what a receive buffer must hold. */
size_t batch_block_max(const struct options *options);

#endif
