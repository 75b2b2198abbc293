/* Absolute deadlines for connections, and a free slot for the next one.
 *
 * Place: admin, beside the server. The HTTP library renews its timeout with every byte, so that a client
 * which sends one byte a second keeps a slot for ever. Here each connection has a phase and the moment it
 * entered it; a thread shuts down the sockets whose phase took too long, and when slots run out the one that
 * has kept us waiting longest goes at once, so that /livez answers during a slowloris attack. Thread-safety:
 * any thread; one mutex, held for a walk over at most WATCH_LIMIT entries. Ownership: entries belong to the
 * watch, between watch_open and watch_close of their connection. */
#ifndef VITRINE_ADMIN_WATCH_PRIV_H
#define VITRINE_ADMIN_WATCH_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#define WATCH_LIMIT 256u /* connections the library may hold */
#define WATCH_SPARE 32u  /* of them kept free */

/* In the order in which they are given up when slots run out. */
enum watch_phase {
    WATCH_HEADER, /* the first request's header is coming */
    WATCH_IDLE,   /* between two requests */
    WATCH_BODY,   /* a body is coming */
    WATCH_REPLY,  /* a reply is going out */
    WATCH_PHASE_COUNT
};

struct watch;
struct watch_entry;

struct watch *watch_create(void);
void watch_destroy(struct watch *watch); /* after the library has closed every connection */

struct watch_entry *watch_open(struct watch *watch, int fd);
void watch_close(struct watch *watch, struct watch_entry *entry);
void watch_enter(struct watch *watch, struct watch_entry *entry, enum watch_phase phase);
/* How many connections there are, and how many were shut down so far. Takes no lock. */
void watch_count(const struct watch *watch, uint64_t *open, uint64_t *cut);
int watch_fd(const struct watch_entry *entry);

/* Shuts down what is past its deadline at `now_ns`; the watch's own thread does so four times a second. */
void watch_sweep(struct watch *watch, uint64_t now_ns);

#endif
