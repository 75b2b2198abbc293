/* TLS by OpenSSL, which is met in tls.c and tls_link.c and nowhere else.
 *
 * Place: beside connection.c, which receives and sends through a link where its listener asks for one. What
 * is read from the files of -o ssl_* becomes one context that links are made from; reading the files again
 * makes another, and links keep the one they began with: no connection is dropped. A handshake happens inside
 * tls_receive, as its bytes come: nothing ever blocks. Thread-safety: a link belongs to its connection's
 * worker; struct tls may be used by any thread. SIGPIPE has to be ignored. Source: RFC 8446, RFC 5246,
 * OpenSSL's manual. */
#ifndef VITRINE_NET_TLS_PRIV_H
#define VITRINE_NET_TLS_PRIV_H

#include "config/config.h"
#include "metrics/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

struct ssl_st; /* OpenSSL's SSL */

/* What a listener asks of its clients. */
enum tls_mode {
    TLS_OFF,     /* plain text: -l notls:... */
    TLS_DEFAULT, /* what ssl_verify_mode says */
    TLS_ANYBODY, /* no certificate: -l btls:... */
    TLS_KNOWN    /* a certificate of one of ssl_ca_cert: -l mtls:... */
};

struct tls;

/* Loads OpenSSL and reads certificate, key and authorities. NULL with a line in `error`. The settings are
 * borrowed. Not while another thread uses TLS. */
struct tls *tls_create(const struct settings *settings, char *error, size_t error_size);
void tls_destroy(struct tls *tls);
/* Reads the files again; links to come use what they say. False with a line in `error`, in memcached's words:
 * then all stays as it was. Takes as long as reading the files does. Any thread. */
bool tls_refresh(struct tls *tls, char *error, size_t error_size);
/* Seconds since the files were read, and the Unix time at which the certificate expires. Any thread. */
uint32_t tls_age_s(const struct tls *tls);
uint64_t tls_expiry_s(const struct tls *tls);

/* ---- links ---- */

/* What an idle link holds, OpenSSL's part included: about, as measured with version 3.0. */
#define TLS_LINK_SIZE (14u << 10)

/* One connection's TLS, from its first byte to its last. */
struct tls_link {
    struct ssl_st *ssl;          /* owned */
    struct metrics_block *block; /* of its worker */
    size_t budget;               /* bytes that this call may still take from the socket */
    short wants;                 /* the event without which the last call could not go on; 0: none */
    bool open;                   /* the handshake is done */
    bool ended;                  /* the client said that it sends no more */
    bool broken;                 /* nothing can be sent or received any more */
    bool more;                   /* received bytes wait inside, of which no event will tell */
    /* handshakes.c */
    struct handshakes *handshakes; /* the list it is on; NULL: on none */
    struct connection *connection;
    uint64_t late_ns; /* when the handshake has taken too long */
    TAILQ_ENTRY(tls_link) next;
};

/* For an accepted socket. NULL: no memory. */
struct tls_link *tls_link_create(struct tls *tls, int fd, enum tls_mode mode, struct metrics_block *block);
/* Says goodbye to the client, if it can be said at once. */
void tls_link_destroy(struct tls_link *link);
/* As recv and send on a non-blocking socket: bytes, 0 at the client's end, or -1 with errno; with EAGAIN
 * `wants` says which event to wait for, and tls_send must be given the same bytes again. */
ssize_t tls_receive(struct tls_link *link, void *to, size_t size);
ssize_t tls_send(struct tls_link *link, const void *from, size_t size);

#endif
