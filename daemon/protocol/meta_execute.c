/* Meta commands in terms of the store. */
#include "protocol/meta_priv.h"

/* What stands for a CAS that no item can have: with -C memcached compares with 0, and in a store not at all.
 */
static uint64_t cas_wanted(const struct request *request)
{
    return request->cas_hidden && request->cas != 0 ? UINT64_MAX : request->cas;
}

static bool cas_chosen(const struct request *request)
{
    return meta_has(request, META_E) && !request->cas_hidden;
}

/* The time to live of what N creates: T counts too, and the later of the two is obeyed. */
static uint32_t created_expiry(const struct request *request)
{
    bool touched = meta_has(request, META_T) && meta_comes_before(request, 'N', 'T');
    return touched ? request->expiry_s : request->create_expiry_s;
}

void execute_meta_get(struct protocol_thread *thread, const struct request *request,
                      const struct store_key *key, struct outcome *outcome)
{
    struct store_fetch fetch = {.silent = meta_has(request, META_u)};
    const uint32_t rare = 1u << META_N | 1u << META_R | 1u << META_T;
    if (request->meta_flags & rare) {
        bool touch = meta_has(request, META_T), recache = meta_has(request, META_R);
        fetch.touch = touch;
        fetch.expiry_s = request->expiry_s;
        fetch.recache_s = recache ? (uint32_t)request->number : 0;
        fetch.recache_first = touch && recache && meta_comes_before(request, 'R', 'T');
        fetch.vivify = meta_has(request, META_N);
        fetch.vivify_expiry_s = fetch.vivify ? created_expiry(request) : STORE_NEVER_S;
        fetch.key_binary = meta_has(request, META_b);
        fetch.cas_chosen = cas_chosen(request);
        fetch.cas_new = request->cas_new;
    }
    outcome->result =
        store_fetch(thread->store, key, &fetch, &outcome->view, &outcome->lease, &outcome->miss);
    outcome->masked = outcome->result == RESULT_HIT && meta_has(request, META_C) &&
                      request->cas == (request->cas_hidden ? 0 : outcome->view.cas);
}

/* append and prepend whose joined value cannot be had answer that they did not store, as memcached does. */
static enum result joined(const struct request *request, enum result result)
{
    bool joins = request->mode == STORE_APPEND || request->mode == STORE_PREPEND;
    return joins && (result == RESULT_TOO_LARGE || result == RESULT_NO_MEMORY) ? RESULT_NOT_STORED : result;
}

void execute_meta_store(struct protocol_thread *thread, const struct request *request,
                        const struct store_key *key, struct outcome *outcome)
{
    bool joins = request->mode == STORE_APPEND || request->mode == STORE_PREPEND;
    bool create = joins && meta_has(request, META_N);
    struct store_write write = {.key = *key,
                                .value = request->body,
                                .size = request->body_size,
                                .flags = request->flags,
                                .expiry_s = create ? request->create_expiry_s : request->expiry_s,
                                .mode = (enum store_mode)request->mode,
                                .cas = request->cas_hidden ? 0 : request->cas,
                                .cas_chosen = cas_chosen(request),
                                .cas_new = request->cas_new,
                                .stale_allowed = meta_has(request, META_I) && !request->cas_hidden,
                                .create = create,
                                .key_binary = meta_has(request, META_b)};
    struct store_written written = {0, request->body_size};
    outcome->result = joined(request, store_write(thread->store, &write, &written));
    outcome->cas = written.cas;
    outcome->size = written.size;
}

void execute_meta_delete(struct protocol_thread *thread, const struct request *request,
                         const struct store_key *key, struct outcome *outcome)
{
    /* With -C every item has CAS 0. */
    bool given = meta_has(request, META_C);
    struct store_invalidation invalidation = {.key = *key,
                                              .stale = meta_has(request, META_I),
                                              .clear = meta_has(request, META_x),
                                              .flags = request->flags,
                                              .touch = meta_has(request, META_T),
                                              .expiry_s = request->expiry_s,
                                              .cas_given =
                                                  given && !(request->cas_hidden && request->cas == 0),
                                              .cas = cas_wanted(request),
                                              .cas_chosen = cas_chosen(request),
                                              .cas_new = request->cas_new};
    /* For the size band of what is deleted. */
    store_peek(thread->store, key, &outcome->view);
    outcome->result = store_invalidate(thread->store, &invalidation);
    if (outcome->result == RESULT_NO_MEMORY)
        outcome->text = "SERVER_ERROR out of memory";
}

void execute_meta_arithmetic(struct protocol_thread *thread, const struct request *request,
                             const struct store_key *key, struct outcome *outcome)
{
    bool create = meta_has(request, META_N);
    struct store_delta delta = {.key = *key,
                                .delta = request->number,
                                .decrement = request->command == COMMAND_ma_decr,
                                .cas = cas_wanted(request),
                                .cas_chosen = cas_chosen(request),
                                .cas_new = request->cas_new,
                                .create = create,
                                .initial = request->initial,
                                .create_expiry_s = create ? created_expiry(request) : STORE_NEVER_S,
                                .touch = meta_has(request, META_T),
                                .expiry_s = request->expiry_s,
                                .key_binary = meta_has(request, META_b)};
    outcome->result = store_arithmetic(thread->store, &delta, &outcome->number);
    if (outcome->result == RESULT_MISS)
        outcome->result = RESULT_NOT_FOUND;
    else if (outcome->result == RESULT_NO_MEMORY)
        outcome->text = "SERVER_ERROR out of memory";
}

void execute_meta_debug(struct protocol_thread *thread, const struct request *request,
                        const struct store_key *key, struct outcome *outcome)
{
    (void)request;
    outcome->result = store_peek(thread->store, key, &outcome->view);
}
