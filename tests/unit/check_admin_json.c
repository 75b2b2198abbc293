/* JSON text: valid, and harmless wherever it is put. */
#include "admin/json_priv.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The text of a tree; static, so one at a time. */
static const char *render(json_t *tree)
{
    static char text[2048];
    struct buffer out = {0};
    ck_assert(json_render(tree, &out) && out.size < sizeof(text));
    memcpy(text, out.data, out.size);
    text[out.size] = '\0';
    buffer_fini(&out);
    return text;
}

static json_t *array_of(json_t *value)
{
    json_t *array = json_array();
    json_array_append_new(array, value);
    return array;
}

START_TEST(what_could_end_a_script_is_escaped)
{
    const char *text = render(array_of(json_string("</script><!-- \xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa")));
    ck_assert_str_eq(text, "[\"\\u003c/script>\\u003c!-- \\u2028\\u2029\xe2\x80\xaa\"]");
}
END_TEST

START_TEST(every_byte_value_becomes_valid_json)
{
    for (int i = 0; i < 256; i++) {
        char c = (char)i;
        json_t *lossy = json_text_lossy((struct slice){&c, 1});
        ck_assert_uint_eq(json_string_length(lossy), i < 0x80 ? 1 : 3);
        json_t *back = json_loads(render(array_of(lossy)), JSON_ALLOW_NUL, NULL);
        ck_assert(json_is_array(back));
        json_decref(back);
        json_t *strict = json_text_or_null((struct slice){&c, 1});
        ck_assert_int_eq(json_is_null(strict), i >= 0x80);
        json_decref(strict);
    }
}
END_TEST

START_TEST(bytes_that_are_no_text_are_replaced_one_by_one)
{
    json_t *lossy = json_text_lossy((struct slice){"a\xff\xc3(\xe2\x80", 6});
    ck_assert_str_eq(json_string_value(lossy), "a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd");
    json_decref(lossy);
}
END_TEST

START_TEST(ratios_with_nothing_to_divide_are_null)
{
    ck_assert_str_eq(render(array_of(json_ratio(0, 0))), "[null]");
    ck_assert_str_eq(render(array_of(json_ratio(3, 1))), "[0.75]");
    ck_assert_str_eq(render(array_of(json_number(NAN))), "[null]");
    ck_assert_str_eq(render(array_of(json_number(INFINITY))), "[null]");
    ck_assert_str_eq(render(array_of(json_number(0.93))), "[0.93]");
}
END_TEST

START_TEST(bytes_have_a_text_form)
{
    json_t *both = json_array();
    json_array_append_new(both, json_base64((struct slice){"\0\xff>", 3}));
    json_array_append_new(both, json_hex((struct slice){"\0\xff>", 3}));
    ck_assert_str_eq(render(both), "[\"AP8+\",\"00ff3e\"]");
}
END_TEST

START_TEST(times_are_utc)
{
    ck_assert_str_eq(render(array_of(json_time(1763654400))), "[\"2025-11-20T16:00:00Z\"]");
}
END_TEST

START_TEST(counts_do_not_turn_negative)
{
    ck_assert_str_eq(render(array_of(json_count(UINT64_MAX))), "[9223372036854775807]");
}
END_TEST

START_TEST(nothing_is_rendered_from_nothing)
{
    struct buffer out = {0};
    ck_assert(!json_render(NULL, &out));
    ck_assert_uint_eq(out.size, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("admin json");
    TCase *tests = tcase_create("json");
    tcase_add_test(tests, what_could_end_a_script_is_escaped);
    tcase_add_test(tests, every_byte_value_becomes_valid_json);
    tcase_add_test(tests, bytes_that_are_no_text_are_replaced_one_by_one);
    tcase_add_test(tests, ratios_with_nothing_to_divide_are_null);
    tcase_add_test(tests, bytes_have_a_text_form);
    tcase_add_test(tests, times_are_utc);
    tcase_add_test(tests, counts_do_not_turn_negative);
    tcase_add_test(tests, nothing_is_rendered_from_nothing);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
