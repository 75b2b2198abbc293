/* Cursors: they come back as they went out, and nothing else passes for one. */
#include "admin/cursor_priv.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define SEED   77u
#define FILTER 5u

static struct slice text(const char *s)
{
    return (struct slice){s, strlen(s)};
}

static void encode(uint64_t place, uint64_t after, char out[CURSOR_TEXT_MAX])
{
    cursor_encode(&(struct cursor){place, after}, FILTER, SEED, out);
}

START_TEST(places_make_the_round_trip)
{
    static const uint64_t places[] = {0, 1, 255, UINT64_C(1) << 40, UINT64_MAX};
    char out[CURSOR_TEXT_MAX];
    struct cursor cursor;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        encode(places[i], ~places[i], out);
        ck_assert(cursor_decode(text(out), FILTER, SEED, &cursor));
        ck_assert(cursor.place == places[i] && cursor.after == ~places[i]);
    }
}
END_TEST

START_TEST(another_filter_or_run_is_refused)
{
    char out[CURSOR_TEXT_MAX];
    struct cursor cursor;
    encode(9, 0, out);
    ck_assert(!cursor_decode(text(out), FILTER + 1, SEED, &cursor));
    ck_assert(!cursor_decode(text(out), FILTER, SEED + 1, &cursor));
}
END_TEST

START_TEST(every_changed_character_is_noticed)
{
    char out[CURSOR_TEXT_MAX];
    struct cursor cursor;
    encode(123456, 789, out);
    for (size_t i = 0; out[i] != '\0'; i++) {
        char kept = out[i];
        out[i] = kept == 'A' ? 'B' : 'A';
        ck_assert_msg(!cursor_decode(text(out), FILTER, SEED, &cursor), "at %zu", i);
        out[i] = kept;
    }
}
END_TEST

START_TEST(other_lengths_and_other_texts_are_refused)
{
    char out[CURSOR_TEXT_MAX], large[4096];
    struct cursor cursor;
    encode(1, 2, out);
    for (size_t size = 0; size < strlen(out); size++)
        ck_assert(!cursor_decode((struct slice){out, size}, FILTER, SEED, &cursor));
    memset(large, 'A', sizeof(large));
    ck_assert(!cursor_decode((struct slice){large, sizeof(large)}, FILTER, SEED, &cursor));
    ck_assert(!cursor_decode(text("18446744073709551615"), FILTER, SEED, &cursor));
    ck_assert(!cursor_decode(text("-1"), FILTER, SEED, &cursor));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("admin cursor");
    TCase *tests = tcase_create("cursor");
    tcase_add_test(tests, places_make_the_round_trip);
    tcase_add_test(tests, another_filter_or_run_is_refused);
    tcase_add_test(tests, every_changed_character_is_noticed);
    tcase_add_test(tests, other_lengths_and_other_texts_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
