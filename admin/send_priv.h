/* From a reply to the HTTP library's response: security headers on everything, entity tags, gzip.
 * Place: admin, called by the server only. Thread-safety: any server thread. */
#ifndef VITRINE_ADMIN_SEND_PRIV_H
#define VITRINE_ADMIN_SEND_PRIV_H

#include "admin/request_priv.h"

#include <microhttpd.h>

/* Queues the reply and takes its contents; the reply is then empty. */
enum MHD_Result send_reply(struct MHD_Connection *connection, const struct request *request,
                           struct reply *reply);

#endif
