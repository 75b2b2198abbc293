/* Locks: they exclude, they count who had to wait, and builds with LOCK_CHECK hold their order. */
#include "base/lock.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define THREAD_COUNT 4u
#define ROUND_COUNT  20000u

static struct lock lock;
static struct spin spin;
static pthread_barrier_t start; /* so that all threads run at once */
static unsigned long counter;   /* guarded by whichever of the two the test uses */

static void setup(void)
{
    lock_init(&lock, LOCK_METRICS_HISTORY);
    spin = (struct spin){0};
    counter = 0;
}

static void teardown(void)
{
    lock_fini(&lock);
}

static void run_threads(void *(*body)(void *))
{
    pthread_t threads[THREAD_COUNT];
    pthread_barrier_init(&start, NULL, THREAD_COUNT);
    for (unsigned i = 0; i < THREAD_COUNT; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, body, NULL), 0);
    for (unsigned i = 0; i < THREAD_COUNT; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
    ck_assert_uint_eq(counter, THREAD_COUNT * ROUND_COUNT);
}

/* Lets others run between the load and the store: a lock that does not exclude loses counts. */
static void count_slowly(unsigned round)
{
    unsigned long seen = counter;
    if (round % 64 == 0)
        sched_yield();
    counter = seen + 1;
}

static void *count_locked(void *unused)
{
    pthread_barrier_wait(&start);
    for (unsigned i = 0; i < ROUND_COUNT; i++) {
        lock_acquire(&lock);
        count_slowly(i);
        lock_release(&lock);
    }
    return unused;
}

static void *count_spinning(void *unused)
{
    pthread_barrier_wait(&start);
    for (unsigned i = 0; i < ROUND_COUNT; i++) {
        spin_acquire(&spin);
        count_slowly(i);
        spin_release(&spin);
    }
    return unused;
}

START_TEST(a_lock_lets_one_thread_in_at_a_time)
{
    run_threads(count_locked);
}
END_TEST

START_TEST(a_spin_lock_lets_one_thread_in_at_a_time)
{
    run_threads(count_spinning);
}
END_TEST

static void *wait_for_lock(void *unused)
{
    lock_acquire(&lock);
    lock_release(&lock);
    return unused;
}

START_TEST(a_thread_that_has_to_wait_is_counted)
{
    pthread_t thread;
    uint64_t before = lock_contention(LOCK_METRICS_HISTORY);
    lock_acquire(&lock);
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_lock, NULL), 0);
    while (lock_contention(LOCK_METRICS_HISTORY) == before) /* it counts before it sleeps */
        sched_yield();
    lock_release(&lock);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(lock_contention(LOCK_METRICS_HISTORY), before + 1);
}
END_TEST

START_TEST(a_free_lock_counts_no_wait)
{
    uint64_t before = lock_contention(LOCK_METRICS_HISTORY);
    wait_for_lock(NULL);
    ck_assert_uint_eq(lock_contention(LOCK_METRICS_HISTORY), before);
}
END_TEST

START_TEST(classes_have_names_of_their_own)
{
    for (unsigned i = 0; i < LOCK_CLASS_COUNT; i++)
        for (unsigned k = 0; k < i; k++)
            ck_assert_str_ne(lock_name((enum lock_class)i), lock_name((enum lock_class)k));
}
END_TEST

START_TEST(locks_taken_in_order_of_rank_are_fine)
{
    struct lock earlier;
    lock_init(&earlier, LOCK_ADMIN_JOBS);
    lock_acquire(&earlier);
    lock_acquire(&lock);
    lock_release(&lock);
    lock_release(&earlier);
    lock_fini(&earlier);
}
END_TEST

#ifdef LOCK_CHECK
START_TEST(a_lock_taken_against_its_rank_aborts)
{
    struct lock earlier;
    lock_init(&earlier, LOCK_ADMIN_JOBS);
    lock_acquire(&lock);
    lock_acquire(&earlier);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("base/lock");
    TCase *tcase = tcase_create("lock");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_lock_lets_one_thread_in_at_a_time);
    tcase_add_test(tcase, a_spin_lock_lets_one_thread_in_at_a_time);
    tcase_add_test(tcase, a_thread_that_has_to_wait_is_counted);
    tcase_add_test(tcase, a_free_lock_counts_no_wait);
    tcase_add_test(tcase, classes_have_names_of_their_own);
    tcase_add_test(tcase, locks_taken_in_order_of_rank_are_fine);
#ifdef LOCK_CHECK
    tcase_add_test_raise_signal(tcase, a_lock_taken_against_its_rank_aborts, SIGABRT);
#endif
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
