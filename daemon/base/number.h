/* Numbers to and from text, strictly: no sign, space or locale that was not asked for.
 * Place: base. Thread-safety: pure. */
#ifndef VITRINE_BASE_NUMBER_H
#define VITRINE_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NUMBER_TEXT_MAX 20 /* digits of 2^64 - 1 */

/* Parse all of text[0..size): decimal digits (and one leading '-' for i64) and nothing else. False on
 * an empty text, any other byte or overflow; *out is then untouched. */
bool number_parse_u64(const char *text, size_t size, uint64_t *out);
bool number_parse_u32(const char *text, size_t size, uint32_t *out);
bool number_parse_i64(const char *text, size_t size, int64_t *out);

/* Writes the decimal digits of `value` (at most NUMBER_TEXT_MAX, no NUL) and returns their count. */
size_t number_format_u64(char *out, uint64_t value);

#endif
