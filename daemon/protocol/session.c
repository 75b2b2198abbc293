/* A connection's state between two runs: a body that is coming, bytes to be ignored, a long reply. */
#include "protocol/protocol_priv.h"

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
    free(session->text);
    session_init(session);
}

bool session_stage(struct protocol_thread *thread, struct session *session, const struct request *request,
                   const struct store_key *key)
{
    session->body_size = request->body_size + 2;
    session->body_got = 0;
    session->key = malloc(key->size);
    session->staging = store_staging_open(thread->protocol->store, session->body_size);
    if (session->key == NULL || session->staging == NULL) {
        session_unstage(session);
        return false;
    }
    memcpy(session->key, key->data, key->size);
    session->key_size = (uint8_t)key->size;
    session->state = SESSION_BODY;
    session->command = request->command;
    session->noreply = request->noreply;
    session->flags = request->flags;
    session->expiry_s = request->expiry_s;
    session->cas = request->number;
    return true;
}

void session_unstage(struct session *session)
{
    if (session->staging != NULL)
        store_staging_close(session->staging);
    session->staging = NULL;
    free(session->key);
    session->key = NULL;
}

void session_swallow(struct session *session, size_t size, enum result result)
{
    session->state = SESSION_SWALLOW;
    session->body_size = size;
    session->mode = (uint8_t)result;
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
