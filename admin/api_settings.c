/* /api/v1/settings: every option with its value, and changes to those that may change while running. */
#include "admin/request_priv.h"
#include "base/lock.h"
#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define VALUE_SIZE  512
#define CHANGES_MAX 32u

/* One change at a time, so that taking back a half-done one takes back nobody else's. */
static struct lock change_lock;
static pthread_once_t change_lock_once = PTHREAD_ONCE_INIT;

static void init_change_lock(void)
{
    lock_init(&change_lock, LOCK_ADMIN_JOBS);
}

static json_t *setting_json(const struct settings *settings, unsigned index)
{
    const struct option_row *row = option_row(index);
    char value[VALUE_SIZE], letter[2] = {row->letter, '\0'};
    option_text(settings, index, value, sizeof(value));
    json_t *object = json_object();
    json_put_text(object, "name", row->name);
    json_put_text(object, "letter", row->letter != '\0' ? letter : NULL);
    json_put_text(object, "value", value);
    json_put_text(object, "default", row->default_text);
    json_put_text(object, "unit", row->unit);
    json_put_bool(object, "runtime", row->runtime);
    json_put_text(object, "group", row->group);
    json_put_text(object, "help", row->text);
    return object;
}

static void reply_settings(const struct settings *settings, struct reply *reply)
{
    json_t *tree = json_object(), *list = json_array();
    for (unsigned i = 0; i < option_count(); i++)
        if (!option_row(i)->unused)
            json_array_append_new(list, setting_json(settings, i));
    json_put(tree, "settings", list);
    reply_json(reply, 200, tree);
    reply_etag_of_body(reply);
}

void api_settings(struct request *request, struct reply *reply)
{
    reply_settings(request->parts->settings, reply);
}

/* Tells those who act on a setting. False: they cannot. */
static bool put_into_effect(const struct admin_parts *parts, unsigned index)
{
    if (index == OPTION_verbose)
        log_level_set((enum log_level)(settings_u64(parts->settings, verbose) + LOG_LEVEL_INFO));
    if (index == OPTION_memory_limit)
        return store_memory_limit_set(parts->store, (size_t)settings_u64(parts->settings, memory_limit)
                                                        << 20);
    return true;
}

static void add_error(json_t *errors, const char *field, const char *detail)
{
    json_t *error = json_object();
    json_put_text(error, "field", field);
    json_put_text(error, "detail", detail);
    json_array_append_new(errors, error);
}

/* What a setting was before a change that may have to be taken back. */
struct change {
    unsigned index;
    char before[VALUE_SIZE];
};

static void take_back(const struct admin_parts *parts, const struct change *change)
{
    char error[256];
    (void)settings_change(parts->settings, option_row(change->index)->name, change->before, error,
                          sizeof(error));
    (void)put_into_effect(parts, change->index);
}

/* True and *change filled when the setting now has the value; else an entry in `errors`. */
static bool apply(const struct admin_parts *parts, const char *name, const json_t *value,
                  struct change *change, json_t *errors)
{
    char error[256] = "is not known";
    int index = option_find(name);
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value)) {
        add_error(errors, name, "must be a string");
        return false;
    }
    if (index >= 0) {
        change->index = (unsigned)index;
        option_text(parts->settings, change->index, change->before, sizeof(change->before));
    }
    if (index < 0 ||
        !settings_change(parts->settings, name, json_string_value(value), error, sizeof(error))) {
        add_error(errors, name, error);
        return false;
    }
    if (put_into_effect(parts, change->index))
        return true;
    take_back(parts, change);
    add_error(errors, name, "is more than the store can be given while running");
    return false;
}

/* All of them or none. */
static void change_all(const struct request *request, struct reply *reply)
{
    struct change changes[CHANGES_MAX];
    size_t count = 0;
    const char *name;
    json_t *value, *errors = json_array();
    json_object_foreach(request->body, name, value)
    {
        if (apply(request->parts, name, value, &changes[count], errors))
            count++;
    }
    if (json_array_size(errors) == 0) {
        json_decref(errors);
        reply_settings(request->parts->settings, reply);
        return;
    }
    while (count > 0)
        take_back(request->parts, &changes[--count]);
    reply_problem_errors(reply, 422, "nothing was changed", errors);
}

void api_settings_patch(struct request *request, struct reply *reply)
{
    size_t size = json_object_size(request->body);
    if (size == 0 || size > CHANGES_MAX) {
        reply_problem(reply, 422, "want 1 to 32 settings, as {\"name\": \"value\"}");
        return;
    }
    pthread_once(&change_lock_once, init_change_lock);
    lock_acquire(&change_lock);
    reply_settings(request->parts->settings, reply);
    if (request_if_match(request, reply->etag))
        change_all(request, reply);
    else
        reply_problem(reply, 412, "the settings are not those that If-Match speaks of");
    lock_release(&change_lock);
}
