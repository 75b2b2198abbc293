/* The admin's listening socket: a loopback address or a Unix socket of mode 0600.
 * Place: admin. Thread-safety: the main thread, before others run (the umask is changed for a moment). */
#ifndef VITRINE_ADMIN_LISTEN_PRIV_H
#define VITRINE_ADMIN_LISTEN_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct listen_socket {
    int fd;
    uint16_t port;     /* 0: a Unix socket */
    char address[128]; /* "http://127.0.0.1:9150/", "unix:/path" */
};

/* `text` is HOST:PORT or unix:PATH. False with a line in `error`; *taken tells whether another process has
 * the address. */
bool listen_open(const char *text, struct listen_socket *out, bool *taken, char *error, size_t error_size);

#endif
