/* A stream with its keys numbered from 0 on, so that models keep arrays in place of hash tables.
 *
 * Place: tests/bench; above stream. Read-only once opened. */
#ifndef VITRINE_TESTS_BENCH_POLICY_REQUESTS_H
#define VITRINE_TESTS_BENCH_POLICY_REQUESTS_H

#include "stream.h"

struct requests {
    struct stream stream;
    uint32_t *object;     /* [request]: its key's number */
    uint32_t *value_size; /* [object] */
    uint32_t object_count;
    uint64_t counted_from; /* the first request whose hit or miss counts */
};

/* False with a line on stderr. */
bool requests_open(struct requests *requests, const char *path);
void requests_close(struct requests *requests);

static inline uint32_t requests_second(const struct requests *requests, uint64_t at)
{
    return requests->stream.records[at].time_ms / 1000;
}

#endif
