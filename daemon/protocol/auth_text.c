/* The door of the text protocol, for servers with an auth file: until a client has named a user, all that is
 * served is version, quit, and `set <key> <flags> <exptime> <bytes>` with "user password" for its value,
 * whose key, flags and exptime mean nothing. Failed tries are answered late. */
#include "protocol/auth_priv.h"

#include <stdlib.h>
#include <string.h>

/* A longer line without an end is junk: closed, as memcached does. */
#define LINE_MAX_SIZE  2048u
#define TOKEN_MAX_SIZE (16u << 10)
#define BINARY_MAGIC   ((char)0x80)

enum { WORD_COMMAND, WORD_SIZE = 4, WORD_COUNT };

/* ---- answers ---- */

static void answer(struct run *run, const char *text)
{
    output_append(run->output, text, strlen(text));
    output_append(run->output, "\r\n", 2);
}

static enum step refuse(struct run *run)
{
    const struct request request = {.command = COMMAND_unknown};
    struct outcome *outcome = outcome_open(run->thread);
    outcome->result = RESULT_REFUSED;
    outcome->text = "CLIENT_ERROR unauthenticated";
    counters_record(run->thread, &request, NULL, outcome);
    answer(run, outcome->text);
    return STEP_ON;
}

enum step auth_answer_late(struct run *run, size_t before)
{
    struct session *session = run->session;
    size_t size = run->output->size - before;
    session->text = malloc(size);
    if (session->text == NULL)
        return STEP_CLOSE;
    memcpy(session->text, run->output->data + before, size);
    run->output->size = before;
    session->state = SESSION_REPLY;
    session->body_size = size;
    session->body_got = 0;
    return STEP_PAUSE;
}

/* ---- the token: "user password" ---- */

static void token_drop(struct session *session)
{
    explicit_bzero(session->text, session->body_size);
    free(session->text);
    session->text = NULL;
    session->state = SESSION_IDLE;
    session->body_size = session->body_got = 0;
}

static bool token_begin(struct session *session, size_t size)
{
    session->text = malloc(size);
    if (session->text == NULL)
        return false;
    session->state = SESSION_TOKEN;
    session->body_size = size;
    session->body_got = 0;
    return true;
}

/* The user ends at the first space; all behind it is the password. */
static enum step token_judge(struct run *run)
{
    struct session *session = run->session;
    const char *user = session->text, *end = user + session->body_size - 2;
    const char *space = memchr(user, ' ', (size_t)(end - user));
    size_t before = run->output->size;
    if (memcmp(end, "\r\n", 2) != 0) {
        answer(run, "CLIENT_ERROR bad command line termination");
    } else if (space == NULL) {
        answer(run, "CLIENT_ERROR bad authentication token format");
    } else if (auth_try(run->thread, session, user, (size_t)(space - user), space + 1,
                        (size_t)(end - space - 1))) {
        answer(run, "STORED");
    } else {
        answer(run, "CLIENT_ERROR authentication failure");
        token_drop(session);
        return auth_answer_late(run, before);
    }
    token_drop(session);
    return STEP_ON;
}

/* What comes of the token leaves the input for the session at once, and is overwritten there. */
static enum step run_token(struct run *run)
{
    struct session *session = run->session;
    size_t size = session->body_size - session->body_got;
    if (size > run_left(run))
        size = run_left(run);
    memcpy(session->text + session->body_got, run->at, size);
    auth_wipe(run, run->at, size);
    run->at += size;
    session->body_got += size;
    if (session->body_got < session->body_size)
        return STEP_READ;
    return line_fits(run) ? token_judge(run) : STEP_WRITE;
}

/* ---- lines ---- */

static enum step run_version(struct run *run)
{
    const struct request request = {.command = COMMAND_version};
    struct outcome *outcome = outcome_open(run->thread);
    control_version(run->thread, &request, NULL, outcome);
    counters_record(run->thread, &request, NULL, outcome);
    text_reply(run->output, &request, NULL, outcome);
    return STEP_ON;
}

/* A token that no user's could be is not waited for: its lines are refused one by one. */
static enum step run_set(struct run *run, const struct token *size_word)
{
    uint32_t size;
    if (!number_parse_u32(size_word->data, size_word->size, &size))
        return refuse(run);
    if (size > TOKEN_MAX_SIZE) {
        answer(run, "CLIENT_ERROR auth token too long");
        return STEP_ON;
    }
    return token_begin(run->session, (size_t)size + 2) ? STEP_ON : STEP_CLOSE;
}

static enum step run_words(struct run *run, const char *line, size_t size)
{
    struct token words[WORD_COUNT];
    unsigned count = text_tokens(line, size, words, WORD_COUNT);
    if (count >= WORD_COUNT && token_is(&words[WORD_COMMAND], "set"))
        return run_set(run, &words[WORD_SIZE]);
    if (count > 0 && token_is(&words[WORD_COMMAND], "version"))
        return run_version(run);
    if (count > 0 && token_is(&words[WORD_COMMAND], "quit"))
        return STEP_CLOSE;
    return refuse(run);
}

static enum step run_line(struct run *run)
{
    if (run_left(run) == 0)
        return STEP_READ;
    if (run->session->requests >= run->requests_max)
        return STEP_YIELD;
    if (!line_fits(run))
        return STEP_WRITE;
    if (*run->at == BINARY_MAGIC) {
        refuse(run);
        return STEP_CLOSE;
    }
    const char *line = run->at, *end = memchr(line, '\n', run_left(run));
    if (end == NULL)
        return run_left(run) > LINE_MAX_SIZE ? STEP_CLOSE : STEP_READ;
    run->at = end + 1;
    run->session->requests++;
    if (end > line && end[-1] == '\r')
        end--;
    return run_words(run, line, (size_t)(end - line));
}

/* ---- the door ---- */

static enum step run_outside(struct run *run)
{
    if (run->session->state == SESSION_REPLY)
        return run_long_reply(run);
    if (run->session->state == SESSION_TOKEN)
        return run_token(run);
    return run_line(run);
}

enum step auth_run(struct run *run)
{
    enum step step = STEP_ON;
    while (step == STEP_ON && !run->session->authenticated)
        step = run_outside(run);
    return step;
}
