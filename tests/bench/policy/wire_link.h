/* One blocking connection to a cache that speaks memcached's text protocol, with a buffer on each side.
 *
 * Place: tests/bench/policy, for wire.c. Whatever fails ends the program with a line on stderr: a replay that
 * lost its server has nothing to report. Thread-safety: none; one owner. */
#ifndef VITRINE_TESTS_BENCH_POLICY_WIRE_LINK_H
#define VITRINE_TESTS_BENCH_POLICY_WIRE_LINK_H

#include <stddef.h>

struct wire_link {
    int fd;
    char *out; /* owned; what link_put collected */
    size_t out_size, out_room;
    char *in; /* owned; received, from in_at on not yet taken */
    size_t in_at, in_size, in_room;
};

void link_init(struct wire_link *link, const char *host, const char *port);
void link_fini(struct wire_link *link);

void link_put(struct wire_link *link, const char *data, size_t size);
/* Sends what was put. */
void link_flush(struct wire_link *link);

/* The next `size` received bytes, valid until the next take. */
const char *link_take(struct wire_link *link, size_t size);
/* The next line without its "\r\n", ended by a NUL; valid until the next take. */
const char *link_take_line(struct wire_link *link);

#endif
