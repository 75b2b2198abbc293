/* One connection's TLS: receiving, sending and the end, in the manner of a non-blocking socket. */
#include "base/clock.h"
#include "base/log.h"
#include "net/tls_context_priv.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

/* Of one call of tls_receive from the socket: records without data (updates of keys) could else go on and on.
 */
#define RECEIVE_MAX (64u << 10)
#define RECORD_SIZE (16u << 10) /* of the data in a full record */

/* Around each of OpenSSL's calls on the socket: keeps the budget. */
static long on_socket(BIO *socket, int call, const char *data, size_t size, int i, long l, int result,
                      size_t *count)
{
    struct tls_link *link = (struct tls_link *)(void *)openssl.BIO_get_callback_arg(socket);
    (void)data, (void)size, (void)i, (void)l;
    if (call == BIO_CB_READ && link->budget == 0) {
        openssl.BIO_clear_retry_flags(socket);
        openssl.BIO_set_retry_read(socket);
        return -1;
    }
    if (call == (BIO_CB_READ | BIO_CB_RETURN) && result > 0)
        link->budget -= *count < link->budget ? *count : link->budget;
    return result;
}

static void set_mode(SSL *ssl, enum tls_mode mode)
{
    if (mode == TLS_ANYBODY)
        openssl.SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
    if (mode == TLS_KNOWN)
        openssl.SSL_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

struct tls_link *tls_link_create(struct tls *tls, int fd, enum tls_mode mode, struct metrics_block *block)
{
    struct tls_link *link = calloc(1, sizeof *link);
    SSL *ssl = link ? tls_new_ssl(tls) : NULL;
    if (!ssl || openssl.SSL_set_fd(ssl, fd) != 1) {
        openssl.SSL_free(ssl);
        free(link);
        return NULL;
    }
    link->ssl = ssl;
    link->block = block;
    set_mode(ssl, mode);
    openssl.SSL_set_accept_state(ssl);
    openssl.BIO_set_callback_ex(openssl.SSL_get_rbio(ssl), on_socket);
    openssl.BIO_set_callback_arg(openssl.SSL_get_rbio(ssl), (char *)link);
    return link;
}

void tls_link_destroy(struct tls_link *link)
{
    openssl.ERR_clear_error();
    if (link->open && !link->broken)
        openssl.SSL_shutdown(link->ssl);
    openssl.SSL_free(link->ssl);
    openssl.ERR_clear_error();
    free(link);
}

/* ---- outcomes ---- */

static void note_open(struct tls_link *link)
{
    if (link->open || !openssl.SSL_is_init_finished(link->ssl))
        return;
    link->open = true;
    metrics_add(link->block,
                openssl.SSL_session_reused(link->ssl) ? METRIC_ssl_resumed_sessions : METRIC_ssl_new_sessions,
                1);
}

/* Nothing goes on. Clients that leave before they have said anything (checks of health) are no error, nor are
 * sockets that break. */
static void note_broken(struct tls_link *link, int code)
{
    const char *why = openssl.ERR_reason_error_string(openssl.ERR_peek_error());
    bool said = openssl.BIO_number_read(openssl.SSL_get_rbio(link->ssl)) > 0;
    link->broken = true;
    if (!link->open && said)
        metrics_add(link->block, METRIC_ssl_handshake_errors, 1);
    if (link->open && code == SSL_ERROR_SSL)
        metrics_add(link->block, METRIC_ssl_proto_errors, 1);
    log_debug("TLS: %s: %s", link->open ? "connection closed" : "no handshake", why ? why : "client gone");
}

/* -1 with errno, or 0 at the client's end. */
static ssize_t conclude(struct tls_link *link, int code)
{
    link->wants = code == SSL_ERROR_WANT_READ ? EV_READ : code == SSL_ERROR_WANT_WRITE ? EV_WRITE : 0;
    errno = EAGAIN;
    if (link->wants)
        return -1;
    if (link->open && code == SSL_ERROR_ZERO_RETURN) {
        link->ended = true;
        return 0;
    }
    note_broken(link, code);
    errno = EPROTO;
    return -1;
}

/* ---- receiving and sending ---- */

ssize_t tls_receive(struct tls_link *link, void *to, size_t size)
{
    char *at = to, *end = at + size;
    size_t got = RECORD_SIZE;
    link->wants = 0;
    link->more = false;
    link->budget = RECEIVE_MAX;
    while (at < end && !link->broken && (got == RECORD_SIZE || openssl.SSL_has_pending(link->ssl))) {
        openssl.ERR_clear_error();
        int good = openssl.SSL_read_ex(link->ssl, at, (size_t)(end - at), &got);
        note_open(link);
        if (!good) {
            ssize_t result = conclude(link, openssl.SSL_get_error(link->ssl, good));
            if (at == (char *)to)
                return result;
            link->more = link->wants == 0; /* the end, which is to be heard of */
            return at - (char *)to;
        }
        at += got;
    }
    link->more = openssl.SSL_has_pending(link->ssl);
    return at - (char *)to;
}

ssize_t tls_send(struct tls_link *link, const void *from, size_t size)
{
    size_t sent;
    link->wants = 0;
    errno = EPIPE;
    if (link->broken)
        return -1;
    openssl.ERR_clear_error();
    int good = openssl.SSL_write_ex(link->ssl, from, size, &sent);
    if (good)
        return (ssize_t)sent;
    ssize_t result = conclude(link, openssl.SSL_get_error(link->ssl, good));
    return result == 0 ? -1 : result;
}
