/* /api/v1/keys/{key}: one item looked at, stored, touched, deleted. */
#include "admin/api_key_priv.h"
#include "base/clock.h"
#include "base/number.h"

#include <stdlib.h>
#include <string.h>

#define NO_SUCH_KEY "there is no such key"
#define CHANGED     "the item is not the one that If-Match or If-None-Match speaks of"

void item_facts_read(struct item_facts *facts, const struct store_view *view)
{
    memcpy(facts->key, view->key, view->key_size);
    facts->key_size = view->key_size;
    facts->flags = view->flags;
    facts->expiry_s = view->expiry_s;
    facts->access_s = view->access_s;
    facts->cas = view->cas;
    facts->size = view->size;
    facts->fetched = view->fetched;
    facts->band = view->band;
}

static json_t *cas_text(uint64_t cas)
{
    char text[NUMBER_TEXT_MAX + 1];
    text[number_format_u64(text, cas)] = '\0';
    return json_string(text);
}

json_t *item_facts_json(const struct item_facts *facts, uint32_t now_s)
{
    struct slice key = {facts->key, facts->key_size};
    json_t *item = json_object();
    uint32_t left_s = facts->expiry_s > now_s ? facts->expiry_s - now_s : 0;
    json_put(item, "key", json_text_or_null(key));
    json_put(item, "key_b64", json_base64(key));
    json_put_count(item, "size", facts->size);
    json_put_count(item, "flags", facts->flags);
    json_put(item, "cas", cas_text(facts->cas));
    json_put(item, "expires_in_seconds", facts->expiry_s == STORE_NEVER_S ? json_null() : json_count(left_s));
    json_put_count(item, "idle_seconds", now_s > facts->access_s ? now_s - facts->access_s : 0);
    json_put_bool(item, "fetched", facts->fetched);
    json_put_count(item, "class", facts->band + 1);
    return item;
}

bool item_access_allowed(const struct request *request, struct reply *reply)
{
    if (!settings_on(request->parts->settings, no_dump))
        return true;
    reply_problem(reply, 403, "the server runs with -X: keys and values are not shown");
    return false;
}

bool item_key_read(const struct request *request, struct reply *reply, char key[STORE_KEY_SIZE_MAX],
                   struct store_key *out)
{
    static const char *const encodings[] = {"b64url", NULL};
    char bytes[PARAMETER_SIZE_MAX];
    size_t size = request->parameter_size;
    int encoding = request_choice(request, reply, PARAM_enc, encodings, 1);
    if (encoding < 0)
        return false;
    memcpy(bytes, request->parameter, size);
    if (encoding == 0 && !decode_base64((struct slice){request->parameter, size}, bytes, &size)) {
        reply_problem(reply, 400, "the key is not base64url");
        return false;
    }
    if (size == 0 || size > STORE_KEY_SIZE_MAX) {
        reply_problem(reply, 400, "a key has 1 to 250 bytes");
        return false;
    }
    memcpy(key, bytes, size);
    *out = store_key(request->parts->store, key, size);
    return true;
}

static bool peek(struct store_thread *thread, const struct store_key *key, struct item_facts *facts)
{
    struct store_view view;
    if (store_peek(thread, key, &view) != RESULT_HIT)
        return false;
    item_facts_read(facts, &view);
    return true;
}

static void reply_item(struct reply *reply, unsigned status, const struct item_facts *facts)
{
    reply_json(reply, status, item_facts_json(facts, clock_s()));
    reply_etag_cas(reply, facts->cas);
}

void api_key(struct request *request, struct reply *reply)
{
    char bytes[STORE_KEY_SIZE_MAX];
    struct store_key key;
    struct item_facts facts;
    if (!item_access_allowed(request, reply) || !item_key_read(request, reply, bytes, &key))
        return;
    struct store_thread *thread = request_store_enter(request, reply);
    if (thread == NULL)
        return;
    bool found = peek(thread, &key, &facts);
    request_store_leave(thread);
    if (found)
        reply_item(reply, 200, &facts);
    else
        reply_problem(reply, 404, NO_SUCH_KEY);
}

/* ---- PUT ---- */

/* The fields of {"value" | "value_b64", "ttl", "flags"}. */
struct write_body {
    struct slice value;
    char *decoded; /* owned */
    json_int_t ttl_s, flags;
};

static bool refuse_field(struct reply *reply, const char *field, const char *detail)
{
    reply_field_problem(reply, 422, field, detail);
    return false;
}

/* An integer member, `*out` left alone when absent. */
static bool read_integer(json_t *body, struct reply *reply, const char *name, json_int_t max, json_int_t *out)
{
    json_t *member = json_object_get(body, name);
    if (member == NULL)
        return true;
    if (!json_is_integer(member) || json_integer_value(member) < 0 || json_integer_value(member) > max)
        return refuse_field(reply, name, "is no whole number within its range");
    *out = json_integer_value(member);
    return true;
}

static bool only_members(json_t *body, struct reply *reply, const char *const *known)
{
    const char *name;
    json_t *member;
    json_object_foreach(body, name, member)
    {
        size_t i = 0;
        while (known[i] != NULL && strcmp(known[i], name) != 0)
            i++;
        if (known[i] == NULL)
            return refuse_field(reply, name, "is not known here");
    }
    return true;
}

static bool read_value(json_t *body, struct reply *reply, struct write_body *out)
{
    json_t *text = json_object_get(body, "value"), *base64 = json_object_get(body, "value_b64");
    if ((text == NULL) == (base64 == NULL) || !json_is_string(text != NULL ? text : base64))
        return refuse_field(reply, "value", "one of value and value_b64 must be there, as a string");
    json_t *given = text != NULL ? text : base64;
    out->value = (struct slice){json_string_value(given), json_string_length(given)};
    if (text != NULL)
        return true;
    out->decoded = malloc(out->value.size + 1);
    if (out->decoded == NULL || !decode_base64(out->value, out->decoded, &out->value.size))
        return refuse_field(reply, "value_b64", "is not base64");
    out->value.data = out->decoded;
    return true;
}

static bool read_write_body(json_t *body, struct reply *reply, struct write_body *out)
{
    static const char *const known[] = {"value", "value_b64", "ttl", "flags", NULL};
    return only_members(body, reply, known) && read_integer(body, reply, "ttl", INT32_MAX, &out->ttl_s) &&
           read_integer(body, reply, "flags", UINT32_MAX, &out->flags) && read_value(body, reply, out);
}

/* Seconds from now as a coarse second; 0 is never. */
static uint32_t expiry_of(json_int_t ttl_s)
{
    return ttl_s == 0 ? STORE_NEVER_S : clock_s() + (uint32_t)ttl_s;
}

/* The preconditions are checked against what is there now; the write itself then insists on it, so that a
 * change in between is a 412 too. */
static bool choose_mode(const struct request *request, const struct item_facts *present,
                        struct store_write *write)
{
    struct reply tag = {0};
    if (present != NULL)
        reply_etag_cas(&tag, present->cas);
    const char *etag = present != NULL ? tag.etag : NULL;
    if (!request_if_match(request, etag) || request_if_none_match(request, etag))
        return false;
    if (request->if_none_match != NULL && present == NULL)
        write->mode = STORE_ADD;
    if (request->if_match != NULL && present != NULL) {
        write->mode = STORE_CAS;
        write->cas = present->cas;
    }
    return true;
}

static void reply_write_failure(struct reply *reply, enum result result)
{
    if (result == RESULT_TOO_LARGE)
        reply_problem(reply, 413, "the item is over the -I limit");
    else if (result == RESULT_NO_MEMORY)
        reply_problem(reply, 507, "out of memory storing object");
    else
        reply_problem(reply, 412, CHANGED);
}

static void put(const struct request *request, struct reply *reply, struct store_thread *thread,
                struct store_write *write)
{
    struct item_facts facts;
    bool present = peek(thread, &write->key, &facts);
    if (!choose_mode(request, present ? &facts : NULL, write)) {
        reply_problem(reply, 412, CHANGED);
        return;
    }
    enum result result = store_write(thread, write, NULL);
    if (result != RESULT_STORED)
        reply_write_failure(reply, result);
    else if (peek(thread, &write->key, &facts))
        reply_item(reply, present ? 200 : 201, &facts);
    else
        reply_problem(reply, 409, "the item was stored, and replaced or removed at once by another client");
}

void api_key_put(struct request *request, struct reply *reply)
{
    char bytes[STORE_KEY_SIZE_MAX];
    struct store_write write = {.mode = STORE_SET};
    struct write_body body = {0};
    if (item_key_read(request, reply, bytes, &write.key) && read_write_body(request->body, reply, &body)) {
        write.value = body.value.data;
        write.size = body.value.size;
        write.flags = (uint32_t)body.flags;
        write.expiry_s = expiry_of(body.ttl_s);
        struct store_thread *thread = request_store_enter(request, reply);
        if (thread != NULL) {
            put(request, reply, thread, &write);
            request_store_leave(thread);
        }
    }
    free(body.decoded);
}

/* ---- PATCH and DELETE ---- */

static bool read_ttl(const struct request *request, struct reply *reply, json_int_t *ttl_s)
{
    static const char *const known[] = {"ttl", NULL};
    *ttl_s = -1;
    if (!only_members(request->body, reply, known) ||
        !read_integer(request->body, reply, "ttl", INT32_MAX, ttl_s))
        return false;
    return *ttl_s >= 0 || refuse_field(reply, "ttl", "is missing");
}

static void touch(const struct request *request, struct reply *reply, struct store_thread *thread,
                  const struct store_key *key, uint32_t expiry_s)
{
    struct item_facts facts;
    struct store_view view;
    struct reply tag = {0};
    if (!peek(thread, key, &facts)) {
        reply_problem(reply, 404, NO_SUCH_KEY);
        return;
    }
    reply_etag_cas(&tag, facts.cas);
    if (!request_if_match(request, tag.etag)) {
        reply_problem(reply, 412, CHANGED);
        return;
    }
    if (store_touch(thread, key, expiry_s, &view) != RESULT_HIT) {
        reply_problem(reply, 404, NO_SUCH_KEY);
        return;
    }
    item_facts_read(&facts, &view);
    reply_item(reply, 200, &facts);
}

void api_key_patch(struct request *request, struct reply *reply)
{
    char bytes[STORE_KEY_SIZE_MAX];
    struct store_key key;
    json_int_t ttl_s;
    if (!item_key_read(request, reply, bytes, &key) || !read_ttl(request, reply, &ttl_s))
        return;
    struct store_thread *thread = request_store_enter(request, reply);
    if (thread == NULL)
        return;
    touch(request, reply, thread, &key, expiry_of(ttl_s));
    request_store_leave(thread);
}

/* Deletes what is there, but nothing newer when If-Match says which item is meant. */
static enum result delete_matching(const struct request *request, struct store_thread *thread,
                                   const struct store_key *key)
{
    struct item_facts facts;
    struct reply tag = {0};
    if (request->if_match == NULL)
        return store_delete(thread, key, 0);
    if (!peek(thread, key, &facts))
        return RESULT_NOT_FOUND;
    reply_etag_cas(&tag, facts.cas);
    return request_if_match(request, tag.etag) ? store_delete(thread, key, facts.cas) : RESULT_EXISTS;
}

void api_key_delete(struct request *request, struct reply *reply)
{
    char bytes[STORE_KEY_SIZE_MAX];
    struct store_key key;
    if (!item_key_read(request, reply, bytes, &key))
        return;
    struct store_thread *thread = request_store_enter(request, reply);
    if (thread == NULL)
        return;
    enum result result = delete_matching(request, thread, &key);
    request_store_leave(thread);
    if (result == RESULT_DELETED)
        reply->status = 204;
    else if (result == RESULT_EXISTS)
        reply_problem(reply, 412, CHANGED);
    else
        reply_problem(reply, 404, NO_SUCH_KEY);
}
