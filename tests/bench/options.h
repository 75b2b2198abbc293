/* What the load generator is told to do, from its command line. Place: tests/bench. */
#ifndef VITRINE_BENCH_OPTIONS_H
#define VITRINE_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum distribution { DISTRIBUTE_UNIFORM, DISTRIBUTE_ZIPF, DISTRIBUTE_SEQUENTIAL };

/* How closely replies are looked at. LENGTH: form and sizes only, for the floor server, which has no items.
 * SAMPLE: every reply's key, sizes and terminators, and every byte of one value in 16. FULL: every byte. */
enum check { CHECK_LENGTH, CHECK_SAMPLE, CHECK_FULL };

struct options {
    const char *host, *port; /* borrowed from argv */
    const char *unix_path;   /* NULL: TCP */
    const char *label;
    unsigned connections, depth, multiget;
    double set_ratio; /* share of requests that are sets, 0 .. 1 */
    uint64_t key_count;
    unsigned key_size;
    uint32_t value_min, value_max;
    unsigned expiry_s;
    enum distribution distribution;
    double alpha; /* of Zipf's law */
    bool prefill, json;
    enum check check;
    double warmup_s, duration_s;
    uint64_t request_count; /* 0: bound by time */
    double rate;            /* requests a second over all connections; 0: closed loop */
    int server_pid;         /* 0: no figures of the server's process */
    uint64_t seed;
};

/* Fills *options from the command line; false after a line on standard error. */
bool options_parse(struct options *options, int argc, char **argv);

#endif
