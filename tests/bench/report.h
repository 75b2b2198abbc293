/* The result of a run, as a line for people and as a JSON object. Place: tests/bench. */
#ifndef VITRINE_BENCH_REPORT_H
#define VITRINE_BENCH_REPORT_H

#include "batch.h"
#include "metrics/histogram.h"
#include "process.h"

struct report {
    const struct options *options; /* borrowed */
    struct tally tally;
    double seconds;
    double load_cpu_s;                 /* of the load generator itself in these seconds */
    bool server_known;                 /* whether the next two are there */
    struct process_cost before, after; /* of the server */
    const struct histogram *latency;   /* borrowed; ns from sending (or the due time) to the reply */
    uint64_t latency_max_ns;
};

/* Keys read or stored: what rates and costs are given by. */
uint64_t report_operations(const struct report *report);
void report_print(const struct report *report);

#endif
