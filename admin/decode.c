#include "admin/decode_priv.h"

#include <stdint.h>
#include <string.h>

bool slice_is(struct slice slice, const char *text)
{
    return strlen(text) == slice.size && memcmp(slice.data, text, slice.size) == 0;
}

bool slice_begins(struct slice slice, struct slice prefix)
{
    return prefix.size == 0 ||
           (prefix.size <= slice.size && memcmp(slice.data, prefix.data, prefix.size) == 0);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool decode_percent(struct slice text, bool query, char *out, size_t *out_size)
{
    size_t n = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if ((unsigned char)c <= 0x20 || c == 0x7f)
            return false;
        if (c == '%') {
            int high = i + 2 < text.size ? hex_digit(text.data[i + 1]) : -1;
            int low = i + 2 < text.size ? hex_digit(text.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && query) {
            c = ' ';
        }
        out[n++] = c;
    }
    *out_size = n;
    return true;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int base64_digit(char c)
{
    if (c == '-')
        return 62;
    if (c == '_')
        return 63;
    const char *at = c != '\0' ? strchr(alphabet, c) : NULL;
    return at != NULL ? (int)(at - alphabet) : -1;
}

bool decode_base64(struct slice text, char *out, size_t *out_size)
{
    size_t end = text.size;
    while (end > 0 && text.size - end < 2 && text.data[end - 1] == '=')
        end--;
    if (end % 4 == 1 || (end != text.size && text.size % 4 != 0))
        return false;
    uint32_t bits = 0;
    unsigned held = 0;
    size_t n = 0;
    for (size_t i = 0; i < end; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[n++] = (char)(bits >> held & 0xff);
        }
    }
    *out_size = n;
    return (bits & ((1u << held) - 1)) == 0; /* left-over bits would let one key have two names */
}

void encode_base64(struct slice bytes, char *out)
{
    const unsigned char *in = (const unsigned char *)bytes.data;
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t bits = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                        (left > 2 ? (uint32_t)in[i + 2] : 0);
        *out++ = alphabet[bits >> 18];
        *out++ = alphabet[bits >> 12 & 63];
        *out++ = left > 1 ? alphabet[bits >> 6 & 63] : '=';
        *out++ = left > 2 ? alphabet[bits & 63] : '=';
    }
    *out = '\0';
}

size_t encode_base64url(struct slice bytes, char *out)
{
    encode_base64(bytes, out);
    size_t size = (bytes.size * 4 + 2) / 3;
    for (size_t i = 0; i < size; i++)
        out[i] = (char)(out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i]);
    out[size] = '\0';
    return size;
}

/* How many bytes a character has that begins with `lead`; 0 when none begins so. */
static size_t utf8_length(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef)
        return 3;
    return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

/* Rules out overlong forms, surrogates and what lies above U+10FFFF, all of which the second byte tells. */
static bool utf8_second_fits(unsigned char lead, unsigned char second)
{
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high;
}

/* How many of the bytes at `at` fit together as (the beginning of) one character; 0: none can. */
static size_t utf8_prefix(const unsigned char *at, size_t size)
{
    size_t length = utf8_length(at[0]);
    if (length == 0)
        return 0;
    size_t have = length < size ? length : size;
    if (have > 1 && !utf8_second_fits(at[0], at[1]))
        return 0;
    for (size_t i = 2; i < have; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return have;
}

size_t utf8_valid_size(struct slice bytes)
{
    const unsigned char *data = (const unsigned char *)bytes.data;
    size_t i = 0;
    while (i < bytes.size) {
        size_t have = utf8_prefix(data + i, bytes.size - i);
        if (have == 0 || have < utf8_length(data[i]))
            break;
        i += have;
    }
    return i;
}

bool utf8_is_cut(struct slice bytes)
{
    size_t valid = utf8_valid_size(bytes);
    size_t left = bytes.size - valid;
    return left > 0 && utf8_prefix((const unsigned char *)bytes.data + valid, left) == left;
}
