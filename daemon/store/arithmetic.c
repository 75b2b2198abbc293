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

static uint64_t delta_apply(const struct store_delta *delta, uint64_t number)
{
    if (!delta->decrement)
        return number + delta->delta;
    return number > delta->delta ? number - delta->delta : 0;
}

/* HIT when the delta may be applied to the item, with its *number. */
static enum result delta_check(const struct store_delta *delta, const struct item *item,
                               const struct store_view *view, uint64_t *number)
{
    if ((item_flags(item) & ITEM_LARGE) || view->size == 0)
        return RESULT_NON_NUMERIC;
    if (delta->cas != 0 && delta->cas != view->cas)
        return RESULT_EXISTS;
    return value_number(view, number) ? RESULT_HIT : RESULT_NON_NUMERIC;
}

static void number_set(struct store_number *number, uint64_t value)
{
    number->value = value;
    number->size = number_format_u64(number->text, value);
}

/* STORED, NO_MEMORY, or MISS when another client has created it meanwhile. */
static enum result delta_create(struct store_thread *thread, const struct store_delta *delta,
                                struct store_number *number)
{
    struct pending pending;
    number_set(number, delta->initial);
    struct store_write write = {.key = delta->key,
                                .value = number->text,
                                .size = number->size,
                                .expiry_s = delta->create_expiry_s,
                                .mode = STORE_ADD,
                                .cas_new = delta->cas_new,
                                .cas_chosen = delta->cas_chosen,
                                .key_binary = delta->key_binary};
    enum result result = write_new(thread, &write, 0, &pending);
    if (result != RESULT_STORED)
        return result == RESULT_NOT_STORED ? RESULT_MISS : result;
    number->cas = pending_cas(&pending);
    number->expiry_s = delta->create_expiry_s;
    number->expiry_before_s = STORE_NEVER_S;
    return RESULT_STORED;
}

static enum result delta_publish(struct store_thread *thread, struct pending *pending,
                                 struct condition *condition, struct store_number *number)
{
    struct value_source source = {.data = number->text, .size = number->size, .data_first = true};
    if (!write_prepare(thread, pending))
        return RESULT_NO_MEMORY;
    write_fill(thread, pending, &source);
    enum result result = write_publish(thread, pending, condition);
    number->cas = pending_cas(pending);
    return result == RESULT_STORED ? RESULT_HIT : result;
}

/* To the number that was found: HIT, NON_NUMERIC, EXISTS, NO_MEMORY, or MISS when it changed meanwhile. */
static enum result delta_add(struct store_thread *thread, const struct store_delta *delta,
                             const struct found *found, struct store_number *number)
{
    struct store *store = thread->store;
    struct store_view old;
    uint64_t value;
    view_fill(store, &old, found->item, found->value, clock_s());
    enum result result = delta_check(delta, found->item, &old, &value);
    if (result != RESULT_HIT)
        return result;
    number_set(number, delta_apply(delta, value));
    number->expiry_before_s = old.expiry_s;
    number->expiry_s = delta->touch ? delta->expiry_s : old.expiry_s;
    bool fits = number->size <= old.size;
    struct pending pending = {.key = delta->key,
                              .value_size = fits ? old.size : number->size,
                              .flags = old.flags,
                              .expiry_s = number->expiry_s,
                              .pool = write_pool(thread, &delta->key, found, number->expiry_s),
                              .traits = write_traits(delta->cas_chosen, old.key_binary),
                              .cas = delta->cas_new};
    /* memcached writes over the old digits where the new ones fit, and counts no item: so do we. */
    struct condition condition = {.exact = true,
                                  .keep_expiry = !delta->touch,
                                  .location = slot_location(found->value),
                                  .seq = item_seq(found->item),
                                  .same_item = fits,
                                  .marks_kept = fits ? SLOT_MARKS : 0};
    write_note_found(thread, &pending, found);
    return delta_publish(thread, &pending, &condition, number);
}

enum result store_arithmetic(struct store_thread *thread, const struct store_delta *delta,
                             struct store_number *number)
{
    struct store *store = thread->store;
    flush_poll(store, clock_s());
    for (;;) {
        struct found found;
        bool there = index_find(store, &delta->key, &found) && item_alive(store, found.item, clock_s());
        if (!there && !delta->create)
            return RESULT_MISS;
        enum result result =
            there ? delta_add(thread, delta, &found, number) : delta_create(thread, delta, number);
        if (result == RESULT_NO_MEMORY)
            metrics_add(thread->block, METRIC_store_no_memory, 1);
        if (result != RESULT_MISS)
            return result;
    }
}
