/* Meta commands: outcomes into bytes. What a request asked for is answered in its order. */
#include "base/clock.h"
#include "protocol/meta_priv.h"

#include <stdio.h>
#include <string.h>

/* What flags may be answered with. */
struct facts {
    uint32_t answered; /* which flags are: bits of enum meta_flag */
    size_t size;
    uint64_t cas;
    uint32_t client_flags, expiry_s, idle_s;
    bool fetched, created;
    const char *key;
    size_t key_size;
    bool key_binary;
};

#define FLAG(letter)    (1u << META_##letter)
#define ANSWERED_ALWAYS (FLAG(O) | FLAG(k))
#define ANSWERED_GET    (ANSWERED_ALWAYS | FLAG(c) | FLAG(f) | FLAG(h) | FLAG(l) | FLAG(s) | FLAG(t))
#define ANSWERED_STORE  (ANSWERED_ALWAYS | FLAG(c) | FLAG(s))
#define ANSWERED_DELTA  (ANSWERED_ALWAYS | FLAG(c) | FLAG(t))

/* ---- pieces ---- */

static char *put(char *out, const void *data, size_t size)
{
    memcpy(out, data, size);
    return out + size;
}

static char *put_flag(char *out, char letter, uint64_t number)
{
    *out++ = ' ';
    *out++ = letter;
    return out + number_format_u64(out, number);
}

static char *put_key(char *out, const struct facts *facts)
{
    out = put(out, " k", 2);
    if (!facts->key_binary)
        return put(out, facts->key, facts->key_size);
    out += base64_encode(facts->key, facts->key_size, out);
    return put(out, " b", 2);
}

/* Seconds left to live. What is past wraps, as memcached's does. */
static char *put_ttl(char *out, uint32_t expiry_s)
{
    if (expiry_s == STORE_NEVER_S)
        return put(out, " t-1", 4);
    return put_flag(out, 't', expiry_s - clock_s());
}

static char *put_word(char *out, const struct token *word)
{
    *out++ = ' ';
    return put(out, word->data, word->size);
}

static char *put_answer(char *out, const struct token *word, const struct facts *facts)
{
    switch (word->data[0]) {
    case 'O':
        return put_word(out, word);
    case 'k':
        return put_key(out, facts);
    case 'c':
        return put_flag(out, 'c', facts->cas);
    case 'f':
        return put_flag(out, 'f', facts->client_flags);
    case 'h':
        return put_flag(out, 'h', facts->fetched);
    case 'l':
        return put_flag(out, 'l', facts->idle_s);
    case 's':
        return put_flag(out, 's', facts->size);
    default:
        return put_ttl(out, facts->expiry_s);
    }
}

/* A time to live is answered as it is at that place of the line: T and N are obeyed when it is their turn. */
static char *put_answers(char *out, const struct request *request, struct facts *facts)
{
    const char *at = request->words, *end = at + request->words_size;
    uint32_t answered = request->meta_flags & facts->answered;
    struct token word;
    while (answered != 0 && meta_next_word(&at, end, &word)) {
        char letter = word.data[0];
        if (letter == 'T')
            facts->expiry_s = request->expiry_s;
        else if (letter == 'N' && facts->created)
            facts->expiry_s = request->create_expiry_s;
        else if (facts->answered & meta_flag_bit(letter))
            out = put_answer(out, &word, facts);
    }
    return out;
}

static struct facts facts_of_request(const struct request *request, const struct store_key *key)
{
    return (struct facts){.answered = ANSWERED_ALWAYS,
                          .key = key->data,
                          .key_size = key->size,
                          .key_binary = meta_has(request, META_b)};
}

/* ---- mg ---- */

static struct facts facts_of_hit(const struct request *request, const struct outcome *outcome)
{
    const struct store_view *view = &outcome->view;
    return (struct facts){.answered = ANSWERED_GET,
                          .size = view->size,
                          .cas = request->cas_hidden ? 0 : view->cas,
                          .client_flags = view->flags,
                          .expiry_s = outcome->lease.expiry_before_s,
                          .idle_s = clock_s() - view->access_s,
                          .fetched = view->fetched,
                          .created = outcome->lease.created,
                          .key = view->key,
                          .key_size = view->key_size,
                          .key_binary = view->key_binary};
}

/* "HD" or "VA size", what was asked for, and what the client is to know of leases. */
static char *put_hit(char *out, const struct request *request, const struct outcome *outcome, bool value)
{
    struct facts facts = facts_of_hit(request, outcome);
    out = value ? put(out, "VA ", 3) : put(out, "HD", 2);
    if (value)
        out += number_format_u64(out, facts.size);
    out = put_answers(out, request, &facts);
    if (outcome->view.won)
        out = put(out, " Z", 2);
    if (outcome->view.stale)
        out = put(out, " X", 2);
    if (outcome->lease.win)
        out = put(out, " W", 2);
    return put(out, "\r\n", 2);
}

/* ---- the others ---- */

static char *put_number_reply(char *out, const struct request *request, const struct store_key *key,
                              const struct outcome *outcome)
{
    const struct store_number *number = &outcome->number;
    struct facts facts = facts_of_request(request, key);
    facts.answered = ANSWERED_DELTA;
    facts.cas = request->cas_hidden ? 0 : number->cas;
    facts.expiry_s = number->expiry_before_s;
    facts.created = outcome->result == RESULT_STORED;
    bool value = meta_has(request, META_v);
    out = value ? put(out, "VA ", 3) : put(out, "HD", 2);
    if (value)
        out += number_format_u64(out, number->size);
    out = put_answers(out, request, &facts);
    if (value) {
        out = put(out, "\r\n", 2);
        out = put(out, number->text, number->size);
    }
    return put(out, "\r\n", 2);
}

static char *put_debug(char *out, const struct request *request, const struct outcome *outcome)
{
    const struct store_view *view = &outcome->view;
    struct facts facts = {.key = view->key, .key_size = view->key_size, .key_binary = view->key_binary};
    out = put(out, "ME ", 3);
    out = facts.key_binary ? out + base64_encode(facts.key, facts.key_size, out)
                           : put(out, facts.key, facts.key_size);
    int32_t left_s = view->expiry_s == STORE_NEVER_S ? -1 : (int32_t)(view->expiry_s - clock_s());
    int size = snprintf(
        out, REPLY_LINE_MAX - META_KEY_SHOWN_MAX - 3, " exp=%d la=%u cas=%llu fetch=%s cls=%u size=%zu\r\n",
        left_s, clock_s() - view->access_s, request->cas_hidden ? 0ull : (unsigned long long)view->cas,
        view->fetched ? "yes" : "no", view->band + 1, ITEM_OVERHEAD_SIZE + view->key_size + view->size);
    return out + size;
}

/* A success, a miss or what else has two letters. */
static char *put_status(char *out, const struct request *request, const struct store_key *key,
                        const struct outcome *outcome)
{
    struct facts facts = facts_of_request(request, key);
    if (command_kind(request->command) == CLASS_STORE) {
        facts.answered = ANSWERED_STORE;
        facts.cas = request->cas_hidden ? 0 : outcome->cas;
        facts.size = outcome->size;
    }
    out = put(out, result_meta(outcome->result), 2);
    out = put_answers(out, request, &facts);
    return put(out, "\r\n", 2);
}

static char *put_text(char *out, const struct request *request, const struct outcome *outcome)
{
    const char *text = outcome->text != NULL ? outcome->text : result_text(outcome->result);
    size_t size = strlen(text);
    if (request->refusal == RESULT_BAD_FORMAT && request->words_size > 0) {
        text = request->words;
        size = request->words_size;
    }
    out = put(out, text, size);
    return put(out, "\r\n", 2);
}

/* q: nothing is said where all is as usual. */
static bool is_quiet(const struct request *request, enum result result)
{
    if (!meta_has(request, META_q))
        return false;
    if (command_rows[request->command].class == CLASS_META_GET)
        return result == RESULT_MISS;
    return result == RESULT_STORED || result == RESULT_DELETED || result == RESULT_OK || result == RESULT_HIT;
}

static void meta_reply(struct output *output, const struct request *request, const struct store_key *key,
                       const struct outcome *outcome)
{
    char *out = output->data + output->size;
    uint8_t class = command_rows[request->command].class;
    bool done = outcome->result == RESULT_HIT || outcome->result == RESULT_STORED;
    if (is_quiet(request, outcome->result))
        return;
    if (result_meta(outcome->result) == NULL)
        out = put_text(out, request, outcome);
    else if (class == CLASS_META_GET && done)
        out = put_hit(out, request, outcome, false);
    else if (class == CLASS_META_DELTA && done)
        out = put_number_reply(out, request, key, outcome);
    else if (class == CLASS_META_DEBUG && done)
        out = put_debug(out, request, outcome);
    else
        out = put_status(out, request, key, outcome);
    output->size = (size_t)(out - output->data);
}

static void meta_value_head(struct output *output, const struct request *request, const struct store_key *key,
                            const struct outcome *outcome)
{
    (void)key;
    char *out = put_hit(output->data + output->size, request, outcome, true);
    output->size = (size_t)(out - output->data);
}

static void meta_value(struct output *output, const struct request *request, const struct store_key *key,
                       const struct outcome *outcome)
{
    (void)key;
    char *out = put_hit(output->data + output->size, request, outcome, true);
    out = put(put_value_bytes(out, &outcome->view), "\r\n", 2);
    output->size = (size_t)(out - output->data);
}

const struct dialect meta_dialect = {.reply = meta_reply,
                                     .value = meta_value,
                                     .value_head = meta_value_head,
                                     .value_tail = {"\r\n", 2},
                                     .body_tail = {"\r\n", 2},
                                     .asks_once = true,
                                     .answers_first = true};
