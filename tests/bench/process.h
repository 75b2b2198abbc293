/* What a process costs, from /proc. Place: tests/bench. */
#ifndef VITRINE_BENCH_PROCESS_H
#define VITRINE_BENCH_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

struct process_cost {
    double user_s, system_s; /* CPU time since its start */
    uint64_t rss_size;
};

/* False when there is no such process. */
bool process_cost_read(int pid, struct process_cost *cost);
/* CPU time of this process. */
double process_own_cpu_s(void);

#endif
