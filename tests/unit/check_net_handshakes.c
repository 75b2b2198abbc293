/* Handshakes under way: how many get a turn in a pass, and which are closed for taking too long. */
#include "base/clock.h"
#include "metrics/metrics.h"
#include "net/handshakes_priv.h"

#include <check.h>
#include <stdlib.h>

#define LINK_COUNT 6

static struct {
    struct metrics *metrics;
    struct event_base *base;
    struct handshakes handshakes;
    struct tls_link links[LINK_COUNT];
    unsigned closed[LINK_COUNT], closed_count;
} test;

/* A link stands for its own connection here. */
static void note_close(struct connection *connection)
{
    struct tls_link *link = (struct tls_link *)(void *)connection;
    test.closed[test.closed_count++] = (unsigned)(link - test.links);
    handshakes_end(link);
}

static void set_up(void)
{
    clock_init();
    test.metrics = metrics_create();
    test.base = event_base_new();
    test.closed_count = 0;
    handshakes_init(&test.handshakes, test.base, 3600, note_close);
    struct metrics_block *block = metrics_block_create(test.metrics);
    for (unsigned i = 0; i < LINK_COUNT; i++) {
        test.links[i] = (struct tls_link){.block = block};
        handshakes_begin(&test.handshakes, &test.links[i], (struct connection *)(void *)&test.links[i]);
    }
}

static void tear_down(void)
{
    for (unsigned i = 0; i < LINK_COUNT; i++)
        handshakes_end(&test.links[i]);
    handshakes_fini(&test.handshakes);
    event_base_free(test.base);
    metrics_destroy(test.metrics);
}

START_TEST(a_pass_serves_a_few_handshakes_and_everybody_else)
{
    for (uint64_t pass = 1; pass < 4; pass++) {
        unsigned served = 0;
        for (unsigned i = 0; i < LINK_COUNT; i++)
            served += handshakes_turn(&test.handshakes, &test.links[i], pass);
        ck_assert_uint_eq(served, 4);
    }
    handshakes_end(&test.links[5]); /* through: its turns are not counted any more */
    ck_assert(handshakes_turn(&test.handshakes, &test.links[5], 3));
}
END_TEST

START_TEST(who_takes_too_long_is_closed_and_nobody_else)
{
    struct metrics_snapshot snapshot;
    for (unsigned i = 0; i < 3; i++)
        test.links[i].late_ns = clock_ns();
    handshakes_end(&test.links[0]); /* done in time: the next is the first now */
    const struct timeval at_once = {0, 0};
    event_add(&test.handshakes.late, &at_once);
    event_base_loop(test.base, EVLOOP_ONCE);
    ck_assert_uint_eq(test.closed_count, 2);
    ck_assert_uint_eq(test.closed[0], 1);
    ck_assert_uint_eq(test.closed[1], 2);
    ck_assert(event_pending(&test.handshakes.late, EV_TIMEOUT, NULL));
    metrics_snapshot_take(test.metrics, &snapshot);
    ck_assert_uint_eq(snapshot.value[METRIC_ssl_handshake_errors], 2);
}
END_TEST

START_TEST(no_timer_runs_while_no_handshake_does)
{
    ck_assert(event_pending(&test.handshakes.late, EV_TIMEOUT, NULL));
    for (unsigned i = 0; i < LINK_COUNT; i++)
        handshakes_end(&test.links[i]);
    ck_assert(!event_pending(&test.handshakes.late, EV_TIMEOUT, NULL));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net handshakes");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_pass_serves_a_few_handshakes_and_everybody_else);
    tcase_add_test(tcase, who_takes_too_long_is_closed_and_nobody_else);
    tcase_add_test(tcase, no_timer_runs_while_no_handshake_does);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
