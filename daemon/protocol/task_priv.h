/* Tasks: what a session goes on with after its command, in turns of bounded work, until it is done: a dump of
 * keys, a stream of events. Meanwhile no other request of the session is looked at.
 *
 * Place: private to protocol. A command makes a task and leaves it in its outcome; the session takes it over.
 * Thread-safety: as a session. Ownership: the session owns its task, and ends it once, whoever makes an end.
 */
#ifndef VITRINE_PROTOCOL_TASK_PRIV_H
#define VITRINE_PROTOCOL_TASK_PRIV_H

#include "protocol/protocol_priv.h"

enum task_next {
    TASK_WRITE, /* something was written: go on when it is sent */
    TASK_AGAIN, /* others first, then go on */
    TASK_WAIT,  /* nothing to do until protocol_host.wake or input */
    TASK_CLOSE, /* it cannot go on, and neither can the session */
    TASK_DONE   /* back to the session's requests */
};

struct task_turn {
    struct protocol_thread *thread;
    struct output *output;
    const char *at, *end; /* the session's input, of which a task may drop some */
};

struct task {
    enum task_next (*go_on)(struct task *task, struct task_turn *turn);
    void (*end)(struct task *task); /* done, or the session is over */
    bool is_watcher;                /* is to last, though the client says nothing */
};

/* Whether a command that becomes a task stands alone, as memcached wants it: with nothing before it that is
 * not answered yet. */
enum task_place {
    TASK_ALONE,
    TASK_BEHIND_KEYS, /* what is before it is lists of keys, which memcached sends at once: so do we first */
    TASK_BEHIND       /* refuse */
};
enum task_place task_place(const struct protocol_thread *thread, const struct request *request);

#endif
