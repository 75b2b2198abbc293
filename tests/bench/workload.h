/* Which keys are asked for, and what each key's text and value are.
 *
 * Place: tests/bench. A key is padded digits of its index; its value is a piece of one random pattern, chosen
 * and sized by the index alone, so that every reply can be verified without remembering what was stored. Two
 * keys share a value with a chance of 1 in 65536. Thread-safety: none; one owner. */
#ifndef VITRINE_BENCH_WORKLOAD_H
#define VITRINE_BENCH_WORKLOAD_H

#include "options.h"

#include <stddef.h>

struct workload {
    const struct options *options; /* borrowed */
    enum distribution distribution;
    uint64_t random_state;
    uint64_t next;    /* sequential: the next index */
    uint32_t *sample; /* owned; Zipf: key indexes drawn beforehand */
    uint32_t sample_at;
    unsigned digit_count; /* of a key; what is before them is padding */
    char *pattern;        /* owned */
};

/* False after a line on standard error. */
bool workload_init(struct workload *workload, const struct options *options);
void workload_fini(struct workload *workload);
/* Changes how keys are chosen from here on (a prefill goes through them in order). */
void workload_distribute(struct workload *workload, enum distribution distribution);

uint64_t workload_next_key(struct workload *workload);
/* True with the probability `share`. */
bool workload_chance(struct workload *workload, double share);

/* Writes the digits of `value` and returns their count. */
unsigned workload_write_number(uint32_t value, char out[10]);
/* Writes options->key_size bytes. */
void workload_write_key(const struct workload *workload, uint64_t index, char *out);
uint32_t workload_value_size(const struct workload *workload, uint64_t index);
const char *workload_value(const struct workload *workload, uint64_t index);

#endif
