#include "admin/guard_priv.h"

#include "admin/router_priv.h"
#include "base/number.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The fields we look at; each may stand once. */
static const struct {
    const char *name;
    size_t offset;
} fields[] = {
    {"Host", offsetof(struct guard_headers, host)},
    {"Origin", offsetof(struct guard_headers, origin)},
    {"Sec-Fetch-Site", offsetof(struct guard_headers, fetch_site)},
    {"Sec-Fetch-Mode", offsetof(struct guard_headers, fetch_mode)},
    {"Content-Type", offsetof(struct guard_headers, content_type)},
    {"Content-Length", offsetof(struct guard_headers, content_length)},
    {"Transfer-Encoding", offsetof(struct guard_headers, transfer_encoding)},
    {"If-Match", offsetof(struct guard_headers, if_match)},
    {"If-None-Match", offsetof(struct guard_headers, if_none_match)},
    {"Accept", offsetof(struct guard_headers, accept)},
    {"Accept-Encoding", offsetof(struct guard_headers, accept_encoding)},
};

static bool is_token(const char *name)
{
    size_t size = strlen(name);
    return size > 0 &&
           strspn(name, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
                        "WXYZ") == size;
}

static bool is_value(const char *value)
{
    for (const unsigned char *at = (const unsigned char *)value; *at != '\0'; at++)
        if ((*at < 0x20 && *at != '\t') || *at == 0x7f)
            return false;
    return true;
}

/* libmicrohttpd 0.9 parses in place and ends names and values by a NUL where their CR LF was, so that between
 * the end of one value and the next name lie exactly these two. Any other distance is a NUL within the value,
 * a bare LF, a folded line or a line that was dropped. From 1.0 on it refuses those itself. */
static bool follows(const char *end, const char *name)
{
    return MHD_VERSION >= 0x01000000 || name - end == 2;
}

/* The same for the last value: behind it was CR LF CR LF. The library keeps its list of fields in the same
 * block behind the head, so the bytes are there to be looked at. */
static bool ends(const char *end)
{
    return MHD_VERSION >= 0x01000000 || (end[1] == '\0' && end[2] == '\0' && end[3] == '\0');
}

static enum MHD_Result read_field(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct guard_headers *headers = context;
    (void)kind;
    if (value == NULL || !is_token(name) || !is_value(value) || !follows(headers->end, name)) {
        headers->malformed = true;
        return MHD_NO;
    }
    headers->end = value + strlen(value);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (strcasecmp(name, fields[i].name) != 0)
            continue;
        const char **field = (const char **)((char *)headers + fields[i].offset);
        headers->repeated |= *field != NULL;
        *field = value;
    }
    return MHD_YES;
}

void guard_read(struct MHD_Connection *connection, const char *version, struct guard_headers *headers)
{
    *headers = (struct guard_headers){.end = version + strlen(version)};
    int count = MHD_get_connection_values(connection, MHD_HEADER_KIND, read_field, headers);
    headers->malformed |= count > 0 && !ends(headers->end);
}

static bool refuse(struct reply *reply, unsigned status, const char *detail)
{
    reply_problem(reply, status, "%s", detail);
    reply->close = true;
    return false;
}

bool guard_framing(const struct guard_headers *headers, const char *version, struct reply *reply)
{
    uint64_t length;
    const char *coding = headers->transfer_encoding, *size = headers->content_length;
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        return refuse(reply, 505, "HTTP/1.1 is spoken here");
    if (headers->malformed)
        return refuse(reply, 400, "a header field is malformed");
    if (headers->repeated)
        return refuse(reply, 400, "a header field that may stand once stands twice");
    if (headers->host == NULL)
        return refuse(reply, 400, "Host is missing");
    if (coding != NULL && size != NULL)
        return refuse(reply, 400, "both Content-Length and Transfer-Encoding");
    if (coding != NULL && strcasecmp(coding, "chunked") != 0)
        return refuse(reply, 501, "no other transfer coding than chunked is known");
    if (size != NULL && !number_parse_u64(size, strlen(size), &length))
        return refuse(reply, 400, "Content-Length is no number");
    if (size != NULL && length > BODY_SIZE_MAX)
        return refuse(reply, 413, "a body may have 64 KiB");
    return true;
}

bool guard_has_body(const struct guard_headers *headers)
{
    return headers->transfer_encoding != NULL ||
           (headers->content_length != NULL && strcmp(headers->content_length, "0") != 0);
}

bool guard_host(const struct guard_headers *headers, uint16_t port, struct reply *reply)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t size = strlen(names[i]);
        uint32_t given;
        if (strncasecmp(headers->host, names[i], size) != 0)
            continue;
        const char *rest = headers->host + size;
        if (*rest == '\0' && (port == 0 || port == 80))
            return true;
        if (*rest == ':' && number_parse_u32(rest + 1, strlen(rest + 1), &given) &&
            (port == 0 || given == port))
            return true;
    }
    return refuse(reply, 421, "this Host is not served here; use localhost with the admin port");
}

static bool is_same_origin(const struct guard_headers *headers)
{
    static const char scheme[] = "http://";
    return strncmp(headers->origin, scheme, strlen(scheme)) == 0 &&
           strcasecmp(headers->origin + strlen(scheme), headers->host) == 0;
}

bool guard_origin(const struct guard_headers *headers, const struct route *route, struct reply *reply)
{
    const char *site = headers->fetch_site;
    if (route->role < ROLE_METRICS)
        return true;
    if (headers->fetch_mode != NULL && strcmp(headers->fetch_mode, "no-cors") == 0)
        return refuse(reply, 403, "requests without CORS are for pages, not for this API");
    if (route->role < ROLE_VALUES)
        return true;
    if (headers->origin != NULL && !is_same_origin(headers))
        return refuse(reply, 403, "Origin is another site");
    bool typed = site != NULL && strcmp(site, "none") == 0 && route->role == ROLE_VALUES;
    if (site != NULL && strcmp(site, "same-origin") != 0 && !typed)
        return refuse(reply, 403, "Sec-Fetch-Site is not same-origin");
    return true;
}

bool guard_body(const struct guard_headers *headers, const struct route *route, struct reply *reply)
{
    static const char json[] = "application/json";
    bool present = guard_has_body(headers);
    if (route->body == NULL)
        return !present || refuse(reply, 400, "no body is taken here");
    const char *type = headers->content_type;
    size_t size = strlen(json);
    if (type != NULL && strncasecmp(type, json, size) == 0 &&
        (type[size] == '\0' || type[size] == ';' || type[size] == ' '))
        return true;
    return refuse(reply, 415, "Content-Type must be application/json");
}
