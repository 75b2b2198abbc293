/* A connection's state between two runs: a body that is coming, bytes to be ignored, a long reply. */
#include "protocol/protocol_priv.h"
#include "protocol/task_priv.h"

#include <stdlib.h>
#include <string.h>

void session_init(struct session *session)
{
    memset(session, 0, sizeof *session);
    session->state = SESSION_IDLE;
}

void session_fini(struct session *session)
{
    session_unstage(session);
    session_end_task(session);
    if (session->state == SESSION_TOKEN)
        explicit_bzero(session->text, session->body_size);
    free(session->text);
    session_init(session);
}

void session_end_task(struct session *session)
{
    if (session->task != NULL)
        session->task->end(session->task);
    session->task = NULL;
}

bool session_watches(const struct session *session)
{
    return session->task != NULL && session->task->is_watcher;
}

bool session_hold(struct session *session, const struct request *request, const struct store_key *key)
{
    struct held *held = malloc(sizeof *held + key->size + request->words_size);
    session->held = held;
    if (held == NULL)
        return false;
    held->request = *request;
    held->key = (struct store_key){.data = held->bytes, .size = key->size, .hash = key->hash};
    memcpy(held->bytes, key->data, key->size);
    if (request->words_size > 0)
        memcpy(held->bytes + key->size, request->words, request->words_size);
    held->request.words = held->bytes + key->size;
    return true;
}

void session_release(struct session *session)
{
    free(session->held);
    session->held = NULL;
}

bool session_stage(struct protocol_thread *thread, struct session *session, const struct request *request,
                   const struct store_key *key)
{
    session->body_size = request->body_size + dialects[request->dialect]->body_tail.size;
    session->body_got = 0;
    session->staging = store_staging_open(thread->protocol->store, session->body_size);
    if (session->staging == NULL || !session_hold(session, request, key)) {
        session_unstage(session);
        return false;
    }
    session->state = SESSION_BODY;
    return true;
}

void session_unstage(struct session *session)
{
    if (session->staging != NULL)
        store_staging_close(session->staging);
    session->staging = NULL;
    session_release(session);
}

char *protocol_body_room(struct session *session, size_t *size)
{
    *size = 0;
    if (session->state != SESSION_BODY || session->body_got == session->body_size)
        return NULL;
    return store_staging_room(session->staging, size);
}

void protocol_body_received(struct session *session, size_t size)
{
    store_staging_fill(session->staging, size);
    session->body_got += size;
}
