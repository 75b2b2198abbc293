/* The way of a request through this room: a batch is parsed from the input, its keys are fetched together,
 * its requests are executed in order and answered. What cannot go on (a body that is coming, an output that
 * is full) stays in the session or in the input, and the next run continues there. */
#include "protocol/protocol_priv.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define OUTPUT_CAPACITY_MIN 1024u

/* What is next: go on, or leave with one of enum protocol_next. */
enum step {
    STEP_READ = PROTOCOL_READ,
    STEP_WRITE = PROTOCOL_WRITE,
    STEP_YIELD = PROTOCOL_YIELD,
    STEP_CLOSE = PROTOCOL_CLOSE,
    STEP_ON
};

struct run {
    struct protocol_thread *thread;
    struct session *session;
    struct output *output;
    const char *at, *end; /* the input not done with yet */
    size_t capacity;
    uint64_t requests_max;
};

static size_t run_left(const struct run *run)
{
    return (size_t)(run->end - run->at);
}

static bool line_fits(const struct run *run)
{
    return output_room(run->output) >= REPLY_LINE_MAX;
}

static struct outcome *outcome_open(struct protocol_thread *thread)
{
    struct outcome *outcome = &thread->outcome;
    outcome->result = RESULT_OK;
    outcome->text = NULL;
    outcome->digit_count = 0;
    outcome->close = false;
    return outcome;
}

/* Counts and answers an outcome that no execute function came to. */
static void answer_result(struct run *run, const struct request *request, const struct store_key *key,
                          enum result result)
{
    struct outcome *outcome = outcome_open(run->thread);
    outcome->result = result;
    counters_record(run->thread, request, key, outcome);
    text_reply(run->output, request, outcome);
}

static void request_done(struct run *run, const struct request *request)
{
    run->at = request->consumed;
    run->session->requests++;
}

/* ---- lists of keys ---- */

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

/* A value that can neither be copied whole nor pinned goes out in pieces: run_value finds it again for each.
 */
static bool value_begin(struct run *run, const struct request *request, const struct store_key *key,
                        const struct store_view *view)
{
    struct session *session = run->session;
    session->key = malloc(key->size);
    if (session->key == NULL)
        return false;
    memcpy(session->key, key->data, key->size);
    session->key_size = (uint8_t)key->size;
    session->cas = view->cas;
    session->body_size = view->size;
    session->body_got = 0;
    text_reply_value_head(run->output, request, key, view);
    return true;
}

/* What became of a key. */
enum key_step {
    KEY_DONE,
    KEY_LATER,     /* its value fits once the output is empty */
    KEY_IN_PIECES, /* its value has begun */
    KEY_NO_MEMORY
};

static enum key_step value_reply(struct run *run, const struct request *request, const struct store_key *key,
                                 const struct store_view *view)
{
    struct output *output = run->output;
    size_t size = text_value_size(key, view);
    if (view->size > STORE_INLINE_COPY_MAX || size > output_room(output)) {
        struct store_pin *pin = store_pin(run->thread->store, view);
        if (pin != NULL) {
            text_reply_pinned(output, request, key, view, pin);
            return KEY_DONE;
        }
    }
    if (size <= output_room(output)) {
        text_reply_value(output, request, key, view);
        return KEY_DONE;
    }
    if (size <= output->capacity)
        return KEY_LATER;
    return value_begin(run, request, key, view) ? KEY_IN_PIECES : KEY_NO_MEMORY;
}

/* Keys of get and gets are counted in `gets`, others one by one. */
static inline enum key_step run_key(struct run *run, const struct request *request,
                                    const struct store_key *key, struct counters_gets *gets)
{
    struct protocol_thread *thread = run->thread;
    struct outcome *outcome = &thread->outcome;
    if (!key_fits(run))
        return KEY_LATER;
    const struct command_row *row = &command_rows[request->command];
    if (row->class == CLASS_KEYS)
        execute_get(thread, request, key, outcome);
    else
        row->execute(thread, request, key, outcome);
    enum key_step step = KEY_DONE;
    if (outcome->result == RESULT_HIT)
        step = value_reply(run, request, key, &outcome->view);
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
    text_reply(run->output, request, outcome);
    request_done(run, request);
    run->session->state = request->line_follows ? SESSION_SKIP : SESSION_IDLE;
    return STEP_ON;
}

/* The list stands still at `key`, which is not done. */
static enum step keys_stop(struct run *run, const struct request *request, const struct store_key *key,
                           enum key_step step)
{
    if (step == KEY_NO_MEMORY)
        return keys_break_off(run, request, key);
    if (step == KEY_LATER) {
        keys_pause(run, request, key->data);
        return STEP_WRITE;
    }
    keys_pause(run, request, key->data + key->size);
    run->session->state = SESSION_VALUE;
    return STEP_ON;
}

static enum step run_keys(struct run *run, const struct request *request)
{
    const struct store_key *key = run->thread->batch.keys + request->key_first;
    const struct store_key *end = key + request->key_count;
    struct counters_gets gets = {0, 0};
    enum key_step step = KEY_DONE;
    while (key < end && (step = run_key(run, request, key, &gets)) == KEY_DONE)
        key++;
    counters_gets_record(run->thread, request, &gets);
    if (step != KEY_DONE)
        return keys_stop(run, request, key, step);
    if (request->line_follows) {
        keys_pause(run, request, request->consumed);
        return STEP_ON;
    }
    if (!line_fits(run) && request->key_count == 0)
        return STEP_WRITE;
    run->session->state = SESSION_IDLE;
    text_reply_end(run->output);
    request_done(run, request);
    return STEP_ON;
}

/* Goes on with a value in pieces. When the item is gone its reply cannot be finished. */
static enum step run_value(struct run *run)
{
    struct session *session = run->session;
    struct store_key key = store_key(run->thread->protocol->store, session->key, session->key_size);
    struct store_view view;
    if (store_peek(run->thread->store, &key, &view) != RESULT_HIT || view.cas != session->cas)
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
    output_append(run->output, "\r\n", 2);
    free(session->key);
    session->key = NULL;
    session->state = SESSION_KEYS;
    return STEP_ON;
}

/* ---- other requests ---- */

static const struct store_key *request_key(const struct run *run, const struct request *request)
{
    return request->key_count == 0 ? NULL : &run->thread->batch.keys[request->key_first];
}

/* The body of a request that cannot be served is ignored; the answer comes behind it, as memcached's does. */
static void body_swallow(struct run *run, const struct request *request, size_t size, enum result result)
{
    run->session->command = request->command;
    run->session->noreply = request->noreply;
    session_swallow(run->session, size, result);
}

static enum step run_refusal(struct run *run, const struct request *request)
{
    const struct store_key *key = request_key(run, request);
    enum result refusal = (enum result)request->refusal;
    request_done(run, request);
    if (request->line_follows) {
        run->session->state = SESSION_SKIP;
    } else if (run->session->state == SESSION_KEYS) {
        run->session->state = SESSION_IDLE;
    }
    if (refusal == RESULT_TOO_LARGE) {
        execute_refused_store(run->thread, request, key, refusal);
        answer_result(run, request, key, refusal);
        body_swallow(run, request, request->swallow_size, RESULT_COUNT);
    } else if (request->swallow_size > 0) {
        body_swallow(run, request, request->swallow_size, refusal);
    } else {
        answer_result(run, request, key, refusal);
    }
    return STEP_ON;
}

static void run_staged(struct run *run, const struct request *request)
{
    const struct store_key *key = request_key(run, request);
    request_done(run, request);
    if (session_stage(run->thread, run->session, request, key))
        return;
    execute_refused_store(run->thread, request, key, RESULT_NO_MEMORY);
    body_swallow(run, request, request->body_size + 2, RESULT_NO_MEMORY);
}

/* A long reply goes out from the session, as the output takes it. */
static void long_reply_begin(struct run *run, const struct request *request, struct outcome *outcome)
{
    size_t size;
    char *text = buffer_take(&outcome->reply, &size);
    if (text == NULL) {
        outcome->text = "SERVER_ERROR out of memory writing stats";
        text_reply(run->output, request, outcome);
        return;
    }
    run->session->state = SESSION_REPLY;
    run->session->text = text;
    run->session->body_size = size;
    run->session->body_got = 0;
}

static enum step run_plain(struct run *run, const struct request *request)
{
    struct outcome *outcome = outcome_open(run->thread);
    const struct store_key *key = request_key(run, request);
    command_rows[request->command].execute(run->thread, request, key, outcome);
    counters_record(run->thread, request, key, outcome);
    request_done(run, request);
    if (outcome->close)
        return STEP_CLOSE;
    if (outcome->reply.size > 0 || outcome->reply.failed)
        long_reply_begin(run, request, outcome);
    else
        text_reply(run->output, request, outcome);
    return STEP_ON;
}

static enum step run_request(struct run *run, const struct request *request)
{
    if (request->close)
        return STEP_CLOSE;
    uint8_t class = command_rows[request->command].class;
    if (request->refusal == RESULT_OK && (class == CLASS_KEYS || class == CLASS_TOUCH_KEYS))
        return run_keys(run, request);
    if (!line_fits(run))
        return STEP_WRITE;
    if (request->refusal != RESULT_OK)
        return run_refusal(run, request);
    if (!request->staged)
        return run_plain(run, request);
    run_staged(run, request);
    return STEP_ON;
}

/* ---- the input, in the session's state ---- */

/* Parses requests until something is missing; what is missing matters only when there is no request. */
static enum step batch_fill(struct run *run)
{
    struct batch *batch = &run->thread->batch;
    struct text_parser parser = {run->thread->protocol, batch, run->at, run->end, run->capacity};
    batch->request_count = batch->key_count = 0;
    uint64_t max = run->requests_max - run->session->requests;
    if (max > BATCH_REQUEST_MAX)
        max = BATCH_REQUEST_MAX;
    enum parse_status status = PARSE_DONE;
    if (run->session->state == SESSION_KEYS)
        status = text_parse_keys(&parser, run->session);
    while (status == PARSE_DONE && parser.at < run->end && batch->request_count < max &&
           batch->key_count < BATCH_KEY_MAX &&
           !(batch->request_count > 0 && batch->requests[batch->request_count - 1].line_follows))
        status = text_parse(&parser);
    if (batch->request_count > 0)
        return STEP_ON;
    return status == PARSE_CLOSE ? STEP_CLOSE : STEP_READ;
}

static enum step run_batch(struct run *run)
{
    if (run->at == run->end)
        return STEP_READ;
    if (run->session->requests >= run->requests_max)
        return STEP_YIELD;
    enum step step = batch_fill(run);
    struct batch *batch = &run->thread->batch;
    if (step == STEP_ON && batch->key_count > 0)
        store_hash_keys(run->thread->protocol->store, batch->keys, batch->key_count);
    if (step == STEP_ON && batch->key_count > 1)
        store_prefetch(run->thread->store, batch->keys, batch->key_count);
    for (unsigned i = 0; step == STEP_ON && i < batch->request_count; i++) {
        step = run_request(run, &batch->requests[i]);
        if (run->session->state != SESSION_IDLE)
            break;
    }
    return step;
}

/* Ignores the rest of a line. */
static enum step run_skip(struct run *run)
{
    const char *newline = memchr(run->at, '\n', run_left(run));
    run->at = newline == NULL ? run->end : newline + 1;
    if (newline == NULL)
        return STEP_READ;
    run->session->state = SESSION_IDLE;
    return STEP_ON;
}

static enum step run_swallow(struct run *run)
{
    struct session *session = run->session;
    size_t size = run_left(run);
    if (size > session->body_size)
        size = session->body_size;
    run->at += size;
    session->body_size -= size;
    if (session->body_size > 0)
        return STEP_READ;
    if (!line_fits(run))
        return STEP_WRITE;
    session->state = SESSION_IDLE;
    struct request request = {.command = session->command, .noreply = session->noreply};
    if (session->mode != RESULT_COUNT)
        answer_result(run, &request, NULL, (enum result)session->mode);
    return STEP_ON;
}

static struct request staged_request(const struct session *session)
{
    return (struct request){.command = session->command,
                            .noreply = session->noreply,
                            .flags = session->flags,
                            .expiry_s = session->expiry_s,
                            .number = session->cas,
                            .body = store_staging_data(session->staging),
                            .body_size = session->body_size - 2};
}

static enum step body_finish(struct run *run)
{
    if (!line_fits(run))
        return STEP_WRITE;
    struct session *session = run->session;
    struct request request = staged_request(session);
    struct store_key key = store_key(run->thread->protocol->store, session->key, session->key_size);
    if (memcmp(request.body + request.body_size, "\r\n", 2) != 0) {
        answer_result(run, &request, &key, RESULT_BAD_CHUNK);
    } else {
        struct outcome *outcome = outcome_open(run->thread);
        command_rows[request.command].execute(run->thread, &request, &key, outcome);
        counters_record(run->thread, &request, &key, outcome);
        text_reply(run->output, &request, outcome);
    }
    session_unstage(session);
    session->state = SESSION_IDLE;
    return STEP_ON;
}

/* All bodies together hold as much as they may: this one is given up. */
static enum step body_give_up(struct run *run)
{
    struct session *session = run->session;
    struct request request = staged_request(session);
    struct store_key key = store_key(run->thread->protocol->store, session->key, session->key_size);
    execute_refused_store(run->thread, &request, &key, RESULT_NO_MEMORY);
    session_unstage(session);
    session_swallow(session, session->body_size - session->body_got, RESULT_NO_MEMORY);
    return STEP_ON;
}

static enum step run_body(struct run *run)
{
    struct session *session = run->session;
    if (session->body_got == session->body_size)
        return body_finish(run);
    size_t room, left = run_left(run);
    char *to = store_staging_room(session->staging, &room);
    if (to == NULL)
        return body_give_up(run);
    if (left == 0)
        return STEP_READ;
    if (room > left)
        room = left;
    memcpy(to, run->at, room);
    run->at += room;
    protocol_body_received(session, room);
    return STEP_ON;
}

static enum step run_long_reply(struct run *run)
{
    struct session *session = run->session;
    size_t size = session->body_size - session->body_got, room = output_room(run->output);
    if (size > room)
        size = room;
    output_append(run->output, session->text + session->body_got, size);
    session->body_got += size;
    if (session->body_got < session->body_size)
        return STEP_WRITE;
    free(session->text);
    session->text = NULL;
    session->state = SESSION_IDLE;
    return STEP_ON;
}

static enum step run_step(struct run *run)
{
    switch ((enum session_state)run->session->state) {
    case SESSION_SKIP:
        return run_skip(run);
    case SESSION_BODY:
        return run_body(run);
    case SESSION_SWALLOW:
        return run_swallow(run);
    case SESSION_REPLY:
        return run_long_reply(run);
    case SESSION_VALUE:
        return run_value(run);
    case SESSION_IDLE:
    case SESSION_KEYS:
        return run_batch(run);
    }
    UNREACHABLE();
}

enum protocol_next protocol_run(struct protocol_thread *thread, struct session *session,
                                struct protocol_input *input, struct output *output)
{
    ASSERT(output->capacity >= OUTPUT_CAPACITY_MIN);
    struct run run = {.thread = thread,
                      .session = session,
                      .output = output,
                      .at = input->data,
                      .end = input->data + input->size,
                      .capacity = input->capacity,
                      .requests_max = settings_u64(thread->protocol->settings, requests_per_event)};
    thread->detail = settings_on(thread->protocol->settings, detail);
    enum step step;
    do
        step = run_step(&run);
    while (step == STEP_ON);
    input->consumed = (size_t)(run.at - input->data);
    session->requests = 0;
    return (enum protocol_next)step;
}
