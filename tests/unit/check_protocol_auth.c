/* The users of an auth file: who comes in, SASL PLAIN's messages, and reloads beside those who compare. */
#include "base/clock.h"
#include "protocol/auth_priv.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_SIZE 64u

static void file_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static struct auth *auth_of(char path[PATH_SIZE], const char *text)
{
    char error[256];
    snprintf(path, PATH_SIZE, "/tmp/check-auth-XXXXXX");
    close(mkstemp(path));
    file_write(path, text);
    struct auth *auth = auth_create(path, error, sizeof error);
    ck_assert_msg(auth != NULL, "%s", error);
    return auth;
}

static void auth_end(struct auth *auth, const char *path)
{
    auth_destroy(auth);
    unlink(path);
}

static bool check_text(struct auth *auth, const char *user, const char *password)
{
    return auth_check(auth, user, strlen(user), password, strlen(password));
}

START_TEST(compares_users_and_passwords_whole)
{
    char path[PATH_SIZE];
    struct auth *auth = auth_of(path, "alice:wonder\nbob:builder:x\n");
    ck_assert(check_text(auth, "alice", "wonder"));
    ck_assert(check_text(auth, "bob", "builder:x"));
    static const char *const wrong[][2] = {{"alice", "wonde"},
                                           {"alice", "wonder "},
                                           {"alic", "wonder"},
                                           {"alice", "builder"},
                                           {"", ""},
                                           {"alice", ""},
                                           {"", "wonder"},
                                           {"ALICE", "wonder"},
                                           {"alice:wonder", ""},
                                           {"bob", "builder"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(!check_text(auth, wrong[i][0], wrong[i][1]), "%s %s", wrong[i][0], wrong[i][1]);
    ck_assert(!auth_check(auth, "alice\0", 6, "wonder", 6));
    ck_assert(!auth_check(auth, "alice", 5, "wonder\0", 7));
    ck_assert(!auth_check(auth, NULL, 0, NULL, 0));
    auth_end(auth, path);
}
END_TEST

/* The sizes around that of an entry, where padding and cutting meet. */
START_TEST(tells_longest_words_from_longer_ones)
{
    char path[PATH_SIZE], text[600], word[300];
    memset(word, 'w', sizeof word);
    snprintf(text, sizeof text, "%.256s:%.256s\n", word, word);
    struct auth *auth = auth_of(path, text);
    for (size_t user = 250; user < 300; user++)
        for (size_t password = 250; password < 300; password++)
            ck_assert_int_eq(auth_check(auth, word, user, word, password), user == 256 && password == 256);
    ck_assert(!auth_check(auth, word, (size_t)1 << 32 | 256, word, 256));
    auth_end(auth, path);
}
END_TEST

START_TEST(reads_plain_messages)
{
    static const struct {
        const char *message;
        size_t size;
        bool good;
    } messages[] = {
        {"\0bob\0builder", 12, true},
        {"id\0bob\0builder", 14, true},
        {"bob\0bob\0builder", 15, true},
        {"\0bob\0builde", 11, false},
        {"\0bob\0builder\0", 13, false},
        {"bob\0builder", 11, false},
        {"\0\0bob\0builder", 13, false},
        {"", 0, false},
        {"\0", 1, false},
        {"\0\0", 2, false},
        {"bob builder", 11, false},
        {"\0bob\0", 5, false},
    };
    char path[PATH_SIZE];
    struct metrics *metrics = metrics_create();
    struct protocol protocol = {.auth = auth_of(path, "bob:builder\n")};
    struct protocol_thread thread = {.protocol = &protocol, .block = metrics_block_create(metrics)};
    struct session session;
    session_init(&session);
    unsigned count = sizeof messages / sizeof *messages, wrong = 0;
    for (unsigned i = 0; i < count; i++) {
        /* of its exact size, so that a sanitizer sees a byte read beyond it */
        char *exact = malloc(messages[i].size > 0 ? messages[i].size : 1);
        memcpy(exact, messages[i].message, messages[i].size);
        session.authenticated = !messages[i].good;
        ck_assert_msg(auth_plain(&thread, &session, exact, messages[i].size) == messages[i].good, "%u", i);
        ck_assert_int_eq(session.authenticated, messages[i].good);
        wrong += !messages[i].good;
        free(exact);
    }
    struct metrics_snapshot snapshot;
    metrics_snapshot_take(metrics, &snapshot);
    ck_assert_uint_eq(snapshot.value[METRIC_auth_cmds], count);
    ck_assert_uint_eq(snapshot.value[METRIC_auth_errors], wrong);
    auth_end(protocol.auth, path);
    metrics_destroy(metrics);
}
END_TEST

/* ---- reloads ---- */

struct comparer {
    struct auth *auth;
    _Atomic bool stop;
    unsigned long rounds, faults;
};

static void *compare(void *context)
{
    struct comparer *comparer = context;
    do {
        comparer->faults += !check_text(comparer->auth, "stays", "always");
        comparer->faults += check_text(comparer->auth, "stays", "never");
        comparer->rounds++;
    } while (!atomic_load(&comparer->stop));
    return NULL;
}

START_TEST(reloads_beside_those_who_compare)
{
    enum { THREADS = 3, RELOADS = 200 };
    char path[PATH_SIZE], error[256];
    struct auth *auth = auth_of(path, "stays:always\n");
    struct comparer comparers[THREADS] = {0};
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        comparers[i].auth = auth;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, compare, &comparers[i]), 0);
    }
    for (unsigned i = 0; i < RELOADS; i++) {
        file_write(path, i % 3 == 0 ? "broken\n" : i % 3 == 1 ? "a:b\nstays:always\n" : "stays:always\n");
        ck_assert_int_eq(auth_reload(auth, error, sizeof error), i % 3 != 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        atomic_store(&comparers[i].stop, true);
        pthread_join(threads[i], NULL);
        ck_assert_uint_gt(comparers[i].rounds, 0);
        ck_assert_uint_eq(comparers[i].faults, 0);
    }
    auth_end(auth, path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("auth");
    TCase *test = tcase_create("auth");
    tcase_add_test(test, compares_users_and_passwords_whole);
    tcase_add_test(test, tells_longest_words_from_longer_ones);
    tcase_add_test(test, reads_plain_messages);
    tcase_add_test(test, reloads_beside_those_who_compare);
    suite_add_tcase(suite, test);
    clock_init();
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
