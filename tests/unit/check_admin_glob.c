/* Globs: what they match, and what they may cost. */
#include "admin/glob_priv.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct slice text(const char *s)
{
    return (struct slice){s, strlen(s)};
}

static bool matches(const char *pattern, const char *subject)
{
    return glob_match(text(pattern), text(subject));
}

/* What a glob means, said the slow way. */
static bool means(const char *pattern, const char *subject)
{
    if (*pattern == '\0')
        return *subject == '\0';
    if (*pattern == '*')
        return means(pattern + 1, subject) || (*subject != '\0' && means(pattern, subject + 1));
    if (*subject == '\0')
        return false;
    if (*pattern == '\\')
        return pattern[1] == *subject && means(pattern + 2, subject + 1);
    return (*pattern == '?' || *pattern == *subject) && means(pattern + 1, subject + 1);
}

START_TEST(stars_question_marks_and_escapes)
{
    ck_assert(matches("", "") && matches("*", "") && matches("**", "") && !matches("?", "") &&
              !matches("", "a"));
    ck_assert(matches("user:*", "user:1") && !matches("user:*", "users:1"));
    ck_assert(matches("*:1", "a:1:1") && matches("a?c", "abc") && !matches("a?c", "ac"));
    ck_assert(matches("a\\*c", "a*c") && !matches("a\\*c", "abc") && matches("\\\\", "\\"));
    ck_assert(matches("[a]", "[a]") && !matches("[a]", "a"));
}
END_TEST

START_TEST(bytes_are_bytes)
{
    ck_assert(glob_match((struct slice){"a*\0", 3}, (struct slice){"ab\0", 3}));
    ck_assert(!glob_match((struct slice){"a*\0", 3}, (struct slice){"ab", 2}));
    ck_assert(matches("\xff?", "\xff\xfe"));
}
END_TEST

START_TEST(agrees_with_the_definition_on_every_short_pattern)
{
    static const char letters[] = "ab*?\\";
    char pattern[6] = "", subject[6] = "";
    for (unsigned p = 0; p < 5 * 5 * 5 * 5; p++) {
        for (unsigned i = 0, rest = p; i < 4; i++, rest /= 5)
            pattern[i] = letters[rest % 5];
        if (!glob_valid(text(pattern)))
            continue;
        for (unsigned t = 0; t < 32; t++) {
            for (unsigned i = 0; i < 5; i++)
                subject[i] = (t >> i & 1) != 0 ? 'a' : 'b';
            ck_assert_msg(matches(pattern, subject) == means(pattern, subject), "%s %s", pattern, subject);
        }
    }
}
END_TEST

START_TEST(patterns_without_an_end_are_refused)
{
    char large[GLOB_SIZE_MAX + 1];
    memset(large, 'a', sizeof(large));
    ck_assert(glob_valid((struct slice){large, GLOB_SIZE_MAX}));
    ck_assert(!glob_valid((struct slice){large, GLOB_SIZE_MAX + 1}));
    ck_assert(!glob_valid(text("a\\")) && glob_valid(text("a\\\\")));
}
END_TEST

/* A matcher that tries every split would not come back from this. */
START_TEST(many_stars_cost_no_more_than_pattern_times_text)
{
    char pattern[GLOB_SIZE_MAX], subject[250];
    memset(subject, 'a', sizeof(subject));
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = i % 2 ? 'a' : '*';
    pattern[sizeof(pattern) - 1] = 'b';
    for (int i = 0; i < 1000; i++)
        ck_assert(
            !glob_match((struct slice){pattern, sizeof(pattern)}, (struct slice){subject, sizeof(subject)}));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("admin glob");
    TCase *tests = tcase_create("glob");
    tcase_add_test(tests, stars_question_marks_and_escapes);
    tcase_add_test(tests, bytes_are_bytes);
    tcase_add_test(tests, agrees_with_the_definition_on_every_short_pattern);
    tcase_add_test(tests, patterns_without_an_end_are_refused);
    tcase_add_test(tests, many_stars_cost_no_more_than_pattern_times_text);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
