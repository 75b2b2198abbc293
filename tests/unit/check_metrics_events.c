/* Events: rings that drop and never wait, taken in order of time, without memory while nobody watches. */
#include "metrics/events.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FETCHERS  (1u << STREAM_fetchers)
#define RING_SIZE 4096u

static struct metrics *metrics;
static struct metrics_block *block;

static void setup(void)
{
    metrics = metrics_create();
    block = metrics_block_create(metrics);
}

static void teardown(void)
{
    metrics_destroy(metrics);
}

/* What a take brought. */
struct taken {
    size_t count;
    uint64_t last_us;
    bool in_order;
    char last[256];
    uint64_t size;
};

static void take_one(void *context, const struct live_event *event)
{
    struct taken *taken = context;
    taken->in_order = taken->in_order && event->time_us >= taken->last_us;
    taken->last_us = event->time_us;
    memcpy(taken->last, event->text, event->text_size);
    taken->last[event->text_size] = '\0';
    taken->size = event->size;
    taken->count++;
}

static struct taken take(void)
{
    struct taken taken = {.in_order = true};
    ck_assert_uint_eq(events_take(metrics, take_one, &taken), taken.count);
    return taken;
}

static void put(struct metrics_block *by, const char *key, uint64_t size)
{
    const struct live_event event = {.type = EVENT_FETCH, .size = size};
    events_put(by, &event, key, strlen(key));
}

static struct events_count counts(void)
{
    struct events_count count;
    events_count(metrics, &count);
    return count;
}

START_TEST(test_nothing_is_kept_while_nobody_watches)
{
    size_t size = metrics_memory_size(metrics);
    ck_assert(!events_wanted(block, STREAM_fetchers));
    put(block, "a", 1);
    ck_assert_uint_eq(take().count, 0);
    ck_assert_uint_eq(counts().put + counts().dropped, 0);
    ck_assert_uint_eq(metrics_memory_size(metrics), size);
}
END_TEST

START_TEST(test_an_event_arrives_as_it_was_put)
{
    ck_assert(events_select(metrics, FETCHERS, RING_SIZE));
    ck_assert(events_wanted(block, STREAM_fetchers));
    ck_assert(!events_wanted(block, STREAM_mutations));
    put(block, "key", 77);
    struct taken taken = take();
    ck_assert_uint_eq(taken.count, 1);
    ck_assert_str_eq(taken.last, "key");
    ck_assert_uint_eq(taken.size, 77);
    ck_assert_uint_eq(take().count, 0);
    ck_assert_uint_eq(counts().put, 1);
}
END_TEST

START_TEST(test_a_full_ring_drops_and_counts)
{
    ck_assert(events_select(metrics, FETCHERS, RING_SIZE));
    for (unsigned i = 0; i < 1000; i++)
        put(block, "key", i);
    struct events_count count = counts();
    ck_assert_uint_eq(count.put + count.dropped, 1000);
    ck_assert_uint_gt(count.put, 20);
    ck_assert_uint_gt(count.dropped, 900);
    struct taken taken = take();
    ck_assert_uint_eq(taken.count, count.put);
    ck_assert_uint_eq(taken.size, count.put - 1); /* the first ones are kept */
    put(block, "key", 1);
    ck_assert_uint_eq(take().count, 1);
}
END_TEST

START_TEST(test_every_text_size_passes_the_end_of_the_ring)
{
    char key[256], last[256];
    ck_assert(events_select(metrics, FETCHERS, RING_SIZE));
    for (unsigned i = 0; i < 5000; i++) {
        memset(key, 'a' + (int)(i % 26), sizeof key);
        key[i % 256] = '\0';
        put(block, key, i);
        if (i % 3 == 2)
            continue; /* sometimes two wait */
        struct taken taken = take();
        ck_assert_uint_ge(taken.count, 1);
        snprintf(last, sizeof last, "%s", key);
        ck_assert_str_eq(taken.last, last);
        ck_assert_uint_eq(taken.size, i);
    }
    ck_assert_uint_eq(counts().dropped, 0);
}
END_TEST

START_TEST(test_rings_are_taken_in_order_of_time)
{
    struct metrics_block *other = metrics_block_create(metrics);
    ck_assert(events_select(metrics, FETCHERS, RING_SIZE));
    for (unsigned i = 0; i < 20; i++)
        put(i % 3 == 0 ? other : block, "key", i);
    struct taken taken = take();
    ck_assert_uint_eq(taken.count, 20);
    ck_assert(taken.in_order);
}
END_TEST

START_TEST(test_a_thread_that_comes_later_is_heard_after_the_next_take)
{
    ck_assert(events_select(metrics, FETCHERS, RING_SIZE));
    struct metrics_block *late = metrics_block_create(metrics);
    ck_assert(!events_wanted(late, STREAM_fetchers));
    take();
    ck_assert(events_wanted(late, STREAM_fetchers));
    put(late, "late", 1);
    ck_assert_str_eq(take().last, "late");
}
END_TEST

START_TEST(test_memory_is_given_back_and_what_was_left_is_forgotten)
{
    size_t size = metrics_memory_size(metrics);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(events_select(metrics, FETCHERS, RING_SIZE));
        ck_assert_uint_ge(metrics_memory_size(metrics), size + RING_SIZE);
        ck_assert_uint_eq(take().count, 0);
        put(block, "left behind", 1);
        ck_assert(events_select(metrics, 0, 0));
        ck_assert_uint_eq(metrics_memory_size(metrics), size);
        put(block, "unheard", 1);
    }
    ck_assert_uint_eq(counts().put, 3);
}
END_TEST

START_TEST(test_streams_change_without_losing_what_waits)
{
    ck_assert(events_select(metrics, FETCHERS, RING_SIZE));
    put(block, "first", 1);
    ck_assert(events_select(metrics, FETCHERS | 1u << STREAM_mutations, RING_SIZE * 8));
    ck_assert(events_wanted(block, STREAM_mutations));
    put(block, "second", 2);
    ck_assert_uint_eq(take().count, 2);
}
END_TEST

/* ---- with threads ---- */

static _Atomic bool stop;

/* Tells as fast as it can; the size of each event says how many were before it. */
static void *teller(void *context)
{
    struct metrics_block *by = context;
    for (uint64_t i = 0; !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
        if (!events_wanted(by, STREAM_fetchers))
            continue;
        char key[64];
        snprintf(key, sizeof key, "%.*s", (int)(i % 60),
                 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz01234567");
        put(by, key, i);
    }
    return NULL;
}

struct heard {
    uint64_t count;
    bool whole;
};

static void hear(void *context, const struct live_event *event)
{
    struct heard *heard = context;
    heard->count++;
    heard->whole = heard->whole && event->type == EVENT_FETCH && event->text_size == event->size % 60 &&
                   (event->text_size == 0 || event->text[0] == 'a');
}

START_TEST(test_events_of_threads_arrive_whole_while_watchers_come_and_go)
{
    pthread_t threads[3];
    struct heard heard = {.whole = true};
    atomic_store(&stop, false);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, teller, metrics_block_create(metrics)), 0);
    for (unsigned round = 0; round < 50; round++) {
        ck_assert(events_select(metrics, FETCHERS, RING_SIZE));
        for (uint64_t until = heard.count + 200; heard.count < until;)
            events_take(metrics, hear, &heard);
        ck_assert(events_select(metrics, 0, 0));
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    ck_assert(heard.whole);
    ck_assert_uint_ge(counts().put, heard.count);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("events");
    TCase *alone = tcase_create("alone");
    tcase_add_checked_fixture(alone, setup, teardown);
    tcase_add_test(alone, test_nothing_is_kept_while_nobody_watches);
    tcase_add_test(alone, test_an_event_arrives_as_it_was_put);
    tcase_add_test(alone, test_a_full_ring_drops_and_counts);
    tcase_add_test(alone, test_every_text_size_passes_the_end_of_the_ring);
    tcase_add_test(alone, test_rings_are_taken_in_order_of_time);
    tcase_add_test(alone, test_a_thread_that_comes_later_is_heard_after_the_next_take);
    tcase_add_test(alone, test_memory_is_given_back_and_what_was_left_is_forgotten);
    tcase_add_test(alone, test_streams_change_without_losing_what_waits);
    suite_add_tcase(suite, alone);
    TCase *threads = tcase_create("threads");
    tcase_add_checked_fixture(threads, setup, teardown);
    tcase_set_timeout(threads, 60);
    tcase_add_test(threads, test_events_of_threads_arrive_whole_while_watchers_come_and_go);
    suite_add_tcase(suite, threads);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
