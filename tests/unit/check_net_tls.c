/* A link of TLS and OpenSSL's own client at the two ends of a pair of sockets: how much one call takes, what
 * it says when it cannot go on, and what it gives for a broken stream. */
#include "base/clock.h"
#include "net/tls_priv.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_MOST ((64u << 10) + (17u << 10)) /* of one call: what it may, and the last record's rest */

static struct {
    char path[32];
    struct settings settings;
    struct metrics *metrics;
    struct tls *tls;
    struct tls_link *link;
    SSL_CTX *context;
    SSL *client;
    int fds[2]; /* the link's, the client's */
} test;

/* A key and a certificate that is signed with it, in one file. */
static void write_certificate(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    strcpy(test.path, "/tmp/check-tls-XXXXXX");
    FILE *file = fdopen(mkstemp(test.path), "w");
    ck_assert_ptr_nonnull(file);
    PEM_write_X509(file, certificate);
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void shake_hands(void)
{
    char nothing[16];
    while (!test.link->open || !SSL_is_init_finished(test.client)) {
        SSL_do_handshake(test.client);
        ck_assert_int_eq(tls_receive(test.link, nothing, sizeof nothing), -1);
        ck_assert_int_eq(errno, EAGAIN);
    }
}

static void set_up(void)
{
    char error[512] = "", option[64];
    signal(SIGPIPE, SIG_IGN);
    write_certificate();
    clock_init();
    snprintf(option, sizeof option, "-ossl_chain_cert=%s", test.path);
    char program[] = "vitrine", tls[] = "-Z", *arguments[] = {program, tls, option, NULL};
    ck_assert_int_eq(config_load(&test.settings, 3, arguments), CONFIG_RUN);
    test.metrics = metrics_create();
    test.tls = tls_create(&test.settings, error, sizeof error);
    ck_assert_msg(test.tls != NULL, "%s", error);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, test.fds), 0);
    test.link = tls_link_create(test.tls, test.fds[0], TLS_DEFAULT, metrics_block_create(test.metrics));
    test.context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(test.context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    test.client = SSL_new(test.context);
    SSL_set_connect_state(test.client);
    SSL_set_fd(test.client, test.fds[1]);
    shake_hands();
}

static void tear_down(void)
{
    tls_link_destroy(test.link);
    SSL_free(test.client);
    SSL_CTX_free(test.context);
    close(test.fds[0]);
    if (test.fds[1] >= 0)
        close(test.fds[1]);
    tls_destroy(test.tls);
    metrics_destroy(test.metrics);
    settings_fini(&test.settings);
    unlink(test.path);
}

/* Bytes that the link's socket holds. */
static size_t waiting(void)
{
    int count = 0;
    ck_assert_int_eq(ioctl(test.fds[0], FIONREAD, &count), 0);
    return (size_t)count;
}

static uint64_t metric(enum metric id)
{
    struct metrics_snapshot snapshot;
    metrics_snapshot_take(test.metrics, &snapshot);
    return snapshot.value[id];
}

START_TEST(records_without_data_do_not_hold_a_call)
{
    char data[64], *updates;
    BIO *written = BIO_new(BIO_s_mem());
    SSL_set0_wbio(test.client, written);
    while (BIO_pending(written) < 150000) {
        SSL_key_update(test.client, SSL_KEY_UPDATE_NOT_REQUESTED);
        ck_assert_int_eq(SSL_do_handshake(test.client), 1);
    }
    size_t size = (size_t)BIO_get_mem_data(written, &updates);
    ck_assert_int_eq(send(test.fds[1], updates, size, 0), (ssize_t)size);
    size_t before = waiting(), calls = 0;
    ck_assert_uint_eq(before, size);
    for (size_t left = before; left > 0; left = waiting(), calls++) {
        ck_assert_int_eq(tls_receive(test.link, data, sizeof data), -1);
        ck_assert_int_eq(errno, EAGAIN);
        ck_assert_int_eq(test.link->wants, EV_READ);
        ck_assert_uint_le(left - waiting(), RECEIVE_MOST);
    }
    ck_assert_uint_gt(calls, 1);
}
END_TEST

START_TEST(what_waits_inside_is_told)
{
    char data[100];
    ck_assert_int_eq(SSL_write(test.client, "0123456789", 10), 10);
    ck_assert_int_eq(SSL_write(test.client, "abc", 3), 3);
    ck_assert_int_eq(tls_receive(test.link, data, 4), 4);
    ck_assert(test.link->more);
    ck_assert_int_eq(tls_receive(test.link, data, sizeof data), 9); /* the rest and the next record */
    ck_assert_mem_eq(data, "456789abc", 9);
    ck_assert(!test.link->more);
}
END_TEST

START_TEST(half_a_record_is_no_reason_to_come_back)
{
    char data[16384], record[20000];
    int pair[2];
    memset(data, 'x', sizeof data);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    SSL_set_fd(test.client, pair[0]); /* the client's record comes to us first */
    ck_assert_int_eq(SSL_write(test.client, data, sizeof data), sizeof data);
    ssize_t size = recv(pair[1], record, sizeof record, 0);
    ck_assert_int_gt(size, 16384);
    ck_assert_int_eq(send(test.fds[1], record, (size_t)size - 1, 0), size - 1);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(tls_receive(test.link, data, sizeof data), -1);
        ck_assert_int_eq(errno, EAGAIN);
        ck_assert(!test.link->more);
    }
    ck_assert_int_eq(send(test.fds[1], record + size - 1, 1, 0), 1);
    ck_assert_int_eq(tls_receive(test.link, data, sizeof data), sizeof data);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

START_TEST(a_full_socket_takes_the_same_bytes_later)
{
    static char data[1 << 20], got[1 << 20];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 7 + (i >> 12));
    size_t sent = 0, read = 0, blocked = 0;
    while (read < sizeof data) {
        ssize_t now = sent < sizeof data ? tls_send(test.link, data + sent, sizeof data - sent) : -1;
        if (now > 0) {
            sent += (size_t)now;
            continue;
        }
        blocked += sent < sizeof data && test.link->wants == EV_WRITE;
        int part = SSL_read(test.client, got + read, 5000);
        if (part > 0)
            read += (size_t)part;
    }
    ck_assert_uint_gt(blocked, 0);
    ck_assert_mem_eq(got, data, sizeof data);
}
END_TEST

START_TEST(the_end_is_told_after_the_data_before_it)
{
    char data[16];
    ck_assert_int_eq(SSL_write(test.client, "abc", 3), 3);
    SSL_shutdown(test.client);
    ck_assert_int_eq(tls_receive(test.link, data, sizeof data), 3);
    ck_assert(test.link->more); /* or nobody would come to hear of it */
    ck_assert_int_eq(tls_receive(test.link, data, sizeof data), 0);
    ck_assert_int_eq(tls_send(test.link, "reply", 5), 5); /* half a connection is left */
    ck_assert_int_eq(SSL_read(test.client, data, sizeof data), 5);
}
END_TEST

START_TEST(a_broken_stream_stays_broken)
{
    char data[16];
    ck_assert_int_eq(send(test.fds[1], "rubbish rubbish", 15, 0), 15);
    ck_assert_int_eq(tls_receive(test.link, data, sizeof data), -1);
    ck_assert_int_eq(errno, EPROTO);
    ck_assert_int_eq(tls_receive(test.link, data, sizeof data), 0);
    ck_assert_int_eq(tls_send(test.link, "reply", 5), -1);
    ck_assert_int_eq(errno, EPIPE);
    ck_assert_uint_eq(metric(METRIC_ssl_proto_errors), 1);
    ck_assert_uint_eq(metric(METRIC_ssl_handshake_errors), 0);
    ck_assert_uint_eq(metric(METRIC_ssl_new_sessions), 1);
}
END_TEST

START_TEST(a_client_that_is_gone_is_an_end)
{
    char data[16];
    SSL_read(test.client, data, sizeof data); /* the tickets: unread, they would make the end a reset */
    close(test.fds[1]);
    test.fds[1] = -1;
    ck_assert_int_eq(tls_receive(test.link, data, sizeof data), 0);
    ck_assert_uint_eq(metric(METRIC_ssl_proto_errors), 0);
}
END_TEST

START_TEST(a_refresh_leaves_open_links_alone)
{
    char data[16], error[512];
    ck_assert_uint_gt(tls_expiry_s(test.tls), 0);
    ck_assert(tls_refresh(test.tls, error, sizeof error));
    ck_assert_int_eq(SSL_write(test.client, "abc", 3), 3);
    ck_assert_int_eq(tls_receive(test.link, data, sizeof data), 3);
    unlink(test.path);
    ck_assert(!tls_refresh(test.tls, error, sizeof error));
    ck_assert_ptr_nonnull(strstr(error, test.path));
    ck_assert_int_eq(SSL_write(test.client, "abc", 3), 3);
    ck_assert_int_eq(tls_receive(test.link, data, sizeof data), 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net TLS");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, records_without_data_do_not_hold_a_call);
    tcase_add_test(tcase, what_waits_inside_is_told);
    tcase_add_test(tcase, half_a_record_is_no_reason_to_come_back);
    tcase_add_test(tcase, a_full_socket_takes_the_same_bytes_later);
    tcase_add_test(tcase, the_end_is_told_after_the_data_before_it);
    tcase_add_test(tcase, a_broken_stream_stays_broken);
    tcase_add_test(tcase, a_client_that_is_gone_is_an_end);
    tcase_add_test(tcase, a_refresh_leaves_open_links_alone);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
