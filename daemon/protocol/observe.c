/* What is told of requests besides their counts: events for those who watch, prefixes for `stats detail`.
 * Nothing here is called while nobody wants it. */
#include "base/clock.h"
#include "metrics/events.h"
#include "protocol/protocol_priv.h"

uint32_t observed_now(const struct protocol_thread *thread)
{
    bool prefixes = settings_on(thread->protocol->settings, detail);
    return events_streams(thread->block) | (prefixes ? OBSERVE_PREFIXES : 0);
}

static bool is_wanted(const struct protocol_thread *thread, enum stream stream)
{
    return thread->observed >> stream & 1;
}

static void tell(struct protocol_thread *thread, struct live_event *event, const struct store_key *key)
{
    event->fd = thread->client->fd;
    events_put(thread->block, event, key->data, key->size);
}

/* ---- fetches ---- */

static void tell_fetch(struct protocol_thread *thread, const struct store_key *key, enum result result,
                       enum store_miss miss, const struct store_view *view)
{
    struct live_event event = {.type = EVENT_FETCH, .result = (uint8_t)result, .miss = (uint8_t)miss};
    if (result == RESULT_HIT) {
        event.size = view->size;
        event.class_id = (uint8_t)(view->band + 1);
    }
    tell(thread, &event, key);
}

void observe_before(struct protocol_thread *thread, const struct store_key *key)
{
    struct store_view view;
    if (key == NULL || !is_wanted(thread, STREAM_fetchers))
        return;
    enum result result = store_peek(thread->store, key, &view);
    tell_fetch(thread, key, result, STORE_MISS_NEVER_SEEN, &view);
}

static void record_get_prefix(struct protocol_thread *thread, const struct store_key *key, bool hit)
{
    if (thread->observed & OBSERVE_PREFIXES)
        prefixes_record(thread->prefixes, key->data, key->size, hit ? PREFIXES_HIT : PREFIXES_MISS);
}

void observe_get(struct protocol_thread *thread, const struct store_key *key, const struct outcome *outcome)
{
    record_get_prefix(thread, key, outcome->result == RESULT_HIT);
    if (is_wanted(thread, STREAM_fetchers))
        tell_fetch(thread, key, outcome->result, outcome->miss, &outcome->view);
}

/* ---- stores ---- */

static bool is_told_of_store(enum result result)
{
    switch (result) {
    case RESULT_STORED:
    case RESULT_NOT_STORED:
    case RESULT_EXISTS:
    case RESULT_NOT_FOUND:
    case RESULT_TOO_LARGE:
    case RESULT_NO_MEMORY:
        return true;
    default:
        return false;
    }
}

static uint8_t store_mode_of(const struct request *request)
{
    const struct command_row *row = &command_rows[request->command];
    if (row->class == CLASS_META_STORE)
        return request->mode;
    return row->class == CLASS_STORE ? row->mode : STORE_ADD; /* a counter that was created */
}

/* Seconds left to live; 0 for ever. One that is past wraps, as memcached's does. */
static int64_t ttl_of(uint32_t expiry_s)
{
    return expiry_s == STORE_NEVER_S ? 0 : (int64_t)(uint32_t)(expiry_s - clock_s());
}

/* What was stored is looked up again: a joined value has its own size, and the old item's expiry. What was
 * not is told as it came; what was refused for its size or for want of memory never was an item. */
static void observe_store(struct protocol_thread *thread, const struct request *request,
                          const struct store_key *key, enum result result)
{
    struct store_view view;
    struct live_event event = {
        .type = EVENT_STORE, .result = (uint8_t)result, .command = store_mode_of(request)};
    if (!is_told_of_store(result))
        return;
    if (result == RESULT_STORED && store_peek(thread->store, key, &view) == RESULT_HIT) {
        event.size = view.size;
        event.ttl_s = ttl_of(view.expiry_s);
        event.class_id = (uint8_t)(view.band + 1);
    } else if (result != RESULT_TOO_LARGE && result != RESULT_NO_MEMORY) {
        event.size = request->body_size;
        event.ttl_s = ttl_of(request->expiry_s);
        event.class_id = (uint8_t)(metrics_band_of(ITEM_OVERHEAD_SIZE + key->size + request->body_size) + 1);
    }
    tell(thread, &event, key);
}

/* ---- the rest ---- */

static void observe_deletion(struct protocol_thread *thread, const struct request *request,
                             const struct store_key *key, const struct outcome *outcome)
{
    struct live_event event = {.type = EVENT_DELETION,
                               .command = request->command,
                               .size = outcome->view.size,
                               .class_id = (uint8_t)(outcome->view.band + 1)};
    tell(thread, &event, key);
}

void observe_outcome(struct protocol_thread *thread, const struct request *request,
                     const struct store_key *key, const struct outcome *outcome)
{
    uint8_t class = command_rows[request->command].class;
    enum command_class kind = command_kind(request->command);
    enum result result = outcome->result;
    if (key == NULL)
        return;
    if (class == CLASS_META_GET && is_wanted(thread, STREAM_fetchers))
        tell_fetch(thread, key, result, outcome->miss, &outcome->view);
    /* memcached counts no prefixes of meta commands. */
    if (class == CLASS_KEYS || class == CLASS_TOUCH_KEYS)
        observe_get(thread, key, outcome);
    if (class == CLASS_STORE && (thread->observed & OBSERVE_PREFIXES))
        prefixes_record(thread->prefixes, key->data, key->size, PREFIXES_SET);
    if (class == CLASS_KEY && (thread->observed & OBSERVE_PREFIXES))
        prefixes_record(thread->prefixes, key->data, key->size, PREFIXES_DELETE);
    if ((kind == CLASS_STORE || (kind == CLASS_DELTA && result == RESULT_STORED)) &&
        is_wanted(thread, STREAM_mutations))
        observe_store(thread, request, key, result);
    if (kind == CLASS_KEY && result == RESULT_DELETED && is_wanted(thread, STREAM_deletions))
        observe_deletion(thread, request, key, outcome);
}
