/* /api/v1/openapi.json: OpenAPI 3.1, made of routes.def, params.def and schemas.def. */
#include "admin/request_priv.h"
#include "admin/router_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define SCHEMA_REFERENCE "#/components/schemas/"

static const struct {
    const char *name, *text;
} schemas[] = {
#define SCHEMA(name, ...) {#name, #__VA_ARGS__},
#include "admin/schemas.def"
};

static const struct {
    const char *text, *schema;
} params[PARAM_COUNT] = {
#define PARAM(name, text, ...) {text, #__VA_ARGS__},
#include "admin/params.def"
};

/* Text of ours: that it parses is tested, so NULL means out of memory. */
static json_t *parse(const char *text)
{
    return json_loads(text, JSON_REJECT_DUPLICATES, NULL);
}

static json_t *reference(const char *schema)
{
    json_t *tree = json_object();
    char target[64];
    snprintf(target, sizeof(target), SCHEMA_REFERENCE "%s", schema);
    json_put_text(tree, "$ref", target);
    return tree;
}

/* {media type: {schema}}: of a schema by its name (capital first), or of plain text. */
static json_t *content(const char *type, const char *schema)
{
    json_t *tree = json_object(), *media = json_object();
    json_put(media, "schema", schema != NULL ? reference(schema) : parse("{\"type\": \"string\"}"));
    json_put(tree, type, media);
    return tree;
}

static json_t *responses(const struct route *route)
{
    json_t *tree = json_object(), *success = json_object(), *problem = json_object();
    char status[8];
    json_put_text(success, "description", reply_reason(route->status));
    if (route->response != NULL && isupper((unsigned char)route->response[0]))
        json_put(success, "content", content("application/json", route->response));
    else if (route->response != NULL)
        json_put(success, "content", content(route->response, NULL));
    json_put_text(problem, "description", "What was wrong with the request, or with the moment.");
    json_put(problem, "content", content("application/problem+json", "Problem"));
    snprintf(status, sizeof(status), "%u", route->status);
    json_put(tree, status, success);
    json_put(tree, "default", problem);
    return tree;
}

static json_t *parameter(const char *name, const char *in, const char *text, json_t *schema)
{
    json_t *tree = json_object();
    json_put_text(tree, "name", name);
    json_put_text(tree, "in", in);
    json_put_bool(tree, "required", strcmp(in, "path") == 0);
    json_put_text(tree, "description", text);
    json_put(tree, "schema", schema);
    return tree;
}

static bool names(const char *list, const char *word)
{
    size_t size = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += size)
        if ((at == list || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0'))
            return true;
    return false;
}

static json_t *parameters(const struct route *route)
{
    json_t *list = json_array();
    const char *open = strchr(route->pattern, '{');
    if (open != NULL) {
        char name[32];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(open + 1, "}"), open + 1);
        json_array_append_new(
            list, parameter(name, "path", "Percent-encoded, slashes too.", parse("{\"type\": \"string\"}")));
    }
    for (int i = 0; i < PARAM_COUNT; i++)
        if (names(route->query, param_name((enum param)i)))
            json_array_append_new(
                list, parameter(param_name((enum param)i), "query", params[i].text, parse(params[i].schema)));
    return list;
}

static json_t *operation(const struct route *route)
{
    static const char *const roles[] = {"open", "metrics", "read", "read-values", "admin"};
    json_t *tree = json_object();
    json_put_text(tree, "operationId", route->id);
    json_put_text(tree, "summary", route->summary);
    json_put_text(tree, "x-role", roles[route->role]);
    json_put(tree, "parameters", parameters(route));
    if (route->body != NULL) {
        json_t *body = json_object();
        json_put_bool(body, "required", true);
        json_put(body, "content", content("application/json", route->body));
        json_put(tree, "requestBody", body);
    }
    json_put(tree, "responses", responses(route));
    return tree;
}

static json_t *paths(void)
{
    json_t *tree = json_object();
    for (unsigned i = 0; i < route_count(); i++) {
        const struct route *route = route_at(i);
        char method[8];
        size_t size = 0;
        for (; method_name(route->method)[size] != '\0'; size++)
            method[size] = (char)tolower((unsigned char)method_name(route->method)[size]);
        method[size] = '\0';
        if (json_object_get(tree, route->pattern) == NULL)
            json_put(tree, route->pattern, json_object());
        json_put(json_object_get(tree, route->pattern), method, operation(route));
    }
    return tree;
}

static json_t *components(void)
{
    json_t *tree = json_object(), *all = json_object();
    for (size_t i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++)
        json_put(all, schemas[i].name, parse(schemas[i].text));
    json_put(tree, "schemas", all);
    return tree;
}

void api_openapi(struct request *request, struct reply *reply)
{
    json_t *tree = json_object(), *info = json_object();
    (void)request;
    json_put_text(info, "title", "Vitrine");
    json_put_text(info, "version", VITRINE_VERSION);
    json_put_text(info, "description", "What happens inside the cache, and the few things one may do to it.");
    json_put_text(tree, "openapi", "3.1.0");
    json_put(tree, "info", info);
    json_put(tree, "paths", paths());
    json_put(tree, "components", components());
    reply_json(reply, 200, tree);
    reply_etag_of_body(reply);
    reply->cacheable = true;
}
