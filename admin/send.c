#include "admin/send_priv.h"

#include "admin/deflate_priv.h"
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GZIP_SIZE_MIN 1024u
#define PIN_BLOCK     32768u
/* Bodies above the first size count against the second, all of them together, until they are sent: so that
 * clients which ask and do not read cannot fill the memory. */
#define LARGE_SIZE_MIN 65536u /* /metrics, health and pages of keys stay below: they are always given */
#define IN_FLIGHT_MAX  (4u << 20)

/* Relaxed: a sum that stands alone. */
static _Atomic uint64_t in_flight_size;

static const struct {
    const char *name, *value;
} fixed_headers[] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
     "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"X-Frame-Options", "DENY"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
};

/* Whether an Accept-Encoding admits gzip: named (or `*`) with a weight above 0. */
static bool accepts_gzip(const char *accept_encoding)
{
    int weight = request_weight(accept_encoding, "gzip");
    return weight > 0 || (weight < 0 && request_weight(accept_encoding, "*") > 0);
}

static ssize_t read_pin(void *context, uint64_t position, char *out, size_t max)
{
    struct reply *held = context;
    const char *data;
    size_t part = store_pin_part(held->pin, held->pin_offset + (size_t)position, &data);
    ASSERT(part > 0); /* the library asks for no more than the size it was told */
    size_t size = part < max ? part : max;
    memcpy(out, data, size);
    return (ssize_t)size;
}

static void free_pin(void *context)
{
    struct reply *held = context;
    store_unpin(held->pin);
    free(held);
}

/* A value that is sent from where it lies in the store, and kept there until it is through. */
static struct MHD_Response *pin_response(struct reply *reply)
{
    struct reply *held = malloc(sizeof(*held));
    if (held == NULL)
        return NULL;
    *held = *reply;
    struct MHD_Response *response =
        MHD_create_response_from_callback(reply->pin_size, PIN_BLOCK, read_pin, held, free_pin);
    if (response == NULL)
        free(held);
    else
        reply->pin = NULL;
    return response;
}

static struct MHD_Response *static_response(const unsigned char *data, size_t size)
{
    return MHD_create_response_from_buffer(size, (void *)(uintptr_t)data, MHD_RESPMEM_PERSISTENT);
}

static struct MHD_Response *asset_response(const struct admin_asset *asset, bool gzip)
{
    if (gzip && asset->gzip != NULL) {
        struct MHD_Response *response = static_response(asset->gzip, asset->gzip_size);
        if (response != NULL)
            MHD_add_response_header(response, "Content-Encoding", "gzip");
        return response;
    }
    if (asset->data != NULL)
        return static_response(asset->data, asset->size);
    unsigned char *data = gunzip(asset->gzip, asset->gzip_size, asset->size);
    if (data == NULL)
        return NULL;
    return MHD_create_response_from_buffer(asset->size, data, MHD_RESPMEM_MUST_FREE);
}

/* A large body while it is being sent; it lies right behind. */
struct large_body {
    size_t size;
    char data[];
};

static void free_large(void *context)
{
    struct large_body *body = context;
    atomic_fetch_sub_explicit(&in_flight_size, body->size, memory_order_relaxed);
    free(body);
}

/* NULL when too much is under way already, or out of memory. */
static struct MHD_Response *large_response(const struct buffer *bytes)
{
    struct large_body *body = malloc(sizeof(*body) + bytes->size);
    if (body == NULL)
        return NULL;
    body->size = bytes->size;
    memcpy(body->data, bytes->data, bytes->size);
    uint64_t before = atomic_fetch_add_explicit(&in_flight_size, body->size, memory_order_relaxed);
    struct MHD_Response *response = NULL;
    if (before + body->size <= IN_FLIGHT_MAX)
        response =
            MHD_create_response_from_buffer_with_free_callback_cls(body->size, body->data, free_large, body);
    if (response == NULL)
        free_large(body);
    return response;
}

static struct MHD_Response *small_response(struct buffer *bytes)
{
    size_t size;
    char *data = buffer_take(bytes, &size);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        size, data, data != NULL ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        free(data);
    return response;
}

static struct MHD_Response *body_response(struct reply *reply, bool gzip)
{
    bool packed = gzip && reply->body.size >= GZIP_SIZE_MIN && !reply->download && gzip_buffer(&reply->body);
    struct MHD_Response *response = NULL;
    if (reply->body.size >= LARGE_SIZE_MIN) {
        response = large_response(&reply->body);
        if (response == NULL) {
            packed = false;
            reply_problem(reply, MHD_HTTP_SERVICE_UNAVAILABLE,
                          "too many large replies are under way: ask again");
            reply->retry_after_s = 1;
        }
    }
    if (response == NULL)
        response = small_response(&reply->body);
    if (response != NULL && packed)
        MHD_add_response_header(response, "Content-Encoding", "gzip");
    return response;
}

static const char *cache_control(const struct reply *reply)
{
    if (reply->asset != NULL)
        return reply->asset->immutable ? "public, max-age=31536000, immutable" : "no-cache";
    return reply->cacheable ? "no-cache" : "no-store";
}

static void add_headers(struct MHD_Response *response, const struct reply *reply)
{
    for (size_t i = 0; i < sizeof(fixed_headers) / sizeof(fixed_headers[0]); i++)
        MHD_add_response_header(response, fixed_headers[i].name, fixed_headers[i].value);
    MHD_add_response_header(response, "Cache-Control", cache_control(reply));
    MHD_add_response_header(response, "Vary", "Accept-Encoding, Accept");
    if (reply->type != NULL && reply->status != MHD_HTTP_NOT_MODIFIED)
        MHD_add_response_header(response, "Content-Type", reply->type);
    if (reply->etag[0] != '\0')
        MHD_add_response_header(response, "ETag", reply->etag);
    if (reply->allow[0] != '\0')
        MHD_add_response_header(response, "Allow", reply->allow);
    if (reply->download)
        MHD_add_response_header(response, "Content-Disposition", "attachment; filename=\"value.bin\"");
    if (reply->close)
        MHD_add_response_header(response, "Connection", "close");
    if (reply->retry_after_s > 0) {
        char seconds[16];
        snprintf(seconds, sizeof(seconds), "%u", reply->retry_after_s);
        MHD_add_response_header(response, "Retry-After", seconds);
    }
}

static struct MHD_Response *make_response(const struct request *request, struct reply *reply)
{
    bool gzip = accepts_gzip(request->accept_encoding);
    if (reply->status == MHD_HTTP_OK && reply->etag[0] != '\0' && request_if_none_match(request, reply->etag))
        reply->status = MHD_HTTP_NOT_MODIFIED;
    if (reply->status == MHD_HTTP_NOT_MODIFIED || reply->status == MHD_HTTP_NO_CONTENT)
        return static_response(NULL, 0);
    if (reply->pin != NULL)
        return pin_response(reply);
    if (reply->asset != NULL)
        return asset_response(reply->asset, gzip);
    return body_response(reply, gzip);
}

enum MHD_Result send_reply(struct MHD_Connection *connection, const struct request *request,
                           struct reply *reply)
{
    struct MHD_Response *response = make_response(request, reply);
    enum MHD_Result queued = MHD_NO;
    if (response != NULL) {
        add_headers(response, reply);
        queued = MHD_queue_response(connection, reply->status, response);
        MHD_destroy_response(response);
    }
    reply_fini(reply);
    return queued;
}
