/* Plain sets: those of text, without a condition, that came whole and want their answer. Nearly all sets are,
 * and those that stand in a row are counted together. */
#include "protocol/run_priv.h"

#include <string.h>

/* In one store of eight bytes; result_text says the same. */
static inline void stored_reply(struct output *output)
{
    memcpy(output->data + output->size, "STORED\r\n", 8);
    output->size += 8;
}

/* Anything but STORED, which is rare. */
static __attribute__((noinline)) void set_failed(struct run *run, const struct request *request,
                                                 enum result result)
{
    answer_result(run, request, &run->thread->batch.keys[request->key_first], result);
}

static inline enum result set_one(struct protocol_thread *thread, const struct request *request)
{
    const struct store_key *key = &thread->batch.keys[request->key_first];
    struct store_set set = {key, request->body, request->body_size, request->flags, request->expiry_s};
    return store_set(thread->store, &set, NULL);
}

/* Sets in a row mostly have the same time to live: it is told once for all of them. */
struct expiries {
    uint32_t last_s;
    uint64_t count; /* sets with the last one that have not been told */
};

static inline void expiries_tell(struct protocol_thread *thread, struct expiries *expiries)
{
    if (expiries->count > 0)
        store_told_expiry(thread->store, expiries->last_s, expiries->count);
    expiries->count = 0;
}

static inline void expiries_add(struct protocol_thread *thread, struct expiries *expiries, uint32_t expiry_s)
{
    if (expiry_s != expiries->last_s)
        expiries_tell(thread, expiries);
    expiries->last_s = expiry_s;
    expiries->count++;
}

enum step run_sets(struct run *run, const struct request *first, unsigned count)
{
    struct protocol_thread *thread = run->thread;
    const struct request *request = first, *end = first + count;
    struct expiries expiries = {0, 0};
    uint64_t stored = 0;
    for (; request < end && line_fits(run); request++) {
        enum result result = set_one(thread, request);
        if (__builtin_expect(result != RESULT_STORED, 0)) {
            set_failed(run, request, result);
            continue;
        }
        stored_reply(run->output);
        expiries_add(thread, &expiries, request->expiry_s);
        stored++;
    }
    expiries_tell(thread, &expiries);
    if (stored > 0)
        metrics_requests(thread->block, first->command, RESULT_STORED, stored);
    if (request > first) {
        run->at = request[-1].consumed;
        run->session->requests += (uint32_t)(request - first);
    }
    return request < end ? STEP_WRITE : STEP_ON;
}
