/* What the files of run share: run.c drives a session through its states, run_keys.c answers lists of keys
 * and values in pieces, run_body.c receives and ignores bodies. Thread-safety and ownership: as in
 * protocol.h. */
#ifndef VITRINE_PROTOCOL_RUN_PRIV_H
#define VITRINE_PROTOCOL_RUN_PRIV_H

#include "protocol/protocol_priv.h"

/* What is next: go on, or leave with one of enum protocol_next. */
enum step {
    STEP_READ = PROTOCOL_READ,
    STEP_WRITE = PROTOCOL_WRITE,
    STEP_YIELD = PROTOCOL_YIELD,
    STEP_CLOSE = PROTOCOL_CLOSE,
    STEP_PAUSE = PROTOCOL_PAUSE,
    STEP_ON
};

struct run {
    struct protocol_thread *thread;
    struct session *session;
    struct output *output;
    char *begin;          /* of the input */
    const char *at, *end; /* the input not done with yet */
    size_t capacity;
    uint64_t requests_max;
    const struct store_key *ahead; /* of the input */
};

/* Commands whose hits have values to send. */
static inline bool is_retrieval(uint8_t class)
{
    return class == CLASS_KEYS || class == CLASS_TOUCH_KEYS || class == CLASS_META_GET;
}

static inline size_t run_left(const struct run *run)
{
    return (size_t)(run->end - run->at);
}

static inline bool line_fits(const struct run *run)
{
    return output_room(run->output) >= REPLY_LINE_MAX;
}

static inline struct outcome *outcome_open(struct protocol_thread *thread)
{
    struct outcome *outcome = &thread->outcome;
    outcome->result = RESULT_OK;
    outcome->text = NULL;
    outcome->number.size = 0;
    outcome->cas = 0;
    outcome->masked = false;
    outcome->close = false;
    return outcome;
}

/* Nearly all requests are text: a branch that is foreseen, and the calls are direct. */
static inline void run_reply(struct run *run, const struct request *request, const struct store_key *key,
                             const struct outcome *outcome)
{
    if (request->dialect == DIALECT_TEXT)
        text_reply(run->output, request, key, outcome);
    else
        dialects[request->dialect]->reply(run->output, request, key, outcome);
}

/* Counts and answers an outcome that no execute function came to. */
static inline void answer_result(struct run *run, const struct request *request, const struct store_key *key,
                                 enum result result)
{
    struct outcome *outcome = outcome_open(run->thread);
    outcome->result = result;
    counters_record(run->thread, request, key, outcome);
    run_reply(run, request, key, outcome);
}

static inline void request_done(struct run *run, const struct request *request)
{
    run->at = request->consumed;
    run->session->requests++;
}

/* A reply from session->text, as much of it as fits. */
enum step run_long_reply(struct run *run);

/* A request that looks up keys, each of which may have a value to send. */
enum step run_keys(struct run *run, const struct request *request);
/* The same for `count` plain gets of one command, from `request` on. */
enum step run_gets(struct run *run, const struct request *request, unsigned count);
/* `count` plain sets, from `request` on. */
enum step run_sets(struct run *run, const struct request *request, unsigned count);
/* Goes on with a value in pieces. */
enum step run_value(struct run *run);

/* Whether a command is nothing for a datagram, whose sender may be anybody and which nothing outlives. */
bool datagram_refuses(uint8_t command);

/* A storage request whose body is received apart. */
void run_staged(struct run *run, const struct request *request, const struct store_key *key);
/* Goes on with such a body. */
enum step run_body(struct run *run);
/* The next `size` bytes are ignored; then `result` is told, unless it is RESULT_COUNT. */
void body_swallow(struct run *run, const struct request *request, size_t size, enum result result);
enum step run_swallow(struct run *run);

/* Binary: lists mechanisms, begins or continues authentication. */
enum step run_sasl(struct run *run, const struct request *request);

#endif
