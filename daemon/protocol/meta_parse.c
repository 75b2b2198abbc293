/* Meta lines: a command, a key, for ms a size, and flags of one letter each. What each malformed line answers
 * is memcached 1.6.45's, down to which of several errors is told: the last, but a flag that is unknown or
 * comes twice ends the reading. */
#include "protocol/meta_priv.h"
#include "protocol/text_parse_priv.h"

#include <string.h>

#define WORDS_MAX       20u /* in a line */
#define OPAQUE_SIZE_MAX 32u /* with its letter */
#define LETTER_LIMIT    127u

#define BAD_TOKEN "CLIENT_ERROR bad token in command line format"

/* What is wrong, but leaves the word to others that are. */
#define UNSAID result_text(RESULT_BAD_FORMAT)

static const char opaque_too_long[] = "CLIENT_ERROR opaque token too long";

bool meta_comes_before(const struct request *request, char first, char second)
{
    const char *at = request->words, *end = at + request->words_size;
    struct token word;
    while (meta_next_word(&at, end, &word)) {
        if (word.data[0] == first)
            return true;
        if (word.data[0] == second)
            return false;
    }
    return false;
}

/* ---- the arguments of flags: NULL, or what is wrong with them ---- */

static const char *take_number(const struct token *argument, uint64_t *number, const char *wrong)
{
    return number_parse_u64(argument->data, argument->size, number) ? NULL : wrong;
}

static const char *take_second(const struct token *argument, uint32_t *expiry_s)
{
    return text_read_expiry(argument, expiry_s) ? NULL : BAD_TOKEN;
}

static const char *take_nothing(struct request *request, const struct token *argument)
{
    (void)request, (void)argument;
    return NULL;
}

static const char *take_cas(struct request *request, const struct token *argument)
{
    return take_number(argument, &request->cas, BAD_TOKEN);
}

static const char *take_cas_new(struct request *request, const struct token *argument)
{
    return take_number(argument, &request->cas_new, BAD_TOKEN);
}

static const char *take_delta(struct request *request, const struct token *argument)
{
    return take_number(argument, &request->number, "CLIENT_ERROR invalid numeric delta value");
}

static const char *take_initial(struct request *request, const struct token *argument)
{
    return take_number(argument, &request->initial, "CLIENT_ERROR invalid numeric initial value");
}

static const char *take_expiry(struct request *request, const struct token *argument)
{
    return take_second(argument, &request->expiry_s);
}

static const char *take_create(struct request *request, const struct token *argument)
{
    return take_second(argument, &request->create_expiry_s);
}

static const char *take_recache(struct request *request, const struct token *argument)
{
    uint32_t recache_s = 0;
    const char *wrong = take_second(argument, &recache_s);
    request->number = recache_s;
    return wrong;
}

static const char *take_client_flags(struct request *request, const struct token *argument)
{
    return number_parse_u32(argument->data, argument->size, &request->flags) ? NULL : UNSAID;
}

/* One letter. What follows it is ignored, and whether there is such a mode is the command's to say. */
static const char *take_mode(struct request *request, const struct token *argument)
{
    request->mode = argument->size > 0 ? (uint8_t)argument->data[0] : (uint8_t)' ';
    return NULL;
}

static const struct {
    uint8_t number; /* enum meta_flag + 1; 0: there is no such flag */
    const char *(*take)(struct request *request, const struct token *argument);
} flag_rows[LETTER_LIMIT] = {
#define META_FLAG(id, letter, how, example, summary) [letter] = {META_##id + 1, take_##how},
#include "protocol/meta_flags.def"
};

uint32_t meta_flag_bit(char letter)
{
    return 1u << (flag_rows[(unsigned char)letter].number - 1);
}

/* ---- flags ---- */

/* The key stands in the batch as it came. */
static const char *key_decode(struct parser *parser, const struct request *request)
{
    struct store_key *key = &parser->batch->keys[request->key_first];
    char *decoded = parser->batch->decoded[request->key_first];
    size_t size = base64_decode(key->data, key->size, decoded);
    if (size == 0)
        return "CLIENT_ERROR error decoding key";
    *key = (struct store_key){.data = decoded, .size = (uint32_t)size};
    return NULL;
}

static bool opaque_fits(const struct request *request)
{
    const char *at = request->words;
    struct token word;
    while (meta_next_word(&at, request->words + request->words_size, &word))
        if (word.data[0] == 'O')
            return word.size <= OPAQUE_SIZE_MAX;
    return true;
}

/* NULL, or what is wrong with one of them. */
static const char *flags_take(struct parser *parser, struct request *request)
{
    const char *at = request->words, *end = at + request->words_size, *wrong = NULL;
    struct token word;
    while (meta_next_word(&at, end, &word)) {
        unsigned char letter = (unsigned char)word.data[0];
        unsigned number = letter < LETTER_LIMIT ? flag_rows[letter].number : 0;
        if (letter >= LETTER_LIMIT || (number > 0 && meta_has(request, number - 1)))
            return "CLIENT_ERROR duplicate flag";
        if (number == 0)
            return "CLIENT_ERROR invalid flag";
        request->meta_flags |= 1u << (number - 1);
        struct token argument = {word.data + 1, word.size - 1};
        const char *error =
            letter == 'b' ? key_decode(parser, request) : flag_rows[letter].take(request, &argument);
        if (error != NULL && (wrong == NULL || error != UNSAID))
            wrong = error;
    }
    if (wrong == NULL && meta_has(request, META_O) && !opaque_fits(request))
        wrong = opaque_too_long;
    return wrong;
}

/* Is there a word that begins with what cannot be a flag at all? None of these is one. */
static bool has_odd_letter(const struct request *request)
{
    const char *at = request->words, *end = at + request->words_size;
    struct token word;
    while (meta_next_word(&at, end, &word)) {
        char letter = word.data[0];
        if ((letter < 'A' || letter > 'z') && (letter < '0' || letter > '9'))
            return true;
    }
    return false;
}

/* What is refused says what is wrong in its words. */
static enum parse_status refuse_saying(struct request *request, const char *text)
{
    request->words = text;
    request->words_size = strlen(text);
    return text_refuse(request, RESULT_BAD_FORMAT);
}

/* The command and its key, and for ms the size: false when they are not there, or the key is too long. */
static bool head_take(struct parser *parser, const struct line *line, struct request *request,
                      struct token *size)
{
    struct token word;
    const char *at = line->data;
    request->dialect = DIALECT_META;
    if (!meta_next_word(&at, line->end, &word) || !meta_next_word(&at, line->end, &word))
        return false;
    struct token key = word;
    if (size != NULL && !meta_next_word(&at, line->end, size))
        return false;
    request->words = at;
    request->words_size = (size_t)(line->end - at);
    if (size != NULL && !text_read_body_size(size, &request->body_size))
        return false;
    if (key.size > STORE_KEY_SIZE_MAX)
        return false;
    text_key_add(parser, request, key.data, key.size);
    return true;
}

static bool words_are_too_many(const struct line *line)
{
    return text_tokens(line->data, (size_t)(line->end - line->data), NULL, 0) > WORDS_MAX;
}

/* NULL, or what is wrong behind the key. */
static const char *tail_take(struct parser *parser, const struct line *line, struct request *request)
{
    if (words_are_too_many(line))
        return "CLIENT_ERROR options flags are too long";
    const char *wrong = flags_take(parser, request);
    return wrong != NULL && has_odd_letter(request) ? result_text(RESULT_BAD_FORMAT) : wrong;
}

/* The same for ma, which says no more of most of it than that it is wrong. */
static const char *delta_tail_take(struct parser *parser, const struct line *line, struct request *request)
{
    const char *wrong = tail_take(parser, line, request);
    bool said = wrong == NULL || wrong == opaque_too_long || has_odd_letter(request);
    return said ? wrong : "CLIENT_ERROR invalid or duplicate flag";
}

/* ---- the commands ---- */

enum parse_status meta_parse_get(struct parser *parser, const struct line *line, struct request *request)
{
    if (!head_take(parser, line, request, NULL))
        return refuse_saying(request, result_text(RESULT_BAD_FORMAT));
    const char *wrong = tail_take(parser, line, request);
    if (wrong != NULL)
        return refuse_saying(request, wrong);
    request->valueless = !meta_has(request, META_v);
    return PARSE_DONE;
}

enum parse_status meta_parse_key(struct parser *parser, const struct line *line, struct request *request)
{
    if (!head_take(parser, line, request, NULL))
        return refuse_saying(request, result_text(RESULT_BAD_FORMAT));
    const char *wrong = tail_take(parser, line, request);
    return wrong != NULL ? refuse_saying(request, wrong) : PARSE_DONE;
}

/* Flags are of no meaning here, and 1.6.45 does not even decode a key. */
enum parse_status meta_parse_debug(struct parser *parser, const struct line *line, struct request *request)
{
    return head_take(parser, line, request, NULL) ? PARSE_DONE
                                                  : refuse_saying(request, result_text(RESULT_BAD_FORMAT));
}

enum parse_status meta_parse_delta(struct parser *parser, const struct line *line, struct request *request)
{
    if (!head_take(parser, line, request, NULL))
        return refuse_saying(request, result_text(RESULT_BAD_FORMAT));
    request->number = 1;
    const char *wrong = delta_tail_take(parser, line, request);
    if (wrong != NULL)
        return refuse_saying(request, wrong);
    switch (request->mode) {
    case 0:
    case 'I':
    case '+':
        return PARSE_DONE;
    case 'D':
    case '-':
        request->command = COMMAND_ma_decr;
        return PARSE_DONE;
    default:
        return refuse_saying(request, "CLIENT_ERROR invalid mode for ma M token");
    }
}

/* The mode in terms of the store; false: there is none of this letter. A CAS makes a cas of a set and a
 * replace alike. */
static bool store_mode_take(struct request *request)
{
    static const char letters[] = {[STORE_SET] = 'S',
                                   [STORE_ADD] = 'E',
                                   [STORE_REPLACE] = 'R',
                                   [STORE_APPEND] = 'A',
                                   [STORE_PREPEND] = 'P'};
    const char *found = request->mode == 0 ? letters : memchr(letters, request->mode, sizeof letters);
    if (found == NULL)
        return false;
    request->mode = (uint8_t)(found - letters);
    if (meta_has(request, META_C) && (request->mode == STORE_SET || request->mode == STORE_REPLACE)) {
        request->mode = STORE_CAS;
        request->command = COMMAND_ms_cas;
    }
    return true;
}

static enum parse_status refuse_store(struct request *request, const char *text)
{
    request->swallow_size = request->body_size + 2;
    return refuse_saying(request, text);
}

enum parse_status meta_parse_store(struct parser *parser, const struct line *line, struct request *request)
{
    struct token size = {NULL, 0};
    if (!head_take(parser, line, request, &size)) {
        bool sized = size.size > 0 && text_read_body_size(&size, &request->body_size);
        request->swallow_size = sized ? request->body_size + 2 : 0;
        return refuse_saying(request, result_text(RESULT_BAD_FORMAT));
    }
    const char *wrong = tail_take(parser, line, request);
    if (wrong != NULL)
        return refuse_store(request, wrong);
    if (!store_mode_take(request))
        return refuse_store(request, "CLIENT_ERROR invalid mode for ms M token");
    const struct store_key *key = &parser->batch->keys[request->key_first];
    if (!store_fits(parser->protocol->store, key->size, request->body_size))
        return text_refuse_body(request, RESULT_TOO_LARGE);
    return text_parse_body(parser, line, request);
}
