/* Commands on keys, in terms of the store: one function a command class, no dialect. */
#include "protocol/protocol_priv.h"

void execute_get(struct protocol_thread *thread, const struct request *request, const struct store_key *key,
                 struct outcome *outcome)
{
    (void)request;
    outcome->result = store_get(thread->store, key, &outcome->view, &outcome->miss);
}

void execute_get_and_touch(struct protocol_thread *thread, const struct request *request,
                           const struct store_key *key, struct outcome *outcome)
{
    outcome->miss = STORE_MISS_NEVER_SEEN;
    outcome->result = store_touch(thread->store, key, request->expiry_s, &outcome->view);
}

/* append and prepend whose joined value cannot be had answer that they did not store, as memcached does. */
static enum result joined(enum store_mode mode, enum result result)
{
    bool joins = mode == STORE_APPEND || mode == STORE_PREPEND;
    return joins && (result == RESULT_TOO_LARGE || result == RESULT_NO_MEMORY) ? RESULT_NOT_STORED : result;
}

void execute_store(struct protocol_thread *thread, const struct request *request, const struct store_key *key,
                   struct outcome *outcome)
{
    struct store_write write = {.key = *key,
                                .value = request->body,
                                .size = request->body_size,
                                .flags = request->flags,
                                .expiry_s = request->expiry_s,
                                .mode = (enum store_mode)command_rows[request->command].mode,
                                /* No item has CAS 0. */
                                .cas = request->cas_hidden ? 0 : request->cas};
    struct store_written written;
    outcome->result = joined(write.mode, store_write(thread->store, &write, &written));
    if (outcome->result == RESULT_STORED)
        outcome->cas = written.cas;
}

void execute_refused_store(struct protocol_thread *thread, const struct request *request,
                           const struct store_key *key, enum result refusal)
{
    metrics_add(thread->block, refusal == RESULT_TOO_LARGE ? METRIC_store_too_large : METRIC_store_no_memory,
                1);
    /* Better no value than one that the client meant to replace. */
    if (command_rows[request->command].mode == STORE_SET)
        store_delete(thread->store, key, 0);
}

void execute_delete(struct protocol_thread *thread, const struct request *request,
                    const struct store_key *key, struct outcome *outcome)
{
    /* For the size band of what is deleted. */
    store_peek(thread->store, key, &outcome->view);
    outcome->result = store_delete(thread->store, key, request->cas);
}

void execute_arithmetic(struct protocol_thread *thread, const struct request *request,
                        const struct store_key *key, struct outcome *outcome)
{
    struct store_delta delta = {.key = *key,
                                .delta = request->number,
                                .decrement = command_rows[request->command].mode == MODE_DECREMENT,
                                .cas = request->cas,
                                .create = request->create,
                                .initial = request->initial,
                                .create_expiry_s = request->expiry_s};
    outcome->result = store_arithmetic(thread->store, &delta, &outcome->number);
    outcome->cas = outcome->number.cas;
    if (outcome->result == RESULT_MISS)
        outcome->result = RESULT_NOT_FOUND;
    else if (outcome->result == RESULT_NO_MEMORY || outcome->result == RESULT_TOO_LARGE)
        outcome->text = "SERVER_ERROR out of memory";
}

void execute_touch(struct protocol_thread *thread, const struct request *request, const struct store_key *key,
                   struct outcome *outcome)
{
    enum result result = store_touch(thread->store, key, request->expiry_s, &outcome->view);
    outcome->result = result == RESULT_HIT ? RESULT_TOUCHED : RESULT_NOT_FOUND;
}
