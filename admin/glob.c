#include "admin/glob_priv.h"

bool glob_valid(struct slice pattern)
{
    if (pattern.size > GLOB_SIZE_MAX)
        return false;
    size_t i = 0;
    while (i < pattern.size)
        i += pattern.data[i] == '\\' ? 2 : 1;
    return i == pattern.size;
}

/* Matches one pattern element other than `*` against `c`; the element's length, or 0. */
static size_t match_one(struct slice pattern, size_t at, char c)
{
    if (pattern.data[at] == '?')
        return 1;
    if (pattern.data[at] == '\\' && at + 1 < pattern.size)
        return pattern.data[at + 1] == c ? 2 : 0;
    return pattern.data[at] == c ? 1 : 0;
}

bool glob_match(struct slice pattern, struct slice text)
{
    size_t p = 0, t = 0;
    size_t star = pattern.size,
           star_text = 0; /* where to go on after a mismatch; none while star is the end */
    while (t < text.size) {
        size_t step = 0;
        if (p < pattern.size && pattern.data[p] == '*') {
            star = p++;
            star_text = t;
            continue;
        }
        if (p < pattern.size)
            step = match_one(pattern, p, text.data[t]);
        if (step > 0) {
            p += step;
            t++;
        } else if (star < pattern.size) {
            p = star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.size && pattern.data[p] == '*')
        p++;
    return p == pattern.size;
}
