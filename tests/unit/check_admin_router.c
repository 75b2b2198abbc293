/* Routes: from raw targets to handlers, and every way to miss one. */
#include "admin/router_priv.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One match, with all it needs. */
static struct request request;
static struct reply reply;
static char storage[8192];

static bool match(const char *method, const char *target)
{
    reply_fini(&reply);
    memset(&request, 0, sizeof(request));
    memset(&reply, 0, sizeof(reply));
    ck_assert(strlen(target) < sizeof(storage));
    return router_match(&request, &reply, method, (struct slice){target, strlen(target)}, storage);
}

static bool goes_to(const char *method, const char *target, const char *id)
{
    return match(method, target) && strcmp(request.route->id, id) == 0;
}

static unsigned refused(const char *method, const char *target)
{
    return match(method, target) ? 0 : reply.status;
}

static struct slice parameter(void)
{
    return (struct slice){request.parameter, request.parameter_size};
}

START_TEST(paths_lead_to_their_routes)
{
    ck_assert(goes_to("GET", "/", "root"));
    ck_assert(goes_to("GET", "/livez", "livez"));
    ck_assert(goes_to("HEAD", "/metrics", "metrics"));
    ck_assert(goes_to("GET", "/api/v1/", "index_slash"));
    ck_assert(goes_to("GET", "/api/v1/stats/items", "stats_group"));
    ck_assert(goes_to("POST", "/api/v1/stats/reset", "stats_reset"));
    ck_assert(goes_to("DELETE", "/api/v1/keys/a", "key_delete"));
    ck_assert(goes_to("GET", "/api/v1/keys/value", "key"));
    ck_assert(goes_to("GET", "/api/v1/keys/value/value", "value"));
    ck_assert(goes_to("GET", "/keys", "page"));
    reply_fini(&reply);
}
END_TEST

START_TEST(an_encoded_slash_is_part_of_the_key)
{
    ck_assert(goes_to("GET", "/api/v1/keys/a%2Fvalue", "key"));
    ck_assert(slice_is(parameter(), "a/value"));
    ck_assert_uint_eq(refused("GET", "/api/v1/keys/a/b"), 404);
    ck_assert(goes_to("GET", "/api/v1/keys/a%00b", "key"));
    ck_assert_uint_eq(request.parameter_size, 3);
    ck_assert(goes_to("GET", "/api/v1/keys/%2541+", "key"));
    ck_assert(slice_is(parameter(), "%41+"));
    reply_fini(&reply);
}
END_TEST

START_TEST(literal_paths_are_compared_as_they_came)
{
    static const char *const nowhere[] = {"//",
                                          "/livez/",
                                          "/api/v1/%6beys",
                                          "/api/v1/stats/",
                                          "/api/v1/keys/",
                                          "/api/v1//stats",
                                          "/api/v1/keys//value",
                                          "/api/../livez",

                                          "/api/v2/stats",
                                          "/assets/"};
    for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++)
        ck_assert_msg(refused("GET", nowhere[i]) == 404, "%s", nowhere[i]);
    reply_fini(&reply);
}
END_TEST

START_TEST(targets_that_are_no_clean_path_are_refused)
{
    static const char *const wrong[] = {"",
                                        "livez",
                                        "*",
                                        "http://x/livez",
                                        "/%",
                                        "/%zz",
                                        "/a b",
                                        "/a\x7f",
                                        "?x",
                                        "/api/v1/keys?prefix=%z",
                                        "/api/v1/keys?prefix=a b"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert_msg(refused("GET", wrong[i]) == 400, "%s", wrong[i]);
    reply_fini(&reply);
}
END_TEST

START_TEST(other_methods_are_told_what_is_allowed)
{
    ck_assert_uint_eq(refused("POST", "/livez"), 405);
    ck_assert_str_eq(reply.allow, "GET, HEAD");
    ck_assert_uint_eq(refused("POST", "/api/v1/keys/a"), 405);
    ck_assert_str_eq(reply.allow, "GET, HEAD, PUT, PATCH, DELETE");
    ck_assert_uint_eq(refused("GET", "/api/v1/stats/reset"), 405);
    ck_assert_str_eq(reply.allow, "POST");
    ck_assert_uint_eq(refused("HEAD", "/api/v1/flush"), 405);
    ck_assert_uint_eq(refused("get", "/livez"), 405);
    ck_assert_uint_eq(refused("", "/livez"), 405);
    reply_fini(&reply);
}
END_TEST

START_TEST(queries_are_decoded_by_name)
{
    ck_assert(match("GET", "/api/v1/keys?prefix=a%26b+c&limit=5&&match="));
    ck_assert(slice_is(request.query[PARAM_prefix], "a&b c") && slice_is(request.query[PARAM_limit], "5"));
    ck_assert(request_has(&request, PARAM_match) && request.query[PARAM_match].size == 0);
    ck_assert(!request_has(&request, PARAM_cursor));
    ck_assert(match("GET", "/api/v1/keys?") && match("GET", "/livez?verbose"));
    ck_assert(match("GET", "/api/v1/keys?prefi%78=a=b%00") && request.query[PARAM_prefix].size == 4);
    reply_fini(&reply);
}
END_TEST

START_TEST(queries_nobody_asked_for_are_refused)
{
    ck_assert_uint_eq(refused("GET", "/api/v1/keys?prefixes=a"), 400);
    ck_assert_uint_eq(refused("GET", "/api/v1/keys?pre=a"), 400);
    ck_assert_uint_eq(refused("GET", "/api/v1/keys?window=1m"), 400);
    ck_assert_uint_eq(refused("GET", "/api/v1/keys?limit=1&limit=1"), 400);
    ck_assert_uint_eq(refused("GET", "/api/v1/keys?=1"), 400);
    ck_assert(match("GET", "/keys?whatever=the+page&wants=1"));
    reply_fini(&reply);
}
END_TEST

START_TEST(parameters_have_a_longest_size)
{
    char target[4096] = "/api/v1/keys/";
    size_t at = strlen(target);
    memset(target + at, 'k', PARAMETER_SIZE_MAX);
    ck_assert(match("GET", target));
    memset(target + at, 'k', PARAMETER_SIZE_MAX + 1);
    ck_assert_uint_eq(refused("GET", target), 400);
    memset(target + at, 'k', PARAMETER_SIZE_MAX * 3 + 1);
    ck_assert_uint_eq(refused("GET", target), 400);
    reply_fini(&reply);
}
END_TEST

START_TEST(every_route_is_found_by_its_own_pattern)
{
    for (unsigned i = 0; i < route_count(); i++) {
        const struct route *route = route_at(i);
        char target[128];
        snprintf(target, sizeof(target), "%s", route->pattern);
        for (char *at = target; *at != '\0'; at++)
            *at = *at == '{' || *at == '}' ? '~' : *at;
        ck_assert_msg(match(method_name(route->method), target), "%s", target);
        ck_assert_msg(request.route == route, "%s leads to %s", target, request.route->id);
    }
    reply_fini(&reply);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("admin router");
    TCase *tests = tcase_create("router");
    tcase_add_test(tests, paths_lead_to_their_routes);
    tcase_add_test(tests, an_encoded_slash_is_part_of_the_key);
    tcase_add_test(tests, literal_paths_are_compared_as_they_came);
    tcase_add_test(tests, targets_that_are_no_clean_path_are_refused);
    tcase_add_test(tests, other_methods_are_told_what_is_allowed);
    tcase_add_test(tests, queries_are_decoded_by_name);
    tcase_add_test(tests, queries_nobody_asked_for_are_refused);
    tcase_add_test(tests, parameters_have_a_longest_size);
    tcase_add_test(tests, every_route_is_found_by_its_own_pattern);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
