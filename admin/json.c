#include "admin/json_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REAL_DIGITS 10 /* a ratio of 0.93 reads as 0.93 */

json_t *json_count(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

json_t *json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *json_ratio(uint64_t part, uint64_t rest)
{
    if (part + rest == 0)
        return json_null();
    return json_real((double)part / (double)(part + rest));
}

json_t *json_time(int64_t wall_s)
{
    char text[32];
    struct tm tm;
    time_t when = (time_t)wall_s;
    gmtime_r(&when, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_string(text);
}

void json_put(json_t *object, const char *name, json_t *value)
{
    json_object_set_new_nocheck(object, name, value);
}

void json_put_count(json_t *object, const char *name, uint64_t value)
{
    json_put(object, name, json_count(value));
}

void json_put_number(json_t *object, const char *name, double value)
{
    json_put(object, name, json_number(value));
}

void json_put_text(json_t *object, const char *name, const char *text)
{
    json_put(object, name, text != NULL ? json_text_lossy((struct slice){text, strlen(text)}) : json_null());
}

void json_put_bool(json_t *object, const char *name, bool value)
{
    json_put(object, name, json_boolean(value));
}

json_t *json_text_or_null(struct slice bytes)
{
    if (utf8_valid_size(bytes) != bytes.size)
        return json_null();
    return json_stringn_nocheck(bytes.data, bytes.size);
}

json_t *json_text_lossy(struct slice bytes)
{
    if (utf8_valid_size(bytes) == bytes.size)
        return json_stringn_nocheck(bytes.data, bytes.size);
    struct buffer text = {0};
    while (bytes.size > 0) {
        size_t valid = utf8_valid_size(bytes);
        buffer_append(&text, bytes.data, valid);
        if (valid == bytes.size)
            break;
        buffer_text(&text, "\xef\xbf\xbd");
        bytes = (struct slice){bytes.data + valid + 1, bytes.size - valid - 1};
    }
    json_t *string = text.failed ? NULL : json_stringn_nocheck(text.data, text.size);
    buffer_fini(&text);
    return string;
}

json_t *json_base64(struct slice bytes)
{
    char *text = malloc(BASE64_SIZE(bytes.size) + 1);
    if (text == NULL)
        return NULL;
    encode_base64(bytes, text);
    json_t *string = json_string_nocheck(text);
    free(text);
    return string;
}

json_t *json_hex(struct slice bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *text = malloc(bytes.size * 2 + 1);
    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < bytes.size; i++) {
        text[2 * i] = digits[(unsigned char)bytes.data[i] >> 4];
        text[2 * i + 1] = digits[(unsigned char)bytes.data[i] & 15];
    }
    json_t *string = json_stringn_nocheck(text, bytes.size * 2);
    free(text);
    return string;
}

/* The escape for what must not stand raw at `at`, and how many bytes it replaces; NULL: nothing. */
static const char *escape_at(const char *at, size_t left, size_t *size)
{
    *size = 1;
    if (*at == '<')
        return "\\u003c";
    *size = 3;
    if (left < 3 || at[0] != '\xe2' || at[1] != '\x80')
        return NULL;
    return at[2] == '\xa8' ? "\\u2028" : at[2] == '\xa9' ? "\\u2029" : NULL;
}

/* Outside of strings neither `<` nor U+2028 can stand in JSON, so replacing them everywhere is right. */
static void append_escaped(struct buffer *out, const char *text, size_t size)
{
    size_t from = 0;
    for (size_t i = 0; i < size; i++) {
        size_t replaced;
        if (text[i] != '<' && text[i] != '\xe2')
            continue;
        const char *escape = escape_at(text + i, size - i, &replaced);
        if (escape == NULL)
            continue;
        buffer_append(out, text + from, i - from);
        buffer_text(out, escape);
        i += replaced - 1;
        from = i + 1;
    }
    buffer_append(out, text + from, size - from);
}

bool json_render(json_t *tree, struct buffer *out)
{
    char *text = tree != NULL ? json_dumps(tree, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS)) : NULL;
    json_decref(tree);
    if (text == NULL)
        return false;
    append_escaped(out, text, strlen(text));
    free(text);
    return !out->failed;
}
