/* /api/v1/flush: everything goes, after the word was typed. */
#include "admin/request_priv.h"
#include "base/clock.h"
#include "base/log.h"

#include <string.h>

#define CONFIRMATION "flush_all"
#define DELAY_MAX_S  2592000 /* 30 days, as in the protocol */

static bool read_delay(const json_t *body, struct reply *reply, uint32_t *delay_s)
{
    const json_t *delay = json_object_get(body, "delay_seconds");
    *delay_s = 0;
    if (delay == NULL)
        return true;
    if (!json_is_integer(delay) || json_integer_value(delay) < 0 || json_integer_value(delay) > DELAY_MAX_S) {
        reply_field_problem(reply, 422, "delay_seconds", "must be a number from 0 to 2592000");
        return false;
    }
    *delay_s = (uint32_t)json_integer_value(delay);
    return true;
}

static bool is_confirmed(const json_t *body, struct reply *reply)
{
    const char *word = json_string_value(json_object_get(body, "confirm"));
    if (word != NULL && strcmp(word, CONFIRMATION) == 0)
        return true;
    reply_field_problem(reply, 422, "confirm", "must be the word \"" CONFIRMATION "\"");
    return false;
}

void api_flush(struct request *request, struct reply *reply)
{
    struct store_usage usage;
    uint32_t delay_s;
    if (settings_on(request->parts->settings, no_flush)) {
        reply_problem(reply, 403, "the server runs with -F: flush is not allowed");
        return;
    }
    if (!is_confirmed(request->body, reply) || !read_delay(request->body, reply, &delay_s))
        return;
    struct store_thread *thread = request_store_enter(request, reply);
    if (thread == NULL)
        return;
    store_usage_read(request->parts->store, &usage);
    store_flush(thread, clock_s() + delay_s);
    request_store_leave(thread);
    log_info("flush of %llu items asked for over HTTP, in %u s", (unsigned long long)usage.item_count,
             delay_s);
    json_t *tree = json_object();
    json_put_count(tree, "flushed_items", usage.item_count);
    reply_json(reply, 202, tree);
}
