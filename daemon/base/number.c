#include "base/number.h"

#include <string.h>

bool number_parse_u64(const char *text, size_t size, uint64_t *out)
{
    uint64_t value = 0;
    if (size == 0)
        return false;
    for (size_t i = 0; i < size; i++) {
        unsigned digit = (unsigned)(unsigned char)text[i] - '0';
        if (digit > 9)
            return false;
        if (__builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *out = value;
    return true;
}

bool number_parse_u32(const char *text, size_t size, uint32_t *out)
{
    uint64_t value;
    if (!number_parse_u64(text, size, &value) || value > UINT32_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

bool number_parse_i64(const char *text, size_t size, int64_t *out)
{
    bool negative = size > 0 && text[0] == '-';
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX, value;
    if (!number_parse_u64(text + negative, size - negative, &value) || value > limit)
        return false;
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

size_t number_format_u64(char *out, uint64_t value)
{
    char digits[NUMBER_TEXT_MAX];
    size_t count = 0;
    do {
        digits[NUMBER_TEXT_MAX - ++count] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    memcpy(out, digits + NUMBER_TEXT_MAX - count, count);
    return count;
}
