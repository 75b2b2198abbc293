/* What the API says of itself: links, versions, the meaning of the counters. */
#include "admin/request_priv.h"
#include "admin/router_priv.h"

#include <microhttpd.h>
#include <string.h>

#define API_PREFIX "/api/v1/"

void api_index(struct request *request, struct reply *reply)
{
    json_t *tree = json_object(), *links = json_object();
    (void)request;
    for (unsigned i = 0; i < route_count(); i++) {
        const struct route *route = route_at(i);
        if (route->method == METHOD_GET && strncmp(route->pattern, API_PREFIX, strlen(API_PREFIX)) == 0 &&
            route->pattern[strlen(API_PREFIX)] != '\0')
            json_put_text(links, route->id, route->pattern);
    }
    json_put(tree, "links", links);
    reply_json(reply, 200, tree);
}

void api_version(struct request *request, struct reply *reply)
{
    json_t *tree = json_object();
    (void)request;
    json_put_text(tree, "version", protocol_version());
    json_put_text(tree, "memcached_version", PROTOCOL_MEMCACHED_VERSION);
    json_put_text(tree, "vitrine_version", VITRINE_VERSION);
    json_put_text(tree, "libevent", net_library_version());
    json_put_text(tree, "libmicrohttpd", MHD_get_version());
    reply_json(reply, 200, tree);
}

void api_metrics_meta(struct request *request, struct reply *reply)
{
    static const char *const kinds[] = {"counter", "counter", "gauge", "counter"};
    static const char *const units[] = {"count", "bytes", "seconds", "microseconds", "bool"};
    json_t *tree = json_object(), *list = json_array();
    (void)request;
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        const struct metric_row *row = metrics_row((enum metric)i);
        json_t *entry = json_object();
        json_put_text(entry, "name", row->name);
        json_put_text(entry, "family", row->family);
        json_put_text(entry, "kind", kinds[row->kind]);
        json_put_text(entry, "unit", units[row->unit]);
        json_put_text(entry, "help", row->text);
        json_array_append_new(list, entry);
    }
    json_put(tree, "metrics", list);
    reply_json(reply, 200, tree);
}
