/* Retrievals: each key of a list is looked up and answered in order. What the output cannot take yet waits in
 * the input, or, when a value is larger than the output and cannot be pinned, goes out in pieces. */
#include "protocol/run_priv.h"

#define OUT_OF_THE_WAY __attribute__((noinline)) /* of text's get and gets */

/* The rest of the list waits in the input, from `at` on. */
static void keys_pause(struct run *run, const struct request *request, const char *at)
{
    run->session->state = SESSION_KEYS;
    run->session->command = request->command;
    run->session->expiry_s = request->expiry_s;
    run->at = at;
}

/* Whether the next key is worth executing: an inline value will fit, and if it is none there is a pin. An
 * empty output has to do. */
static bool key_fits(const struct run *run)
{
    const struct output *output = run->output;
    size_t want = STORE_INLINE_COPY_MAX + STORE_KEY_SIZE_MAX + REPLY_VALUE_FRAME_MAX;
    if (want > output->capacity / 2)
        want = output->capacity / 2;
    return output->size == 0 || (output_room(output) >= want && output->pin_count < OUTPUT_PINS_MAX);
}

static void fixed_append(struct output *output, const struct fixed *fixed)
{
    output_append(output, fixed->text, fixed->size);
}

/* What became of a key. */
enum key_step {
    KEY_DONE,
    KEY_LATER,     /* its value fits once the output is empty */
    KEY_IN_PIECES, /* its value has begun */
    KEY_NO_MEMORY
};

/* A value that can neither be copied whole nor pinned goes out in pieces: run_value finds it again for each.
 */
static enum key_step value_begin(struct run *run, const struct request *request, const struct store_key *key,
                                 const struct outcome *outcome)
{
    struct session *session = run->session;
    if (!session_hold(session, request, key))
        return KEY_NO_MEMORY;
    session->cas = store_view_version(&outcome->view);
    session->body_size = outcome->view.size;
    session->body_got = 0;
    dialects[request->dialect]->value_head(run->output, request, key, outcome);
    return KEY_IN_PIECES;
}

static enum key_step value_pin(struct run *run, const struct request *request, const struct store_key *key,
                               const struct outcome *outcome, struct store_pin *pin)
{
    const struct dialect *dialect = dialects[request->dialect];
    dialect->value_head(run->output, request, key, outcome);
    output_pin_value(run->output, pin, outcome->view.size);
    fixed_append(run->output, &dialect->value_tail);
    return KEY_DONE;
}

static inline size_t value_size(const struct store_key *key, const struct store_view *view)
{
    return REPLY_VALUE_FRAME_MAX + key->size + view->size;
}

static OUT_OF_THE_WAY enum key_step value_reply(struct run *run, const struct request *request,
                                                const struct store_key *key, const struct outcome *outcome)
{
    struct output *output = run->output;
    size_t size = value_size(key, &outcome->view);
    if (outcome->view.size > STORE_INLINE_COPY_MAX || size > output_room(output)) {
        struct store_pin *pin = store_pin(run->thread->store, &outcome->view);
        if (pin != NULL)
            return value_pin(run, request, key, outcome, pin);
    }
    if (size <= output_room(output)) {
        dialects[request->dialect]->value(output, request, key, outcome);
        return KEY_DONE;
    }
    /* What is asked once more must not have changed anything. */
    if (size <= output->capacity && !dialects[request->dialect]->asks_once)
        return KEY_LATER;
    return value_begin(run, request, key, outcome);
}

/* Text answers hits alone; other dialects may answer a key that is not there too, or one that is there
 * without its value. */
static enum key_step key_answer(struct run *run, const struct request *request, const struct store_key *key,
                                struct outcome *outcome)
{
    if (outcome->result == RESULT_HIT && !request->valueless && !outcome->masked)
        return value_reply(run, request, key, outcome);
    if (request->dialect != DIALECT_TEXT)
        dialects[request->dialect]->reply(run->output, request, key, outcome);
    return KEY_DONE;
}

/* A key of text's get and gets by itself: counted in `gets`. */
static inline enum key_step run_plain_key(struct run *run, const struct request *request,
                                          const struct store_key *key, struct counters_gets *gets)
{
    struct protocol_thread *thread = run->thread;
    struct outcome *outcome = &thread->outcome;
    if (!key_fits(run))
        return KEY_LATER;
    enum key_step step = KEY_DONE;
    outcome->result = store_get(thread->store, key, &outcome->view, &outcome->miss);
    if (outcome->result == RESULT_HIT) {
        const struct store_view *view = &outcome->view;
        if (view->size <= STORE_INLINE_COPY_MAX && value_size(key, view) <= output_room(run->output))
            text_reply_value(run->output, request, key, outcome);
        else
            step = value_reply(run, request, key, outcome);
        if (step != KEY_DONE && step != KEY_IN_PIECES)
            return step;
    }
    counters_get(thread, gets, key, outcome);
    return step;
}

/* Keys of get in another dialect are counted in `gets` too, those of other commands one by one. */
static OUT_OF_THE_WAY enum key_step run_key(struct run *run, const struct request *request,
                                            const struct store_key *key, struct counters_gets *gets)
{
    struct protocol_thread *thread = run->thread;
    if (!key_fits(run))
        return KEY_LATER;
    const struct command_row *row = &command_rows[request->command];
    struct outcome *outcome = outcome_open(thread);
    row->execute(thread, request, key, outcome);
    enum key_step step = key_answer(run, request, key, outcome);
    if (step != KEY_DONE && step != KEY_IN_PIECES)
        return step;
    if (row->class == CLASS_KEYS)
        counters_get(thread, gets, key, outcome);
    else
        counters_record(thread, request, key, outcome);
    return step;
}

/* No memory to answer a key with: its line ends here, without END, as memcached's does. */
static enum step keys_break_off(struct run *run, const struct request *request, const struct store_key *key)
{
    struct outcome *outcome = outcome_open(run->thread);
    outcome->result = RESULT_NO_MEMORY;
    outcome->text = "SERVER_ERROR out of memory writing get response";
    counters_record(run->thread, request, key, outcome);
    run_reply(run, request, key, outcome);
    request_done(run, request);
    run->session->state = request->line_follows ? SESSION_SKIP : SESSION_IDLE;
    return STEP_ON;
}

/* The list stands still at `key`, which is not done. */
static OUT_OF_THE_WAY enum step keys_stop(struct run *run, const struct request *request,
                                          const struct store_key *key, enum key_step step)
{
    if (step == KEY_NO_MEMORY)
        return keys_break_off(run, request, key);
    bool list = dialects[request->dialect]->has_lists;
    if (step == KEY_LATER) {
        if (list)
            keys_pause(run, request, key->data);
        return STEP_WRITE;
    }
    if (list)
        keys_pause(run, request, key->data + key->size);
    else
        request_done(run, request);
    run->session->state = SESSION_VALUE;
    return STEP_ON;
}

/* Answers those keys of text's get, from `at` on, of which it is known what they hit; behind its last the end
 * of the list, if that is wanted. Returns the next key. */
static inline unsigned run_known(struct run *run, const struct request *request, unsigned at, bool with_end,
                                 struct counters_gets *gets)
{
    struct batch *batch = &run->thread->batch;
    unsigned end = request->key_first + request->key_count;
    unsigned known = batch->hit_end < end ? batch->hit_end : end;
    text_reply_hits(run->output, request, &batch->keys[at], &batch->hits[at], known - at,
                    with_end && known == end);
    counters_hits(run->thread, gets, &batch->keys[at], &batch->hits[at], known - at);
    return known;
}

/* Answers text's get from key *at on, looking up many at once: up to `key_end`, which may belong to gets that
 * follow. Where that cannot be done with a key it is answered by itself. *at: the first that is not done. */
static OUT_OF_THE_WAY enum key_step run_unknown(struct run *run, const struct request *request, unsigned *at,
                                                unsigned key_end, struct counters_gets *gets)
{
    struct batch *batch = &run->thread->batch;
    unsigned end = request->key_first + request->key_count;
    while (*at < end) {
        batch->hit_end =
            *at + store_get_many(run->thread->store, &batch->keys[*at], key_end - *at,
                                 output_room(run->output), TEXT_VALUE_FRAME_MAX, &batch->hits[*at]);
        if (batch->hit_end > *at) {
            *at = run_known(run, request, *at, false, gets);
            continue;
        }
        enum key_step step = run_plain_key(run, request, &batch->keys[*at], gets);
        if (step != KEY_DONE)
            return step;
        batch->hit_end = ++*at;
    }
    return KEY_DONE;
}

static inline enum step run_get(struct run *run, const struct request *request, unsigned key_end,
                                struct counters_gets *gets)
{
    const struct batch *batch = &run->thread->batch;
    unsigned at = request->key_first, end = at + request->key_count;
    if (at < batch->hit_end)
        at = run_known(run, request, at, true, gets);
    if (at < end) {
        enum key_step step = run_unknown(run, request, &at, key_end, gets);
        if (step != KEY_DONE)
            return keys_stop(run, request, &batch->keys[at], step);
        text_reply_end(run->output);
    }
    request_done(run, request);
    return STEP_ON;
}

enum step run_gets(struct run *run, const struct request *request, unsigned count)
{
    struct counters_gets gets = {0, 0};
    const struct request *last = request + count - 1, *at = request;
    enum step step = STEP_ON;
    run->thread->batch.hit_end = request->key_first;
    while (at <= last && step == STEP_ON && run->session->state == SESSION_IDLE)
        step = run_get(run, at++, last->key_first + last->key_count, &gets);
    counters_gets_record(run->thread, request, &gets);
    return step;
}

/* Answers the keys of a request from *at on, each by itself. */
static enum key_step run_each(struct run *run, const struct request *request, unsigned *at,
                              struct counters_gets *gets)
{
    const struct store_key *keys = run->thread->batch.keys;
    unsigned end = request->key_first + request->key_count;
    bool plain = request->dialect == DIALECT_TEXT && command_rows[request->command].class == CLASS_KEYS;
    enum key_step step = KEY_DONE;
    if (plain && run->thread->observed == 0)
        return run_unknown(run, request, at, end, gets);
    while (*at < end && (step = plain ? run_plain_key(run, request, &keys[*at], gets)
                                      : run_key(run, request, &keys[*at], gets)) == KEY_DONE)
        ++*at;
    return step;
}

enum step run_keys(struct run *run, const struct request *request)
{
    struct counters_gets gets = {0, 0};
    unsigned at = request->key_first;
    enum key_step step = run_each(run, request, &at, &gets);
    counters_gets_record(run->thread, request, &gets);
    if (step != KEY_DONE)
        return keys_stop(run, request, &run->thread->batch.keys[at], step);
    if (request->line_follows) {
        keys_pause(run, request, request->consumed);
        return STEP_ON;
    }
    if (!line_fits(run) && request->key_count == 0)
        return STEP_WRITE;
    run->session->state = SESSION_IDLE;
    if (request->dialect == DIALECT_TEXT)
        text_reply_end(run->output);
    request_done(run, request);
    return STEP_ON;
}

/* When the item is gone its reply cannot be finished. */
enum step run_value(struct run *run)
{
    struct session *session = run->session;
    const struct held *held = session->held;
    const struct dialect *dialect = dialects[held->request.dialect];
    struct store_view view;
    if (store_peek(run->thread->store, &held->key, &view) != RESULT_HIT ||
        store_view_version(&view) != session->cas)
        return STEP_CLOSE;
    while (session->body_got < session->body_size && output_room(run->output) > 0) {
        const char *part;
        size_t size = store_view_part(&view, session->body_got, &part);
        if (size > output_room(run->output))
            size = output_room(run->output);
        output_append(run->output, part, size);
        session->body_got += size;
    }
    if (session->body_got < session->body_size || !line_fits(run))
        return STEP_WRITE;
    fixed_append(run->output, &dialect->value_tail);
    session->state = dialect->has_lists ? SESSION_KEYS : SESSION_IDLE;
    session_release(session);
    return STEP_ON;
}
