/* The watch: who is cut off, when, and who goes first. Time is an argument here; nothing waits. */
#include "admin/watch_priv.h"
#include "base/clock.h"

#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define NS_A_SECOND UINT64_C(1000000000)

struct client {
    int far, near; /* the watch has near */
    struct watch_entry *entry;
};

static struct watch *watch;
static uint64_t now_ns;

static void setup(void)
{
    clock_init();
    watch = watch_create();
    ck_assert_ptr_nonnull(watch);
    now_ns = clock_ns();
}

static void teardown(void)
{
    watch_destroy(watch);
}

static struct client client_open(void)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    return (struct client){ends[0], ends[1], watch_open(watch, ends[1])};
}

static void client_close(struct client *client)
{
    watch_close(watch, client->entry);
    close(client->near);
    close(client->far);
}

static bool is_cut(const struct client *client)
{
    char byte;
    return recv(client->far, &byte, 1, MSG_DONTWAIT) == 0;
}

START_TEST(each_phase_has_its_time)
{
    static const struct {
        enum watch_phase phase;
        uint64_t allowed_s;
    } phases[] = {{WATCH_HEADER, 5}, {WATCH_IDLE, 30}, {WATCH_BODY, 15}, {WATCH_REPLY, 30}};
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        struct client client = client_open();
        watch_enter(watch, client.entry, phases[i].phase);
        watch_sweep(watch, now_ns + (phases[i].allowed_s - 1) * NS_A_SECOND);
        ck_assert(!is_cut(&client));
        watch_sweep(watch, clock_ns() + (phases[i].allowed_s + 1) * NS_A_SECOND);
        ck_assert(is_cut(&client));
        client_close(&client);
    }
}
END_TEST

START_TEST(a_new_phase_begins_anew)
{
    struct client client = client_open();
    watch_enter(watch, client.entry, WATCH_IDLE);
    watch_sweep(watch, clock_ns() + 10 * NS_A_SECOND);
    ck_assert(!is_cut(&client));
    watch_enter(watch, client.entry, WATCH_HEADER);
    watch_sweep(watch, clock_ns() + 10 * NS_A_SECOND);
    ck_assert(is_cut(&client));
    client_close(&client);
}
END_TEST

/* Opens as many as there may be without anyone's having to go. */
static void fill(struct client *clients, size_t count)
{
    for (size_t i = 0; i < count; i++)
        clients[i] = client_open();
    for (size_t i = 0; i < count; i++)
        ck_assert(!is_cut(&clients[i]));
}

START_TEST(the_oldest_without_a_header_goes_when_slots_run_out)
{
    static struct client clients[WATCH_LIMIT];
    size_t count = WATCH_LIMIT - WATCH_SPARE;
    fill(clients, count);
    watch_enter(watch, clients[0].entry, WATCH_REPLY);
    clients[count] = client_open();
    ck_assert(!is_cut(&clients[0]) && is_cut(&clients[1]) && !is_cut(&clients[2]));
    clients[count + 1] = client_open();
    ck_assert(is_cut(&clients[2]) && !is_cut(&clients[count]));
    for (size_t i = 0; i < count + 2; i++)
        client_close(&clients[i]);
}
END_TEST

START_TEST(those_being_answered_go_last_but_they_go)
{
    static struct client clients[WATCH_LIMIT];
    size_t count = WATCH_LIMIT - WATCH_SPARE;
    fill(clients, count);
    for (size_t i = 0; i < count; i++)
        watch_enter(watch, clients[i].entry, i % 2 ? WATCH_REPLY : WATCH_BODY);
    clients[count] = client_open();
    ck_assert(is_cut(&clients[0]) && !is_cut(&clients[1]));
    for (size_t i = 0; i < count + 1; i++)
        client_close(&clients[i]);
}
END_TEST

START_TEST(connections_and_cuts_are_counted)
{
    uint64_t open, cut;
    struct client a = client_open(), b = client_open();
    watch_enter(watch, b.entry, WATCH_REPLY);
    watch_sweep(watch, clock_ns() + 6 * NS_A_SECOND);
    watch_sweep(watch, clock_ns() + 6 * NS_A_SECOND);
    watch_count(watch, &open, &cut);
    ck_assert(open == 1 && cut == 1);
    client_close(&a);
    client_close(&b);
    watch_count(watch, &open, &cut);
    ck_assert(open == 0 && cut == 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("admin watch");
    TCase *tests = tcase_create("watch");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, each_phase_has_its_time);
    tcase_add_test(tests, a_new_phase_begins_anew);
    tcase_add_test(tests, the_oldest_without_a_header_goes_when_slots_run_out);
    tcase_add_test(tests, those_being_answered_go_last_but_they_go);
    tcase_add_test(tests, connections_and_cuts_are_counted);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
