/* Authentication over the binary protocol: SASL with its one mechanism PLAIN, against the users of the auth
 * file. As in memcached, whoever asks for the mechanisms or begins anew is nobody again, and a step is taken
 * only behind a beginning without a message. Source: RFC 4422, RFC 4616. */
#include "protocol/auth_priv.h"
#include "protocol/binary_priv.h"

#include <strings.h>

#define MECHANISM "PLAIN"

static bool names_plain(const struct request *request)
{
    return request->words_size == sizeof MECHANISM - 1 &&
           strncasecmp(request->words, MECHANISM, sizeof MECHANISM - 1) == 0;
}

static void judge(struct run *run, const struct request *request, struct outcome *outcome, bool allowed)
{
    /* What cannot be right is judged too, so that it is counted and takes as long. */
    bool right = auth_plain(run->thread, run->session, request->body, allowed ? request->body_size : 0);
    outcome->result = right ? RESULT_OK : RESULT_REFUSED;
    outcome->text = "Authenticated";
}

static void execute_sasl(struct run *run, const struct request *request, struct outcome *outcome)
{
    struct session *session = run->session;
    bool begun = session->sasl_begun;
    session->authenticated = false;
    if (request->opcode == OPCODE_sasl_list) {
        outcome->text = MECHANISM;
        return;
    }
    session->sasl_begun = false;
    if (request->opcode == OPCODE_sasl_step) {
        judge(run, request, outcome, begun);
    } else if (names_plain(request) && request->body_size == 0) {
        session->sasl_begun = true;
        outcome->result = RESULT_CONTINUE;
    } else {
        judge(run, request, outcome, names_plain(request));
    }
}

enum step run_sasl(struct run *run, const struct request *request)
{
    struct outcome *outcome = outcome_open(run->thread);
    size_t before = run->output->size;
    execute_sasl(run, request, outcome);
    auth_wipe(run, request->body, request->body_size);
    counters_record(run->thread, request, NULL, outcome);
    run_reply(run, request, NULL, outcome);
    request_done(run, request);
    /* What follows is looked at again, as to who asks for it now. */
    run->thread->batch.request_count = (unsigned)(request - run->thread->batch.requests) + 1;
    return outcome->result == RESULT_REFUSED ? auth_answer_late(run, before) : STEP_ON;
}
