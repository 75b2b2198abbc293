/* Binary: outcomes into frames. */
#include "protocol/binary_priv.h"

#include <endian.h>
#include <string.h>

#define FLAGS_SIZE 4u

/* What a reply's head says besides what it echoes. */
struct reply_head {
    uint16_t status, key_size;
    uint8_t extras_size;
    uint32_t body_size; /* extras and key included */
    uint64_t cas;
};

static char *put(char *out, const void *data, size_t size)
{
    memcpy(out, data, size);
    return out + size;
}

static char *put_u16(char *out, uint16_t number)
{
    number = htobe16(number);
    return put(out, &number, sizeof number);
}

static char *put_u32(char *out, uint32_t number)
{
    number = htobe32(number);
    return put(out, &number, sizeof number);
}

static char *put_u64(char *out, uint64_t number)
{
    number = htobe64(number);
    return put(out, &number, sizeof number);
}

static char *put_head(char *out, const struct request *request, const struct reply_head *head)
{
    *out++ = (char)BINARY_MAGIC_REPLY;
    *out++ = (char)request->opcode;
    out = put_u16(out, head->key_size);
    *out++ = (char)head->extras_size;
    *out++ = 0; /* data type: raw bytes */
    out = put_u16(out, head->status);
    out = put_u32(out, head->body_size);
    out = put(out, &request->opaque, sizeof request->opaque);
    return put_u64(out, request->cas_hidden ? 0 : head->cas);
}

/* ---- errors ---- */

static const char *out_of_memory_text(const struct request *request)
{
    switch (command_rows[request->command].class) {
    case CLASS_STORE:
        return "Out of memory allocating item";
    case CLASS_DELTA:
        return "Out of memory incrementing value";
    default:
        return "Out of memory";
    }
}

static const char *error_text(const struct request *request, const struct outcome *outcome)
{
    switch (outcome->result) {
    case RESULT_NO_MEMORY:
        return out_of_memory_text(request);
    case RESULT_UNKNOWN:
        return "Unknown command";
    case RESULT_MISS:
    case RESULT_NOT_FOUND:
        return "Not found";
    case RESULT_EXISTS:
        return "Data exists for key.";
    case RESULT_TOO_LARGE:
        return "Too large.";
    case RESULT_NON_NUMERIC:
        return "Non-numeric server-side value for incr or decr";
    case RESULT_NOT_STORED:
        return "Not stored.";
    case RESULT_REFUSED:
        return "Auth failure.";
    case RESULT_CONTINUE:
        return "";
    default:
        return "Invalid arguments";
    }
}

/* An add that finds the key and a replace that does not say so; text says NOT_STORED for both. */
static enum result told_result(const struct request *request, enum result result)
{
    if (result == RESULT_NOT_STORED && request->command == COMMAND_add)
        return RESULT_EXISTS;
    if (result == RESULT_NOT_STORED && request->command == COMMAND_replace)
        return RESULT_NOT_FOUND;
    return result;
}

static char *put_error(char *out, const struct request *request, const struct outcome *outcome)
{
    struct outcome told = {.result = told_result(request, outcome->result)};
    const char *text = error_text(request, &told);
    struct reply_head head = {.status = result_status(told.result), .body_size = (uint32_t)strlen(text)};
    out = put_head(out, request, &head);
    return put(out, text, head.body_size);
}

/* A miss of a retrieval that shows its keys. */
static char *put_missing_key(char *out, const struct request *request, const struct store_key *key)
{
    struct reply_head head = {
        .status = result_status(RESULT_MISS), .key_size = (uint16_t)key->size, .body_size = key->size};
    return put(put_head(out, request, &head), key->data, key->size);
}

/* ---- successes ---- */

static char *put_text(char *out, const struct request *request, const char *text)
{
    struct reply_head head = {.body_size = (uint32_t)strlen(text)};
    return put(put_head(out, request, &head), text, head.body_size);
}

static char *put_flags(char *out, const struct request *request, const struct store_view *view)
{
    struct reply_head head = {.extras_size = FLAGS_SIZE, .body_size = FLAGS_SIZE, .cas = view->cas};
    return put_u32(put_head(out, request, &head), view->flags);
}

static char *put_number(char *out, const struct request *request, const struct outcome *outcome)
{
    struct reply_head head = {.body_size = sizeof outcome->number.value, .cas = outcome->cas};
    return put_u64(put_head(out, request, &head), outcome->number.value);
}

static char *put_success(char *out, const struct request *request, const struct outcome *outcome)
{
    struct reply_head head = {.cas = outcome->cas};
    switch (command_rows[request->command].class) {
    case CLASS_DELTA:
        return put_number(out, request, outcome);
    case CLASS_TOUCH:
        return put_flags(out, request, &outcome->view);
    default:
        if (request->command == COMMAND_version)
            return put_text(out, request, protocol_version());
        if (request->command == COMMAND_sasl)
            return put_text(out, request, outcome->text);
        return put_head(out, request, &head);
    }
}

static void binary_reply(struct output *output, const struct request *request, const struct store_key *key,
                         const struct outcome *outcome)
{
    bool success = result_status(outcome->result) == 0;
    bool missed = outcome->result == RESULT_MISS && key != NULL;
    if (request->noreply && (success || missed))
        return;
    char *out = output->data + output->size;
    if (success)
        out = put_success(out, request, outcome);
    else if (missed && binary_opcode(request->opcode)->key_shown)
        out = put_missing_key(out, request, key);
    else
        out = put_error(out, request, outcome);
    output->size = (size_t)(out - output->data);
}

/* ---- values ---- */

static char *put_value_head(char *out, const struct request *request, const struct store_key *key,
                            const struct store_view *view)
{
    bool key_shown = binary_opcode(request->opcode)->key_shown;
    uint32_t key_size = key_shown ? key->size : 0;
    struct reply_head head = {.key_size = (uint16_t)key_size,
                              .extras_size = FLAGS_SIZE,
                              .body_size = FLAGS_SIZE + key_size + (uint32_t)view->size,
                              .cas = view->cas};
    out = put_u32(put_head(out, request, &head), view->flags);
    return put(out, key->data, key_size);
}

static void binary_value(struct output *output, const struct request *request, const struct store_key *key,
                         const struct outcome *outcome)
{
    char *out = put_value_head(output->data + output->size, request, key, &outcome->view);
    output->size = (size_t)(put_value_bytes(out, &outcome->view) - output->data);
}

static void binary_value_head(struct output *output, const struct request *request,
                              const struct store_key *key, const struct outcome *outcome)
{
    char *out = put_value_head(output->data + output->size, request, key, &outcome->view);
    output->size = (size_t)(out - output->data);
}

/* ---- statistics ---- */

static void binary_stat(struct buffer *reply, const struct request *request, const char *name,
                        const char *value)
{
    char head[BINARY_HEAD_SIZE];
    size_t name_size = strlen(name), value_size = strlen(value);
    put_head(head, request,
             &(struct reply_head){.key_size = (uint16_t)name_size,
                                  .body_size = (uint32_t)(name_size + value_size)});
    buffer_append(reply, head, sizeof head);
    buffer_append(reply, name, name_size);
    buffer_append(reply, value, value_size);
}

static void binary_stat_end(struct buffer *reply, const struct request *request)
{
    binary_stat(reply, request, "", "");
}

/* The lines of prefixes are one value, with text's end. */
static void binary_stat_lines(struct buffer *reply, const struct request *request, const char *lines)
{
    static const char name[] = "detailed", end[] = "END\r\n";
    char head[BINARY_HEAD_SIZE];
    size_t size = strlen(lines);
    put_head(head, request,
             &(struct reply_head){.key_size = sizeof name - 1,
                                  .body_size = (uint32_t)(sizeof name - 1 + size + sizeof end - 1)});
    buffer_append(reply, head, sizeof head);
    buffer_text(reply, name);
    buffer_append(reply, lines, size);
    buffer_text(reply, end);
}

const struct dialect binary_dialect = {.reply = binary_reply,
                                       .value = binary_value,
                                       .value_head = binary_value_head,
                                       .value_tail = {"", 0},
                                       .body_tail = {"", 0},
                                       .answers_first = true,
                                       .stat = binary_stat,
                                       .stat_lines = binary_stat_lines,
                                       .stat_end = binary_stat_end};
