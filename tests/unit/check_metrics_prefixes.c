/* Key prefixes: counted per thread, merged at a dump, bounded, and free when off. */
#include "metrics/insight/prefixes.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct prefixes *prefixes;
static struct prefixes_thread *thread;

static void setup(void)
{
    prefixes = prefixes_create(':');
    ck_assert_ptr_nonnull(prefixes);
    thread = prefixes_thread_create(prefixes);
    ck_assert_ptr_nonnull(thread);
}

static void teardown(void)
{
    prefixes_destroy(prefixes);
}

static void record(struct prefixes_thread *by, const char *key, enum prefixes_event event)
{
    prefixes_record(by, key, strlen(key), event);
}

/* The dump as a string; the caller frees it. */
static char *dump(void)
{
    struct buffer out = {0};
    prefixes_dump(prefixes, &out);
    buffer_append(&out, "", 1);
    size_t size;
    char *text = buffer_take(&out, &size);
    ck_assert_ptr_nonnull(text);
    return text;
}

static void expect(const char *wanted)
{
    char *text = dump();
    ck_assert_str_eq(text, wanted);
    free(text);
}

START_TEST(events_of_one_prefix_are_counted_in_memcacheds_form)
{
    record(thread, "user:1", PREFIXES_MISS);
    record(thread, "user:2", PREFIXES_HIT);
    record(thread, "user:2", PREFIXES_SET);
    record(thread, "user:3", PREFIXES_DELETE);
    expect("PREFIX user get 2 hit 1 set 1 del 1\r\n");
}
END_TEST

START_TEST(a_key_without_the_delimiter_belongs_to_no_prefix)
{
    record(thread, "plain", PREFIXES_SET);
    expect("");
    record(thread, ":leading", PREFIXES_SET);
    expect("PREFIX  get 0 hit 0 set 1 del 0\r\n");
}
END_TEST

START_TEST(only_the_first_delimiter_ends_the_prefix)
{
    record(thread, "a:b:c", PREFIXES_SET);
    expect("PREFIX a get 0 hit 0 set 1 del 0\r\n");
}
END_TEST

START_TEST(threads_are_merged_at_a_dump)
{
    struct prefixes_thread *other = prefixes_thread_create(prefixes);
    record(thread, "p:1", PREFIXES_HIT);
    record(other, "p:2", PREFIXES_HIT);
    record(other, "p:3", PREFIXES_SET);
    expect("PREFIX p get 2 hit 2 set 1 del 0\r\n");
}
END_TEST

START_TEST(a_clear_forgets_every_count_of_every_thread)
{
    struct prefixes_thread *other = prefixes_thread_create(prefixes);
    record(thread, "p:1", PREFIXES_HIT);
    record(thread, "r:1", PREFIXES_HIT);
    record(other, "q:2", PREFIXES_HIT);
    prefixes_clear(prefixes);
    expect("");
    record(thread, "p:1", PREFIXES_SET);
    expect("PREFIX p get 0 hit 0 set 1 del 0\r\n");
}
END_TEST

START_TEST(more_prefixes_than_the_limit_are_not_counted)
{
    char key[32];
    for (unsigned i = 0; i < PREFIXES_MAX + 100; i++) {
        snprintf(key, sizeof key, "%u:x", i);
        record(thread, key, PREFIXES_SET);
    }
    char *text = dump();
    unsigned lines = 0;
    for (const char *at = text; (at = strstr(at, "PREFIX ")) != NULL; at++)
        lines++;
    free(text);
    ck_assert_uint_eq(lines, PREFIXES_MAX);
    ck_assert_uint_lt(prefixes_memory_size(prefixes), 2 * PREFIXES_SIZE);
}
END_TEST

START_TEST(long_names_stop_at_the_byte_limit)
{
    char key[250];
    memset(key, 'x', sizeof key);
    key[249] = ':';
    for (unsigned i = 0; i < PREFIXES_MAX; i++) {
        int size = snprintf(key, sizeof key, "%08u", i);
        key[size] = 'x';
        prefixes_record(thread, key, sizeof key, PREFIXES_SET);
    }
    char *text = dump();
    ck_assert_uint_lt(strlen(text), PREFIXES_SIZE);
    ck_assert_uint_gt(strlen(text), PREFIXES_SIZE / 2);
    free(text);
}
END_TEST

START_TEST(the_switch_is_off_at_first)
{
    ck_assert(!prefixes_enabled(prefixes));
    prefixes_enable(prefixes, true);
    ck_assert(prefixes_enabled(prefixes));
    prefixes_enable(prefixes, false);
    ck_assert(!prefixes_enabled(prefixes));
}
END_TEST

#define WRITER_ROUNDS 20000u

static void *write_all(void *of)
{
    struct prefixes_thread *mine = of;
    char key[32];
    for (unsigned i = 0; i < WRITER_ROUNDS; i++) {
        snprintf(key, sizeof key, "%u:k", i % 64);
        record(mine, key, PREFIXES_HIT);
    }
    return NULL;
}

START_TEST(dumps_during_writing_are_safe_and_the_last_one_is_exact)
{
    pthread_t writers[2];
    struct prefixes_thread *other = prefixes_thread_create(prefixes);
    ck_assert_int_eq(pthread_create(&writers[0], NULL, write_all, thread), 0);
    ck_assert_int_eq(pthread_create(&writers[1], NULL, write_all, other), 0);
    for (unsigned i = 0; i < 50; i++)
        free(dump());
    pthread_join(writers[0], NULL);
    pthread_join(writers[1], NULL);
    unsigned long long sum = 0, gets;
    char *text = dump();
    for (const char *at = text; (at = strstr(at, " get ")) != NULL; at++)
        if (sscanf(at, " get %llu", &gets) == 1)
            sum += gets;
    free(text);
    ck_assert_uint_eq(sum, 2 * WRITER_ROUNDS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics/prefixes");
    TCase *tcase = tcase_create("prefixes");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, events_of_one_prefix_are_counted_in_memcacheds_form);
    tcase_add_test(tcase, a_key_without_the_delimiter_belongs_to_no_prefix);
    tcase_add_test(tcase, only_the_first_delimiter_ends_the_prefix);
    tcase_add_test(tcase, threads_are_merged_at_a_dump);
    tcase_add_test(tcase, a_clear_forgets_every_count_of_every_thread);
    tcase_add_test(tcase, more_prefixes_than_the_limit_are_not_counted);
    tcase_add_test(tcase, long_names_stop_at_the_byte_limit);
    tcase_add_test(tcase, the_switch_is_off_at_first);
    tcase_add_test(tcase, dumps_during_writing_are_safe_and_the_last_one_is_exact);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
