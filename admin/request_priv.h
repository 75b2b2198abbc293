/* What a handler gets and what it gives: a request that was parsed, guarded and matched, and a reply to fill.
 *
 * Place: admin; between the server (which speaks HTTP) and the api_*.c files (which know their resource).
 * Thread-safety: a request and its reply belong to the one server thread that runs the handler.
 * Ownership: a request borrows all its texts from the exchange it belongs to; a reply owns its body. */
#ifndef VITRINE_ADMIN_REQUEST_PRIV_H
#define VITRINE_ADMIN_REQUEST_PRIV_H

#include "admin/admin.h"
#include "admin/assets.h"
#include "admin/decode_priv.h"
#include "admin/json_priv.h"

#define REPLY_ALLOW_SIZE   48
#define PARAMETER_SIZE_MAX 400u /* of a decoded {parameter}: the longest key, base64 */

enum method { METHOD_GET, METHOD_PUT, METHOD_PATCH, METHOD_DELETE, METHOD_POST, METHOD_COUNT };
enum role { ROLE_OPEN, ROLE_METRICS, ROLE_READ, ROLE_VALUES, ROLE_ADMIN };

enum param {
#define PARAM(name, text, ...) PARAM_##name,
#include "admin/params.def"
    PARAM_COUNT
};

struct request {
    const struct admin_parts *parts;
    uint64_t seed; /* of this process: for cursors */
    const struct route *route;
    char parameter[PARAMETER_SIZE_MAX]; /* {key}, {id} ... decoded */
    size_t parameter_size;
    struct slice query[PARAM_COUNT]; /* decoded; data is NULL where absent */
    json_t *body;                    /* an object when the route takes one; owned by the exchange */
    const char *if_match, *if_none_match, *accept, *accept_encoding; /* NULL where absent */
};

struct reply {
    unsigned status;
    const char *type; /* media type; NULL: no body */
    struct buffer body;
    const struct admin_asset *asset; /* instead of body */
    struct store_pin *pin;           /* instead of body: pin_size bytes of a value from pin_offset on */
    size_t pin_offset, pin_size;
    char etag[64];                /* quoted; "" none */
    char allow[REPLY_ALLOW_SIZE]; /* for 405; "" none */
    bool download;                /* offered as a file, never shown */
    bool close;                   /* the connection ends with this reply */
    bool cacheable;               /* may be kept and revalidated; default: no-store */
    unsigned retry_after_s;       /* 0: not said */
};

typedef void (*handler_fn)(struct request *request, struct reply *reply);

/* ---- replies ---- */
/* Takes `tree`. */
void reply_json(struct reply *reply, unsigned status, json_t *tree);
void reply_text(struct reply *reply, unsigned status, const char *text);
/* application/problem+json; replaces what the reply held. */
void reply_problem(struct reply *reply, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with one entry in errors[]. */
void reply_field_problem(struct reply *reply, unsigned status, const char *field, const char *detail);
/* Takes `errors`, an array of {field, detail}. */
void reply_problem_errors(struct reply *reply, unsigned status, const char *detail, json_t *errors);
void reply_etag_cas(struct reply *reply, uint64_t cas);
void reply_etag_of_body(struct reply *reply);
void reply_fini(struct reply *reply);
const char *reply_reason(unsigned status);

/* ---- requests ---- */
bool request_has(const struct request *request, enum param param);
/* A number within [min, max], `fallback` when absent. False: the 400 is in the reply. */
bool request_number(const struct request *request, struct reply *reply, enum param param,
                    const uint64_t limits[3], uint64_t *out);
/* The index of the parameter among the words, `fallback` when absent; < 0: the 400 is in the reply. */
int request_choice(const struct request *request, struct reply *reply, enum param param,
                   const char *const *words, int fallback);
/* Whether If-Match, when present, names `etag` (NULL: nothing there). Strong comparison. */
bool request_if_match(const struct request *request, const char *etag);
/* Whether If-None-Match, when present, names `etag`. Weak comparison. */
bool request_if_none_match(const struct request *request, const char *etag);

/* The weight that an Accept or Accept-Encoding list gives to `name`: 0 .. 1000, or -1 when it is not named. A
 * weight that is not written as RFC 9110 has it counts as 0. */
int request_weight(const char *list, const char *name);

/* This thread's way into the store, online until request_store_leave. NULL when out of memory: the 503 is in
 * the reply. */
struct store_thread *request_store_enter(const struct request *request, struct reply *reply);
void request_store_leave(struct store_thread *thread);

/* The parameter names of params.def. */
const char *param_name(enum param param);

/* ---- handlers ---- */
#define ROUTE(id, method, pattern, role, handler, ...)                                                       \
    void handler(struct request *request, struct reply *reply);
#include "admin/routes.def"

#endif
