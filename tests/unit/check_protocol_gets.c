/* Lists and pipelines of gets, which are looked up many at once: every reply in its place whatever the output
 * can take, and each key counted once. */
#include "protocol_fixture.h"

#define KEY_COUNT 200u

/* Every seventh is absent, every eleventh long, some have flags; sizes lie around all limits of digits. */
static bool is_there(unsigned number)
{
    return number % 7 != 0;
}

static size_t value_size(unsigned number)
{
    static const size_t sizes[] = {0,  1,  9,  10, 15,  16,  17,  31,  32,  33,
                                   63, 64, 65, 99, 100, 128, 129, 999, 1000};
    return number % 11 == 0 ? 20000 : number % 29 == 0 ? 10001 : sizes[number % 19];
}

static int write_key(char *out, unsigned number)
{
    return sprintf(out, "%0*u", (int)(3 + number % 60), number);
}

static void add_value(struct buffer *text, unsigned number)
{
    char key[80];
    char *body = fixture_body(value_size(number));
    write_key(key, number);
    buffer_format(text, "VALUE %s %u %zu\r\n", key, number % 3 ? 0 : number * 1000, value_size(number));
    buffer_append(text, body, value_size(number) + 2);
    free(body);
}

static void fill(struct fixture *f)
{
    for (unsigned number = 0; number < KEY_COUNT; number++) {
        struct buffer text = {0};
        char key[80];
        char *body = fixture_body(value_size(number));
        if (!is_there(number)) {
            free(body);
            continue;
        }
        write_key(key, number);
        buffer_format(&text, "set %s %u 0 %zu\r\n", key, number % 3 ? 0 : number * 1000, value_size(number));
        buffer_append(&text, body, value_size(number) + 2);
        f->reply.size = 0;
        fixture_feed(f, text.data, text.size, SIZE_MAX);
        ck_assert_str_eq(fixture_reply(f), "STORED\r\n");
        buffer_fini(&text);
        free(body);
    }
}

/* All keys, `keys` a line, a set of another key after every `sets` lines (0: none). */
static void ask_all(size_t output, unsigned keys, unsigned sets, size_t piece)
{
    struct fixture_sizes sizes = {.memory = 64 << 20, .input = 65536, .output = output};
    struct fixture *f = fixture_open(&sizes);
    struct buffer asked = {0}, expected = {0};
    unsigned hits = 0;
    fill(f);
    for (unsigned number = 0; number < KEY_COUNT;) {
        buffer_text(&asked, "get");
        for (unsigned i = 0; i < keys && number < KEY_COUNT; i++, number++) {
            char key[80];
            write_key(key, number);
            buffer_format(&asked, " %s", key);
            if (is_there(number)) {
                add_value(&expected, number);
                hits++;
            }
        }
        buffer_text(&asked, "\r\n");
        buffer_text(&expected, "END\r\n");
        if (sets > 0 && number / keys % sets == 0) {
            buffer_text(&asked, "set other 0 0 1\r\nx\r\n");
            buffer_text(&expected, "STORED\r\n");
        }
    }
    f->reply.size = 0;
    uint64_t hits_before = fixture_metric(f, METRIC_get_hits), misses = fixture_metric(f, METRIC_get_misses);
    uint64_t unseen = fixture_metric(f, METRIC_miss_never_seen);
    fixture_feed(f, asked.data, asked.size, piece);
    ck_assert_uint_eq(f->reply.size, expected.size);
    ck_assert(memcmp(f->reply.data, expected.data, expected.size) == 0);
    ck_assert_uint_eq(fixture_metric(f, METRIC_get_hits) - hits_before, hits);
    ck_assert_uint_eq(fixture_metric(f, METRIC_get_misses) - misses, KEY_COUNT - hits);
    ck_assert_uint_eq(fixture_metric(f, METRIC_miss_never_seen) - unseen, KEY_COUNT - hits);
    buffer_fini(&asked);
    buffer_fini(&expected);
    fixture_close(f);
}

static const size_t outputs[] = {1024, 1500, 4096, 20500, 48 << 10, 1 << 20};

START_TEST(pipelined_gets_are_answered_in_order_whatever_the_output_takes)
{
    ask_all(outputs[_i], 1, 0, SIZE_MAX);
    ask_all(outputs[_i], 1, 3, SIZE_MAX);
    ask_all(outputs[_i], 1, 0, 700);
}
END_TEST

START_TEST(lists_of_keys_are_answered_in_order_whatever_the_output_takes)
{
    ask_all(outputs[_i], 5, 0, SIZE_MAX);
    ask_all(outputs[_i], 50, 2, SIZE_MAX);
    ask_all(outputs[_i], 200, 0, SIZE_MAX);
    ask_all(outputs[_i], 200, 0, 1000);
}
END_TEST

START_TEST(get_and_gets_in_one_pipeline_each_say_their_own)
{
    struct fixture_sizes sizes = {.memory = 1 << 20, .input = 2048, .output = 4096};
    struct fixture *f = fixture_open(&sizes);
    fixture_ask(f, "set a 5 0 1\r\nx\r\nset b 0 0 2\r\nyy\r\n");
    const char *reply = fixture_ask(f, "get a b\r\ngets a c\r\nget c\r\ngets b\r\n");
    unsigned long long cas_a, cas_b;
    char expected[400];
    ck_assert_int_eq(sscanf(strstr(reply, "END"), "END\r\nVALUE a 5 1 %llu", &cas_a), 1);
    ck_assert_int_eq(sscanf(strstr(reply, "VALUE b 0 2 "), "VALUE b 0 2 %llu", &cas_b), 1);
    snprintf(expected, sizeof expected,
             "VALUE a 5 1\r\nx\r\nVALUE b 0 2\r\nyy\r\nEND\r\nVALUE a 5 1 %llu\r\nx\r\nEND\r\nEND\r\n"
             "VALUE b 0 2 %llu\r\nyy\r\nEND\r\n",
             cas_a, cas_b);
    ck_assert_str_eq(reply, expected);
    ck_assert_uint_ne(cas_a, cas_b);
    ck_assert_str_eq(fixture_ask(f, "cas a 0 0 1 1\r\nz\r\n"), "EXISTS\r\n");
    fixture_close(f);
}
END_TEST

/* What a write of the same pipeline does is seen by the gets behind it, and by none before it. */
START_TEST(gets_see_the_writes_that_stand_before_them)
{
    struct fixture_sizes sizes = {.memory = 1 << 20, .input = 2048, .output = 4096};
    struct fixture *f = fixture_open(&sizes);
    ck_assert_str_eq(
        fixture_ask(f, "get k\r\nget k\r\nset k 0 0 1\r\n1\r\nget k\r\nget k k\r\nset k 0 0 1\r\n2\r\n"
                       "get k\r\ndelete k\r\nget k\r\n"),
        "END\r\nEND\r\nSTORED\r\nVALUE k 0 1\r\n1\r\nEND\r\nVALUE k 0 1\r\n1\r\nVALUE k 0 1\r\n1\r\n"
        "END\r\nSTORED\r\nVALUE k 0 1\r\n2\r\nEND\r\nDELETED\r\nEND\r\n");
    fixture_close(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("protocol gets");
    TCase *tcase = tcase_create("gets");
    int output_count = (int)(sizeof outputs / sizeof *outputs);
    tcase_add_loop_test(tcase, pipelined_gets_are_answered_in_order_whatever_the_output_takes, 0,
                        output_count);
    tcase_add_loop_test(tcase, lists_of_keys_are_answered_in_order_whatever_the_output_takes, 0,
                        output_count);
    tcase_add_test(tcase, get_and_gets_in_one_pipeline_each_say_their_own);
    tcase_add_test(tcase, gets_see_the_writes_that_stand_before_them);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
