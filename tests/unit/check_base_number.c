/* Numbers: strict parsing, exact bounds, and what is refused leaves the output alone. */
#include "base/number.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNTOUCHED 77

START_TEST(unsigned_numbers_are_parsed_to_the_last_one)
{
    static const struct {
        const char *text;
        uint64_t value;
    } cases[] = {{"0", 0},
                 {"7", 7},
                 {"0042", 42},
                 {"4294967296", 4294967296u},
                 {"18446744073709551615", UINT64_MAX},
                 {"00000000000000000000000000000001", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t value;
        ck_assert(number_parse_u64(cases[i].text, strlen(cases[i].text), &value));
        ck_assert_uint_eq(value, cases[i].value);
    }
}
END_TEST

START_TEST(what_is_no_unsigned_number_is_refused)
{
    static const char *const cases[] = {"",
                                        " 1",
                                        "1 ",
                                        "+1",
                                        "-1",
                                        "0x1",
                                        "1e3",
                                        "1.0",
                                        "１",
                                        ":",
                                        "1:",
                                        "/",
                                        "1\n",
                                        "a",
                                        "1,000",
                                        "--1",
                                        "-",
                                        "18446744073709551616",
                                        "99999999999999999999999"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t value = UNTOUCHED;
        ck_assert_msg(!number_parse_u64(cases[i], strlen(cases[i]), &value), "accepted: %s", cases[i]);
        ck_assert_uint_eq(value, UNTOUCHED);
    }
}
END_TEST

START_TEST(only_the_given_bytes_are_parsed)
{
    uint64_t value;
    ck_assert(number_parse_u64("123456", 3, &value));
    ck_assert_uint_eq(value, 123);
    ck_assert(!number_parse_u64("12\0"
                                "4",
                                4, &value));
}
END_TEST

START_TEST(numbers_of_32_bits_have_their_own_limit)
{
    uint32_t value = UNTOUCHED;
    ck_assert(!number_parse_u32("4294967296", 10, &value));
    ck_assert_uint_eq(value, UNTOUCHED);
    ck_assert(number_parse_u32("4294967295", 10, &value));
    ck_assert_uint_eq(value, UINT32_MAX);
}
END_TEST

START_TEST(signed_numbers_reach_both_ends)
{
    static const struct {
        const char *text;
        int64_t value;
    } cases[] = {{"-0", 0},
                 {"-1", -1},
                 {"12", 12},
                 {"9223372036854775807", INT64_MAX},
                 {"-9223372036854775808", INT64_MIN}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t value;
        ck_assert(number_parse_i64(cases[i].text, strlen(cases[i].text), &value));
        ck_assert_int_eq(value, cases[i].value);
    }
}
END_TEST

START_TEST(what_is_no_signed_number_is_refused)
{
    static const char *const cases[] = {
        "", "-", "--1", "+1", " 1", "1-", "9223372036854775808", "-9223372036854775809", "- 1"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t value = UNTOUCHED;
        ck_assert_msg(!number_parse_i64(cases[i], strlen(cases[i]), &value), "accepted: %s", cases[i]);
        ck_assert_int_eq(value, UNTOUCHED);
    }
}
END_TEST

START_TEST(formatted_digits_are_those_of_printf)
{
    uint64_t value = 1;
    for (unsigned i = 0; i < 64; i++, value = value * 2 + i % 2) {
        char ours[NUMBER_TEXT_MAX], theirs[32];
        size_t size = number_format_u64(ours, value);
        ck_assert_int_eq(snprintf(theirs, sizeof theirs, "%llu", (unsigned long long)value), (int)size);
        ck_assert_mem_eq(ours, theirs, size);
    }
    char text[NUMBER_TEXT_MAX];
    ck_assert_uint_eq(number_format_u64(text, 0), 1);
    ck_assert_int_eq(text[0], '0');
    ck_assert_uint_eq(number_format_u64(text, UINT64_MAX), NUMBER_TEXT_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/number");
    TCase *tcase = tcase_create("number");
    tcase_add_test(tcase, unsigned_numbers_are_parsed_to_the_last_one);
    tcase_add_test(tcase, what_is_no_unsigned_number_is_refused);
    tcase_add_test(tcase, only_the_given_bytes_are_parsed);
    tcase_add_test(tcase, numbers_of_32_bits_have_their_own_limit);
    tcase_add_test(tcase, signed_numbers_reach_both_ends);
    tcase_add_test(tcase, what_is_no_signed_number_is_refused);
    tcase_add_test(tcase, formatted_digits_are_those_of_printf);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
