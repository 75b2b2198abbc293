/* Several sessions whose first keys are fetched together before any of them is run: nothing that is answered
 * may depend on it, whatever the inputs hold and whatever the sessions before have changed. */
#include "protocol_fixture.h"

static const struct fixture_sizes roomy = {8 << 20, 65536, 65536, false};

struct client {
    struct session session;
    char *data; /* of its exact size, so that a sanitizer sees any byte read beyond it */
    size_t size;
};

static struct client client_of(const char *text, size_t size)
{
    struct client client = {.data = malloc(size > 0 ? size : 1), .size = size};
    session_init(&client.session);
    memcpy(client.data, text, size);
    return client;
}

/* Runs the clients in order as net does with a group, and returns all that they were answered. */
static const char *run_together(struct fixture *f, struct client *clients, unsigned count, bool prefetched)
{
    struct protocol_input inputs[PROTOCOL_PREFETCH_MAX];
    f->reply.size = 0;
    for (unsigned i = 0; i < count; i++)
        inputs[i] =
            (struct protocol_input){.data = clients[i].data, .size = clients[i].size, .capacity = 65536};
    if (prefetched)
        protocol_prefetch(f->thread, inputs, count);
    for (unsigned i = 0; i < count; i++) {
        protocol_run(f->thread, &clients[i].session, &inputs[i], &f->output);
        fixture_send(f);
    }
    store_thread_quiesce(f->store_thread);
    for (unsigned i = 0; i < count; i++) {
        session_fini(&clients[i].session);
        free(clients[i].data);
    }
    return fixture_reply(f);
}

static const char *run_texts(struct fixture *f, const char *const *texts, unsigned count, bool prefetched)
{
    struct client clients[PROTOCOL_PREFETCH_MAX];
    for (unsigned i = 0; i < count; i++)
        clients[i] = client_of(texts[i], strlen(texts[i]));
    return run_together(f, clients, count, prefetched);
}

static const char *const begin[] = {"set a 0 0 1\r\n1\r\n", "set bb 5 0 2\r\n22\r\n",
                                    "set ccc 0 0 3\r\n333\r\n"};

START_TEST(each_gets_the_answer_to_its_own_first_key)
{
    const char *const texts[] = {"get a\r\n",       "get bb\r\n",   "get none\r\n", "get ccc\r\nget a\r\n",
                                 "gets bb ccc\r\n", "mg a v k\r\n", "get  a\r\n",   "get a \r\n"};
    struct fixture *f = fixture_open(&roomy);
    run_texts(f, begin, 3, true);
    char *alone = strdup(run_texts(f, texts, 8, false));
    ck_assert_str_eq(run_texts(f, texts, 8, true), alone);
    ck_assert_ptr_nonnull(
        strstr(alone, "VALUE bb 5 2\r\n22\r\nEND\r\nEND\r\nVALUE ccc 0 3\r\n333\r\nEND\r\n"));
    free(alone);
    fixture_close(f);
}
END_TEST

/* What was seen ahead is only where an item was: the sessions before may delete it, replace it or make it. */
START_TEST(what_a_session_before_has_changed_is_seen)
{
    const char *const texts[] = {
        "delete a\r\n",         "get a\r\n", "set bb 0 0 3\r\nnew\r\n", "get bb\r\n",
        "add d 0 0 1\r\n4\r\n", "get d\r\n", "flush_all\r\n",           "get ccc\r\n"};
    struct fixture *f = fixture_open(&roomy);
    run_texts(f, begin, 3, true);
    ck_assert_str_eq(run_texts(f, texts, 8, true), "DELETED\r\nEND\r\n"
                                                   "STORED\r\nVALUE bb 0 3\r\nnew\r\nEND\r\n"
                                                   "STORED\r\nVALUE d 0 1\r\n4\r\nEND\r\n"
                                                   "OK\r\nEND\r\n");
    fixture_close(f);
}
END_TEST

/* So many others are stored in between that the index grows and every bucket changes. */
START_TEST(a_key_that_was_seen_ahead_is_found_where_the_index_has_grown)
{
    struct fixture *f = fixture_open(&roomy);
    char text[64];
    run_texts(f, begin, 3, true);
    struct client clients[1] = {client_of("get bb\r\n", 8)};
    struct protocol_input input = {.data = clients[0].data, .size = 8, .capacity = 65536};
    protocol_prefetch(f->thread, &input, 1);
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(text, sizeof text, "set key%u 0 0 1\r\nx\r\n", i);
        ck_assert_str_eq(fixture_ask(f, text), "STORED\r\n");
        if (i % 500 == 0)
            store_maintain(f->store);
    }
    f->reply.size = 0;
    protocol_run(f->thread, &clients[0].session, &input, &f->output);
    fixture_send(f);
    ck_assert_str_eq(fixture_reply(f), "VALUE bb 5 2\r\n22\r\nEND\r\n");
    free(clients[0].data);
    fixture_close(f);
}
END_TEST

/* The second word is not always a key, nor always whole, nor always text. */
START_TEST(whatever_stands_there_is_answered_as_ever)
{
    const char *const groups[][4] = {
        {"", "get", "get ", "get a"},
        {"\r\n", " \r\n", "  a\r\n", "get \r\n"},
        {"gat 0 a\r\n", "gats 0 bb ccc\r\n", "touch a 0\r\n", "incr a 1\r\n"},
        {"mn\r\n", "ma a\r\n", "me a\r\n", "mg YQ== b v\r\n"},
        {"verbosity 1\r\n", "version\r\n", "bogus a\r\n", "quit\r\n"},
        {"set a 0 0 1\r\n", "set a 0 0 1\r\n7", "set a 0 0 1\r\n7\r\n", "get a\r\n"},
        {"append a 0 0 1\r\n8\r\n", "get a\nget bb\n", "get a\n", "get\ta\r\n"},
    };
    static char long_key[400];
    memset(long_key, 'k', sizeof long_key - 1);
    memcpy(long_key, "get ", 4);
    for (size_t size = 253; size < 256; size++) {
        memcpy(long_key + size, "\r\n", 3);
        struct fixture *f = fixture_open(&roomy);
        const char *texts[] = {long_key};
        const char *want = size <= 254 ? "END\r\n" : "CLIENT_ERROR bad command line format\r\n";
        ck_assert_str_eq(run_texts(f, texts, 1, true), want);
        fixture_close(f);
        long_key[size] = long_key[size + 1] = 'k';
    }
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        char *replies[2];
        for (int prefetched = 0; prefetched < 2; prefetched++) {
            struct fixture *f = fixture_open(&roomy);
            run_texts(f, begin, 3, true);
            replies[prefetched] = strdup(run_texts(f, groups[i], 4, prefetched != 0));
            fixture_close(f);
        }
        ck_assert_str_eq(replies[0], replies[1]);
        free(replies[0]);
        free(replies[1]);
    }
}
END_TEST

START_TEST(binary_frames_and_zero_bytes_are_no_text)
{
    static const char noop[24] = {(char)0x80, 0x0a}, zeroes[40] = {0};
    static const char get[26] = {(char)0x80, 0x00, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, [24] = 'b', 'b'};
    struct fixture *f = fixture_open(&roomy);
    run_texts(f, begin, 3, true);
    struct client clients[4] = {client_of(noop, sizeof noop), client_of(get, sizeof get),
                                client_of(zeroes, sizeof zeroes), client_of("get bb\r\n", 8)};
    const char *reply = run_together(f, clients, 4, true);
    ck_assert_int_eq(reply[0], (char)0x81);
    ck_assert_int_eq(reply[24], (char)0x81);
    ck_assert_mem_eq(reply + 24 + 24 + 4, "22", 2); /* the head, the client's flags, the value */
    fixture_close(f);
}
END_TEST

START_TEST(counters_do_not_tell_the_difference)
{
    const char *const texts[] = {"get a\r\n", "get bb\r\n", "get none\r\n", "get ccc a\r\n"};
    struct fixture *f = fixture_open(&roomy);
    run_texts(f, begin, 3, true);
    run_texts(f, texts, 4, true);
    ck_assert_uint_eq(fixture_metric(f, METRIC_cmd_get), 5);
    ck_assert_uint_eq(fixture_metric(f, METRIC_get_hits), 4);
    ck_assert_uint_eq(fixture_metric(f, METRIC_get_misses), 1);
    ck_assert_uint_eq(metrics_turn_requests(f->block), 8);
    ck_assert_uint_eq(metrics_turn_end(f->block, 1000), 8);
    ck_assert_uint_eq(metrics_turn_requests(f->block), 0);
    fixture_close(f);
}
END_TEST

int main(void)
{
    clock_init();
    Suite *suite = suite_create("prefetch");
    TCase *together = tcase_create("together");
    tcase_set_timeout(together, 60);
    tcase_add_test(together, each_gets_the_answer_to_its_own_first_key);
    tcase_add_test(together, what_a_session_before_has_changed_is_seen);
    tcase_add_test(together, a_key_that_was_seen_ahead_is_found_where_the_index_has_grown);
    tcase_add_test(together, whatever_stands_there_is_answered_as_ever);
    tcase_add_test(together, binary_frames_and_zero_bytes_are_no_text);
    tcase_add_test(together, counters_do_not_tell_the_difference);
    suite_add_tcase(suite, together);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
