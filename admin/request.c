/* What handlers ask of a request: checked parameters, preconditions and this thread's way into the store. */
#include "admin/request_priv.h"
#include "base/number.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool request_has(const struct request *request, enum param param)
{
    return request->query[param].data != NULL;
}

bool request_number(const struct request *request, struct reply *reply, enum param param,
                    const uint64_t limits[3], uint64_t *out)
{
    char detail[96];
    struct slice text = request->query[param];
    *out = limits[2];
    if (text.data == NULL)
        return true;
    if (number_parse_u64(text.data, text.size, out) && *out >= limits[0] && *out <= limits[1])
        return true;
    snprintf(detail, sizeof(detail), "must be a number from %llu to %llu", (unsigned long long)limits[0],
             (unsigned long long)limits[1]);
    reply_field_problem(reply, 400, param_name(param), detail);
    return false;
}

int request_choice(const struct request *request, struct reply *reply, enum param param,
                   const char *const *words, int fallback)
{
    if (!request_has(request, param))
        return fallback;
    for (int i = 0; words[i] != NULL; i++)
        if (slice_is(request->query[param], words[i]))
            return i;
    reply_field_problem(reply, 400, param_name(param), "is none of the values it may have");
    return -1;
}

/* The opaque part of the next tag of a list: with its quotes, without W/. False at the end. */
static bool next_tag(const char **list, struct slice *tag, bool *weak)
{
    const char *at = *list + strspn(*list, ", \t");
    *weak = strncmp(at, "W/", 2) == 0;
    at += *weak ? 2 : 0;
    const char *end = *at == '"' ? strchr(at + 1, '"') : NULL;
    if (end == NULL)
        return false;
    *tag = (struct slice){at, (size_t)(end - at) + 1};
    *list = end + 1;
    return true;
}

static bool list_names(const char *list, const char *etag, bool weak_matches)
{
    struct slice tag;
    bool weak;
    if (strcmp(list, "*") == 0)
        return etag != NULL;
    while (etag != NULL && next_tag(&list, &tag, &weak))
        if ((!weak || weak_matches) && slice_is(tag, etag))
            return true;
    return false;
}

bool request_if_match(const struct request *request, const char *etag)
{
    return request->if_match == NULL || list_names(request->if_match, etag, false);
}

bool request_if_none_match(const struct request *request, const char *etag)
{
    return request->if_none_match != NULL && list_names(request->if_none_match, etag, true);
}

/* The thousandths of a qvalue: "0", "0.5", "1.000". */
static int qvalue(const char *text)
{
    int value = 0, scale = 1000;
    size_t size = strspn(text, "0123456789.");
    if (size == 0 || size > 5 || (size > 1 && text[1] != '.') || strchr(",; \t", text[size]) == NULL)
        return 0; /* strchr finds the end of the text too */
    for (size_t i = 0; i < size; i++) {
        if (i == 1)
            continue;
        if (text[i] == '.')
            return 0;
        value += (text[i] - '0') * scale;
        scale /= 10;
    }
    return value > 1000 ? 0 : value;
}

int request_weight(const char *list, const char *name)
{
    size_t size = strlen(name);
    while (list != NULL && *list != '\0') {
        list += strspn(list, ", \t");
        size_t item = strcspn(list, ","), token = strcspn(list, ",; \t");
        const char *q = memmem(list, item, "q=", 2);
        if (token == size && strncasecmp(list, name, size) == 0)
            return q != NULL ? qvalue(q + 2) : 1000;
        list += item;
    }
    return -1;
}

/* One store thread for each server thread that ever needs one, freed when that thread ends. */
static pthread_key_t thread_key;
static pthread_once_t thread_key_once = PTHREAD_ONCE_INIT;

static void destroy_thread(void *thread)
{
    store_thread_destroy(thread);
}

static void create_thread_key(void)
{
    pthread_key_create(&thread_key, destroy_thread);
}

struct store_thread *request_store_enter(const struct request *request, struct reply *reply)
{
    pthread_once(&thread_key_once, create_thread_key);
    struct store_thread *thread = pthread_getspecific(thread_key);
    if (thread == NULL) {
        struct metrics_block *block = metrics_block_create(request->parts->metrics);
        thread = block != NULL ? store_thread_create(request->parts->store, block) : NULL;
        pthread_setspecific(thread_key, thread);
    }
    if (thread == NULL) {
        reply_problem(reply, 503, "out of memory");
        return NULL;
    }
    store_thread_online(thread);
    return thread;
}

void request_store_leave(struct store_thread *thread)
{
    store_thread_offline(thread);
}
