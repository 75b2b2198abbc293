/* Large values, in and out: bodies that come in pieces, replies that are longer than the output. */
#include "protocol_fixture.h"

static const struct fixture_sizes roomy = {8 << 20, 65536, 65536, false};

/* ---- bodies ---- */

static void expect_value(struct fixture *f, const char *key, const char *value, size_t size)
{
    char line[300], head[300];
    snprintf(line, sizeof line, "get %s\r\n", key);
    int head_size = snprintf(head, sizeof head, "VALUE %s 0 %zu\r\n", key, size);
    const char *reply = fixture_ask(f, line);
    ck_assert_msg(strncmp(reply, head, (size_t)head_size) == 0, "%.60s", reply);
    ck_assert_int_eq(memcmp(reply + head_size, value, size), 0);
    ck_assert_str_eq(reply + (size_t)head_size + size, "\r\nEND\r\n");
}

START_TEST(stores_bodies_of_any_size_and_cut)
{
    static const size_t sizes[] = {0, 1, 1000, 16384, 16385, 65534, 65536, 200000, 1000000};
    static const size_t pieces[] = {1448, 4096, 65536};
    struct fixture *f = fixture_open(&(struct fixture_sizes){16 << 20, 65536, 65536, false});
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char line[64], *body = fixture_body(sizes[i]);
        int line_size = snprintf(line, sizeof line, "set k 0 0 %zu\r\n", sizes[i]);
        for (unsigned j = 0; j < sizeof pieces / sizeof *pieces; j++) {
            f->reply.size = 0;
            fixture_feed(f, line, (size_t)line_size, SIZE_MAX);
            fixture_feed(f, body, sizes[i] + 2, pieces[j]);
            ck_assert_str_eq(fixture_reply(f), "STORED\r\n");
            expect_value(f, "k", body, sizes[i]);
        }
        free(body);
    }
    fixture_close(f);
}
END_TEST

/* As net does: bytes go straight to where the store wants them, while there is such a place. */
START_TEST(receives_a_large_body_directly)
{
    struct fixture *f = fixture_open(&roomy);
    size_t size = 300000, at = 0;
    char *body = fixture_body(size);
    fixture_ask(f, "set k 0 0 300000\r\n");
    while (at < size + 2) {
        size_t room;
        char *to = protocol_body_room(&f->session, &room);
        ck_assert_ptr_nonnull(to);
        ck_assert_uint_gt(room, 0);
        ck_assert_uint_le(room, size + 2 - at);
        if (room > 5000)
            room = 5000;
        memcpy(to, body + at, room);
        protocol_body_received(&f->session, room);
        at += room;
    }
    size_t none;
    ck_assert_ptr_null(protocol_body_room(&f->session, &none));
    f->reply.size = 0;
    fixture_run(f);
    ck_assert_str_eq(fixture_reply(f), "STORED\r\n");
    expect_value(f, "k", body, size);
    free(body);
    fixture_close(f);
}
END_TEST

START_TEST(joins_large_values)
{
    struct fixture *f = fixture_open(&roomy);
    char *body = fixture_body(200000);
    static const char *const lines[] = {"set k 0 0 200000\r\n", "append k 0 0 200000\r\n",
                                        "prepend k 0 0 200000\r\n"};
    for (unsigned i = 0; i < 3; i++) {
        f->reply.size = 0;
        fixture_feed(f, lines[i], strlen(lines[i]), SIZE_MAX);
        fixture_feed(f, body, 200002, SIZE_MAX);
        ck_assert_str_eq(fixture_reply(f), "STORED\r\n");
    }
    char *all = malloc(600000);
    for (unsigned i = 0; i < 3; i++)
        memcpy(all + i * 200000, body, 200000);
    expect_value(f, "k", all, 600000);
    free(all);
    free(body);
    fixture_close(f);
}
END_TEST

START_TEST(refuses_a_large_body_that_ends_wrong)
{
    struct fixture *f = fixture_open(&roomy);
    char *body = fixture_body(200000);
    fixture_ask(f, "set k 0 0 3\r\nold\r\n");
    f->reply.size = 0;
    fixture_feed(f, "set k 0 0 199999\r\n", 18, SIZE_MAX);
    fixture_feed(f, body, 200002, SIZE_MAX);
    ck_assert_str_eq(fixture_reply(f),
                     "CLIENT_ERROR bad data chunk\r\nCLIENT_ERROR bad command line format\r\n");
    ck_assert_str_eq(fixture_ask(f, "get k\r\n"), "VALUE k 0 3\r\nold\r\nEND\r\n");
    free(body);
    fixture_close(f);
}
END_TEST

START_TEST(refuses_a_value_over_the_limit_and_forgets_the_old_one)
{
    struct fixture *f = fixture_open(&roomy);
    char *body = fixture_body(1048577);
    fixture_ask(f, "set k 0 0 3\r\nold\r\n");
    f->reply.size = 0;
    fixture_feed(f, "set k 0 0 1048577\r\n", 19, SIZE_MAX);
    ck_assert_str_eq(fixture_reply(f), "SERVER_ERROR object too large for cache\r\n");
    fixture_feed(f, body, 1048579, 9999);
    ck_assert_str_eq(fixture_ask(f, "get k\r\n"), "END\r\n");
    ck_assert_uint_eq(fixture_metric(f, METRIC_store_too_large), 1);
    free(body);
    fixture_close(f);
}
END_TEST

/* A second connection on the same worker. */
struct client {
    struct session session;
    struct output output;
    char data[4096];
};

static void client_open(struct client *client)
{
    memset(client, 0, sizeof *client);
    session_init(&client->session);
    client->output.data = client->data;
    client->output.capacity = sizeof client->data;
}

static enum protocol_next client_send(struct fixture *f, struct client *client, const char *data, size_t size)
{
    struct protocol_input input = {.data = (char *)data, .size = size, .capacity = 65536};
    enum protocol_next next = protocol_run(f->thread, &client->session, &input, &client->output);
    ck_assert(input.consumed == size || next != PROTOCOL_READ);
    return next;
}

static void client_close(struct client *client)
{
    session_fini(&client->session);
    output_clear(&client->output);
}

START_TEST(bounds_what_bodies_in_flight_hold)
{
    enum { CLIENTS = 40, SENT = 200000 };
    struct fixture *f = fixture_open(&roomy);
    struct client *clients = malloc(CLIENTS * sizeof *clients);
    char *body = fixture_body(SENT);
    unsigned held = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        client_open(&clients[i]);
        client_send(f, &clients[i], "set k 0 0 1000000\r\n", 19);
        for (size_t at = 0; at < SENT; at += 50000)
            client_send(f, &clients[i], body + at, 50000);
        held += clients[i].session.staging != NULL;
    }
    struct store_usage usage;
    store_usage_read(f->store, &usage);
    ck_assert_uint_gt(held, 0);
    ck_assert_uint_lt(held, CLIENTS);
    ck_assert_uint_le(usage.staging_size, (8u << 20) / 4);
    /* Those that were given up still swallow the rest, then say so. */
    struct client *last = &clients[CLIENTS - 1];
    ck_assert_ptr_null(last->session.staging);
    for (size_t at = SENT; at < 1000000; at += 50000)
        client_send(f, last, body, 50000);
    ck_assert_uint_eq(last->output.size, 0);
    client_send(f, last, "\r\n", 2);
    ck_assert_int_eq(memcmp(last->data, "SERVER_ERROR out of memory storing object\r\n", last->output.size),
                     0);
    for (unsigned i = 0; i < CLIENTS; i++)
        client_close(&clients[i]);
    store_usage_read(f->store, &usage);
    ck_assert_uint_eq(usage.staging_size, 0);
    free(body);
    free(clients);
    fixture_close(f);
}
END_TEST

/* ---- long replies ---- */

START_TEST(answers_seventy_thousand_keys_in_bounded_memory)
{
    enum { KEYS = 70000 };
    struct fixture *f = fixture_open(&(struct fixture_sizes){8 << 20, 16384, 16384, false});
    fixture_ask(f, "set k 0 0 100\r\n1234567890123456789012345678901234567890123456789012345678901234567890"
                   "123456789012345678901234567890\r\n");
    f->reply.size = 0;
    fixture_feed(f, "get", 3, 3);
    for (unsigned i = 0; i < KEYS; i++)
        fixture_feed(f, " k", 2, 2);
    fixture_feed(f, "\r\n", 2, 2);
    ck_assert_uint_le(f->output_max, 16384);
    ck_assert_uint_eq(f->reply.size, KEYS * (strlen("VALUE k 0 100\r\n") + 102) + 5);
    ck_assert_uint_eq(fixture_metric(f, METRIC_get_hits), KEYS);
    fixture_close(f);
}
END_TEST

START_TEST(sends_more_large_values_than_it_pins)
{
    enum { KEYS = 50, SIZE = 20000 };
    struct fixture *f = fixture_open(&roomy);
    char *body = fixture_body(SIZE), line[1000] = "get";
    fixture_feed(f, "set k 0 0 20000\r\n", 17, SIZE_MAX);
    fixture_feed(f, body, SIZE + 2, SIZE_MAX);
    for (unsigned i = 0; i < KEYS; i++)
        strcat(line, " k");
    strcat(line, "\r\n");
    const char *reply = fixture_ask(f, line);
    for (unsigned i = 0; i < KEYS; i++) {
        ck_assert_int_eq(strncmp(reply, "VALUE k 0 20000\r\n", 17), 0);
        ck_assert_int_eq(memcmp(reply + 17, body, SIZE + 2), 0);
        reply += 17 + SIZE + 2;
    }
    ck_assert_str_eq(reply, "END\r\n");
    ck_assert_uint_eq(fixture_metric(f, METRIC_get_hits), KEYS);
    free(body);
    fixture_close(f);
}
END_TEST

/* Takes what waits in a client's output. */
static void client_drain(struct client *client, struct buffer *reply)
{
    struct iovec vector;
    while (output_vectors(&client->output, &vector, 1) == 1) {
        buffer_append(reply, vector.iov_base, vector.iov_len);
        output_advance(&client->output, vector.iov_len);
    }
}

START_TEST(sends_values_in_pieces_when_no_more_can_be_pinned)
{
    enum { CLIENTS = 30, SIZE = 100000 };
    struct fixture *f = fixture_open(&roomy);
    struct client *clients = malloc(CLIENTS * sizeof *clients);
    char *body = fixture_body(SIZE), line[32];
    unsigned pinned = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        int size = snprintf(line, sizeof line, "set k%02u 0 0 %d\r\n", i, SIZE);
        fixture_feed(f, line, (size_t)size, SIZE_MAX);
        fixture_feed(f, body, SIZE + 2, SIZE_MAX);
        client_open(&clients[i]);
        size = snprintf(line, sizeof line, "get k%02u\r\n", i);
        client_send(f, &clients[i], line, (size_t)size);
        pinned += clients[i].output.pin_count;
    }
    ck_assert_uint_gt(pinned, 0);
    ck_assert_uint_lt(pinned, CLIENTS);
    struct buffer reply = {0};
    client_drain(&clients[CLIENTS - 1], &reply);
    while (client_send(f, &clients[CLIENTS - 1], "\r\n", 2) == PROTOCOL_WRITE)
        client_drain(&clients[CLIENTS - 1], &reply);
    client_drain(&clients[CLIENTS - 1], &reply);
    ck_assert_uint_eq(reply.size, 20 + SIZE + 2 + 5);
    ck_assert_int_eq(memcmp(reply.data, "VALUE k29 0 100000\r\n", 20), 0);
    ck_assert_int_eq(memcmp(reply.data + 20, body, SIZE + 2), 0);
    /* The same in binary, and the next frame behind it. */
    static const char getk[] = "\x80\x0c\0\3\0\0\0\0\0\0\0\3opaq\0\0\0\0\0\0\0\0k29";
    static const char noop[] = "\x80\x0a\0\0\0\0\0\0\0\0\0\0opaq\0\0\0\0\0\0\0";
    client_close(&clients[0]);
    client_open(&clients[0]);
    reply.size = 0;
    enum protocol_next next = client_send(f, &clients[0], getk, sizeof getk - 1);
    ck_assert_uint_eq(clients[0].output.pin_count, 0);
    while (next == PROTOCOL_WRITE) {
        client_drain(&clients[0], &reply);
        next = client_send(f, &clients[0], noop, sizeof noop);
    }
    client_drain(&clients[0], &reply);
    ck_assert_uint_eq(reply.size, 24 + 4 + 3 + SIZE + 24);
    ck_assert_int_eq(memcmp(reply.data + 24 + 4, "k29", 3), 0);
    ck_assert_int_eq(memcmp(reply.data + 24 + 4 + 3, body, SIZE), 0);
    ck_assert_int_eq(memcmp(reply.data + reply.size - 24, "\x81\x0a", 2), 0);
    /* A value that is replaced while it goes out can only be broken off. */
    client_drain(&clients[CLIENTS - 2], &reply);
    fixture_ask(f, "set k28 0 0 1\r\nx\r\n");
    ck_assert_int_eq(client_send(f, &clients[CLIENTS - 2], "\r\n", 2), PROTOCOL_CLOSE);
    for (unsigned i = 0; i < CLIENTS; i++)
        client_close(&clients[i]);
    buffer_fini(&reply);
    free(body);
    free(clients);
    fixture_close(f);
}
END_TEST

START_TEST(yields_to_other_connections)
{
    enum { REQUESTS = 10000 };
    struct fixture *f = fixture_open(&roomy);
    char *input = malloc(REQUESTS * 7 + 1);
    for (unsigned i = 0; i < REQUESTS; i++)
        memcpy(input + i * 7, "get k\r\n", 7);
    f->reply.size = 0;
    fixture_feed(f, input, REQUESTS * 7, SIZE_MAX);
    ck_assert_uint_eq(f->reply.size, REQUESTS * 5);
    ck_assert_uint_ge(f->yields, REQUESTS / 20 - 4);
    ck_assert_uint_le(f->output_max, 65536);
    free(input);
    fixture_close(f);
}
END_TEST

/* memcached's open issue 1306: a body that is two bytes longer than said. */
START_TEST(goes_on_behind_a_body_that_is_too_long)
{
    struct fixture *f = fixture_open(&roomy);
    char *body = fixture_body(600002);
    fixture_feed(f, "set a 0 0 600000\r\n", 18, SIZE_MAX);
    fixture_feed(f, body, 600002, SIZE_MAX);
    ck_assert_str_eq(fixture_reply(f), "CLIENT_ERROR bad data chunk\r\n");
    ck_assert_str_eq(fixture_ask(f, "get a\r\n"), "END\r\n");
    free(body);
    fixture_close(f);
}
END_TEST

static void add_tests(Suite *suite)
{
    TCase *bodies = tcase_create("bodies");
    tcase_set_timeout(bodies, 120);
    tcase_add_test(bodies, stores_bodies_of_any_size_and_cut);
    tcase_add_test(bodies, receives_a_large_body_directly);
    tcase_add_test(bodies, joins_large_values);
    tcase_add_test(bodies, refuses_a_large_body_that_ends_wrong);
    tcase_add_test(bodies, refuses_a_value_over_the_limit_and_forgets_the_old_one);
    tcase_add_test(bodies, bounds_what_bodies_in_flight_hold);
    tcase_add_test(bodies, goes_on_behind_a_body_that_is_too_long);
    suite_add_tcase(suite, bodies);
    TCase *replies = tcase_create("replies");
    tcase_set_timeout(replies, 120);
    tcase_add_test(replies, answers_seventy_thousand_keys_in_bounded_memory);
    tcase_add_test(replies, sends_more_large_values_than_it_pins);
    tcase_add_test(replies, sends_values_in_pieces_when_no_more_can_be_pinned);
    tcase_add_test(replies, yields_to_other_connections);
    suite_add_tcase(suite, replies);
}

int main(void)
{
    clock_init();
    clock_freeze_for_test(1000);
    Suite *suite = suite_create("protocol bodies");
    add_tests(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
