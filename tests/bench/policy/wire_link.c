#include "wire_link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_MIN ((size_t)1 << 18)
#define SILENCE_S  20

static void stop(const char *what)
{
    fprintf(stderr, "wire: %s: %s\n", what, errno ? strerror(errno) : "connection closed");
    exit(1);
}

static int connected(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return -1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

static void *grown(void *data, size_t *room, size_t need)
{
    if (need <= *room)
        return data;
    *room = need > 2 * *room ? need : 2 * *room;
    data = realloc(data, *room);
    if (!data)
        stop("memory");
    return data;
}

void link_init(struct wire_link *link, const char *host, const char *port)
{
    *link = (struct wire_link){.fd = connected(host, port)};
    if (link->fd < 0)
        stop("connect");
    int one = 1;
    struct timeval silence = {.tv_sec = SILENCE_S};
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(link->fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
    link->out = grown(NULL, &link->out_room, BUFFER_MIN);
    link->in = grown(NULL, &link->in_room, BUFFER_MIN);
}

void link_fini(struct wire_link *link)
{
    close(link->fd);
    free(link->out);
    free(link->in);
}

void link_put(struct wire_link *link, const char *data, size_t size)
{
    link->out = grown(link->out, &link->out_room, link->out_size + size);
    memcpy(link->out + link->out_size, data, size);
    link->out_size += size;
}

void link_flush(struct wire_link *link)
{
    for (size_t sent = 0; sent < link->out_size;) {
        ssize_t done = send(link->fd, link->out + sent, link->out_size - sent, MSG_NOSIGNAL);
        if (done < 0 && errno != EINTR)
            stop("send");
        sent += done > 0 ? (size_t)done : 0;
    }
    link->out_size = 0;
}

static void receive(struct wire_link *link)
{
    if (link->in_at > 0) {
        memmove(link->in, link->in + link->in_at, link->in_size - link->in_at);
        link->in_size -= link->in_at;
        link->in_at = 0;
    }
    link->in = grown(link->in, &link->in_room, link->in_size + BUFFER_MIN / 2);
    errno = 0;
    ssize_t got = recv(link->fd, link->in + link->in_size, link->in_room - link->in_size, 0);
    if (got <= 0 && errno != EINTR)
        stop("receive");
    link->in_size += got > 0 ? (size_t)got : 0;
}

const char *link_take(struct wire_link *link, size_t size)
{
    while (link->in_size - link->in_at < size)
        receive(link);
    const char *data = link->in + link->in_at;
    link->in_at += size;
    return data;
}

const char *link_take_line(struct wire_link *link)
{
    char *end;
    while (!(end = memchr(link->in + link->in_at, '\n', link->in_size - link->in_at)))
        receive(link);
    char *line = link->in + link->in_at;
    link->in_at = (size_t)(end - link->in) + 1;
    if (end > line && end[-1] == '\r')
        end--;
    *end = '\0';
    return line;
}
