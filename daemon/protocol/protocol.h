/* The protocols of memcached, text with its meta commands and binary, from bytes to bytes.
 *
 * Place: above the store, below net. Pure: no socket, no event loop, no clock but base/clock, so that it can
 * be tested and fuzzed with byte strings alone. Flow: protocol_run takes what one recv brought, parses as
 * many requests as are there (struct request), prefetches their keys together, executes them in order against
 * the store and appends the replies to the output. What it does not consume (a partial line, a body that is
 * still coming) it asks for again. Thread-safety: a protocol_thread and its sessions belong to one worker;
 * struct protocol is shared and immutable. Ownership: the caller owns input and output memory; a session owns
 * its staged body. Source: doc/protocol.txt of memcached 1.6.45, and its protocol_binary.h. */
#ifndef VITRINE_PROTOCOL_PROTOCOL_H
#define VITRINE_PROTOCOL_PROTOCOL_H

#include "config/config.h"
#include "metrics/metrics.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* The version line: memcached's whose behaviour we hold to, then ours. */
#define PROTOCOL_MEMCACHED_VERSION "1.6.45"

/* ---- output: reply bytes, with values that are sent from where they lie ---- */
#define OUTPUT_PINS_MAX 16u

struct output_pin {
    struct store_pin *pin; /* owned by the output until sent */
    size_t at;             /* goes out before data[at] */
    size_t size, sent;
};

struct output {
    char *data; /* owned by whoever set it up; fixed capacity */
    size_t capacity, size, sent;
    struct output_pin pins[OUTPUT_PINS_MAX];
    unsigned pin_count, pin_first;
};

/* Bytes of reply not yet sent, pinned ones included. */
size_t output_pending(const struct output *output);
/* Fills at most `max` vectors with what is to be sent next; returns how many. */
int output_vectors(const struct output *output, struct iovec *vectors, int max);
/* `size` bytes went out: forgets them, unpins what is through. */
void output_advance(struct output *output, size_t size);
/* Drops everything, pins included. */
void output_clear(struct output *output);

/* ---- sessions ---- */
struct protocol;        /* one a process */
struct protocol_thread; /* one a worker */

/* Who may come in: the users of an auth file, lines of user:password. */
struct auth;
/* NULL with a line in `error`: not readable, malformed or empty. */
struct auth *auth_create(const char *path, char *error, size_t error_size);
/* Reads the file again; when it is no good, those of before stay. One thread at a time, beside the workers.
 */
bool auth_reload(struct auth *auth, char *error, size_t error_size);
void auth_destroy(struct auth *auth);
/* The connection of a session, as the host and those who watch know it. */
struct session_client {
    uint64_t id; /* the host's, as is slot: for wake */
    uint32_t slot;
    int fd; /* as `stats conns` names it */
};

/* What the protocol asks of the process around it; all but `context` may be NULL (tests). */
struct protocol_host {
    void *context;
    /* For `stats conns`: calls visit(arg, id, name, value) for each name of each connection, in memcached's
     * form. */
    void (*connections)(void *context, void (*visit)(void *arg, int id, const char *name, const char *value),
                        void *arg);
    /* For `shutdown` when -A allows it. */
    void (*shutdown)(void *context, bool graceful);
    /* For `refresh_certs`: reads the certificates again. False with a line in `error`. */
    bool (*refresh_certificates)(void *context, char *error, size_t error_size);
    /* Something is there for this client: its session is to be run. False: not now. Any thread. */
    bool (*wake)(void *context, const struct session_client *client);
    struct auth *auth; /* who is served; borrowed. NULL: anybody */
};

struct protocol *protocol_create(struct settings *settings, struct store *store, struct metrics *metrics,
                                 const struct protocol_host *host);
/* Ends the protocol's own thread, which calls the host: before the host goes. */
void protocol_stop(struct protocol *protocol);
void protocol_destroy(struct protocol *protocol); /* when no session is left; NULL is fine */
struct protocol_thread *protocol_thread_create(struct protocol *protocol, struct store_thread *store,
                                               struct metrics_block *block);
void protocol_thread_destroy(struct protocol_thread *thread);

/* A connection's state between runs: small when idle (no allocation; a body in flight is staged by the
 * store). */
struct held; /* protocol's own: a request that outlives its input */
struct task; /* protocol's own: what goes on after a command, in turns */
struct session {
    uint8_t state;   /* enum session_state, protocol's own */
    uint8_t command; /* of the list of keys that goes on, or of the request whose body is ignored */
    uint8_t mode;
    uint8_t speaks;  /* enum session_speech, protocol's own */
    bool sasl_begun; /* a SASL exchange waits for its next step */
    bool noreply;
    bool authenticated; /* asked for only where there are users to name */
    bool datagram;      /* lives for one datagram */
    uint32_t expiry_s;  /* of the list of keys */
    uint32_t requests;  /* since the last yield, for -R */
    uint64_t cas;       /* of the value that goes out in pieces */
    uint64_t body_size; /* of the body in flight, CR LF included; or bytes still to swallow */
    uint64_t body_got;
    struct store_staging *staging; /* owned; NULL unless a large body is coming */
    struct held *held;             /* owned; only while a body is staged or a value goes out in pieces */
    char *text;                    /* owned; a long reply being sent: body_size bytes, body_got of them out */
    struct task *task;             /* owned; NULL unless one goes on */
    uint8_t reason;                /* enum event_reason: why a PROTOCOL_CLOSE came */
    struct session_client client;  /* the caller's to set, after session_init */
};
void session_init(struct session *session);
void session_fini(struct session *session); /* drops a body in flight */
/* Whether it is a watcher, which may be silent for ever. */
bool session_watches(const struct session *session);

enum protocol_next {
    PROTOCOL_READ,  /* all that could be done is done: more input is needed */
    PROTOCOL_WRITE, /* the output is as full as it should get: send, then run again */
    PROTOCOL_YIELD, /* -R requests done and input is left: serve others first, then run again */
    PROTOCOL_CLOSE, /* send what is pending, then close */
    PROTOCOL_PAUSE  /* send what is pending; run again after PROTOCOL_PAUSE_MS, and receive nothing before */
};

/* How late a failed try to authenticate is answered: no more than two guesses a second on a connection. */
#define PROTOCOL_PAUSE_MS 500u

/* What was received and is not done with. A line that cannot fit the capacity is refused as memcached refuses
 * a too long line; get lines of any length are streamed key by key. */
struct protocol_input {
    char *data; /* borrowed for the call; a password in it is overwritten */
    size_t size;
    size_t capacity;               /* of the buffer it is received into */
    size_t consumed;               /* set: how much of it is done with */
    const struct store_key *ahead; /* the first key, where protocol_prefetch has seen one; else NULL */
};

/* Runs the session over the input. Never consumes half a reply: an error reply or a stored item belongs
 * wholly to consumed bytes. */
enum protocol_next protocol_run(struct protocol_thread *thread, struct session *session,
                                struct protocol_input *input, struct output *output);

/* Before several sessions are run: brings the items that their inputs ask for first into the cache, all at
 * once, so that the waits for memory overlap. Up to PROTOCOL_PREFETCH_MAX inputs; what is noted in them holds
 * until the next call. It is a hint, whatever the inputs hold. */
#define PROTOCOL_PREFETCH_MAX 8u
void protocol_prefetch(struct protocol_thread *thread, struct protocol_input *inputs, unsigned count);

/* A datagram holds a request, or several, as a whole; its reply may be lost, and must not be large. */
#define PROTOCOL_DATAGRAM_SIZE_MAX  (64u << 10)
#define PROTOCOL_DATAGRAM_REPLY_MAX (64u << 10)
enum protocol_datagram {
    PROTOCOL_DATAGRAM_DONE,    /* the output holds the reply, if there is any */
    PROTOCOL_DATAGRAM_DROPPED, /* not a whole request: there is no reply */
    PROTOCOL_DATAGRAM_CUT      /* the reply would be too large: the output holds the refusal */
};
/* Runs what one datagram brought, without its frame. `output` is empty and has room for twice
 * PROTOCOL_DATAGRAM_REPLY_MAX; no more than that is left in it. Nothing is kept for the next. */
enum protocol_datagram protocol_datagram(struct protocol_thread *thread, char *data, size_t size,
                                         struct output *output);

/* While a large body is coming and the input buffer is empty, where its next bytes may be received to
 * directly; NULL when there is no such body. protocol_body_received says how many came (then protocol_run
 * continues with what follows). */
char *protocol_body_room(struct session *session, size_t *size);
void protocol_body_received(struct session *session, size_t size);

/* The groups of `stats`, for the text command and the admin server alike: "general" (""), "settings",
 * "items", "slabs", "sizes", "conns". Calls visit(arg, name, value) in memcached's order; false: no such
 * group. Any thread. */
typedef void (*protocol_stat_fn)(void *arg, const char *name, const char *value);
bool protocol_stats(struct protocol *protocol, const char *group, protocol_stat_fn visit, void *arg);

/* The version text, e.g. "1.6.45 vitrine/0.1.0". */
const char *protocol_version(void);

/* An expiry is cut to 32 bits, as memcached does: clients that write -1 as 4294967295 mean "at once". */
int32_t protocol_exptime_cut(int64_t exptime);
/* Expiry as the protocol writes it (0 never, up to 30 days relative, above absolute, negative past) to a
 * coarse second. */
uint32_t protocol_expiry(int64_t exptime);
/* The same as the binary protocol writes it: nothing is negative, so that no item is born expired but by an
 * old date. */
uint32_t protocol_expiry_unsigned(uint32_t exptime);

#endif
