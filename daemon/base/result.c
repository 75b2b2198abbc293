#include "base/result.h"

#include <stddef.h>

static const struct {
    const char *label, *text, *meta;
    uint16_t status;
} rows[RESULT_COUNT] = {
#define RESULT(id, label_, text_, meta_, status_) [RESULT_##id] = {label_, text_, meta_, status_},
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

const char *result_meta(enum result result)
{
    return rows[result].meta;
}

uint16_t result_status(enum result result)
{
    return rows[result].status;
}
