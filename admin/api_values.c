/* /api/v1/keys/{key}/value: an item's bytes, as a download or within JSON. */
#include "admin/api_key_priv.h"

#include <stdlib.h>
#include <string.h>

#define JSON_LENGTH_DEFAULT 65536u
#define JSON_LENGTH_MAX     262144u
#define COPY_SIZE_MAX       65536u /* a longer download is sent from where it lies in the store */

enum form { FORM_RAW, FORM_JSON, FORM_TEXT, FORM_HEX };

/* The part of a value that was asked for. */
struct part {
    enum form form;
    uint64_t offset, length;
};

static bool read_part(const struct request *request, struct reply *reply, struct part *part)
{
    static const char *const forms[] = {"raw", "json", "text", "hex", NULL};
    static const uint64_t offsets[3] = {0, UINT64_MAX, 0};
    int form = request_choice(request, reply, PARAM_as, forms, FORM_JSON);
    uint64_t max = form == FORM_RAW ? UINT64_MAX : JSON_LENGTH_MAX;
    const uint64_t lengths[3] = {0, max, form == FORM_RAW ? max : JSON_LENGTH_DEFAULT};
    if (form < 0 || !request_number(request, reply, PARAM_offset, offsets, &part->offset) ||
        !request_number(request, reply, PARAM_length, lengths, &part->length))
        return false;
    part->form = (enum form)form;
    return true;
}

/* Cuts the part down to what the value has. */
static void clip(struct part *part, size_t size)
{
    part->offset = part->offset < size ? part->offset : size;
    part->length = part->length < size - part->offset ? part->length : size - part->offset;
}

static void copy_part(struct buffer *out, const struct store_view *view, const struct part *part)
{
    const char *data;
    while (out->size < part->length && !out->failed) {
        size_t size = store_view_part(view, (size_t)part->offset + out->size, &data);
        size_t left = (size_t)part->length - out->size;
        if (size == 0)
            break;
        buffer_append(out, data, size < left ? size : left);
    }
}

/* A part that ends within a character is cut before it: the next part begins there. */
static void cut_at_character(struct slice *bytes, bool more)
{
    if (more && utf8_is_cut(*bytes) && utf8_valid_size(*bytes) > 0)
        bytes->size = utf8_valid_size(*bytes);
}

static void put_encoded(json_t *tree, enum form form, struct slice bytes)
{
    bool utf8 = utf8_valid_size(bytes) == bytes.size;
    if (form == FORM_HEX) {
        json_put_text(tree, "encoding", "hex");
        json_put(tree, "value", json_hex(bytes));
    } else if (form == FORM_TEXT || utf8) {
        json_put_text(tree, "encoding", "utf-8");
        json_put(tree, "value", json_text_lossy(bytes));
    } else {
        json_put_text(tree, "encoding", "base64");
        json_put(tree, "value", json_base64(bytes));
    }
}

static json_t *value_tree(const struct item_facts *facts, const struct part *part, struct slice bytes)
{
    struct slice key = {facts->key, facts->key_size};
    json_t *tree = json_object();
    if (part->form != FORM_HEX)
        cut_at_character(&bytes, part->offset + bytes.size < facts->size);
    json_put(tree, "key", json_text_or_null(key));
    json_put(tree, "key_b64", json_base64(key));
    json_put_count(tree, "size", facts->size);
    json_put_count(tree, "offset", part->offset);
    json_put_count(tree, "length", bytes.size);
    json_put_bool(tree, "complete", part->offset == 0 && bytes.size == facts->size);
    put_encoded(tree, part->form, bytes);
    return tree;
}

/* Copies the part, or pins it for a long download. */
static bool take_part(struct store_thread *thread, const struct store_view *view, const struct part *part,
                      struct buffer *bytes, struct reply *reply)
{
    if (part->form != FORM_RAW || part->length <= COPY_SIZE_MAX) {
        copy_part(bytes, view, part);
        return !bytes->failed;
    }
    reply->pin = store_pin(thread, view);
    reply->pin_offset = (size_t)part->offset;
    reply->pin_size = (size_t)part->length;
    return reply->pin != NULL;
}

static void reply_value(struct reply *reply, const struct item_facts *facts, const struct part *part,
                        struct buffer *bytes)
{
    if (part->form == FORM_RAW) {
        reply->status = 200;
        reply->type = "application/octet-stream";
        reply->download = true;
        reply->body = *bytes;
        *bytes = (struct buffer){0};
    } else {
        reply_json(reply, 200, value_tree(facts, part, (struct slice){bytes->data, bytes->size}));
    }
    reply_etag_cas(reply, facts->cas);
}

void api_value(struct request *request, struct reply *reply)
{
    char bytes[STORE_KEY_SIZE_MAX];
    struct store_key key;
    struct store_view view;
    struct item_facts facts;
    struct part part;
    struct buffer copy = {0};
    if (!item_access_allowed(request, reply) || !item_key_read(request, reply, bytes, &key) ||
        !read_part(request, reply, &part))
        return;
    struct store_thread *thread = request_store_enter(request, reply);
    if (thread == NULL)
        return;
    bool found = store_peek(thread, &key, &view) == RESULT_HIT, taken = false;
    if (found) {
        item_facts_read(&facts, &view);
        clip(&part, view.size);
        taken = take_part(thread, &view, &part, &copy, reply);
    }
    request_store_leave(thread);
    if (!found)
        reply_problem(reply, 404, "there is no such key");
    else if (taken)
        reply_value(reply, &facts, &part, &copy);
    else
        reply_problem(reply, 503, "too much memory is held by replies under way: ask again, or for a part");
    reply->retry_after_s = found && !taken ? 1 : 0;
    buffer_fini(&copy);
}
