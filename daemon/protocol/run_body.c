/* Bodies that do not come with their request: received into the staging, or ignored. */
#include "protocol/run_priv.h"

#include <string.h>

/* The body of a request that cannot be served is ignored; the answer comes behind it, as memcached's does. */
void body_swallow(struct run *run, const struct request *request, size_t size, enum result result)
{
    struct session *session = run->session;
    session->state = SESSION_SWALLOW;
    session->command = request->command;
    session->noreply = request->noreply;
    session->mode = (uint8_t)result;
    session->body_size = size;
}

enum step run_swallow(struct run *run)
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

/* A body that there is no memory for: `left` bytes of it are to come. */
static void body_refuse(struct run *run, const struct request *request, const struct store_key *key,
                        size_t left)
{
    execute_refused_store(run->thread, request, key, RESULT_NO_MEMORY);
    if (!dialects[request->dialect]->answers_first) {
        body_swallow(run, request, left, RESULT_NO_MEMORY);
        return;
    }
    answer_result(run, request, key, RESULT_NO_MEMORY);
    body_swallow(run, request, left, RESULT_COUNT);
}

void run_staged(struct run *run, const struct request *request, const struct store_key *key)
{
    request_done(run, request);
    if (!session_stage(run->thread, run->session, request, key))
        body_refuse(run, request, key, request->body_size + dialects[request->dialect]->body_tail.size);
}

static enum step body_finish(struct run *run)
{
    if (!line_fits(run))
        return STEP_WRITE;
    struct session *session = run->session;
    const struct store_key *key = &session->held->key;
    struct request *request = &session->held->request;
    request->body = store_staging_data(session->staging);
    const struct fixed *tail = &dialects[request->dialect]->body_tail;
    if (memcmp(request->body + request->body_size, tail->text, tail->size) != 0) {
        answer_result(run, request, key, RESULT_BAD_CHUNK);
    } else {
        struct outcome *outcome = outcome_open(run->thread);
        if (run->thread->observed != 0)
            observe_before(run->thread, key);
        command_rows[request->command].execute(run->thread, request, key, outcome);
        counters_record(run->thread, request, key, outcome);
        run_reply(run, request, key, outcome);
    }
    session_unstage(session);
    session->state = SESSION_IDLE;
    return STEP_ON;
}

/* All bodies together hold as much as they may: this one is given up. */
static enum step body_give_up(struct run *run)
{
    if (!line_fits(run))
        return STEP_WRITE;
    struct session *session = run->session;
    body_refuse(run, &session->held->request, &session->held->key, session->body_size - session->body_got);
    session_unstage(session);
    return STEP_ON;
}

enum step run_body(struct run *run)
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
