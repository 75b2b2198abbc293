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
    enum result result = store_set(thread->store, &set, NULL);
    if (__builtin_expect(result == RESULT_STORED, 1)) {
        unsigned band = metrics_band_of(ITEM_OVERHEAD_SIZE + key->size + request->body_size);
        metrics_band_add(thread->block, band, BAND_cmd_set, 1);
    }
    return result;
}

enum step run_sets(struct run *run, const struct request *first, unsigned count)
{
    struct protocol_thread *thread = run->thread;
    const struct request *request = first, *end = first + count;
    uint64_t stored = 0;
    for (; request < end && line_fits(run); request++) {
        enum result result = set_one(thread, request);
        if (__builtin_expect(result != RESULT_STORED, 0)) {
            set_failed(run, request, result);
            continue;
        }
        stored_reply(run->output);
        stored++;
    }
    if (stored > 0)
        metrics_requests(thread->block, first->command, RESULT_STORED, stored);
    if (request > first) {
        run->at = request[-1].consumed;
        run->session->requests += (uint32_t)(request - first);
    }
    return request < end ? STEP_WRITE : STEP_ON;
}
