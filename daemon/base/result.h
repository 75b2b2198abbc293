/* enum result: the one vocabulary in which a store operation answers, a reply is written and a request is
 * counted. Place: base, since store, protocol and metrics all speak it. */
#ifndef VITRINE_BASE_RESULT_H
#define VITRINE_BASE_RESULT_H

#include <stdbool.h>
#include <stdint.h>

enum result {
#define RESULT(id, label, text, meta, status) RESULT_##id,
#include "base/results.def"
    RESULT_COUNT
};

const char *result_label(enum result result);

/* The classic text line without its CR LF, or NULL where the command writes its own reply. */
const char *result_text(enum result result);

/* The letters with which a meta command answers, or NULL where it says the line of text. */
const char *result_meta(enum result result);

/* The status of a binary reply. */
uint16_t result_status(enum result result);

/* Whether the operation was refused rather than carried out or answered. */
bool result_refuses(enum result result);

#endif
