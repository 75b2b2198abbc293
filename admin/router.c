#include "admin/router_priv.h"

#include <stdio.h>
#include <string.h>

static const struct route routes[] = {
#define ROUTE(id, method, pattern, role, handler, query, body, status, response, summary)                    \
    {METHOD_##method, pattern, ROLE_##role, handler, query, body, status, response, summary, #id},
#include "admin/routes.def"
};
#define ROUTE_COUNT (sizeof(routes) / sizeof(routes[0]))

static const char *const method_names[METHOD_COUNT] = {"GET", "PUT", "PATCH", "DELETE", "POST"};

static const char *const param_names[PARAM_COUNT] = {
#define PARAM(name, text, ...) #name,
#include "admin/params.def"
};

unsigned route_count(void)
{
    return ROUTE_COUNT;
}

const struct route *route_at(unsigned index)
{
    return &routes[index];
}

const char *method_name(enum method method)
{
    return method_names[method];
}

const char *param_name(enum param param)
{
    return param_names[param];
}

/* Cuts the bytes before the first `separator` (or all) off the front of *rest. */
static struct slice cut(struct slice *rest, char separator)
{
    const char *at = rest->size > 0 ? memchr(rest->data, separator, rest->size) : NULL;
    struct slice part = {rest->data, at != NULL ? (size_t)(at - rest->data) : rest->size};
    size_t skip = part.size + (at != NULL ? 1 : 0);
    *rest = (struct slice){rest->data + skip, rest->size - skip};
    return part;
}

/* Takes "/segment" off the front of *rest; false when nothing is left. */
static bool next_segment(struct slice *rest, struct slice *segment)
{
    if (rest->size == 0 || rest->data[0] != '/')
        return false;
    const char *end = memchr(rest->data + 1, '/', rest->size - 1);
    size_t size = end != NULL ? (size_t)(end - rest->data) : rest->size;
    *segment = (struct slice){rest->data + 1, size - 1};
    *rest = (struct slice){rest->data + size, rest->size - size};
    return true;
}

/* Whether the raw path has the pattern's form; *parameter is what stands for its {name}. */
static bool path_matches(const char *pattern, struct slice path, struct slice *parameter)
{
    struct slice form = {pattern, strlen(pattern)}, want, have;
    while (next_segment(&form, &want)) {
        if (!next_segment(&path, &have))
            return false;
        if (want.size > 0 && want.data[0] == '{' && have.size > 0)
            *parameter = have;
        else if (want.size != have.size || memcmp(want.data, have.data, want.size) != 0)
            return false;
    }
    return path.size == 0;
}

static bool is_literal(const struct route *route)
{
    return strchr(route->pattern, '{') == NULL;
}

static bool method_matches(const struct route *route, const char *method)
{
    return strcmp(method_name(route->method), method) == 0 ||
           (route->method == METHOD_GET && strcmp(method, "HEAD") == 0);
}

/* The methods that the path allows, for 405; "" when there is no such path. A literal pattern hides patterns
 * with parameters: /stats/reset is no group of stats. */
static void allowed_methods(struct slice path, char allow[REPLY_ALLOW_SIZE], bool *literal)
{
    allow[0] = '\0';
    *literal = false;
    struct slice parameter;
    for (unsigned i = 0; i < ROUTE_COUNT; i++)
        *literal |= is_literal(&routes[i]) && path_matches(routes[i].pattern, path, &parameter);
    for (unsigned i = 0; i < ROUTE_COUNT; i++) {
        if (!path_matches(routes[i].pattern, path, &parameter) || is_literal(&routes[i]) != *literal)
            continue;
        strcat(allow, allow[0] != '\0' ? ", " : "");
        strcat(allow, method_name(routes[i].method));
        strcat(allow, routes[i].method == METHOD_GET ? ", HEAD" : "");
    }
}

static const struct route *find_route(const char *method, struct slice path, bool literal,
                                      struct slice *parameter)
{
    for (unsigned i = 0; i < ROUTE_COUNT; i++)
        if (is_literal(&routes[i]) == literal && method_matches(&routes[i], method) &&
            path_matches(routes[i].pattern, path, parameter))
            return &routes[i];
    return NULL;
}

static bool decode_parameter(struct request *request, struct reply *reply, struct slice raw)
{
    char decoded[PARAMETER_SIZE_MAX * 3];
    size_t size;
    if (raw.size > sizeof(decoded)) {
        reply_problem(reply, 400, "that part of the path is too long");
        return false;
    }
    if (!decode_percent(raw, false, decoded, &size)) {
        reply_problem(reply, 400, "the path has a broken escape or a raw control character");
        return false;
    }
    if (size > sizeof(request->parameter)) {
        reply_problem(reply, 400, "that part of the path is too long");
        return false;
    }
    memcpy(request->parameter, decoded, size);
    request->parameter_size = size;
    return true;
}

/* The parameter of that name, if `known` (blank separated) has it; else -1. */
static int find_param(const char *known, struct slice name)
{
    struct slice rest = {known, strlen(known)};
    while (rest.size > 0) {
        struct slice word = cut(&rest, ' ');
        if (word.size != name.size || memcmp(word.data, name.data, name.size) != 0)
            continue;
        for (int i = 0; i < PARAM_COUNT; i++)
            if (slice_is(word, param_names[i]))
                return i;
    }
    return -1;
}

/* Decodes one name=value into `storage`. A page of the dashboard has a query of its own ("*"), which only its
 * script reads. */
static bool decode_pair(struct request *request, struct reply *reply, struct slice pair, char **storage)
{
    struct slice name = cut(&pair, '=');
    size_t size;
    bool fine = decode_percent(name, true, *storage, &size);
    int param = fine ? find_param(request->route->query, (struct slice){*storage, size}) : -1;
    if (fine)
        fine = decode_percent(pair, true, *storage, &size);
    if (!fine) {
        reply_problem(reply, 400, "the query has a broken escape or a raw control character");
        return false;
    }
    if (strcmp(request->route->query, "*") == 0)
        return true;
    if (param < 0) {
        reply_problem(reply, 400, "the query has a parameter that is not known here");
        return false;
    }
    if (request->query[param].data != NULL) {
        reply_field_problem(reply, 400, param_names[param], "given twice");
        return false;
    }
    request->query[param] = (struct slice){*storage, size};
    *storage += size;
    return true;
}

static bool decode_query(struct request *request, struct reply *reply, struct slice query, char *storage)
{
    while (query.size > 0) {
        struct slice pair = cut(&query, '&');
        if (pair.size > 0 && !decode_pair(request, reply, pair, &storage))
            return false;
    }
    return true;
}

/* A broken escape is an error wherever it stands, also where no parameter is. */
static bool path_is_clean(struct slice path, char *storage)
{
    size_t size;
    return path.size > 0 && path.data[0] == '/' && decode_percent(path, false, storage, &size);
}

bool router_match(struct request *request, struct reply *reply, const char *method, struct slice target,
                  char *storage)
{
    struct slice query = target, parameter = {NULL, 0};
    struct slice path = cut(&query, '?');
    char allow[REPLY_ALLOW_SIZE];
    bool literal;
    if (!path_is_clean(path, storage)) {
        reply_problem(reply, 400, "the request target is no clean absolute path");
        return false;
    }
    allowed_methods(path, allow, &literal);
    if (allow[0] == '\0') {
        reply_problem(reply, 404, "there is nothing at this path");
        return false;
    }
    request->route = find_route(method, path, literal, &parameter);
    if (request->route == NULL) {
        reply_problem(reply, 405, "this path takes %s", allow);
        snprintf(reply->allow, sizeof(reply->allow), "%s", allow);
        return false;
    }
    if (parameter.data != NULL && !decode_parameter(request, reply, parameter))
        return false;
    return decode_query(request, reply, query, storage);
}
