/* Replays requests through the store itself, in this process, without sockets.
 *
 * Place: tests/bench; above requests and the store. One at a time: it sets the process' clock to the
 * stream's. */
#ifndef VITRINE_TESTS_BENCH_POLICY_REPLAY_STORE_H
#define VITRINE_TESTS_BENCH_POLICY_REPLAY_STORE_H

#include "cache.h"

#include <stddef.h>

struct store_figures {
    uint64_t bytes_stored, bytes_copied; /* by requests; by the maintainer */
    double live_share;                   /* bytes of live items of -m, at the end */
    uint64_t item_count;
};

/* False with a line on stderr. `memory_size` is -m in bytes. */
bool store_replay(const struct requests *requests, size_t memory_size, struct replay_result *result,
                  struct store_figures *figures);

#endif
