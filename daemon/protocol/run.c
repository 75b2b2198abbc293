/* The way of a request through this room: a batch is parsed from the input, its keys are fetched together,
 * its requests are executed in order and answered. What cannot go on (a body that is coming, an output that
 * is full) stays in the session or in the input, and the next run continues there. */
#include "metrics/events.h"
#include "protocol/auth_priv.h"
#include "protocol/binary_priv.h"
#include "protocol/task_priv.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define OUTPUT_CAPACITY_MIN 1024u

/* ---- requests ---- */

static const struct store_key *request_key(const struct run *run, const struct request *request)
{
    return request->key_count == 0 ? NULL : &run->thread->batch.keys[request->key_first];
}

/* A request that is not executed. Where its body is to be ignored, the answer comes before or behind it, as
 * memcached's does. */
static enum step run_refusal(struct run *run, const struct request *request)
{
    const struct store_key *key = request_key(run, request);
    enum result refusal = (enum result)request->refusal;
    bool answer_first = request->swallow_size == 0 || refusal == RESULT_TOO_LARGE ||
                        dialects[request->dialect]->answers_first;
    request_done(run, request);
    if (request->line_follows) {
        run->session->state = SESSION_SKIP;
    } else if (run->session->state == SESSION_KEYS) {
        run->session->state = SESSION_IDLE;
    }
    if (refusal == RESULT_TOO_LARGE)
        execute_refused_store(run->thread, request, key, refusal);
    if (answer_first)
        answer_result(run, request, key, refusal);
    if (request->last)
        return STEP_CLOSE;
    if (request->swallow_size > 0)
        body_swallow(run, request, request->swallow_size, answer_first ? RESULT_COUNT : refusal);
    return STEP_ON;
}

/* A long reply goes out from the session, as the output takes it. */
static void long_reply_begin(struct run *run, const struct request *request, struct outcome *outcome)
{
    size_t size;
    char *text = buffer_take(&outcome->reply, &size);
    if (text == NULL) {
        outcome->text = "SERVER_ERROR out of memory writing stats";
        run_reply(run, request, NULL, outcome);
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
    if (__builtin_expect(run->thread->observed != 0, 0))
        observe_before(run->thread, key);
    command_rows[request->command].execute(run->thread, request, key, outcome);
    counters_record(run->thread, request, key, outcome);
    request_done(run, request);
    if (outcome->close && !request->last)
        return STEP_CLOSE;
    if (outcome->reply.size > 0 || outcome->reply.failed)
        long_reply_begin(run, request, outcome);
    else
        run_reply(run, request, key, outcome);
    return request->last ? STEP_CLOSE : STEP_ON;
}

static enum step run_control(struct run *run, const struct request *request)
{
    struct session *session = run->session;
    if (session->datagram && datagram_refuses(request->command)) {
        request_done(run, request);
        answer_result(run, request, NULL, RESULT_REFUSED);
        return STEP_ON;
    }
    struct outcome *outcome = outcome_open(run->thread);
    outcome->task = NULL;
    outcome->again = false;
    command_rows[request->command].execute(run->thread, request, NULL, outcome);
    if (outcome->again)
        return STEP_WRITE;
    counters_record(run->thread, request, NULL, outcome);
    request_done(run, request);
    if (outcome->close || request->last)
        session->reason = request->command == COMMAND_shutdown ? REASON_SHUTDOWN : REASON_NORMAL;
    if (outcome->close && !request->last)
        return STEP_CLOSE;
    if (outcome->task != NULL) {
        session->task = outcome->task;
        session->state = SESSION_TASK;
    } else if (outcome->reply.size > 0 || outcome->reply.failed) {
        long_reply_begin(run, request, outcome);
    } else {
        run_reply(run, request, NULL, outcome);
    }
    return request->last ? STEP_CLOSE : STEP_ON;
}

static enum step run_request(struct run *run, const struct request *request)
{
    if (request->close) {
        metrics_add(run->thread->block, METRIC_other_protocols, 1);
        return STEP_CLOSE;
    }
    uint8_t class = command_rows[request->command].class;
    if (request->refusal == RESULT_OK && is_retrieval(class))
        return run_keys(run, request);
    if (!line_fits(run))
        return STEP_WRITE;
    if (request->refusal != RESULT_OK)
        return run_refusal(run, request);
    if (class == CLASS_SASL)
        return run_sasl(run, request);
    if (class == CLASS_CONTROL)
        return run_control(run, request);
    if (!request->staged)
        return run_plain(run, request);
    run_staged(run, request, request_key(run, request));
    return STEP_ON;
}

/* ---- the input, in the session's state ---- */

/* Whether what comes behind the request is no other request: its body, or the rest of its line. */
static inline bool request_goes_on(const struct request *request)
{
    return request->line_follows || request->staged || request->swallow_size > 0;
}

/* Parses requests until something is missing; what is missing matters only when there is no request. */
static enum step batch_fill(struct run *run)
{
    struct batch *batch = &run->thread->batch;
    struct parser parser = {run->thread->protocol, batch, run->at, run->end, run->capacity, false};
    bool binary = run->session->speaks == SPEECH_BINARY;
    parser.locked = binary && auth_required(run->thread, run->session);
    batch->request_count = batch->key_count = 0;
    uint64_t max = run->requests_max - run->session->requests;
    if (max > BATCH_REQUEST_MAX)
        max = BATCH_REQUEST_MAX;
    if (parser.locked)
        max = 1; /* which may unlock the next */
    enum parse_status status = PARSE_DONE;
    if (run->session->state == SESSION_KEYS)
        status = text_parse_keys(&parser, run->session);
    while (status == PARSE_DONE && parser.at < run->end && batch->request_count < max &&
           batch->key_count < BATCH_KEY_MAX &&
           !(batch->request_count > 0 && request_goes_on(&batch->requests[batch->request_count - 1])))
        status = binary ? binary_parse(&parser) : text_parse(&parser);
    if (batch->request_count > 0)
        return STEP_ON;
    return status == PARSE_CLOSE ? STEP_CLOSE : STEP_READ;
}

/* How many plain requests of one command stand in the batch from request `first` on. */
static unsigned plain_count(const struct run *run, unsigned first)
{
    const struct batch *batch = &run->thread->batch;
    unsigned count = 0;
    if (__builtin_expect(run->thread->observed != 0, 0))
        return 0;
    while (first + count < batch->request_count && batch->requests[first + count].plain &&
           batch->requests[first + count].command == batch->requests[first].command)
        count++;
    return count;
}

/* One key is not worth fetching ahead of its own lookup, but may have been fetched with those of other
 * sessions. Plain gets fetch as they go. */
static void batch_fetch(struct run *run, struct batch *batch, unsigned plain)
{
    const struct store_key *ahead = run->ahead;
    struct store_key *key = batch->keys;
    if (batch->key_count == 1 && ahead && ahead->data == key->data && ahead->size == key->size) {
        *key = *ahead;
        return;
    }
    store_hash_keys(run->thread->protocol->store, batch->keys, batch->key_count);
    bool gets = plain == batch->request_count && batch->requests[0].command != COMMAND_set;
    if (batch->key_count > 1 && !gets)
        store_prefetch(run->thread->store, batch->keys, batch->key_count);
}

static enum step run_row(struct run *run, const struct request *request, unsigned plain)
{
    if (plain == 0)
        return run_request(run, request);
    return request->command == COMMAND_set ? run_sets(run, request, plain) : run_gets(run, request, plain);
}

static enum step run_batch(struct run *run)
{
    if (run->at == run->end)
        return STEP_READ;
    if (run->session->requests >= run->requests_max)
        return STEP_YIELD;
    enum step step = batch_fill(run);
    if (step != STEP_ON)
        return step;
    struct batch *batch = &run->thread->batch;
    unsigned plain = plain_count(run, 0);
    if (batch->key_count > 0)
        batch_fetch(run, batch, plain);
    for (unsigned i = 0; step == STEP_ON && i < batch->request_count; plain = plain_count(run, i)) {
        step = run_row(run, &batch->requests[i], plain);
        i += plain > 0 ? plain : 1;
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

enum step run_long_reply(struct run *run)
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

enum task_place task_place(const struct protocol_thread *thread, const struct request *request)
{
    if (output_pending(thread->output) == 0)
        return TASK_ALONE;
    if (request == thread->batch.requests)
        return TASK_BEHIND_KEYS;
    uint8_t class = command_rows[request[-1].command].class;
    return class == CLASS_KEYS || class == CLASS_TOUCH_KEYS ? TASK_BEHIND_KEYS : TASK_BEHIND;
}

static enum step run_task(struct run *run)
{
    struct session *session = run->session;
    struct task_turn turn = {run->thread, run->output, run->at, run->end};
    enum task_next next = session->task->go_on(session->task, &turn);
    run->at = turn.at;
    switch (next) {
    case TASK_WRITE:
        return STEP_WRITE;
    case TASK_AGAIN:
        return STEP_YIELD;
    case TASK_WAIT:
        return STEP_READ;
    case TASK_CLOSE:
        return STEP_CLOSE;
    case TASK_DONE:
        session_end_task(session);
        session->state = SESSION_IDLE;
        return STEP_ON;
    }
    UNREACHABLE();
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
    case SESSION_TASK:
        return run_task(run);
    case SESSION_IDLE:
    case SESSION_KEYS:
        return run_batch(run);
    case SESSION_TOKEN:
        break; /* auth_run's */
    }
    UNREACHABLE();
}

/* The first byte of a session tells its protocol, unless -B does. */
static uint8_t speech_sniff(const struct protocol *protocol, char first)
{
    if (protocol->speaks != SPEECH_UNKNOWN)
        return protocol->speaks;
    return (uint8_t)first == BINARY_MAGIC_REQUEST ? SPEECH_BINARY : SPEECH_TEXT;
}

enum protocol_next protocol_run(struct protocol_thread *thread, struct session *session,
                                struct protocol_input *input, struct output *output)
{
    ASSERT(output->capacity >= OUTPUT_CAPACITY_MIN);
    struct run run = {.thread = thread,
                      .session = session,
                      .output = output,
                      .begin = input->data,
                      .at = input->data,
                      .end = input->data + input->size,
                      .capacity = input->capacity,
                      .ahead = input->ahead,
                      .requests_max = settings_u64(thread->protocol->settings, requests_per_event)};
    if (session->speaks == SPEECH_UNKNOWN && input->size > 0)
        session->speaks = speech_sniff(thread->protocol, input->data[0]);
    thread->observed = observed_now(thread);
    thread->output = output;
    thread->client = &session->client;
    bool shut = auth_required(thread, session) && session->speaks != SPEECH_BINARY;
    enum step step = shut ? auth_run(&run) : STEP_ON;
    while (step == STEP_ON)
        step = run_step(&run);
    input->consumed = (size_t)(run.at - input->data);
    session->requests = 0;
    return (enum protocol_next)step;
}
