/* From a method and a raw request target to a route, its decoded parameter and its query.
 *
 * Place: admin. The path is matched as it came, byte by byte, and split before anything is decoded; so an
 * encoded slash is part of a key and never a separator. Thread-safety: pure; the table is constant. */
#ifndef VITRINE_ADMIN_ROUTER_PRIV_H
#define VITRINE_ADMIN_ROUTER_PRIV_H

#include "admin/request_priv.h"

struct route {
    enum method method;
    const char *pattern;
    enum role role;
    handler_fn handler;
    const char *query, *body;
    unsigned status;
    const char *response, *summary, *id;
};

unsigned route_count(void);
const struct route *route_at(unsigned index);

const char *method_name(enum method method);

/* Fills route, parameter and query of the request from `target` ("/path?query"). The decoded query is kept in
 * `storage`, which has room for target.size bytes. False: the 400, 404 or 405 is in the reply. HEAD counts as
 * GET. */
bool router_match(struct request *request, struct reply *reply, const char *method, struct slice target,
                  char *storage);

#endif
