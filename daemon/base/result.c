#include "base/result.h"

#include <stddef.h>

static const struct {
    const char *label, *text;
} rows[RESULT_COUNT] = {
#define RESULT(id, label_, text_) [RESULT_##id] = {label_, text_},
#include "base/results.def"
};

const char *result_label(enum result result)
{
    return rows[result].label;
}

bool result_refuses(enum result result)
{
    return result >= RESULT_NON_NUMERIC; /* the first refusal of the table */
}

const char *result_text(enum result result)
{
    return rows[result].text;
}
