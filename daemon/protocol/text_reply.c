/* Classic text: outcomes into bytes. */
#include "base/assert.h"
#include "base/bytes.h"
#include "protocol/protocol_priv.h"

#include <string.h>

void text_reply_end(struct output *output)
{
    output_append(output, "END\r\n", 5);
}

void text_reply(struct output *output, const struct request *request, const struct store_key *key,
                const struct outcome *outcome)
{
    (void)key;
    if (request->noreply)
        return;
    if (outcome->number.size > 0 && outcome->result == RESULT_HIT) {
        output_append(output, outcome->number.text, outcome->number.size);
    } else {
        const char *text = outcome->text != NULL ? outcome->text : result_text(outcome->result);
        output_append(output, text, strlen(text));
    }
    output_append(output, "\r\n", 2);
}

static inline char *put(char *out, const void *data, size_t size)
{
    memcpy(out, data, size);
    return out + size;
}

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324"
                                  "25262728293031323334353637383940414243444546474849"
                                  "50515253545556575859606162636465666768697071727374"
                                  "75767778798081828384858687888990919293949596979899";

/* A space and the number. Flags are mostly 0 and sizes have few digits: those are written without a loop. */
static inline char *put_number(char *out, uint64_t number)
{
    *out++ = ' ';
    if (number >= 10000)
        return out + number_format_u64(out, number);
    unsigned high = (unsigned)number / 100, low = (unsigned)number % 100;
    if (high >= 10)
        out = put(out, digit_pairs + (size_t)high * 2, 2);
    else if (high > 0)
        *out++ = (char)('0' + high);
    else if (low < 10)
        return *out = (char)('0' + low), out + 1;
    return put(out, digit_pairs + (size_t)low * 2, 2);
}

/* Keys of 8 to 32 bytes, which most are, go in words that overlap, without a call. */
static inline char *put_key(char *out, const char *key, size_t size)
{
    if (size < 8 || size > 32)
        return put(out, key, size);
    memcpy(out, key, 8);
    if (size > 16) {
        memcpy(out + 8, key + 8, 8);
        memcpy(out + size - 16, key + size - 16, 8);
    }
    memcpy(out + size - 8, key + size - 8, 8);
    return out + size;
}

/* "VALUE key flags size[ cas]" with its line end. */
static inline char *put_value_head(char *out, const struct request *request, const struct store_key *key,
                                   const struct store_view *view)
{
    out = put(out, "VALUE ", 6);
    out = put_key(out, key->data, key->size);
    out = put_number(out, view->flags);
    out = put_number(out, view->size);
    if (command_rows[request->command].mode == MODE_CAS)
        out = put_number(out, request->cas_hidden ? 0 : view->cas);
    return put(out, "\r\n", 2);
}

char *put_value_chunks(char *out, const struct store_view *view)
{
    const char *part;
    for (size_t offset = 0, size; (size = store_view_part(view, offset, &part)) > 0; offset += size)
        out = put(out, part, size);
    return out;
}

void text_reply_value(struct output *output, const struct request *request, const struct store_key *key,
                      const struct outcome *outcome)
{
    char *out = put_value_head(output->data + output->size, request, key, &outcome->view);
    out = put(put_value_bytes(out, &outcome->view), "\r\n", 2);
    output->size = (size_t)(out - output->data);
}

/* A number below 10000, without a branch: sizes cannot be foretold. Writes four bytes. */
static inline char *put_small(char *out, uint32_t number)
{
    uint16_t high, low;
    memcpy(&high, digit_pairs + (size_t)(number / 100) * 2, 2);
    memcpy(&low, digit_pairs + (size_t)(number % 100) * 2, 2);
    unsigned zeros = 3u - (number >= 10) - (number >= 100) - (number >= 1000);
    uint32_t digits = ((uint32_t)low << 16 | high) >> (8 * zeros);
    memcpy(out, &digits, 4);
    return out + 4 - zeros;
}

/* The key of a hit, from its item: behind it is the value, so that a short one may be copied with what
 * follows.
 */
static inline char *put_hit_key(char *out, const struct store_hit *hit, size_t size)
{
    const char *key = hit->value - size;
    if (__builtin_expect(size > 32 || size + hit->size < 32, 0))
        return put(out, key, size);
    memcpy(out, key, 32);
    return out + size;
}

static inline char *put_hit(char *out, const struct store_key *key, const struct store_hit *hit)
{
    memcpy(out, "VALUE ", 6);
    out = put_hit_key(out + 6, hit, key->size);
    if (__builtin_expect(hit->flags != 0, 0))
        out = put_number(out, hit->flags);
    else
        out = put(out, " 0", 2);
    if (hit->size >= 10000)
        return put_number(out, hit->size);
    *out = ' ';
    return put_small(out + 1, hit->size);
}

void text_reply_hits(struct output *output, const struct request *request, const struct store_key *keys,
                     const struct store_hit *hits, unsigned count, bool end)
{
    char *out = output->data + output->size;
    bool with_cas = command_rows[request->command].mode == MODE_CAS;
    for (unsigned i = 0; i < count; i++) {
        const struct store_hit *hit = &hits[i];
        if (hit->value == NULL)
            continue;
        out = put_hit(out, &keys[i], hit);
        if (with_cas)
            out = put_number(out, request->cas_hidden ? 0 : store_hit_cas(hit));
        out = put(out, "\r\n", 2);
        out = put(bytes_put(out, hit->value, hit->size), "\r\n", 2);
    }
    if (end)
        out = put(out, "END\r\n", 5);
    output->size = (size_t)(out - output->data);
    ASSERT(output->size <= output->capacity);
}

static void text_reply_value_head(struct output *output, const struct request *request,
                                  const struct store_key *key, const struct outcome *outcome)
{
    char *out = put_value_head(output->data + output->size, request, key, &outcome->view);
    output->size = (size_t)(out - output->data);
}

static void text_stat(struct buffer *reply, const struct request *request, const char *name,
                      const char *value)
{
    (void)request;
    buffer_format(reply, "STAT %s %s\r\n", name, value);
}

static void text_stat_lines(struct buffer *reply, const struct request *request, const char *lines)
{
    (void)request;
    buffer_text(reply, lines);
}

static void text_stat_end(struct buffer *reply, const struct request *request)
{
    (void)request;
    buffer_text(reply, "END\r\n");
}

const struct dialect text_dialect = {.reply = text_reply,
                                     .value = text_reply_value,
                                     .value_head = text_reply_value_head,
                                     .value_tail = {"\r\n", 2},
                                     .body_tail = {"\r\n", 2},
                                     .has_lists = true,
                                     .stat = text_stat,
                                     .stat_lines = text_stat_lines,
                                     .stat_end = text_stat_end};
