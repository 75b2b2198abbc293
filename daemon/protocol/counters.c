/* Counting: each outcome once into the request matrix, and memcached's classic counters derived from it. */
#include "protocol/dump_priv.h"
#include "protocol/meta_priv.h"

/* What an outcome is to the classic counters. */
enum outcome_kind { KIND_REFUSED, KIND_ANSWERED, KIND_HIT, KIND_MISS, KIND_BADVAL };

static const uint8_t outcome_kinds[RESULT_COUNT] = {
    [RESULT_OK] = KIND_ANSWERED,         [RESULT_HIT] = KIND_HIT,
    [RESULT_MISS] = KIND_MISS,           [RESULT_STORED] = KIND_HIT,
    [RESULT_NOT_STORED] = KIND_ANSWERED, [RESULT_EXISTS] = KIND_BADVAL,
    [RESULT_NOT_FOUND] = KIND_MISS,      [RESULT_DELETED] = KIND_HIT,
    [RESULT_TOUCHED] = KIND_HIT,         [RESULT_BAD_CHUNK] = KIND_ANSWERED};

/* A number that is created is neither found nor missed, to memcached. */
static enum outcome_kind kind_of(unsigned command, enum result result)
{
    if (result == RESULT_STORED && command_kind(command) == CLASS_DELTA)
        return KIND_ANSWERED;
    return (enum outcome_kind)outcome_kinds[result];
}

/* ---- recording ---- */

static void record_store_band(struct protocol_thread *thread, const struct request *request,
                              const struct store_key *key, enum outcome_kind kind)
{
    if (kind == KIND_REFUSED)
        return;
    unsigned band = metrics_band_of(ITEM_OVERHEAD_SIZE + key->size + request->body_size);
    metrics_band_add(thread->block, band, BAND_cmd_set, 1);
    bool is_cas = command_rows[request->command].hit == METRIC_cas_hits;
    if (is_cas && (kind == KIND_HIT || kind == KIND_BADVAL))
        metrics_band_add(thread->block, band, kind == KIND_HIT ? BAND_cas_hits : BAND_cas_badval, 1);
}

static bool touches(const struct request *request)
{
    return command_rows[request->command].class == CLASS_META_GET && meta_has(request, META_T);
}

/* What a hit on an item counts for its size band. */
static void record_hit_band(struct protocol_thread *thread, const struct request *request,
                            const struct store_key *key, const struct outcome *outcome)
{
    struct metrics_block *block = thread->block;
    unsigned band = outcome->view.band;
    bool decrement = command_rows[request->command].mode == MODE_DECREMENT;
    switch (command_kind(request->command)) {
    case CLASS_KEYS:
        metrics_band_add(block, band, touches(request) ? BAND_touch_hits : BAND_get_hits, 1);
        return;
    case CLASS_TOUCH_KEYS:
    case CLASS_TOUCH:
        metrics_band_add(block, band, BAND_touch_hits, 1);
        return;
    case CLASS_KEY:
        metrics_band_add(block, band, BAND_delete_hits, 1);
        return;
    case CLASS_DELTA:
        band = metrics_band_of(ITEM_OVERHEAD_SIZE + key->size + outcome->number.size);
        metrics_band_add(block, band, decrement ? BAND_decr_hits : BAND_incr_hits, 1);
        return;
    default:
        return;
    }
}

void counters_record(struct protocol_thread *thread, const struct request *request,
                     const struct store_key *key, const struct outcome *outcome)
{
    bool touched = outcome->result == RESULT_HIT && touches(request);
    metrics_request(thread->block, request->command, touched ? RESULT_TOUCHED : outcome->result);
    enum outcome_kind kind = kind_of(request->command, outcome->result);
    if (command_kind(request->command) == CLASS_STORE)
        record_store_band(thread, request, key, kind);
    else if (kind == KIND_HIT)
        record_hit_band(thread, request, key, outcome);
    if (__builtin_expect(thread->observed != 0, 0))
        observe_outcome(thread, request, key, outcome);
}

void counters_gets_record(struct protocol_thread *thread, const struct request *request,
                          const struct counters_gets *gets)
{
    if (gets->hits > 0)
        metrics_requests(thread->block, request->command, RESULT_HIT, gets->hits);
    if (gets->misses > 0)
        metrics_requests(thread->block, request->command, RESULT_MISS, gets->misses);
}

/* ---- deriving ---- */

static void add(struct metrics_snapshot *snapshot, enum metric id, uint64_t n)
{
    if (id != NO_METRIC)
        snapshot->value[id] += n;
}

static void derive(struct metrics_snapshot *snapshot, enum command command, enum result result)
{
    const struct command_row *row = &command_rows[command];
    uint64_t n = snapshot->request[command][result];
    enum outcome_kind kind = kind_of(command, result);
    if (result == RESULT_TOUCHED) {
        add(snapshot, METRIC_cmd_touch, n);
        add(snapshot, METRIC_touch_hits, n);
        return;
    }
    /* memcached counts each flush_all, refused ones too, but no other command that it refuses. */
    if (kind != KIND_REFUSED || command == COMMAND_flush_all)
        add(snapshot, row->count, n);
    if (kind == KIND_HIT)
        add(snapshot, row->hit, n);
    else if (kind == KIND_MISS)
        add(snapshot, row->miss, n);
    else if (kind == KIND_BADVAL)
        add(snapshot, row->badval, n);
}

static void clear_derived(struct metrics_snapshot *snapshot)
{
    for (unsigned i = 0; i < COMMAND_COUNT; i++) {
        const struct command_row *row = &command_rows[i];
        const enum metric ids[] = {row->count, row->hit, row->miss, row->badval};
        for (unsigned j = 0; j < sizeof ids / sizeof *ids; j++)
            if (ids[j] != NO_METRIC)
                snapshot->value[ids[j]] = 0;
    }
}

void counters_probe(void *context, struct metrics_snapshot *snapshot)
{
    clear_derived(snapshot);
    snapshot->value[METRIC_lru_crawler_running] = dump_running(context);
    for (unsigned command = 0; command < COMMAND_COUNT; command++)
        for (unsigned result = 0; result < RESULT_COUNT; result++)
            derive(snapshot, (enum command)command, (enum result)result);
    const uint64_t *value = snapshot->value;
    snapshot->value[METRIC_set_hits] =
        value[METRIC_cmd_set] - value[METRIC_cas_hits] - value[METRIC_cas_misses] - value[METRIC_cas_badval];
}
