/* TLS contexts: what -o ssl_* and the files it names amount to. */
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "net/tls_context_priv.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Sessions of TLS 1.2 clients without tickets, with ssl_session_cache: some 3 MiB at most, for one takes
 * 1.2 KiB, or 10 KiB with a client's certificate. */
#define CACHED_SESSIONS_MAX       1024
#define CACHED_KNOWN_SESSIONS_MAX 256
#define REASON_SIZE               256u

struct tls {
    const struct settings *settings;
    char *chain_cert, *key, *ca_cert; /* owned; absolute: a daemon leaves its folder. ca_cert may be NULL */
    struct spin spin;
    SSL_CTX *context; /* owned; guarded by spin */
    _Atomic uint32_t refreshed_s;
    _Atomic uint64_t expiry_s;
};

/* ---- errors ---- */

static const char *reason(char *out, size_t size)
{
    unsigned long code = openssl.ERR_get_error(); /* the first: the others follow from it */
    openssl.ERR_error_string_n(code, out, size);
    openssl.ERR_clear_error();
    return out;
}

/* Always false. In memcached's words, for refresh_certs says them to clients. */
static bool fail_file(const char *what, const char *path, char *error, size_t error_size)
{
    char why[REASON_SIZE];
    snprintf(error, error_size, "Error loading the %s: %s : %s", what, path, reason(why, sizeof why));
    return false;
}

/* ---- making a context ---- */

/* Nobody sits at a server's terminal to type one. */
static int no_passphrase(char *out, int size, int writing, void *context)
{
    (void)out, (void)size, (void)writing, (void)context;
    return -1;
}

static bool load_authorities(const struct tls *tls, SSL_CTX *context, char *error, size_t error_size)
{
    if (!tls->ca_cert)
        return true;
    if (!openssl.SSL_CTX_load_verify_locations(context, tls->ca_cert, NULL))
        return fail_file("CA certificate", tls->ca_cert, error, error_size);
    openssl.SSL_CTX_set_client_CA_list(context, openssl.SSL_load_client_CA_file(tls->ca_cert));
    return true;
}

static bool load_files(const struct tls *tls, SSL_CTX *context, char *error, size_t error_size)
{
    int format = (int)settings_u64(tls->settings, ssl_keyformat);
    char why[REASON_SIZE];
    if (openssl.SSL_CTX_use_certificate_chain_file(context, tls->chain_cert) != 1)
        return fail_file("certificate chain", tls->chain_cert, error, error_size);
    if (openssl.SSL_CTX_use_PrivateKey_file(context, tls->key, format) != 1)
        return fail_file("key", tls->key, error, error_size);
    if (openssl.SSL_CTX_check_private_key(context) != 1) {
        snprintf(error, error_size, "Error validating the certificate: %s", reason(why, sizeof why));
        return false;
    }
    return load_authorities(tls, context, error, error_size);
}

static bool set_versions(const struct settings *settings, SSL_CTX *context, char *error, size_t error_size)
{
    static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};
    const char *ciphers = settings->ssl_ciphers;
    openssl.SSL_CTX_set_min_proto_version(context, versions[settings_u64(settings, ssl_min_version)]);
    if (!ciphers || openssl.SSL_CTX_set_cipher_list(context, ciphers) == 1)
        return true;
    openssl.ERR_clear_error();
    snprintf(error, error_size, "Error setting the provided cipher(s): %s", ciphers);
    return false;
}

static void set_verification(const struct settings *settings, SSL_CTX *context)
{
    static const int modes[] = {SSL_VERIFY_NONE, SSL_VERIFY_PEER,
                                SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                                SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT | SSL_VERIFY_CLIENT_ONCE};
    openssl.SSL_CTX_set_verify(context, modes[settings_u64(settings, ssl_verify_mode)], NULL);
}

/* Tickets need no memory and are always given. Their keys are the context's own: after a refresh nobody who
 * was known by an authority that has gone comes in by an old ticket. */
static void set_sessions(const struct settings *settings, SSL_CTX *context)
{
    static const unsigned char name[] = "vitrine";
    openssl.SSL_CTX_set_session_id_context(context, name, sizeof name - 1);
    openssl.SSL_CTX_set_session_cache_mode(
        context, settings_on(settings, ssl_session_cache) ? SSL_SESS_CACHE_SERVER : SSL_SESS_CACHE_OFF);
    openssl.SSL_CTX_sess_set_cache_size(context, settings->ssl_ca_cert ? CACHED_KNOWN_SESSIONS_MAX
                                                                       : CACHED_SESSIONS_MAX);
}

/* A client that closes its socket without a word is no error: no request that was cut off is executed. */
static void set_behaviour(const struct settings *settings, SSL_CTX *context)
{
    openssl.SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                             SSL_OP_IGNORE_UNEXPECTED_EOF);
    openssl.SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                          SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* Reading ahead takes one receive a record instead of two; the kernel cannot. */
    if (settings_on(settings, ssl_kernel_tls))
        openssl.SSL_CTX_set_options(context, SSL_OP_ENABLE_KTLS);
    else
        openssl.SSL_CTX_set_read_ahead(context, 1);
}

static SSL_CTX *context_create(const struct tls *tls, char *error, size_t error_size)
{
    SSL_CTX *context = openssl.SSL_CTX_new(openssl.TLS_server_method());
    if (!context) {
        snprintf(error, error_size, "no memory for TLS");
        return NULL;
    }
    openssl.SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    set_verification(tls->settings, context);
    set_sessions(tls->settings, context);
    set_behaviour(tls->settings, context);
    if (load_files(tls, context, error, error_size) &&
        set_versions(tls->settings, context, error, error_size))
        return context;
    openssl.SSL_CTX_free(context);
    return NULL;
}

/* ---- the current context ---- */

static uint64_t certificate_expiry_s(const SSL_CTX *context)
{
    const X509 *certificate = openssl.SSL_CTX_get0_certificate(context);
    struct tm until;
    if (!certificate || !openssl.ASN1_TIME_to_tm(openssl.X509_get0_notAfter(certificate), &until))
        return 0;
    time_t seconds = timegm(&until);
    return seconds < 0 ? 0 : (uint64_t)seconds;
}

/* Relaxed: gauges; partner: tls_age_s and tls_expiry_s. */
static void note_refresh(struct tls *tls, uint64_t expiry_s)
{
    atomic_store_explicit(&tls->refreshed_s, clock_s(), memory_order_relaxed);
    atomic_store_explicit(&tls->expiry_s, expiry_s, memory_order_relaxed);
    if (expiry_s < (uint64_t)time(NULL))
        log_warn("the certificate %s has expired: clients that look at it will not connect", tls->chain_cert);
}

bool tls_refresh(struct tls *tls, char *error, size_t error_size)
{
    SSL_CTX *fresh = context_create(tls, error, error_size);
    if (!fresh)
        return false;
    note_refresh(tls, certificate_expiry_s(fresh));
    spin_acquire(&tls->spin);
    SSL_CTX *old = tls->context;
    tls->context = fresh;
    spin_release(&tls->spin);
    openssl.SSL_CTX_free(old); /* links made from it still hold it */
    return true;
}

SSL *tls_new_ssl(struct tls *tls)
{
    spin_acquire(&tls->spin);
    SSL_CTX *context = tls->context;
    openssl.SSL_CTX_up_ref(context);
    spin_release(&tls->spin);
    SSL *ssl = openssl.SSL_new(context);
    openssl.SSL_CTX_free(context);
    return ssl;
}

uint32_t tls_age_s(const struct tls *tls)
{
    uint32_t now = clock_s(), then = atomic_load_explicit(&tls->refreshed_s, memory_order_relaxed);
    return now > then ? now - then : 0;
}

uint64_t tls_expiry_s(const struct tls *tls)
{
    return atomic_load_explicit(&tls->expiry_s, memory_order_relaxed);
}

/* ---- life ---- */

static char *absolute(const char *path)
{
    char folder[PATH_MAX], *full;
    if (*path == '/' || !getcwd(folder, sizeof folder))
        return strdup(path);
    return asprintf(&full, "%s/%s", folder, path) < 0 ? NULL : full;
}

static bool name_files(struct tls *tls)
{
    const struct settings *settings = tls->settings;
    tls->chain_cert = absolute(settings->ssl_chain_cert);
    tls->key = absolute(settings->ssl_key ? settings->ssl_key : settings->ssl_chain_cert);
    tls->ca_cert = settings->ssl_ca_cert ? absolute(settings->ssl_ca_cert) : NULL;
    return tls->chain_cert && tls->key && (tls->ca_cert || !settings->ssl_ca_cert);
}

/* What is asked for and will not come. */
static void warn(const struct settings *settings)
{
    char names[256] = "";
    FILE *known = fopen("/proc/sys/net/ipv4/tcp_available_ulp", "re");
    if (known && !fgets(names, sizeof names, known))
        names[0] = '\0';
    if (known)
        fclose(known);
    if (settings_on(settings, ssl_kernel_tls) && *names && !strstr(names, "tls"))
        log_info("-o ssl_kernel_tls: the kernel has no TLS (modprobe tls); it is done here");
    if (settings_u64(settings, ssl_verify_mode) > 1 && !settings->ssl_ca_cert)
        log_warn("-o ssl_verify_mode without ssl_ca_cert: no client's certificate can be verified");
}

struct tls *tls_create(const struct settings *settings, char *error, size_t error_size)
{
    if (!openssl_load(error, error_size))
        return NULL;
    struct tls *tls = calloc(1, sizeof *tls);
    snprintf(error, error_size, "no memory for TLS");
    if (!tls)
        return NULL;
    tls->settings = settings;
    if (!name_files(tls) || !tls_refresh(tls, error, error_size)) {
        tls_destroy(tls);
        return NULL;
    }
    warn(settings);
    return tls;
}

void tls_destroy(struct tls *tls)
{
    if (!tls)
        return;
    openssl.SSL_CTX_free(tls->context);
    free(tls->chain_cert);
    free(tls->key);
    free(tls->ca_cert);
    free(tls);
}
