/* Classic text: outcomes into bytes. */
#include "protocol/protocol_priv.h"

#include <string.h>

void text_reply_end(struct output *output)
{
    output_append(output, "END\r\n", 5);
}

void text_reply(struct output *output, const struct request *request, const struct outcome *outcome)
{
    if (request->noreply)
        return;
    if (outcome->digit_count > 0 && outcome->result == RESULT_HIT) {
        output_append(output, outcome->digits, outcome->digit_count);
    } else {
        const char *text = outcome->text != NULL ? outcome->text : result_text(outcome->result);
        output_append(output, text, strlen(text));
    }
    output_append(output, "\r\n", 2);
}

static char *put(char *out, const void *data, size_t size)
{
    memcpy(out, data, size);
    return out + size;
}

/* Flags are mostly 0 and sizes have few digits: those are written without a detour. */
static char *put_number(char *out, uint64_t number)
{
    *out++ = ' ';
    if (number >= 10000)
        return out + number_format_u64(out, number);
    unsigned small = (unsigned)number, count = 1u + (small >= 10) + (small >= 100) + (small >= 1000);
    for (unsigned i = count; i-- > 0; small /= 10)
        out[i] = (char)('0' + small % 10);
    return out + count;
}

/* "VALUE key flags size[ cas]" with its line end. */
static char *put_value_head(char *out, const struct request *request, const struct store_key *key,
                            const struct store_view *view)
{
    out = put(out, "VALUE ", 6);
    out = put(out, key->data, key->size);
    out = put_number(out, view->flags);
    out = put_number(out, view->size);
    if (command_rows[request->command].mode == MODE_CAS)
        out = put_number(out, request->cas_hidden ? 0 : view->cas);
    return put(out, "\r\n", 2);
}

static char *put_value(char *out, const struct store_view *view)
{
    if (view->value != NULL)
        return put(out, view->value, view->size);
    const char *part;
    for (size_t offset = 0, size; (size = store_view_part(view, offset, &part)) > 0; offset += size)
        out = put(out, part, size);
    return out;
}

void text_reply_value(struct output *output, const struct request *request, const struct store_key *key,
                      const struct store_view *view)
{
    char *out = put_value_head(output->data + output->size, request, key, view);
    out = put(put_value(out, view), "\r\n", 2);
    output->size = (size_t)(out - output->data);
}

void text_reply_value_head(struct output *output, const struct request *request, const struct store_key *key,
                           const struct store_view *view)
{
    char *out = put_value_head(output->data + output->size, request, key, view);
    output->size = (size_t)(out - output->data);
}

void text_reply_pinned(struct output *output, const struct request *request, const struct store_key *key,
                       const struct store_view *view, struct store_pin *pin)
{
    text_reply_value_head(output, request, key, view);
    output_pin_value(output, pin, view->size);
    output_append(output, "\r\n", 2);
}
