/* Where the admin server listens, and what happens when it cannot. */
#include "admin/admin.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct settings settings;
static struct admin *admin;
static char error[256];

static void setup(void)
{
    settings_init(&settings);
    error[0] = '\0';
}

static void teardown(void)
{
    admin_destroy(admin);
    admin = NULL;
    settings_fini(&settings);
}

static bool open_at(const char *address, enum option_source source)
{
    free(settings.admin_listen);
    settings.admin_listen = strdup(address);
    settings.source[OPTION_admin_listen] = (unsigned char)source;
    return admin_open(&settings, &admin, error, sizeof(error));
}

/* A socket that listens on a port of its own; its address in `text`. */
static int take_port(char text[32])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    getsockname(fd, (struct sockaddr *)&address, &size);
    snprintf(text, 32, "127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

START_TEST(a_taken_default_is_done_without)
{
    char address[32];
    int other = take_port(address);
    ck_assert(open_at(address, OPTION_SOURCE_DEFAULT));
    ck_assert_ptr_null(admin);
    close(other);
}
END_TEST

START_TEST(a_taken_address_that_was_given_is_an_error)
{
    char address[32];
    int other = take_port(address);
    ck_assert(!open_at(address, OPTION_SOURCE_FILE));
    ck_assert(!open_at(address, OPTION_SOURCE_COMMAND_LINE));
    ck_assert_ptr_nonnull(strstr(error, "in use"));
    close(other);
}
END_TEST

START_TEST(a_default_that_is_wrong_for_another_reason_is_an_error)
{
    ck_assert(!open_at("0.0.0.0:0", OPTION_SOURCE_DEFAULT));
    ck_assert_ptr_nonnull(strstr(error, "loopback"));
}
END_TEST

START_TEST(only_loopback_is_opened)
{
    static const char *const refused[] = {"0.0.0.0:0", "[::]:0", "192.0.2.1:0", "126.255.255.255:0",
                                          "[::ffff:127.0.0.1]:0"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        ck_assert_msg(!open_at(refused[i], OPTION_SOURCE_COMMAND_LINE), "%s", refused[i]);
    ck_assert(open_at("127.8.9.10:0", OPTION_SOURCE_COMMAND_LINE));
}
END_TEST

START_TEST(the_address_names_the_real_port)
{
    ck_assert(open_at("localhost:0", OPTION_SOURCE_COMMAND_LINE));
    unsigned port = 0;
    ck_assert_int_eq(sscanf(admin_address(admin), "http://localhost:%u/", &port), 1);
    ck_assert_uint_gt(port, 0);
}
END_TEST

START_TEST(off_opens_nothing)
{
    ck_assert(open_at("off", OPTION_SOURCE_COMMAND_LINE));
    ck_assert_ptr_null(admin);
}
END_TEST

START_TEST(a_unix_socket_is_private_and_goes_away)
{
    char directory[] = "/tmp/vitrine-admin-XXXXXX", address[64];
    struct stat status;
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(address, sizeof(address), "unix:%s/s", directory);
    mode_t mask = umask(0);
    ck_assert(open_at(address, OPTION_SOURCE_COMMAND_LINE));
    ck_assert_uint_eq(umask(mask), 0);
    ck_assert_int_eq(stat(address + 5, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    admin_destroy(admin);
    admin = NULL;
    ck_assert_int_ne(stat(address + 5, &status), 0);
    rmdir(directory);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("admin open");
    TCase *tests = tcase_create("open");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_taken_default_is_done_without);
    tcase_add_test(tests, a_taken_address_that_was_given_is_an_error);
    tcase_add_test(tests, a_default_that_is_wrong_for_another_reason_is_an_error);
    tcase_add_test(tests, only_loopback_is_opened);
    tcase_add_test(tests, the_address_names_the_real_port);
    tcase_add_test(tests, off_opens_nothing);
    tcase_add_test(tests, a_unix_socket_is_private_and_goes_away);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
