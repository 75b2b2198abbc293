/* Classic text: one line, and the body behind it, into one struct request. Pure: reads the input, writes the
 * batch, consumes nothing. What each malformed line answers is memcached 1.6.45's. */
#include "protocol/protocol_priv.h"
#include "protocol/scan_priv.h"
#include "protocol/text_parse_priv.h"

#include <string.h>

/* memcached gives up on a line that has no end after so many bytes, but on a list of keys. */
#define LINE_SIZE_MAX 2048u
/* The shortest command is two letters and a line end. */
#define LINE_SIZE_MIN 4u
/* Tokens that any command looks at: cas key flags exptime bytes unique. */
#define TOKENS_MAX 6u
/* What memcached's 32-bit size can say, with the line end behind the body. */
#define BODY_SIZE_MAX (INT32_MAX - 2)

/* ---- tokens ---- */

static const char *space_find(const char *text, const char *end)
{
    return scan_for(text, end, ' ');
}

static const char *space_skip(const char *text, const char *end)
{
    while (text < end && *text == ' ')
        text++;
    return text;
}

unsigned text_tokens(const char *text, size_t size, struct token *tokens, unsigned max)
{
    const char *end = text + size;
    unsigned count = 0;
    for (text = space_skip(text, end); text < end; text = space_skip(text, end)) {
        const char *token_end = space_find(text, end);
        if (count < max)
            tokens[count] = (struct token){text, (size_t)(token_end - text)};
        count++;
        text = token_end;
    }
    return count;
}

bool token_is(const struct token *token, const char *text)
{
    size_t size = strlen(text);
    return token->size == size && memcmp(token->data, text, size) == 0;
}

/* Whether the last word is noreply. */
static bool line_says_noreply(const struct line *line)
{
    static const char noreply[] = " noreply";
    const char *end = line->end;
    while (end > line->data && end[-1] == ' ')
        end--;
    size_t size = sizeof noreply - 1;
    return (size_t)(end - line->data) > size && memcmp(end - size, noreply, size) == 0;
}

/* ---- requests ---- */

enum parse_status text_refuse(struct request *request, enum result refusal)
{
    request->refusal = (uint8_t)refusal;
    return PARSE_DONE;
}

enum parse_status text_refuse_body(struct request *request, enum result refusal)
{
    request->swallow_size = request->body_size + 2;
    return text_refuse(request, refusal);
}

void text_key_add(struct parser *parser, struct request *request, const char *key, size_t size)
{
    struct batch *batch = parser->batch;
    batch->keys[batch->key_count++] = (struct store_key){.data = key, .size = (uint32_t)size};
    request->key_count++;
}

/* Whether no key in text[0..end) is too long. */
static bool keys_fit(const char *text, const char *end)
{
    for (text = space_skip(text, end); text < end; text = space_skip(text, end)) {
        const char *key_end = space_find(text, end);
        if (key_end - text > (ptrdiff_t)STORE_KEY_SIZE_MAX)
            return false;
        text = key_end;
    }
    return true;
}

/* Takes keys from text[0..end) as far as the batch has room. Returns where it stopped, or NULL at a key that
 * is too long. */
static const char *keys_take(struct parser *parser, struct request *request, const char *text,
                             const char *end)
{
    for (text = space_skip(text, end); text < end; text = space_skip(text, end)) {
        const char *key_end = space_find(text, end);
        if (key_end - text > (ptrdiff_t)STORE_KEY_SIZE_MAX)
            return NULL;
        if (parser->batch->key_count == BATCH_KEY_MAX)
            break;
        text_key_add(parser, request, text, (size_t)(key_end - text));
        text = key_end;
    }
    return text;
}

static enum parse_status refuse_keys(struct parser *parser, struct request *request)
{
    parser->batch->key_count = request->key_first;
    request->key_count = 0;
    return text_refuse(request, RESULT_BAD_FORMAT);
}

/* The keys of a whole line. memcached answers a key that is too long with an error alone, so that all of them
 * are looked at before the first is answered. */
static enum parse_status parse_keys(struct parser *parser, const char *keys, const struct line *line,
                                    struct request *request)
{
    const char *at = keys_take(parser, request, keys, line->end);
    if (at == NULL)
        return refuse_keys(parser, request);
    if (at == line->end)
        return PARSE_DONE;
    if (request->key_first > 0) {
        parser->batch->key_count = request->key_first;
        return PARSE_FULL;
    }
    if (!keys_fit(at, line->end))
        return refuse_keys(parser, request);
    request->line_follows = true;
    request->consumed = at;
    return PARSE_DONE;
}

/* The keys of a line whose end is not in the input: those that are whole, as what comes may continue the
 * last. */
static enum parse_status parse_open_keys(struct parser *parser, const char *keys, const char *end,
                                         struct request *request)
{
    const char *last_end = memrchr(keys, ' ', (size_t)(end - keys));
    last_end = last_end == NULL ? keys : last_end + 1;
    request->line_follows = true;
    /* A key of full size may stand there with the CR of its line. */
    bool too_long = end - last_end > (ptrdiff_t)STORE_KEY_SIZE_MAX + 1;
    const char *at = keys_take(parser, request, keys, last_end);
    if (at == NULL || (too_long && request->key_count == 0)) {
        request->consumed = end;
        return refuse_keys(parser, request);
    }
    request->consumed = at;
    return at == parser->at ? PARSE_MORE : PARSE_DONE;
}

static enum parse_status parse_class_keys(struct parser *parser, const struct line *line,
                                          struct request *request)
{
    const char *keys = space_find(line->data, line->end);
    enum parse_status status = parse_keys(parser, keys, line, request);
    bool empty = status == PARSE_DONE && request->refusal == RESULT_OK && request->key_count == 0;
    return empty ? text_refuse(request, RESULT_BAD_FORMAT) : status;
}

bool text_read_expiry(const struct token *token, uint32_t *expiry_s)
{
    int64_t exptime;
    if (!number_parse_i64(token->data, token->size, &exptime))
        return false;
    *expiry_s = protocol_expiry(exptime);
    return true;
}

static enum parse_status parse_class_touch_keys(struct parser *parser, const struct line *line,
                                                struct request *request)
{
    struct token tokens[3];
    if (text_tokens(line->data, (size_t)(line->end - line->data), tokens, 3) < 3)
        return text_refuse(request, RESULT_BAD_FORMAT);
    if (!text_read_expiry(&tokens[1], &request->expiry_s))
        return text_refuse(request, RESULT_BAD_EXPIRY);
    return parse_keys(parser, tokens[2].data, line, request);
}

bool text_read_body_size(const struct token *token, size_t *body_size)
{
    int64_t size;
    if (!number_parse_i64(token->data, token->size, &size) || size < 0 || size > BODY_SIZE_MAX)
        return false;
    *body_size = (size_t)size;
    return true;
}

/* Client flags are 32 bits; what is above them is cut off, as memcached does. */
static bool read_flags(const struct token *token, uint32_t *client_flags)
{
    uint64_t flags;
    if (!number_parse_u64(token->data, token->size, &flags))
        return false;
    *client_flags = (uint32_t)flags;
    return true;
}

enum parse_status text_parse_body(struct parser *parser, const struct line *line, struct request *request)
{
    size_t need = request->body_size + 2;
    if ((size_t)(parser->end - line->next) >= need) {
        request->body = line->next;
        request->consumed = line->next + need;
        bool ended = memcmp(line->next + request->body_size, "\r\n", 2) == 0;
        return ended ? PARSE_DONE : text_refuse(request, RESULT_BAD_CHUNK);
    }
    if ((size_t)(line->next - line->data) + need <= parser->capacity)
        return PARSE_MORE;
    request->staged = true;
    return PARSE_DONE;
}

static enum parse_status parse_class_store(struct parser *parser, const struct line *line,
                                           struct request *request)
{
    struct token tokens[TOKENS_MAX];
    unsigned count = text_tokens(line->data, (size_t)(line->end - line->data), tokens, TOKENS_MAX);
    if (count < 5 || !text_read_body_size(&tokens[4], &request->body_size))
        return text_refuse(request, RESULT_BAD_FORMAT);
    request->noreply = line_says_noreply(line);
    const struct token *key = &tokens[1];
    if (key->size > STORE_KEY_SIZE_MAX || !read_flags(&tokens[2], &request->flags) ||
        !text_read_expiry(&tokens[3], &request->expiry_s))
        return text_refuse_body(request, RESULT_BAD_FORMAT);
    if (request->command == COMMAND_cas &&
        (count < 6 || !number_parse_u64(tokens[5].data, tokens[5].size, &request->cas)))
        return text_refuse_body(request, RESULT_BAD_FORMAT);
    text_key_add(parser, request, key->data, key->size);
    if (!store_fits(parser->protocol->store, key->size, request->body_size))
        return text_refuse_body(request, RESULT_TOO_LARGE);
    return text_parse_body(parser, line, request);
}

/* A key and, where `count` is 3, one more word in *argument. */
static bool parse_key(struct parser *parser, const struct line *line, struct request *request, unsigned count,
                      struct token *argument)
{
    struct token tokens[3];
    if (text_tokens(line->data, (size_t)(line->end - line->data), tokens, 3) < count)
        return false;
    request->noreply = line_says_noreply(line);
    if (tokens[1].size > STORE_KEY_SIZE_MAX)
        return false;
    text_key_add(parser, request, tokens[1].data, tokens[1].size);
    if (argument != NULL)
        *argument = tokens[2];
    return true;
}

static enum parse_status parse_class_key(struct parser *parser, const struct line *line,
                                         struct request *request)
{
    return parse_key(parser, line, request, 2, NULL) ? PARSE_DONE : text_refuse(request, RESULT_BAD_FORMAT);
}

static enum parse_status parse_class_delta(struct parser *parser, const struct line *line,
                                           struct request *request)
{
    struct token delta;
    if (!parse_key(parser, line, request, 3, &delta))
        return text_refuse(request, RESULT_BAD_FORMAT);
    bool valid = number_parse_u64(delta.data, delta.size, &request->number);
    return valid ? PARSE_DONE : text_refuse(request, RESULT_BAD_DELTA);
}

static enum parse_status parse_class_touch(struct parser *parser, const struct line *line,
                                           struct request *request)
{
    struct token exptime;
    if (!parse_key(parser, line, request, 3, &exptime))
        return text_refuse(request, RESULT_BAD_FORMAT);
    return text_read_expiry(&exptime, &request->expiry_s) ? PARSE_DONE
                                                          : text_refuse(request, RESULT_BAD_EXPIRY);
}

static enum parse_status parse_class_control(struct parser *parser, const struct line *line,
                                             struct request *request)
{
    (void)parser;
    const struct command_row *row = &command_rows[request->command];
    request->noreply = row->mode != MODE_ANSWER && line_says_noreply(line);
    request->words = line->data + row->name_size;
    request->words_size = (size_t)(line->end - request->words);
    return PARSE_DONE;
}

/* A browser that is made to talk to a cache: nothing of what follows may run. */
static bool line_is_http(const struct line *line)
{
    struct token tokens[2];
    unsigned count = text_tokens(line->data, (size_t)(line->end - line->data), tokens, 2);
    if (count == 0)
        return false;
    if (tokens[0].size == 5 && strncasecmp(tokens[0].data, "host:", 5) == 0)
        return true;
    if (count == 1)
        return false;
    const char *last = memrchr(line->data, ' ', (size_t)(line->end - line->data));
    return token_is(&tokens[0], "POST") || tokens[1].data[0] == '/' ||
           (line->end - last > 5 && memcmp(last + 1, "HTTP/", 5) == 0);
}

/* A client of TLS at a port without it: it waits for what never comes, unless it is closed. */
static bool line_is_tls(const char *data, const char *end)
{
    return end - data >= 2 && data[0] == 0x16 && data[1] == 0x03; /* a record of a handshake */
}

static enum parse_status parse_class_unknown(struct parser *parser, const struct line *line,
                                             struct request *request)
{
    (void)parser;
    request->close = line_is_http(line) || line_is_tls(line->data, line->end);
    request->noreply = line_says_noreply(line);
    bool too_short = line->next - line->data < (ptrdiff_t)LINE_SIZE_MIN;
    return text_refuse(request, too_short ? RESULT_BAD_FORMAT : RESULT_UNKNOWN);
}

typedef enum parse_status (*parse_class_fn)(struct parser *parser, const struct line *line,
                                            struct request *request);
static const parse_class_fn parse_class[CLASS_COUNT] = {
    [CLASS_KEYS] = parse_class_keys,       [CLASS_TOUCH_KEYS] = parse_class_touch_keys,
    [CLASS_STORE] = parse_class_store,     [CLASS_KEY] = parse_class_key,
    [CLASS_DELTA] = parse_class_delta,     [CLASS_TOUCH] = parse_class_touch,
    [CLASS_CONTROL] = parse_class_control, [CLASS_UNKNOWN] = parse_class_unknown,
    [CLASS_META_GET] = meta_parse_get,     [CLASS_META_STORE] = meta_parse_store,
    [CLASS_META_KEY] = meta_parse_key,     [CLASS_META_DELTA] = meta_parse_delta,
    [CLASS_META_DEBUG] = meta_parse_debug};

/* ---- the input ---- */

/* A text request that is cleared: what every one has. */
static inline void request_begin(struct parser *parser, struct request *request, enum command command,
                                 const char *consumed)
{
    request->command = (uint8_t)command;
    request->cas_hidden = parser->protocol->cas_hidden;
    request->key_first = (uint16_t)parser->batch->key_count;
    request->consumed = consumed;
}

static struct request *request_open(struct parser *parser, enum command command, const char *consumed)
{
    struct request *request = &parser->batch->requests[parser->batch->request_count];
    request_clear(request);
    request_begin(parser, request, command, consumed);
    return request;
}

/* The same for a get or set in its plain form. */
static inline struct request *request_open_plain(struct parser *parser, enum command command,
                                                 const char *consumed)
{
    struct request *request = &parser->batch->requests[parser->batch->request_count];
    request_clear_plain(request);
    request_begin(parser, request, command, consumed);
    return request;
}

static enum parse_status request_close(struct parser *parser, struct request *request,
                                       enum parse_status status)
{
    if (status == PARSE_DONE) {
        parser->at = request->consumed;
        parser->batch->request_count++;
    } else {
        parser->batch->key_count = request->key_first;
    }
    return status;
}

/* A list of keys that is longer than the caller's buffer: begins to stream it. */
static enum parse_status parse_long_keys(struct parser *parser, enum command command, const char *words)
{
    struct request *request = request_open(parser, command, parser->end);
    if (command_rows[command].class == CLASS_TOUCH_KEYS) {
        words = space_skip(words, parser->end);
        const char *token_end = space_find(words, parser->end);
        struct token exptime = {words, (size_t)(token_end - words)};
        words = token_end;
        if (!text_read_expiry(&exptime, &request->expiry_s)) {
            request->line_follows = true;
            return request_close(parser, request, text_refuse(request, RESULT_BAD_EXPIRY));
        }
    }
    return request_close(parser, request, parse_open_keys(parser, words, parser->end, request));
}

static enum parse_status parse_tls(struct parser *parser)
{
    struct request *request = request_open(parser, COMMAND_unknown, parser->end);
    request->close = true;
    return request_close(parser, request, PARSE_DONE);
}

/* The input ends within a line. */
static enum parse_status parse_open_line(struct parser *parser)
{
    size_t size = (size_t)(parser->end - parser->at);
    if (line_is_tls(parser->at, parser->end))
        return parse_tls(parser);
    if (size <= LINE_SIZE_MAX && size < parser->capacity)
        return PARSE_MORE;
    const char *word_end = space_find(parser->at, parser->end);
    enum command command =
        command_find(&parser->protocol->commands, parser->at, (size_t)(word_end - parser->at));
    uint8_t class = command_rows[command].class;
    if (word_end == parser->end || (class != CLASS_KEYS && class != CLASS_TOUCH_KEYS))
        return PARSE_CLOSE;
    if (size < parser->capacity)
        return PARSE_MORE;
    return parse_long_keys(parser, command, word_end);
}

static struct line line_at(const char *data, const char *newline)
{
    bool cr = newline > data && newline[-1] == '\r';
    return (struct line){.data = data, .end = newline - cr, .next = newline + 1};
}

/* A whole line of keys that all fit into the batch, which nearly every get is, in one pass over its bytes.
 * False: something else, to be parsed from its beginning. */
static inline bool parse_plain_keys(struct parser *parser, enum command command, const char *at)
{
    struct batch *batch = parser->batch;
    struct store_key *key = batch->keys + batch->key_count, *keys_end = batch->keys + BATCH_KEY_MAX;
    for (bool last = false; !last; at++) {
        const char *word = at;
        at = scan_either(at, parser->end, ' ', '\n');
        if (at == parser->end)
            return false;
        last = *at == '\n';
        size_t size = (size_t)(at - word);
        size -= last && size > 0 && at[-1] == '\r';
        if (size == 0)
            continue;
        if (size > STORE_KEY_SIZE_MAX || key == keys_end)
            return false;
        key->data = word;
        key->size = (uint32_t)size;
        key++;
    }
    unsigned count = (unsigned)(key - batch->keys) - batch->key_count;
    if (count == 0)
        return false;
    struct request *request = request_open_plain(parser, command, at);
    request->key_count = (uint16_t)count;
    request->plain = true;
    batch->key_count += count;
    batch->request_count++;
    parser->at = at;
    return true;
}

/* A space and a number of up to nine digits. Returns where it ends, or NULL: something else. */
static inline const char *plain_number(const char *at, const char *end, uint32_t *number)
{
    if (end - at < 2 || *at != ' ')
        return NULL;
    const char *first = ++at;
    uint32_t digit = (unsigned char)(*at - '0'), value = digit;
    if (digit > 9)
        return NULL;
    while (++at < end && (digit = (unsigned char)(*at - '0')) <= 9)
        value = value * 10 + digit;
    *number = value;
    return at - first > 9 ? NULL : at;
}

/* "set" with unsigned numbers, its answer wanted and its whole body there: nearly every one. `at` is behind
 * the word. False: something else, to be parsed from its beginning. */
static __attribute__((noinline)) bool parse_plain_set(struct parser *parser, const char *at)
{
    const char *end = parser->end, *key = ++at;
    struct batch *batch = parser->batch;
    uint32_t flags, exptime, size;
    at = scan_either(key, end, ' ', '\n');
    size_t key_size = (size_t)(at - key);
    if (key_size - 1 >= STORE_KEY_SIZE_MAX || !(at = plain_number(at, end, &flags)) ||
        !(at = plain_number(at, end, &exptime)) || !(at = plain_number(at, end, &size)))
        return false;
    if ((size_t)(end - at) < 2 + (size_t)size + 2 || memcmp(at, "\r\n", 2) != 0 ||
        memcmp(at + 2 + size, "\r\n", 2) != 0 || !store_fits(parser->protocol->store, key_size, size))
        return false;
    struct request *request = request_open_plain(parser, COMMAND_set, at + 2 + size + 2);
    request->flags = flags;
    request->plain = true;
    request->expiry_s = exptime == 0 ? STORE_NEVER_S : protocol_expiry(exptime);
    request->body = at + 2;
    request->body_size = size;
    text_key_add(parser, request, key, key_size);
    batch->request_count++;
    parser->at = request->consumed;
    return true;
}

/* The commands that are most of the traffic are told by their first bytes. */
static bool parse_plain(struct parser *parser)
{
    const char *at = parser->at;
    if (parser->end - at < 5)
        return false;
    if (memcmp(at, "get ", 4) == 0)
        return parse_plain_keys(parser, COMMAND_get, at + 4);
    if (memcmp(at, "set ", 4) == 0)
        return parse_plain_set(parser, at + 3);
    return memcmp(at, "gets ", 5) == 0 && parse_plain_keys(parser, COMMAND_gets, at + 5);
}

/* Any line, from its beginning. */
static __attribute__((noinline)) enum parse_status parse_line(struct parser *parser)
{
    const char *newline = memchr(parser->at, '\n', (size_t)(parser->end - parser->at));
    if (newline == NULL)
        return parse_open_line(parser);
    struct line line = line_at(parser->at, newline);
    enum command command = COMMAND_unknown;
    if (line.next - line.data >= (ptrdiff_t)LINE_SIZE_MIN) {
        const char *word_end = space_find(line.data, line.end);
        command = command_find(&parser->protocol->commands, line.data, (size_t)(word_end - line.data));
    }
    struct request *request = request_open(parser, command, line.next);
    return request_close(parser, request, parse_class[command_rows[command].class](parser, &line, request));
}

enum parse_status text_parse(struct parser *parser)
{
    return __builtin_expect(parse_plain(parser), 1) ? PARSE_DONE : parse_line(parser);
}

enum parse_status text_parse_keys(struct parser *parser, const struct session *session)
{
    const char *newline = memchr(parser->at, '\n', (size_t)(parser->end - parser->at));
    struct request *request = request_open(parser, session->command, parser->end);
    request->expiry_s = session->expiry_s;
    if (newline == NULL)
        return request_close(parser, request, parse_open_keys(parser, parser->at, parser->end, request));
    struct line line = line_at(parser->at, newline);
    request->consumed = line.next;
    return request_close(parser, request, parse_keys(parser, line.data, &line, request));
}
