/* Base64 as memcached reads and writes it (RFC 4648, with padding). */
#include "protocol/meta_priv.h"

#define NO_DIGIT 0x80u

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The six bits of a digit; of the padding: 0. */
static unsigned digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 52;
    if (c == '+' || c == '/')
        return c == '+' ? 62 : 63;
    return c == '=' ? 0 : NO_DIGIT;
}

static size_t digits_count(const char *text, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += digit_value(text[i]) != NO_DIGIT;
    return count;
}

size_t base64_decode(const char *text, size_t size, char *out)
{
    size_t out_size = 0;
    unsigned bits = 0, count = 0, padding = 0;
    if (digits_count(text, size) % 4 != 0)
        return 0;
    for (size_t i = 0; i < size && padding == 0; i++) {
        if (digit_value(text[i]) == NO_DIGIT)
            continue;
        bits = bits << 6 | digit_value(text[i]);
        if (++count < 4)
            continue;
        /* Whatever of the four is padding, wherever it stands, takes a byte off the end. */
        for (size_t back = i + 1, seen = 0; seen < 4; seen += digit_value(text[back]) != NO_DIGIT)
            padding += text[--back] == '=';
        if (padding > 2)
            return 0;
        for (unsigned byte = 0; byte < 3 - padding; byte++)
            out[out_size++] = (char)(bits >> (16 - 8 * byte));
        bits = count = 0;
    }
    return out_size;
}

size_t base64_encode(const char *data, size_t size, char *out)
{
    char *start = out;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        unsigned bits = (unsigned)(unsigned char)data[i] << 16;
        if (left > 1)
            bits |= (unsigned)(unsigned char)data[i + 1] << 8;
        if (left > 2)
            bits |= (unsigned char)data[i + 2];
        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = left > 1 ? digits[bits >> 6 & 63] : '=';
        *out++ = left > 2 ? digits[bits & 63] : '=';
    }
    return (size_t)(out - start);
}
