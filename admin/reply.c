/* Replies: bodies, problem documents (RFC 9457) and entity tags. */
#include "admin/request_priv.h"
#include "base/hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TYPE_JSON    "application/json"
#define TYPE_PROBLEM "application/problem+json"
#define TYPE_TEXT    "text/plain; charset=utf-8"

static const struct {
    unsigned status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {409, "Conflict"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *reply_reason(unsigned status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Error";
}

static void clear_body(struct reply *reply)
{
    buffer_fini(&reply->body);
    reply->body = (struct buffer){0};
    reply->asset = NULL;
    reply->etag[0] = '\0';
}

static void set_json(struct reply *reply, unsigned status, const char *type, json_t *tree)
{
    clear_body(reply);
    reply->status = status;
    reply->type = type;
    if (json_render(tree, &reply->body))
        return;
    clear_body(reply);
    reply->status = 503; /* out of memory: nothing more can be said */
    reply->type = TYPE_TEXT;
}

void reply_json(struct reply *reply, unsigned status, json_t *tree)
{
    set_json(reply, status, TYPE_JSON, tree);
}

void reply_text(struct reply *reply, unsigned status, const char *text)
{
    clear_body(reply);
    reply->status = status;
    reply->type = TYPE_TEXT;
    buffer_text(&reply->body, text);
}

void reply_problem_errors(struct reply *reply, unsigned status, const char *detail, json_t *errors)
{
    json_t *problem = json_object();
    json_put_text(problem, "type", "about:blank");
    json_put_text(problem, "title", reply_reason(status));
    json_put_count(problem, "status", status);
    json_put_text(problem, "detail", detail);
    if (errors != NULL)
        json_put(problem, "errors", errors);
    set_json(reply, status, TYPE_PROBLEM, problem);
}

void reply_problem(struct reply *reply, unsigned status, const char *format, ...)
{
    char detail[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    reply_problem_errors(reply, status, detail, NULL);
}

void reply_field_problem(struct reply *reply, unsigned status, const char *field, const char *detail)
{
    char line[256];
    json_t *error = json_object();
    json_put_text(error, "field", field);
    json_put_text(error, "detail", detail);
    json_t *errors = json_array();
    json_array_append_new(errors, error);
    snprintf(line, sizeof(line), "%s: %s", field, detail);
    reply_problem_errors(reply, status, line, errors);
}

void reply_etag_cas(struct reply *reply, uint64_t cas)
{
    snprintf(reply->etag, sizeof(reply->etag), "\"%llu\"", (unsigned long long)cas);
}

void reply_etag_of_body(struct reply *reply)
{
    uint64_t hash = hash_bytes(reply->body.data, reply->body.size, 0);
    snprintf(reply->etag, sizeof(reply->etag), "\"%016llx\"", (unsigned long long)hash);
}

void reply_fini(struct reply *reply)
{
    clear_body(reply);
    if (reply->pin != NULL)
        store_unpin(reply->pin);
    reply->pin = NULL;
}
