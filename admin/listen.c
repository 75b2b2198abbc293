#include "admin/listen_priv.h"

#include "base/number.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG     512
#define UNIX_PREFIX "unix:"

struct target {
    struct sockaddr_storage address;
    socklen_t size;
};

static bool parse_ipv4(const char *host, uint16_t port, struct target *target)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&target->address;
    *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    target->size = sizeof(*in);
    return inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &in->sin_addr) == 1;
}

static bool parse_ipv6(const char *host, uint16_t port, struct target *target)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&target->address;
    *in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
    target->size = sizeof(*in6);
    return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1;
}

static bool is_loopback(const struct target *target)
{
    if (target->address.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&target->address)->sin6_addr);
    return ntohl(((const struct sockaddr_in *)&target->address)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

static bool parse_tcp(const char *text, struct target *target, char *error, size_t error_size)
{
    char host[64];
    uint32_t port;
    const char *colon = strrchr(text, ':');
    size_t size = colon != NULL ? (size_t)(colon - text) : 0;
    bool bracketed = size > 2 && text[0] == '[' && text[size - 1] == ']';
    if (colon == NULL || size >= sizeof(host) || !number_parse_u32(colon + 1, strlen(colon + 1), &port) ||
        port > UINT16_MAX) {
        snprintf(error, error_size, "--admin-listen %s: want HOST:PORT, unix:PATH or off", text);
        return false;
    }
    snprintf(host, sizeof(host), "%.*s", (int)(bracketed ? size - 2 : size), bracketed ? text + 1 : text);
    bool parsed =
        bracketed ? parse_ipv6(host, (uint16_t)port, target) : parse_ipv4(host, (uint16_t)port, target);
    if (!parsed) {
        snprintf(error, error_size, "--admin-listen %s: the host must be a number or localhost", text);
        return false;
    }
    if (is_loopback(target))
        return true;
    snprintf(error, error_size,
             "--admin-listen %s: refused, since anyone who reaches it could read and flush the cache; use a "
             "loopback address or unix:PATH",
             text);
    return false;
}

/* Turns a socket that was bound into one that listens; closes it on failure. */
static int finish(int fd, bool bound, const char *text, bool *taken, char *error, size_t error_size)
{
    if (bound && listen(fd, BACKLOG) == 0)
        return fd;
    *taken = errno == EADDRINUSE;
    snprintf(error, error_size, "--admin-listen %s: %s", text, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool open_tcp(const char *text, struct listen_socket *out, bool *taken, char *error, size_t error_size)
{
    struct target target;
    int on = 1;
    if (!parse_tcp(text, &target, error, error_size))
        return false;
    int fd = socket(target.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&target.address, target.size) == 0;
    out->fd = finish(fd, bound, text, taken, error, error_size);
    if (out->fd < 0)
        return false;
    getsockname(out->fd, (struct sockaddr *)&target.address, &target.size);
    /* The port lies at the same place in both families. */
    out->port = ntohs(((struct sockaddr_in *)&target.address)->sin_port);
    const char *colon = strrchr(text, ':');
    snprintf(out->address, sizeof(out->address), "http://%.*s:%u/", (int)(colon - text), text, out->port);
    return true;
}

/* A socket file that nobody listens on is a left-over of a process that was killed. */
static void remove_stale(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return;
    if (connect(probe, (const struct sockaddr *)address, sizeof(*address)) != 0 && errno == ECONNREFUSED)
        unlink(address->sun_path);
    close(probe);
}

static bool open_unix(const char *text, struct listen_socket *out, bool *taken, char *error,
                      size_t error_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = text + strlen(UNIX_PREFIX);
    if (strlen(path) == 0 || strlen(path) >= sizeof(address.sun_path)) {
        snprintf(error, error_size, "--admin-listen %s: the path must have 1 to %zu characters", text,
                 sizeof(address.sun_path) - 1);
        return false;
    }
    memcpy(address.sun_path, path, strlen(path));
    remove_stale(&address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t old = umask(0177); /* before bind: there is no moment in which others may connect */
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    umask(old);
    out->fd = finish(fd, bound, text, taken, error, error_size);
    snprintf(out->address, sizeof(out->address), "%s", text);
    return out->fd >= 0;
}

bool listen_open(const char *text, struct listen_socket *out, bool *taken, char *error, size_t error_size)
{
    *out = (struct listen_socket){.fd = -1};
    *taken = false;
    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return open_unix(text, out, taken, error, error_size);
    return open_tcp(text, out, taken, error, error_size);
}
