/* The network in one process with its clients: what it tells of connections, and closing them by number. Also
 * the stress for ThreadSanitizer: readers of the table while connections come and go. */
#include "base/clock.h"
#include "base/log.h"
#include "net/net.h"
#include "protocol/protocol.h"

#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
    struct settings settings;
    struct metrics *metrics;
    struct store *store;
    struct protocol *protocol;
    struct net *net;
    pthread_t thread;
} server;

static void *run(void *context)
{
    net_run(context, NULL);
    return NULL;
}

static void start(void)
{
    static char program[] = "vitrine", address[] = "-l127.0.0.1:0", threads[] = "-t2", limit[] = "-c40";
    static char idle[] = "-oidle_timeout=1000";
    char *arguments[] = {program, address, threads, limit, idle, NULL}, error[256];
    const struct store_config config = {
        .memory_size = 8u << 20, .item_size_max = 1u << 20, .thread_count = 2};
    ck_assert_int_eq(config_load(&server.settings, 5, arguments), CONFIG_RUN);
    server.metrics = metrics_create();
    server.store = store_create(&config, server.metrics, error, sizeof error);
    ck_assert_ptr_nonnull(server.store);
    server.net = net_create(&server.settings, server.metrics, error, sizeof error);
    ck_assert_msg(server.net != NULL, "%s", error);
    const struct protocol_host host = {.context = server.net, .connections = net_connections_visit};
    server.protocol = protocol_create(&server.settings, server.store, server.metrics, &host);
    net_start(server.net, server.protocol, server.store);
    ck_assert_int_eq(pthread_create(&server.thread, NULL, run, server.net), 0);
}

static void stop(void)
{
    net_stop(server.net);
    pthread_join(server.thread, NULL);
    net_destroy(server.net);
    protocol_destroy(server.protocol);
    store_destroy(server.store);
    metrics_destroy(server.metrics);
    settings_fini(&server.settings);
}

static int connect_client(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(net_port(server.net))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Sends a request and receives what comes first; the count of bytes, 0 when closed. */
static ssize_t ask(int fd, const char *request, char *reply, size_t size)
{
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
        return 0;
    ssize_t got = recv(fd, reply, size - 1, 0);
    reply[got > 0 ? got : 0] = '\0';
    return got > 0 ? got : 0;
}

static void ask_version(int fd)
{
    char reply[256];
    ck_assert(ask(fd, "version\r\n", reply, sizeof reply) > 0);
    ck_assert(strncmp(reply, "VERSION ", 8) == 0);
}

START_TEST(the_table_tells_each_connection_once_in_order_of_number)
{
    int clients[10];
    struct net_connection seen[16];
    for (int i = 0; i < 10; i++)
        ask_version(clients[i] = connect_client());
    /* A worker counts what it sent after sending it: the second answer tells that the first is counted. */
    for (int i = 0; i < 10; i++)
        ask_version(clients[i]);
    ck_assert_uint_eq(net_connections(server.net, 0, seen, 16), 10);
    for (int i = 0; i < 10; i++) {
        ck_assert(i == 0 || seen[i].id > seen[i - 1].id);
        ck_assert(strncmp(seen[i].peer, "tcp:127.0.0.1:", 14) == 0);
        ck_assert_uint_eq(seen[i].read_size, 2 * strlen("version\r\n"));
        ck_assert_uint_gt(seen[i].written_size, 8);
        ck_assert_uint_lt(seen[i].worker, 2);
        ck_assert_uint_le(seen[i].memory_size, 1024);
    }
    ck_assert_uint_eq(net_connections(server.net, seen[3].id, seen, 3), 3);
    for (int i = 0; i < 10; i++)
        close(clients[i]);
}
END_TEST

START_TEST(a_connection_is_closed_by_its_number_and_no_other)
{
    int one = connect_client(), other = connect_client();
    struct net_connection seen[2];
    char reply[64];
    ask_version(one);
    ask_version(other);
    ck_assert_uint_eq(net_connections(server.net, 0, seen, 2), 2);
    ck_assert(net_connection_kill(server.net, seen[0].id));
    ck_assert_int_eq(recv(one, reply, sizeof reply, 0), 0);
    ask_version(other);
    ck_assert(!net_connection_kill(server.net, seen[0].id));
    ck_assert(!net_connection_kill(server.net, 0));
    ck_assert(!net_connection_kill(server.net, 1u << 30));
    close(one);
    close(other);
}
END_TEST

START_TEST(workers_and_gauges_agree_with_the_table)
{
    int clients[6];
    struct net_worker workers[4];
    for (int i = 0; i < 6; i++)
        ask_version(clients[i] = connect_client());
    ck_assert_uint_eq(net_workers(server.net, workers, 4), 2);
    ck_assert_uint_eq(workers[0].connections, 3);
    ck_assert_uint_eq(workers[1].connections, 3);
    struct metrics_snapshot *snapshot = malloc(sizeof *snapshot);
    metrics_snapshot_take(server.metrics, snapshot);
    ck_assert_uint_eq(snapshot->value[METRIC_curr_connections], 6);
    ck_assert_uint_ge(snapshot->value[METRIC_connection_structures], 6);
    ck_assert_uint_eq(snapshot->value[METRIC_max_connections], 40);
    ck_assert_uint_eq(snapshot->value[METRIC_total_connections], 6);
    ck_assert_uint_eq(snapshot->value[METRIC_accepting_conns], 1);
    ck_assert_uint_eq(snapshot->value[METRIC_bytes_read], 6 * strlen("version\r\n"));
    free(snapshot);
    for (int i = 0; i < 6; i++)
        close(clients[i]);
}
END_TEST

START_TEST(addresses_are_those_really_bound)
{
    char addresses[128], expected[64];
    net_addresses(server.net, addresses, sizeof addresses);
    snprintf(expected, sizeof expected, "127.0.0.1:%u", net_port(server.net));
    ck_assert_str_eq(addresses, expected);
    ck_assert_uint_ne(net_port(server.net), 0);
    ck_assert(net_accepting(server.net));
}
END_TEST

/* ---- comings and goings ---- */

#define ROUNDS 150

static _Atomic bool over;

static void *come_and_go(void *context)
{
    char reply[4096];
    (void)context;
    for (int i = 0; i < ROUNDS; i++) {
        int fd = connect_client();
        ask(fd, "set k 0 0 5\r\nhello\r\n", reply, sizeof reply);
        ask(fd, i % 3 ? "get k\r\nget k\r\n" : "stats conns\r\n", reply, sizeof reply);
        if (i % 5 == 0)
            send(fd, "get k", 5, MSG_NOSIGNAL);
        close(fd);
    }
    return NULL;
}

static void *watch(void *context)
{
    struct net_connection seen[40];
    uint64_t *looked = context;
    while (!atomic_load(&over)) {
        size_t count = net_connections(server.net, 0, seen, 40);
        for (size_t i = 0; i < count; i++) {
            ck_assert(strncmp(seen[i].peer, "tcp:127.0.0.1:", 14) == 0);
            ck_assert(i == 0 || seen[i].id > seen[i - 1].id);
        }
        if (count > 0 && *looked % 7 == 0)
            net_connection_kill(server.net, seen[count - 1].id);
        ++*looked;
    }
    return NULL;
}

START_TEST(the_table_may_be_read_and_connections_closed_while_others_come_and_go)
{
    pthread_t clients[6], watcher;
    uint64_t looked = 0;
    struct net_connection seen[1];
    atomic_store(&over, false);
    ck_assert_int_eq(pthread_create(&watcher, NULL, watch, &looked), 0);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(pthread_create(&clients[i], NULL, come_and_go, NULL), 0);
    for (int i = 0; i < 6; i++)
        pthread_join(clients[i], NULL);
    atomic_store(&over, true);
    pthread_join(watcher, NULL);
    ck_assert_uint_gt(looked, 0);
    while (net_connections(server.net, 0, seen, 1) > 0)
        usleep(1000);
    ask_version(connect_client());
}
END_TEST

/* ---- turns taken together ---- */

#define CROWD 16

/* The ids of connections in the order in which they were made. */
static void crowd_connect(int *clients, uint64_t *ids)
{
    struct net_connection seen[CROWD];
    for (int i = 0; i < CROWD; i++)
        ask_version(clients[i] = connect_client());
    ck_assert_uint_eq(net_connections(server.net, 0, seen, CROWD), CROWD);
    for (int i = 0; i < CROWD; i++)
        ids[i] = seen[i].id;
}

/* Every other one is closed by order while all of them ask: the orders find them asking, waiting for their
 * turn with the others, or answered. */
START_TEST(an_order_closes_who_waits_for_a_turn_with_others)
{
    static const char request[] = "get none\r\n";
    int clients[CROWD];
    uint64_t ids[CROWD];
    char reply[64];
    struct net_connection seen[1];
    for (int round = 0; round < 200; round++) {
        crowd_connect(clients, ids);
        for (int i = 0; i < CROWD; i++) {
            ck_assert_int_eq(send(clients[i], request, strlen(request), MSG_NOSIGNAL),
                             (ssize_t)strlen(request));
            if (i % 4 == 3)
                net_connection_kill(server.net, ids[i - round % 4]);
        }
        for (int i = 0; i < CROWD; i++) {
            bool killed = i % 4 == 3 - round % 4;
            ssize_t got = recv(clients[i], reply, sizeof reply, 0);
            ck_assert(got == 5 ? memcmp(reply, "END\r\n", 5) == 0 : killed && got <= 0);
            close(clients[i]);
        }
        while (net_connections(server.net, 0, seen, 1) > 0)
            usleep(100);
    }
}
END_TEST

START_TEST(requests_of_those_served_together_are_counted_with_their_own_connection)
{
    int clients[CROWD];
    uint64_t ids[CROWD];
    char reply[64];
    struct net_connection seen[CROWD];
    crowd_connect(clients, ids);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < CROWD; i++)
            send(clients[i], i % 2 ? "get a b c\r\n" : "get a\r\n", i % 2 ? 11 : 7, MSG_NOSIGNAL);
        for (int i = 0; i < CROWD; i++)
            ck_assert_int_eq(recv(clients[i], reply, sizeof reply, 0), 5);
    }
    ck_assert_uint_eq(net_connections(server.net, 0, seen, CROWD), CROWD);
    for (int i = 0; i < CROWD; i++) {
        ck_assert_uint_eq(seen[i].requests, 1 + 50 * (i % 2 ? 3 : 1)); /* and the version */
        close(clients[i]);
    }
}
END_TEST

START_TEST(a_stop_closes_every_connection)
{
    int clients[5];
    char byte;
    for (int i = 0; i < 5; i++)
        ask_version(clients[i] = connect_client());
    stop();
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(recv(clients[i], &byte, 1, 0), 0);
        close(clients[i]);
    }
    start();
}
END_TEST

int main(void)
{
    log_level_set(LOG_LEVEL_ERROR);
    clock_init();
    Suite *suite = suite_create("net");
    TCase *connections = tcase_create("connections");
    tcase_add_checked_fixture(connections, start, stop);
    tcase_set_timeout(connections, 120);
    tcase_add_test(connections, the_table_tells_each_connection_once_in_order_of_number);
    tcase_add_test(connections, a_connection_is_closed_by_its_number_and_no_other);
    tcase_add_test(connections, workers_and_gauges_agree_with_the_table);
    tcase_add_test(connections, addresses_are_those_really_bound);
    tcase_add_test(connections, the_table_may_be_read_and_connections_closed_while_others_come_and_go);
    tcase_add_test(connections, an_order_closes_who_waits_for_a_turn_with_others);
    tcase_add_test(connections, requests_of_those_served_together_are_counted_with_their_own_connection);
    tcase_add_test(connections, a_stop_closes_every_connection);
    suite_add_tcase(suite, connections);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
