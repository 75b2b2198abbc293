/* What tls.c and tls_link.c share: OpenSSL's own types and functions. */
#ifndef VITRINE_NET_TLS_CONTEXT_PRIV_H
#define VITRINE_NET_TLS_CONTEXT_PRIV_H

#include "net/openssl_priv.h"
#include "net/tls_priv.h"

/* Made from the current context; NULL: no memory. Any thread. */
SSL *tls_new_ssl(struct tls *tls);

#endif
