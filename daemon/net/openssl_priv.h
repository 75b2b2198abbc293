/* OpenSSL, loaded where TLS is asked for: a server without it has neither of its libraries in memory, nor the
 * 0.45 MiB that the loader writes into their tables.
 *
 * Place: below tls.c and tls_link.c, which call each function as openssl.NAME(...). OpenSSL's macros are
 * written so too: what they stand for begins with a function's name, which so becomes a member's. A call of
 * what has no row in openssl.def does not compile, one past the table does not link. Thread-safety: once
 * openssl_load has returned true any thread may call the functions. Source: dlopen(3). */
#ifndef VITRINE_NET_OPENSSL_PRIV_H
#define VITRINE_NET_OPENSSL_PRIV_H

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

struct openssl {
#define OPENSSL_FUNCTION(name) __typeof__(name) *name;
#include "net/openssl.def"
};

extern struct openssl openssl;

/* The version that the program was compiled for. False with a line in `error`: it is missing, or lacks a
 * function. Not while another thread uses TLS; more than once is fine. */
bool openssl_load(char *error, size_t error_size);

#endif
