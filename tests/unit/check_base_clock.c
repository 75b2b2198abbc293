/* Clocks: the coarse one counts from the start, can be held for tests, and maps to Unix time and back. */
#include "base/clock.h"

#include <check.h>
#include <stdlib.h>
#include <time.h>

static void setup(void)
{
    clock_init();
}

START_TEST(the_coarse_clock_begins_at_its_first_second)
{
    ck_assert_uint_eq(clock_s(), CLOCK_FIRST_S);
}
END_TEST

START_TEST(the_precise_clock_never_goes_back)
{
    uint64_t last = clock_ns();
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t now = clock_ns();
        ck_assert_uint_ge(now, last);
        last = now;
    }
}
END_TEST

START_TEST(a_tick_follows_the_precise_clock)
{
    uint64_t begin = clock_ns();
    while (clock_ns() - begin < 1000000000ull)
        clock_tick();
    clock_tick(); /* the last one may have been long ago: others want the processor too */
    ck_assert_uint_gt(clock_s(), CLOCK_FIRST_S);
}
END_TEST

START_TEST(a_tick_when_the_time_that_is_left_is_over_begins_a_second)
{
    for (unsigned i = 0; i < 3; i++) {
        clock_tick();
        uint32_t before = clock_s();
        uint64_t left = clock_left_ns(),
                 begin = clock_ns(); /* in this order: the second ends by begin + left */
        ck_assert_uint_ge(left, 1);
        ck_assert_uint_le(left, 1000000000ull);
        while (clock_ns() - begin < left)
            ;
        clock_tick();
        ck_assert_uint_gt(clock_s(), before);
    }
}
END_TEST

START_TEST(the_first_second_is_the_time_of_the_start)
{
    int64_t now = (int64_t)time(NULL), start = clock_wall_s(CLOCK_FIRST_S);
    ck_assert_int_le(start, now);
    ck_assert_int_ge(start, now - 60);
    ck_assert_int_eq(clock_wall_s(CLOCK_FIRST_S + 100), start + 100);
}
END_TEST

START_TEST(unix_time_and_the_coarse_second_map_to_each_other)
{
    for (uint32_t s = CLOCK_FIRST_S; s < 1000; s++)
        ck_assert_uint_eq(clock_from_wall_s(clock_wall_s(s)), s);
}
END_TEST

START_TEST(a_time_before_the_start_has_already_expired)
{
    ck_assert_uint_eq(clock_from_wall_s(clock_wall_s(CLOCK_FIRST_S) - 1), 1);
    ck_assert_uint_eq(clock_from_wall_s(0), 1);
    ck_assert_uint_eq(clock_from_wall_s(-5), 1);
}
END_TEST

START_TEST(a_time_beyond_all_seconds_is_the_last_one)
{
    ck_assert_uint_eq(clock_from_wall_s(INT64_MAX / 2), UINT32_MAX);
}
END_TEST

START_TEST(a_frozen_clock_stands_until_it_is_moved)
{
    clock_freeze_for_test(500);
    clock_tick();
    ck_assert_uint_eq(clock_s(), 500);
    clock_freeze_for_test(501);
    ck_assert_uint_eq(clock_s(), 501);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/clock");
    TCase *tcase = tcase_create("clock");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, the_coarse_clock_begins_at_its_first_second);
    tcase_add_test(tcase, the_precise_clock_never_goes_back);
    tcase_add_test(tcase, a_tick_follows_the_precise_clock);
    tcase_add_test(tcase, a_tick_when_the_time_that_is_left_is_over_begins_a_second);
    tcase_add_test(tcase, the_first_second_is_the_time_of_the_start);
    tcase_add_test(tcase, unix_time_and_the_coarse_second_map_to_each_other);
    tcase_add_test(tcase, a_time_before_the_start_has_already_expired);
    tcase_add_test(tcase, a_time_beyond_all_seconds_is_the_last_one);
    tcase_add_test(tcase, a_frozen_clock_stands_until_it_is_moved);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
