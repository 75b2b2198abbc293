/* incr and decr on values that are decimal text, by memcached's rules. */
#include "base/clock.h"
#include "base/number.h"
#include "store/write_priv.h"

/* memcached reads the number with strtoull: blanks may stand before it, anything after one that follows it.
 */
static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool value_number(const struct store_view *view, uint64_t *number)
{
    const char *text = view->value;
    size_t start = 0, end;
    while (start < view->size && is_blank(text[start]))
        start++;
    for (end = start; end < view->size && !is_blank(text[end]); end++)
        if (end - start > NUMBER_TEXT_MAX)
            return false;
    return number_parse_u64(text + start, end - start, number);
}

struct arithmetic {
    uint64_t delta;
    bool decrement;
};

static uint64_t arithmetic_apply(const struct arithmetic *arithmetic, uint64_t number)
{
    if (!arithmetic->decrement)
        return number + arithmetic->delta;
    return number > arithmetic->delta ? number - arithmetic->delta : 0;
}

/* One try: STORED, NON_NUMERIC, NO_MEMORY, NOT_FOUND, or MISS when the item changed under it. */
static enum result arithmetic_once(struct store_thread *thread, const struct store_key *key,
                                   const struct arithmetic *arithmetic, char *text, size_t *size)
{
    struct store *store = thread->store;
    struct found found;
    struct store_view old;
    uint32_t now_s = clock_s();
    if (!index_find(store, key, &found) || !item_alive(store, found.item, now_s))
        return RESULT_NOT_FOUND;
    view_fill(store, &old, found.item, now_s);
    uint64_t number;
    if ((item_flags(found.item) & ITEM_LARGE) || !value_number(&old, &number))
        return RESULT_NON_NUMERIC;
    *size = number_format_u64(text, arithmetic_apply(arithmetic, number));
    bool fits = *size <= old.size;
    struct pending pending = {.key = *key,
                              .value_size = fits ? old.size : *size,
                              .flags = old.flags,
                              .expiry_s = old.expiry_s,
                              .pool = write_pool(store, key, &found)};
    /* memcached writes over the old digits where the new ones fit, and counts no item: so do we. */
    struct condition condition = {.exact = true,
                                  .keep_expiry = true,
                                  .location = slot_location(found.value),
                                  .cas = old.cas,
                                  .same_item = fits};
    write_note_found(thread, &pending, &found);
    if (!write_prepare(thread, &pending))
        return RESULT_NO_MEMORY;
    write_fill(thread, &pending, &(struct value_source){.data = text, .size = *size, .data_first = true});
    return write_publish(thread, &pending, &condition);
}

enum result store_arithmetic(struct store_thread *thread, const struct store_key *key, uint64_t delta,
                             bool decrement, char text[20], size_t *size)
{
    struct arithmetic arithmetic = {delta, decrement};
    enum result result;
    flush_poll(thread->store, clock_s());
    do
        result = arithmetic_once(thread, key, &arithmetic, text, size);
    while (result == RESULT_MISS);
    if (result == RESULT_NO_MEMORY)
        metrics_add(thread->block, METRIC_store_no_memory, 1);
    if (result == RESULT_STORED)
        return RESULT_HIT;
    return result == RESULT_NOT_FOUND ? RESULT_MISS : result;
}
