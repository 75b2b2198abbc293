/* incr and decr as memcached does them. */
#include "check_store.h"

static const struct arithmetic_case {
    const char *before;
    uint64_t delta;
    bool decrement;
    enum result result;
    const char *reply, *after;
} cases[] = {
    {"5", 3, false, RESULT_HIT, "8", "8"},
    {"9", 1, false, RESULT_HIT, "10", "10"},
    {"10", 1, true, RESULT_HIT, "9", "9 "},
    {"3", 5, true, RESULT_HIT, "0", "0"},
    {"100", 100, true, RESULT_HIT, "0", "0  "},
    {"0009", 1, false, RESULT_HIT, "10", "10  "},
    {"18446744073709551615", 1, false, RESULT_HIT, "0", "0                   "},
    {"18446744073709551615", 2, false, RESULT_HIT, "1", "1                   "},
    {"9 ", 1, false, RESULT_HIT, "10", "10"},
    {"1 x", 1, false, RESULT_HIT, "2", "2  "},
    {"18446744073709551616", 1, false, RESULT_NON_NUMERIC, NULL, "18446744073709551616"},
    {"", 1, false, RESULT_NON_NUMERIC, NULL, ""},
    {" ", 1, false, RESULT_NON_NUMERIC, NULL, " "},
    {"-1", 1, false, RESULT_NON_NUMERIC, NULL, "-1"},
    {"12a", 1, false, RESULT_NON_NUMERIC, NULL, "12a"},
};

START_TEST(arithmetic_follows_the_table)
{
    struct fixture f = fixture_of_size(MIB);
    const struct arithmetic_case *c = &cases[_i];
    struct store_delta delta = {.key = fixture_key(&f, "n"), .delta = c->delta, .decrement = c->decrement};
    struct store_number number;
    fixture_set(&f, "n", c->before);
    ck_assert_int_eq(store_arithmetic(f.thread, &delta, &number), c->result);
    if (c->reply) {
        ck_assert_uint_eq(number.size, strlen(c->reply));
        ck_assert_mem_eq(number.text, c->reply, number.size);
        ck_assert_uint_eq(number.value, strtoull(c->reply, NULL, 10));
    }
    ck_assert(fixture_has(&f, "n", c->after));
    fixture_close(&f);
}
END_TEST

START_TEST(arithmetic_on_an_absent_key_misses)
{
    struct fixture f = fixture_of_size(MIB);
    ck_assert_int_eq(fixture_increment(&f, "n"), RESULT_MISS);
    fixture_write(&f, STORE_SET, "n", "1", 101);
    clock_freeze_for_test(101);
    ck_assert_int_eq(fixture_increment(&f, "n"), RESULT_MISS);
    fixture_close(&f);
}
END_TEST

START_TEST(arithmetic_keeps_flags_and_expiry_and_changes_the_cas)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_key key = fixture_key(&f, "n");
    struct store_write write = {.key = key, .value = "99", .size = 2, .flags = 3, .expiry_s = 400};
    struct store_view view;
    struct store_written written;
    ck_assert_int_eq(store_write(f.thread, &write, &written), RESULT_STORED);
    ck_assert_int_eq(fixture_increment(&f, "n"), RESULT_HIT);
    ck_assert_int_eq(store_peek(f.thread, &key, &view), RESULT_HIT);
    ck_assert_uint_eq(view.flags, 3);
    ck_assert_uint_eq(view.expiry_s, 400);
    ck_assert_uint_ne(view.cas, written.cas);
    fixture_close(&f);
}
END_TEST

START_TEST(arithmetic_counts_exactly_over_many_segments)
{
    struct fixture f = fixture_of_size(MIB);
    fixture_set(&f, "n", "0");
    for (unsigned i = 0; i < 200000; i++) {
        if (i % 64 == 0)
            fixture_has(&f, "n", "");
        ck_assert_int_eq(fixture_increment(&f, "n"), RESULT_HIT);
    }
    ck_assert(fixture_has(&f, "n", "200000"));
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store arithmetic");
    TCase *tcase = tcase_create("arithmetic");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, arithmetic_follows_the_table, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tcase, arithmetic_on_an_absent_key_misses);
    tcase_add_test(tcase, arithmetic_keeps_flags_and_expiry_and_changes_the_cas);
    tcase_add_test(tcase, arithmetic_counts_exactly_over_many_segments);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
