/* Who may come in: the users of the auth file, and what a session may do before it named one of them.
 *
 * Place: auth.c reads the file and compares; auth_text.c keeps the door of the text protocol; the binary
 * protocol keeps its own with auth_plain (SASL) and auth_required. Flow, text: protocol_run asks
 * auth_required once a run -> auth_run takes lines until `set <key> <flags> <exptime> <bytes>` brings "user
 * password" -> the session is authenticated for good. Thread-safety: auth_check from any worker while the
 * main thread reloads. Ownership: passwords live in the table of struct auth alone; every copy on the way is
 * overwritten as soon as it was compared. Sources: doc/protocol.txt of memcached 1.6.45, "Authentication";
 * RFC 4616. */
#ifndef VITRINE_PROTOCOL_AUTH_PRIV_H
#define VITRINE_PROTOCOL_AUTH_PRIV_H

#include "protocol/run_priv.h"

#include <string.h>

/* Users and passwords of one byte to so many. */
#define AUTH_WORD_MAX 256u
#define AUTH_USER_MAX 64u

/* Is there such a user with that password? Takes as long for every answer: all bytes of all entries are
 * compared, and none of it depends on what they hold. */
bool auth_check(struct auth *auth, const void *user, size_t user_size, const void *password,
                size_t password_size);

/* Must this session say who it is before anything else? */
static inline bool auth_required(const struct protocol_thread *thread, const struct session *session)
{
    return thread->protocol->auth != NULL && !session->authenticated;
}

/* Judges a try and counts it (auth_cmds, auth_errors); from a good one on the session is authenticated. */
bool auth_try(struct protocol_thread *thread, struct session *session, const void *user, size_t user_size,
              const void *password, size_t password_size);

/* The same for SASL PLAIN: "[authorization id] NUL user NUL password"; the id is not looked at. A session
 * that fails is no longer authenticated. The message is the caller's to overwrite: explicit_bzero. */
bool auth_plain(struct protocol_thread *thread, struct session *session, const char *message, size_t size);

/* Overwrites a password in the run's input. */
static inline void auth_wipe(struct run *run, const char *secret, size_t size)
{
    if (size > 0)
        explicit_bzero(run->begin + (secret - run->begin), size);
}

/* The reply that was written behind output->size == `before` goes out later: it moves to the session, and the
 * connection is left alone for PROTOCOL_PAUSE_MS. What every failed try is answered with. */
enum step auth_answer_late(struct run *run, size_t before);

/* The text protocol's door. STEP_ON: the session is authenticated, or speaks the binary protocol. */
enum step auth_run(struct run *run);

#endif
