/* Classic text: outcomes into bytes. */
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
