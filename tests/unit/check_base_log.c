/* The log: one line an event, below a level, and nothing a client sends can forge a second line. */
#include "base/clock.h"
#include "base/log.h"

#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static FILE *caught; /* what was standard error */

static void setup(void)
{
    caught = tmpfile();
    ck_assert_ptr_nonnull(caught);
    ck_assert_int_ge(dup2(fileno(caught), STDERR_FILENO), 0);
    log_level_set(LOG_LEVEL_INFO);
}

static void teardown(void)
{
    fclose(caught);
}

static void expect(const char *wanted)
{
    char text[4096];
    ssize_t size = pread(fileno(caught), text, sizeof text - 1, 0);
    ck_assert_int_ge(size, 0);
    text[size] = '\0';
    ck_assert_str_eq(text, wanted);
}

START_TEST(a_line_names_the_program_and_ends_once)
{
    log_info("listening on port %d", 11211);
    log_error("cannot bind");
    expect("vitrine: listening on port 11211\nvitrine: cannot bind\n");
}
END_TEST

START_TEST(lines_below_the_level_are_left_out)
{
    log_debug("not shown");
    log_level_set(LOG_LEVEL_ERROR);
    log_warn("not shown");
    log_error("shown");
    log_level_set(LOG_LEVEL_DEBUG);
    log_debug("shown too");
    expect("vitrine: shown\nvitrine: shown too\n");
    ck_assert_int_eq(log_level_get(), LOG_LEVEL_DEBUG);
}
END_TEST

START_TEST(control_bytes_become_question_marks)
{
    log_info("key %s", "a\nvitrine: forged\r\x1b[2J\x7f");
    expect("vitrine: key a?vitrine: forged??[2J?\n");
}
END_TEST

START_TEST(a_line_too_long_is_cut_and_still_ends)
{
    char key[3000], text[4096];
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    log_info("%s", key);
    ssize_t size = pread(fileno(caught), text, sizeof text, 0);
    ck_assert_int_gt(size, 1000);
    ck_assert_int_le(size, 1024);
    ck_assert_int_eq(text[size - 1], '\n');
    ck_assert_ptr_eq(memchr(text, '\n', (size_t)size), text + size - 1);
}
END_TEST

START_TEST(a_limited_line_comes_once_a_second)
{
    _Atomic uint32_t last_s = 0;
    clock_freeze_for_test(10);
    ck_assert(log_limited(&last_s));
    ck_assert(!log_limited(&last_s));
    clock_freeze_for_test(11);
    ck_assert(log_limited(&last_s));
    ck_assert(!log_limited(&last_s));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/log");
    TCase *tcase = tcase_create("log");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_line_names_the_program_and_ends_once);
    tcase_add_test(tcase, lines_below_the_level_are_left_out);
    tcase_add_test(tcase, control_bytes_become_question_marks);
    tcase_add_test(tcase, a_line_too_long_is_cut_and_still_ends);
    tcase_add_test(tcase, a_limited_line_comes_once_a_second);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
