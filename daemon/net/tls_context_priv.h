/* What tls.c and tls_link.c share: OpenSSL's own types. */
#ifndef VITRINE_NET_TLS_CONTEXT_PRIV_H
#define VITRINE_NET_TLS_CONTEXT_PRIV_H

#include "net/tls_priv.h"

#include <openssl/ssl.h>

/* Made from the current context; NULL: no memory. Any thread. */
SSL *tls_new_ssl(struct tls *tls);

#endif
