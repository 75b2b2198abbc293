/* Buffers: they grow, they hand their bytes over, and a failure is remembered until the end. */
#include "base/buffer.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct buffer buffer;

static void setup(void)
{
    buffer = (struct buffer){0};
}

static void teardown(void)
{
    buffer_fini(&buffer);
}

START_TEST(bytes_are_appended_in_order)
{
    buffer_text(&buffer, "ab");
    buffer_append(&buffer, "c\0d", 3);
    buffer_format(&buffer, "%d-%s", 42, "x");
    ck_assert_uint_eq(buffer.size, 9);
    ck_assert_mem_eq(buffer.data, "abc\0d42-x", 9);
}
END_TEST

START_TEST(a_buffer_grows_as_far_as_it_must)
{
    for (unsigned i = 0; i < 100000; i++)
        buffer_format(&buffer, "%05u", i);
    ck_assert(!buffer.failed);
    ck_assert_uint_eq(buffer.size, 500000);
    ck_assert_mem_eq(buffer.data + 5 * 99999, "99999", 5);
}
END_TEST

START_TEST(a_format_longer_than_the_room_left_is_whole)
{
    char text[3000];
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    buffer_format(&buffer, "<%s>", text);
    ck_assert_uint_eq(buffer.size, sizeof text + 1);
    ck_assert_int_eq(buffer.data[sizeof text], '>');
}
END_TEST

START_TEST(nothing_appended_takes_no_memory)
{
    buffer_append(&buffer, NULL, 0);
    buffer_text(&buffer, "");
    ck_assert_ptr_null(buffer.data);
}
END_TEST

START_TEST(taken_bytes_belong_to_the_taker_and_the_buffer_is_empty)
{
    size_t size;
    buffer_text(&buffer, "hello");
    char *data = buffer_take(&buffer, &size);
    ck_assert_uint_eq(size, 5);
    ck_assert_mem_eq(data, "hello", 5);
    ck_assert_ptr_null(buffer.data);
    ck_assert_uint_eq(buffer.size, 0);
    buffer_text(&buffer, "again");
    ck_assert_mem_eq(buffer.data, "again", 5);
    ck_assert_mem_eq(data, "hello", 5);
    free(data);
}
END_TEST

/* Stands for memory that ran out while appending. */
static void run_out_of_memory(void)
{
    buffer_text(&buffer, "kept");
    buffer.failed = true;
}

START_TEST(after_a_failure_nothing_is_appended)
{
    run_out_of_memory();
    buffer_text(&buffer, "lost");
    buffer_format(&buffer, "%s", "lost");
    ck_assert_uint_eq(buffer.size, 4);
    ck_assert(buffer.failed);
}
END_TEST

START_TEST(a_failed_buffer_hands_over_nothing_and_is_usable_again)
{
    size_t size = 1;
    run_out_of_memory();
    ck_assert_ptr_null(buffer_take(&buffer, &size));
    ck_assert_uint_eq(size, 0);
    buffer_text(&buffer, "new");
    ck_assert_mem_eq(buffer.data, "new", 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/buffer");
    TCase *tcase = tcase_create("buffer");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, bytes_are_appended_in_order);
    tcase_add_test(tcase, a_buffer_grows_as_far_as_it_must);
    tcase_add_test(tcase, a_format_longer_than_the_room_left_is_whole);
    tcase_add_test(tcase, nothing_appended_takes_no_memory);
    tcase_add_test(tcase, taken_bytes_belong_to_the_taker_and_the_buffer_is_empty);
    tcase_add_test(tcase, after_a_failure_nothing_is_appended);
    tcase_add_test(tcase, a_failed_buffer_hands_over_nothing_and_is_usable_again);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
