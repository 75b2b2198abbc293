/* JSON for the API: small helpers over jansson and the one function that turns a tree into text.
 *
 * Place: admin; jansson is used through these helpers and by the api_*.c files only.
 * Thread-safety: pure but for what it is given. Ownership: json_t values are owned as jansson documents;
 * functions here that take a `json_t *` to put into another steal it. Running out of memory yields NULL
 * values, which jansson refuses to add; json_render then reports failure. */
#ifndef VITRINE_ADMIN_JSON_PRIV_H
#define VITRINE_ADMIN_JSON_PRIV_H

#include "admin/decode_priv.h"
#include "base/buffer.h"

#include <jansson.h>
#include <stdint.h>

/* Integers beyond what jansson holds (2^63) are clamped: no counter gets there. */
json_t *json_count(uint64_t value);
/* null for NaN and infinities: a ratio with nothing to divide. */
json_t *json_number(double value);
json_t *json_ratio(uint64_t part, uint64_t rest);
/* "2026-11-20T16:00:00Z" */
json_t *json_time(int64_t wall_s);

void json_put(json_t *object, const char *name, json_t *value);
void json_put_count(json_t *object, const char *name, uint64_t value);
void json_put_number(json_t *object, const char *name, double value);
void json_put_text(json_t *object, const char *name, const char *text);
void json_put_bool(json_t *object, const char *name, bool value);

/* Text when the bytes are UTF-8, else null. */
json_t *json_text_or_null(struct slice bytes);
/* Text with U+FFFD for each byte that is not UTF-8. */
json_t *json_text_lossy(struct slice bytes);
json_t *json_base64(struct slice bytes);
json_t *json_hex(struct slice bytes);

/* Appends the tree as text in which `<`, U+2028 and U+2029 are escaped, so that it is harmless inside a
 * script too. False (nothing appended) when out of memory. Takes `tree`. */
bool json_render(json_t *tree, struct buffer *out);

#endif
