/* Listening sockets: from the words of -l and -s to descriptors. */
#include "base/number.h"
#include "net/net_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define USER_TIMEOUT_MS      60000
#define UDP_SEND_BUFFER_SIZE (4 << 20)

static bool fail(char *error, size_t error_size, const char *what, const char *why)
{
    snprintf(error, error_size, "cannot listen on %s: %s", what, why);
    return false;
}

/* Connections inherit these from their listener: no system call is spent on them at each accept. */
static void set_tcp_options(int fd, int family)
{
    const int on = 1, timeout_ms = USER_TIMEOUT_MS;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
}

/* A reply of 64 KiB goes out at once, or what the buffer does not take is lost. */
static void set_udp_options(int fd, int family)
{
    const int on = 1, size = UDP_SEND_BUFFER_SIZE;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
}

/* "127.0.0.1:11211" or "[::1]:11211". */
static bool name_address(const struct sockaddr *address, socklen_t size, char *name, size_t name_size)
{
    char host[64], port[16];
    if (getnameinfo(address, size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) !=
        0)
        return false;
    bool v6 = address->sa_family == AF_INET6;
    snprintf(name, name_size, "%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port);
    return true;
}

static void name_socket(struct listener *listener)
{
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    if (getsockname(listener->fd, (struct sockaddr *)&bound, &size) == 0)
        name_address((struct sockaddr *)&bound, size, listener->name, sizeof listener->name);
}

static unsigned *socket_count(struct net *net, int type)
{
    return type == SOCK_DGRAM ? &net->udp_count : &net->listener_count;
}

static bool bind_and_listen(const struct net *net, int fd, const struct addrinfo *info)
{
    return bind(fd, info->ai_addr, info->ai_addrlen) == 0 &&
           (info->ai_socktype == SOCK_DGRAM || listen(fd, (int)settings_u64(net->settings, backlog)) == 0);
}

/* Binds one address. On failure errno says why and nothing is kept. */
static bool open_one(struct net *net, const struct addrinfo *info, enum tls_mode tls)
{
    bool datagrams = info->ai_socktype == SOCK_DGRAM;
    struct listener *all = datagrams ? net->udp_sockets : net->listeners;
    struct listener *listener = &all[*socket_count(net, info->ai_socktype)];
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    (datagrams ? set_udp_options : set_tcp_options)(fd, info->ai_family);
    if (!bind_and_listen(net, fd, info)) {
        int why = errno;
        close(fd);
        errno = why;
        return false;
    }
    *listener = (struct listener){.net = net, .fd = fd, .family = info->ai_family, .tls = tls};
    name_socket(listener);
    ++*socket_count(net, info->ai_socktype);
    return true;
}

/* Splits "host", "host:port", "[ipv6]:port" or a bare IPv6 address. NULL port: the one of -p. False when the
 * brackets do not match or the text is too long. */
static bool split_address(const char *item, char *host, size_t host_size, const char **port)
{
    const char *colon = strrchr(item, ':'), *end = item + strlen(item);
    *port = NULL;
    if (*item == '[') {
        item++;
        end = strchr(item, ']');
        if (!end || (end[1] != '\0' && end[1] != ':'))
            return false;
        *port = end[1] == ':' ? end + 2 : NULL;
    } else if (colon && strchr(item, ':') == colon) {
        end = colon;
        *port = colon + 1;
    }
    size_t size = (size_t)(end - item);
    if (size >= host_size)
        return false;
    memcpy(host, item, size);
    host[size] = '\0';
    return true;
}

/* Names the very address and port: in `item` there may be a name, or no port. */
static bool fail_at(char *error, size_t error_size, const struct addrinfo *info, const char *item, int why)
{
    char name[LISTENER_NAME_SIZE];
    bool named = name_address(info->ai_addr, info->ai_addrlen, name, sizeof name);
    return fail(error, error_size, named ? name : item, strerror(why));
}

/* Every address the host's name stands for; one that the system does not have (IPv6 turned off) is no failure
 * as long as another could be bound. */
static bool open_each(struct net *net, const char *item, enum tls_mode tls, const struct addrinfo *list,
                      char *error, size_t error_size)
{
    const unsigned *count = socket_count(net, list->ai_socktype);
    unsigned before = *count;
    int why = EADDRNOTAVAIL;
    for (const struct addrinfo *info = list; info; info = info->ai_next) {
        if (*count == LISTENERS_MAX)
            return fail(error, error_size, item, "too many addresses");
        if (open_one(net, info, tls))
            continue;
        why = errno;
        if (why != EADDRNOTAVAIL && why != EAFNOSUPPORT)
            return fail_at(error, error_size, info, item, why);
    }
    return *count > before || fail(error, error_size, item, strerror(why));
}

/* "notls:" and the like before an address of -l; *item moves behind it. */
static enum tls_mode tls_prefix(const char **item)
{
    static const struct {
        const char *text;
        enum tls_mode mode;
    } prefixes[] = {{"notls:", TLS_OFF}, {"btls:", TLS_ANYBODY}, {"mtls:", TLS_KNOWN}};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t size = strlen(prefixes[i].text);
        if (strncmp(*item, prefixes[i].text, size) != 0)
            continue;
        *item += size;
        return prefixes[i].mode;
    }
    return TLS_DEFAULT;
}

bool listener_open_address(struct net *net, const char *item, int type, char *error, size_t error_size)
{
    char host[256], port[8];
    const char *given, *whole = item;
    enum tls_mode tls = tls_prefix(&item);
    if (item != whole && !net->tls)
        return fail(error, error_size, whole, "notls:, btls: and mtls: mean something with -Z only");
    if (!net->tls)
        tls = TLS_OFF;
    if (!split_address(item, host, sizeof host, &given))
        return fail(error, error_size, item, "not an address; host, host:port or [ipv6]:port is");
    uint32_t number; /* getaddrinfo takes any, and cuts it to 16 bits */
    if (given && (!number_parse_u32(given, strlen(given), &number) || number > UINT16_MAX))
        return fail(error, error_size, item, "the port must be a number from 0 to 65535");
    uint64_t usual = type == SOCK_DGRAM ? net->settings->udp_port : net->settings->port;
    snprintf(port, sizeof port, "%u", (unsigned)usual);
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = type, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list;
    bool any = strcmp(host, "*") == 0 || *host == '\0';
    int code = getaddrinfo(any ? NULL : host, given ? given : port, &hints, &list);
    if (code != 0)
        return fail(error, error_size, item, gai_strerror(code));
    bool good = open_each(net, item, tls, list, error, error_size);
    freeaddrinfo(list);
    return good;
}

/* ---- Unix sockets ---- */

/* Takes away a socket that a dead server left; never a file that is none, nor a socket somebody answers at.
 */
static bool remove_stale(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) != 0)
        return true;
    errno = EADDRINUSE;
    if (!S_ISSOCK(status.st_mode))
        return false;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool alive = probe >= 0 && connect(probe, (const struct sockaddr *)address, sizeof *address) == 0;
    if (probe >= 0)
        close(probe);
    errno = EADDRINUSE;
    return !alive && unlink(address->sun_path) == 0;
}

/* The mode holds from the moment the socket exists: no window in which others might connect. */
static int bind_with_mode(int fd, const struct sockaddr_un *address, mode_t mode)
{
    mode_t before = umask(~mode & 0777);
    int code = bind(fd, (const struct sockaddr *)address, sizeof *address);
    umask(before);
    return code;
}

bool listener_open_unix(struct net *net, const char *path, char *error, size_t error_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return fail(error, error_size, path, "the path is too long");
    memcpy(address.sun_path, path, strlen(path));
    if (!remove_stale(&address))
        return fail(error, error_size, path, strerror(errno));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind_with_mode(fd, &address, (mode_t)settings_u64(net->settings, unix_mask)) != 0 ||
        listen(fd, (int)settings_u64(net->settings, backlog)) != 0) {
        int why = errno;
        if (fd >= 0)
            close(fd);
        return fail(error, error_size, path, strerror(why));
    }
    struct listener *listener = &net->listeners[net->listener_count++];
    *listener = (struct listener){.net = net, .fd = fd, .family = AF_UNIX};
    snprintf(listener->name, sizeof listener->name, "unix:%s", path);
    return true;
}
