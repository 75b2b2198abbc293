/* What the files of protocol/ share. Flow: run*.c drive; text_parse.c turns bytes into struct request;
 * execute.c (keys) and control.c (the server) turn a request into struct outcome; text_reply.c turns that
 * into bytes; counters.c records it. Each other dialect, meta_*.c and binary_*.c, has its own parse and reply
 * files beside text_*.c, a row in `dialects`, and shares the rest. Thread-safety and ownership: as in
 * protocol.h. */
#ifndef VITRINE_PROTOCOL_PROTOCOL_PRIV_H
#define VITRINE_PROTOCOL_PROTOCOL_PRIV_H

#include "base/buffer.h"
#include "base/number.h"
#include "metrics/insight/prefixes.h"
#include "protocol/protocol.h"

#include <string.h>

#define BATCH_REQUEST_MAX 64u
#define BATCH_KEY_MAX     STORE_PREFETCH_MAX

/* No reply of one line is longer than this. */
#define REPLY_LINE_MAX 512u
/* What stands around a value besides its key, in any dialect: for text "VALUE", flags, size, CAS, spaces,
 * line ends and a closing END; meta commands say the most. */
#define REPLY_VALUE_FRAME_MAX 256u

#define NO_METRIC METRIC_COUNT

/* ---- commands ---- */
enum command {
#define COMMAND(id, kin, class, tokens, execute, mode, count, hit, miss, badval, summary) COMMAND_##id,
#include "protocol/commands.def"
    COMMAND_COUNT
};

enum command_class {
    CLASS_KEYS,
    CLASS_TOUCH_KEYS,
    CLASS_STORE,
    CLASS_KEY,
    CLASS_DELTA,
    CLASS_TOUCH,
    CLASS_CONTROL,
    CLASS_META_GET,
    CLASS_META_STORE,
    CLASS_META_KEY,
    CLASS_META_DELTA,
    CLASS_META_DEBUG,
    CLASS_SASL,
    CLASS_UNKNOWN,
    CLASS_COUNT
};

/* Modes of the classes other than STORE, whose modes are enum store_mode. ANSWER: deaf to noreply. */
enum command_mode { MODE_PLAIN, MODE_CAS, MODE_DECREMENT, MODE_ANSWER };

struct request;
struct outcome;
/* `key` is NULL for the classes without keys. */
typedef void (*execute_fn)(struct protocol_thread *thread, const struct request *request,
                           const struct store_key *key, struct outcome *outcome);

struct command_row {
    const char *name;
    uint8_t name_size;
    uint8_t class;      /* enum command_class */
    uint8_t kind;       /* the same, but for meta commands: see command_kind */
    uint8_t tokens_min; /* words, the command's own included; 0: it is none of text's */
    uint8_t mode;       /* enum store_mode or enum command_mode */
    execute_fn execute;
    enum metric count, hit, miss, badval;
    const char *summary;
};
extern const struct command_row command_rows[COMMAND_COUNT];

/* What a command does to its key, however its line reads: KEYS, STORE, KEY or DELTA of meta commands too. */
static inline enum command_class command_kind(unsigned command)
{
    return (enum command_class)command_rows[command].kind;
}

/* Open addressing over the names; built once, then constant. */
#define COMMAND_SLOT_COUNT 128u
struct command_index {
    uint8_t slot[COMMAND_SLOT_COUNT]; /* enum command + 1, 0: free */
};
void command_index_build(struct command_index *index);
enum command command_find(const struct command_index *index, const char *word, size_t size);

/* ---- requests ---- */
/* Text first: a request is text unless its parser says otherwise. */
enum dialect_id { DIALECT_TEXT, DIALECT_META, DIALECT_BINARY, DIALECT_COUNT };

/* One parsed request, of whatever dialect. Pointers go into the input. */
struct request {
    uint8_t dialect;   /* enum dialect_id */
    uint8_t command;   /* enum command */
    uint8_t refusal;   /* enum result: RESULT_OK, or why it is not executed */
    bool noreply;      /* no answer is wanted */
    bool line_follows; /* more of the same line is still to be parsed (or skipped, when refused) */
    bool close;        /* the connection is to be closed, without a reply */
    bool cas_hidden;   /* -C: the CAS shown is 0, and the one given matches nothing */
    bool staged;       /* its body does not fit the input and is received apart */
    bool valueless;    /* a retrieval whose hit is answered without the value */
    bool last;         /* the connection is closed behind its answer */
    bool create;       /* arithmetic: a miss stores `initial` */
    bool plain;        /* of text, whole, and nothing special about it: done with its like together */
    uint8_t opcode;    /* binary */
    uint8_t mode;      /* meta: the letter of M; of ms then its enum store_mode */
    uint16_t key_first, key_count; /* in the batch */
    uint32_t flags, expiry_s;
    uint64_t cas;         /* the one the item must have; 0: any, but none for cas */
    const char *body;     /* the value; NULL while staged */
    size_t body_size;     /* of the value */
    const char *words;    /* CONTROL: what follows the command; other dialects: their own, ... */
    size_t words_size;    /* ... without the line's end */
    const char *consumed; /* when the request is done, the input is up to here */
    /* From here on a plain get or set has nothing, and finds what was there before: see request_clear_plain.
     */
    uint64_t number;          /* a delta; of mg the second of R */
    uint64_t initial;         /* with `create` */
    uint64_t cas_new;         /* meta: E */
    size_t swallow_size;      /* bytes behind the request that are to be ignored, with a refusal */
    uint32_t meta_flags;      /* meta: which there are, as bits */
    uint32_t create_expiry_s; /* meta: of what N creates */
    uint32_t opaque;          /* binary: goes back as it came */
};

/* Clears what a plain get or set has; and all of a request. In two parts, since compilers clear what is
 * larger than 96 bytes by an instruction that takes long to begin. */
#define REQUEST_PLAIN_SIZE offsetof(struct request, number)
static inline void request_clear_plain(struct request *request)
{
    memset(request, 0, REQUEST_PLAIN_SIZE);
}
static inline void request_clear(struct request *request)
{
    request_clear_plain(request);
    memset((char *)request + REQUEST_PLAIN_SIZE, 0, sizeof *request - REQUEST_PLAIN_SIZE);
}

/* Base64 has four characters for each three bytes. */
#define DECODED_KEY_SIZE_MAX ((STORE_KEY_SIZE_MAX + 3) / 4 * 3)

struct batch {
    unsigned request_count, key_count;
    char decoded[BATCH_KEY_MAX][DECODED_KEY_SIZE_MAX]; /* keys that came in base64 */
    struct store_key keys[BATCH_KEY_MAX];
    struct request requests[BATCH_REQUEST_MAX];
    /* What gets of text, which are looked up many at once, found of the keys up to hit_end. */
    unsigned hit_end;
    struct store_hit hits[BATCH_KEY_MAX];
};

/* ---- outcomes ---- */
struct outcome {
    enum result result;
    enum store_miss miss;       /* of a retrieval's MISS */
    const char *text;           /* the line to say in place of the result's own; NULL: the result's */
    struct store_view view;     /* of a retrieval's or a touch's hit */
    struct store_number number; /* of an arithmetic HIT or STORED; its size is 0 otherwise */
    uint64_t cas;               /* of what was written; 0: nothing was */
    size_t size;                /* of the whole value that was written, by a meta command */
    struct store_lease lease;   /* of a meta command's hit */
    bool masked;                /* a retrieval's hit is answered without the value */
    struct buffer reply;        /* a long reply in place of a line; owned */
    bool close;                 /* close the connection, without a reply */
    /* CONTROL alone sets and clears these: */
    struct task *task; /* what the session goes on with, instead of a reply; owned */
    bool again;        /* nothing is done yet: what is in the output is to be sent first */
};

/* ---- the process, a worker ---- */
struct protocol {
    struct settings *settings;
    struct store *store;
    struct metrics *metrics;
    struct prefixes *prefixes;
    struct protocol_host host;
    struct auth *auth; /* borrowed; NULL: anybody is served */
    bool cas_hidden;   /* -C */
    bool sasl;         /* -S: the binary protocol asks for authentication */
    uint8_t speaks;    /* -B: what sessions speak from the start (enum session_speech) */
    struct command_index commands;
    struct watchers *watchers;
    _Atomic bool dumping; /* a dump of keys goes on: one at a time, as in memcached */
};

struct protocol_thread {
    struct protocol *protocol;
    struct store_thread *store;
    struct metrics_block *block;
    struct prefixes_thread *prefixes;
    uint32_t observed;                             /* see OBSERVE_PREFIXES */
    struct output *output;                         /* of this run */
    const struct session_client *client;           /* likewise */
    struct store_key ahead[PROTOCOL_PREFETCH_MAX]; /* of protocol_prefetch */
    struct batch batch;
    struct outcome outcome;
};

/* Which parser reads a session's input. */
enum session_speech {
    SPEECH_UNKNOWN, /* its first byte tells */
    SPEECH_TEXT,
    SPEECH_BINARY
};

enum session_state {
    SESSION_IDLE,
    SESSION_KEYS,    /* the rest of a line of keys */
    SESSION_SKIP,    /* the rest of a line, to be ignored */
    SESSION_BODY,    /* a body, into the staging */
    SESSION_SWALLOW, /* a body, to be ignored; then the result in `mode` is told, unless RESULT_COUNT */
    SESSION_REPLY,   /* a long reply is going out */
    SESSION_VALUE,   /* a value is going out in pieces, then the rest of the line of keys */
    SESSION_TASK,    /* a task goes on */
    SESSION_TOKEN    /* user and password, into `text`: before authentication only */
};

/* ---- bytes to requests ---- */
enum parse_status {
    PARSE_DONE, /* one more request stands in the batch */
    PARSE_MORE, /* a whole one needs more input */
    PARSE_FULL, /* the batch has no room for its keys: execute first */
    PARSE_CLOSE /* no request at all: close */
};

struct parser {
    const struct protocol *protocol;
    struct batch *batch;
    const char *at, *end; /* the input not parsed yet */
    size_t capacity;      /* of the caller's buffer */
    bool locked;          /* binary: not authenticated yet */
};
enum parse_status text_parse(struct parser *parser);
/* More keys of a line of which some are done. */
enum parse_status text_parse_keys(struct parser *parser, const struct session *session);

/* The same for one binary frame. */
enum parse_status binary_parse(struct parser *parser);

struct token {
    const char *data;
    size_t size;
};
/* Splits text[0..size) at spaces. Returns the whole count, of which at most `max` are in tokens. */
unsigned text_tokens(const char *text, size_t size, struct token *tokens, unsigned max);
bool token_is(const struct token *token, const char *text);

/* ---- outcomes to text ---- */
static inline size_t output_room(const struct output *output)
{
    return output->capacity - output->size;
}
/* Room for them is the caller's to have asked for. */
void output_append(struct output *output, const void *data, size_t size);
void output_pin_value(struct output *output, struct store_pin *pin, size_t size);

/* ---- dialects ---- */
struct fixed {
    const char *text;
    size_t size;
};

/* How outcomes are written, and how bodies and lists stand on the wire: all in which one dialect differs from
 * another once its requests are parsed. None of these functions may ask for room: a reply has REPLY_LINE_MAX,
 * a value REPLY_VALUE_FRAME_MAX besides its key and bytes. */
struct dialect {
    /* An outcome other than a value; writes nothing when the request asked for no answer to it. `key` may be
     * NULL; outcome->view holds only after a retrieval's hit. */
    void (*reply)(struct output *output, const struct request *request, const struct store_key *key,
                  const struct outcome *outcome);
    /* A whole value, and what stands before and behind one that is sent from where it lies or in pieces. */
    void (*value)(struct output *output, const struct request *request, const struct store_key *key,
                  const struct outcome *outcome);
    void (*value_head)(struct output *output, const struct request *request, const struct store_key *key,
                       const struct outcome *outcome);
    struct fixed value_tail;
    struct fixed body_tail; /* what must stand behind a body, or it answers RESULT_BAD_CHUNK */
    bool has_lists;         /* a request may ask for many keys: the hits are answered, then an end */
    bool asks_once;         /* a retrieval may change the item: never execute it twice */
    bool answers_first;     /* refuses before a body that is ignored, not behind it */
    /* One of the values of `stats`, a dump of lines, and the end of both. */
    void (*stat)(struct buffer *reply, const struct request *request, const char *name, const char *value);
    void (*stat_lines)(struct buffer *reply, const struct request *request, const char *lines);
    void (*stat_end)(struct buffer *reply, const struct request *request);
};
extern const struct dialect text_dialect, meta_dialect, binary_dialect;
extern const struct dialect *const dialects[DIALECT_COUNT];

void text_reply(struct output *output, const struct request *request, const struct store_key *key,
                const struct outcome *outcome);
void text_reply_value(struct output *output, const struct request *request, const struct store_key *key,
                      const struct outcome *outcome);
/* What text says of a value besides its key and bytes: "VALUE", three numbers, spaces, line ends and the END
 * of the list. */
#define TEXT_VALUE_FRAME_MAX 64u
/* The values of those of `count` keys that are hits, each of which needs so much room; with the end of the
 * list if they are its last. */
void text_reply_hits(struct output *output, const struct request *request, const struct store_key *keys,
                     const struct store_hit *hits, unsigned count, bool end);
/* Behind a list of keys. */
void text_reply_end(struct output *output);

/* All of a value's bytes to `out`. Returns where they end. */
char *put_value_chunks(char *out, const struct store_view *view);
static inline char *put_value_bytes(char *out, const struct store_view *view)
{
    if (view->value == NULL)
        return put_value_chunks(out, view);
    memcpy(out, view->value, view->size);
    return out + view->size;
}

/* ---- counting ---- */
/* What an item takes besides its key and value, for its size band where the store names none. */
#define ITEM_OVERHEAD_SIZE 16u

/* Records one outcome: the only place where a request is counted. `key` may be NULL. */
void counters_record(struct protocol_thread *thread, const struct request *request,
                     const struct store_key *key, const struct outcome *outcome);

/* ---- observing ---- */
/* What is told of requests besides their counts: bits of protocol_thread.observed, read once a run; the
 * streams that are watched (1 << enum stream), and this for `stats detail`. While it is 0 nothing below is
 * called. */
#define OBSERVE_PREFIXES (1u << 31)
uint32_t observed_now(const struct protocol_thread *thread);
/* Of get and gets. */
void observe_get(struct protocol_thread *thread, const struct store_key *key, const struct outcome *outcome);
/* Of other commands on keys but retrievals, before they are executed; `key` may be NULL. */
void observe_before(struct protocol_thread *thread, const struct store_key *key);
/* Of all requests but get and gets, once their outcome is counted. */
void observe_outcome(struct protocol_thread *thread, const struct request *request,
                     const struct store_key *key, const struct outcome *outcome);

/* The outcomes of one line of gets, added up so that the request matrix is written once. */
struct counters_gets {
    uint32_t hits, misses;
};
static inline void counters_get(struct protocol_thread *thread, struct counters_gets *gets,
                                const struct store_key *key, const struct outcome *outcome)
{
    bool hit = outcome->result == RESULT_HIT;
    gets->hits += hit;
    gets->misses += !hit;
    if (hit)
        metrics_band_add(thread->block, outcome->view.band, BAND_get_hits, 1);
    if (__builtin_expect(thread->observed != 0, 0))
        observe_get(thread, key, outcome);
}
/* The same of many keys. */
static inline void counters_hits(struct protocol_thread *thread, struct counters_gets *gets,
                                 const struct store_key *keys, const struct store_hit *hits, unsigned count)
{
    uint32_t hit_count = 0;
    for (unsigned i = 0; i < count; i++) {
        if (hits[i].value == NULL)
            continue;
        unsigned band = metrics_band_of(ITEM_OVERHEAD_SIZE + keys[i].size + hits[i].size);
        metrics_band_add(thread->block, band, BAND_get_hits, 1);
        hit_count++;
    }
    gets->hits += hit_count;
    gets->misses += count - hit_count;
}
void counters_gets_record(struct protocol_thread *thread, const struct request *request,
                          const struct counters_gets *gets);

/* Fills the classic counters from the request matrix. A metrics_probe_fn. */
void counters_probe(void *context, struct metrics_snapshot *snapshot);

/* ---- executing: keys ---- */
void execute_get(struct protocol_thread *thread, const struct request *request, const struct store_key *key,
                 struct outcome *outcome);
void execute_get_and_touch(struct protocol_thread *thread, const struct request *request,
                           const struct store_key *key, struct outcome *outcome);
void execute_store(struct protocol_thread *thread, const struct request *request, const struct store_key *key,
                   struct outcome *outcome);
void execute_delete(struct protocol_thread *thread, const struct request *request,
                    const struct store_key *key, struct outcome *outcome);
void execute_arithmetic(struct protocol_thread *thread, const struct request *request,
                        const struct store_key *key, struct outcome *outcome);
void execute_touch(struct protocol_thread *thread, const struct request *request, const struct store_key *key,
                   struct outcome *outcome);
/* A storage request was refused (TOO_LARGE, NO_MEMORY) before its body was seen: what the store makes of it.
 */
void execute_refused_store(struct protocol_thread *thread, const struct request *request,
                           const struct store_key *key, enum result refusal);

#define META(name)                                                                                           \
    void execute_meta_##name(struct protocol_thread *thread, const struct request *request,                  \
                             const struct store_key *key, struct outcome *outcome)
META(get);
META(store);
META(delete);
META(arithmetic);
META(debug);

/* ---- executing: the server ---- */
#define CONTROL(name)                                                                                        \
    void control_##name(struct protocol_thread *thread, const struct request *request,                       \
                        const struct store_key *key, struct outcome *outcome)
CONTROL(flush_all);
CONTROL(noop);
CONTROL(version);
CONTROL(mn);
CONTROL(verbosity);
CONTROL(quit);
CONTROL(shutdown);
CONTROL(cache_memlimit);
CONTROL(stats);
CONTROL(slabs);
CONTROL(lru);
CONTROL(lru_crawler);
CONTROL(watch);
CONTROL(refresh_certs);

/* ---- sessions ---- */
/* A request that outlives its input, with its key and words: its body is coming, or its value goes out in
 * pieces. */
struct held {
    struct request request;
    struct store_key key;
    char bytes[];
};
/* False: no memory. */
bool session_hold(struct session *session, const struct request *request, const struct store_key *key);
void session_release(struct session *session);

/* Begins the staging of a request's body, and holds the request. False: no memory for it. */
bool session_stage(struct protocol_thread *thread, struct session *session, const struct request *request,
                   const struct store_key *key);
void session_unstage(struct session *session);
void session_end_task(struct session *session);

#endif
