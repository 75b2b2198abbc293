/* Percent escapes, base64 and UTF-8: exact in both directions, and strict. */
#include "admin/decode_priv.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct slice text(const char *s)
{
    return (struct slice){s, strlen(s)};
}

static bool percent(const char *in, bool query, char *out, size_t *size)
{
    return decode_percent(text(in), query, out, size);
}

START_TEST(every_byte_makes_the_round_trip_by_percent)
{
    char in[256 * 3 + 1], out[256 * 3];
    size_t size;
    for (int i = 0; i < 256; i++)
        sprintf(in + 3 * i, i % 2 ? "%%%02x" : "%%%02X", (unsigned)i);
    ck_assert(percent(in, false, out, &size));
    ck_assert_uint_eq(size, 256);
    for (int i = 0; i < 256; i++)
        ck_assert_int_eq((unsigned char)out[i], i);
}
END_TEST

START_TEST(raw_bytes_pass_but_for_controls_and_space)
{
    char out[1];
    size_t size;
    for (int i = 0; i < 256; i++) {
        char c = (char)i;
        bool fine = i > 0x20 && i != 0x7f && c != '%';
        ck_assert_int_eq(decode_percent((struct slice){&c, 1}, false, out, &size), fine);
    }
}
END_TEST

START_TEST(broken_escapes_are_refused)
{
    static const char *const broken[] = {"%", "%4", "%zz", "%4z", "%z4", "a%", "%%41", "%-1", "% 1", "%+1"};
    char out[16];
    size_t size;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
        ck_assert_msg(!percent(broken[i], false, out, &size), "%s", broken[i]);
}
END_TEST

START_TEST(escapes_are_decoded_once)
{
    char out[16];
    size_t size;
    ck_assert(percent("%2541%2f", false, out, &size));
    ck_assert(slice_is((struct slice){out, size}, "%41/"));
}
END_TEST

START_TEST(plus_is_a_space_in_a_query_only)
{
    char out[8];
    size_t size;
    ck_assert(percent("a+b", false, out, &size) && slice_is((struct slice){out, size}, "a+b"));
    ck_assert(percent("a+b%2B", true, out, &size) && slice_is((struct slice){out, size}, "a b+"));
}
END_TEST

START_TEST(base64_makes_the_round_trip_at_every_length)
{
    char bytes[256], encoded[BASE64_SIZE(256) + 1], decoded[256];
    size_t size;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7);
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        encode_base64((struct slice){bytes, n}, encoded);
        ck_assert_uint_eq(strlen(encoded), BASE64_SIZE(n));
        ck_assert(decode_base64(text(encoded), decoded, &size));
        ck_assert(size == n && memcmp(decoded, bytes, n) == 0);
        ck_assert_uint_eq(encode_base64url((struct slice){bytes, n}, encoded), strlen(encoded));
        ck_assert(strpbrk(encoded, "+/=") == NULL);
        ck_assert(decode_base64(text(encoded), decoded, &size));
        ck_assert(size == n && memcmp(decoded, bytes, n) == 0);
    }
}
END_TEST

START_TEST(base64_has_one_form_a_value)
{
    static const char *const wrong[] = {
        "A", "AAAAA", "QR", "QQ=", "QQ===", "Q=Q=", "====", "*", "QQ\n", "QQER=="};
    char out[16];
    size_t size;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert_msg(!decode_base64(text(wrong[i]), out, &size), "%s", wrong[i]);
    ck_assert(decode_base64(text("QQ"), out, &size) && size == 1 && out[0] == 'A');
    ck_assert(decode_base64(text("QQ=="), out, &size) && size == 1);
}
END_TEST

START_TEST(utf8_is_told_from_what_only_looks_like_it)
{
    static const char *const good[] = {
        "", "a", "\x7f", "é", "\xe2\x80\xa8", "\xed\x9f\xbf", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {
        "\x80",         "\xc0\xaf",         "\xc1\xbf",         "\xe0\x80\x80",
        "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xff",         "\xe2\x28\xa1",     "\xe2\x80",         "\xc3"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        ck_assert_uint_eq(utf8_valid_size(text(good[i])), strlen(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_uint_eq(utf8_valid_size(text(bad[i])), 0);
    ck_assert_uint_eq(utf8_valid_size(text("ab\xff")), 2);
}
END_TEST

START_TEST(a_cut_character_is_told_from_a_wrong_one)
{
    ck_assert(utf8_is_cut(text("a\xe2\x80")));
    ck_assert(utf8_is_cut(text("a\xf0\x9f\x98")));
    ck_assert(!utf8_is_cut(text("a")));
    ck_assert(!utf8_is_cut(text("a\xff")));
    ck_assert(!utf8_is_cut(text("a\xe0\x80")));
    ck_assert(!utf8_is_cut(text("\x80\xe2")));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("admin decode");
    TCase *tests = tcase_create("decode");
    tcase_add_test(tests, every_byte_makes_the_round_trip_by_percent);
    tcase_add_test(tests, raw_bytes_pass_but_for_controls_and_space);
    tcase_add_test(tests, broken_escapes_are_refused);
    tcase_add_test(tests, escapes_are_decoded_once);
    tcase_add_test(tests, plus_is_a_space_in_a_query_only);
    tcase_add_test(tests, base64_makes_the_round_trip_at_every_length);
    tcase_add_test(tests, base64_has_one_form_a_value);
    tcase_add_test(tests, utf8_is_told_from_what_only_looks_like_it);
    tcase_add_test(tests, a_cut_character_is_told_from_a_wrong_one);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
