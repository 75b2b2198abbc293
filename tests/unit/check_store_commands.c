/* What each command of the store answers, on live, absent and expired keys. */
#include "check_store.h"

START_TEST(set_then_get_gives_the_value)
{
    struct fixture f = fixture_of_size(MIB);
    ck_assert_int_eq(fixture_set(&f, "k", "value"), RESULT_STORED);
    ck_assert(fixture_has(&f, "k", "value"));
    ck_assert_int_eq(fixture_set(&f, "k", ""), RESULT_STORED);
    ck_assert(fixture_has(&f, "k", ""));
    fixture_close(&f);
}
END_TEST

START_TEST(add_on_live_key_is_not_stored)
{
    struct fixture f = fixture_of_size(MIB);
    ck_assert_int_eq(fixture_write(&f, STORE_ADD, "k", "a", 0), RESULT_STORED);
    ck_assert_int_eq(fixture_write(&f, STORE_ADD, "k", "b", 0), RESULT_NOT_STORED);
    ck_assert(fixture_has(&f, "k", "a"));
    ck_assert_int_eq(fixture_delete(&f, "k"), RESULT_DELETED);
    ck_assert_int_eq(fixture_write(&f, STORE_ADD, "k", "c", 0), RESULT_STORED);
    fixture_close(&f);
}
END_TEST

START_TEST(replace_on_absent_key_is_not_stored)
{
    struct fixture f = fixture_of_size(MIB);
    ck_assert_int_eq(fixture_write(&f, STORE_REPLACE, "k", "a", 0), RESULT_NOT_STORED);
    fixture_set(&f, "k", "a");
    ck_assert_int_eq(fixture_write(&f, STORE_REPLACE, "k", "b", 0), RESULT_STORED);
    ck_assert(fixture_has(&f, "k", "b"));
    fixture_close(&f);
}
END_TEST

START_TEST(append_and_prepend_join_and_keep_flags_and_expiry)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_key key = fixture_key(&f, "k");
    struct store_write write = {.key = key, .value = "mid", .size = 3, .flags = 7, .expiry_s = 500};
    struct store_view view;
    ck_assert_int_eq(fixture_write(&f, STORE_APPEND, "k", "x", 0), RESULT_NOT_STORED);
    ck_assert_int_eq(fixture_write(&f, STORE_PREPEND, "k", "x", 0), RESULT_NOT_STORED);
    ck_assert_int_eq(store_write(f.thread, &write, NULL), RESULT_STORED);
    ck_assert_int_eq(fixture_write(&f, STORE_APPEND, "k", "-end", 0), RESULT_STORED);
    ck_assert_int_eq(fixture_write(&f, STORE_PREPEND, "k", "front-", 0), RESULT_STORED);
    ck_assert(fixture_has(&f, "k", "front-mid-end"));
    ck_assert_int_eq(store_peek(f.thread, &key, &view), RESULT_HIT);
    ck_assert_uint_eq(view.flags, 7);
    ck_assert_uint_eq(view.expiry_s, 500);
    fixture_close(&f);
}
END_TEST

START_TEST(cas_stores_only_on_the_version_it_names)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_write write = {.key = fixture_key(&f, "k"), .value = "1", .size = 1, .mode = STORE_SET};
    struct store_written first, second;
    ck_assert_int_eq(store_write(f.thread, &write, &first), RESULT_STORED);
    ck_assert_uint_ge(first.cas, 1);
    write.mode = STORE_CAS;
    write.cas = first.cas;
    ck_assert_int_eq(store_write(f.thread, &write, &second), RESULT_STORED);
    ck_assert_uint_ne(first.cas, second.cas);
    ck_assert_int_eq(store_write(f.thread, &write, NULL), RESULT_EXISTS);
    write.key = fixture_key(&f, "other");
    ck_assert_int_eq(store_write(f.thread, &write, NULL), RESULT_NOT_FOUND);
    fixture_close(&f);
}
END_TEST

START_TEST(delete_removes_and_honours_cas)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_key key = fixture_key(&f, "k");
    struct store_write write = {.key = key, .value = "1", .size = 1};
    struct store_written written;
    ck_assert_int_eq(fixture_delete(&f, "k"), RESULT_NOT_FOUND);
    ck_assert_int_eq(store_write(f.thread, &write, &written), RESULT_STORED);
    ck_assert_int_eq(store_delete(f.thread, &key, written.cas + 1), RESULT_EXISTS);
    ck_assert_int_eq(store_delete(f.thread, &key, written.cas), RESULT_DELETED);
    ck_assert_int_eq(fixture_miss(&f, "k"), STORE_MISS_DELETED);
    ck_assert_int_eq(fixture_miss(&f, "never"), STORE_MISS_NEVER_SEEN);
    fixture_close(&f);
}
END_TEST

START_TEST(touch_changes_expiry_and_nothing_else)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_key key = fixture_key(&f, "k");
    static const uint32_t from[] = {0, 0, 110, 110, 500, 100000}, to[] = {0, 500, 0, 100000, 120, 110};
    for (unsigned i = 0; i < sizeof from / sizeof *from; i++) {
        struct store_write write = {.key = key, .value = "v", .size = 1, .flags = i, .expiry_s = from[i]};
        struct store_view view;
        struct store_written written;
        ck_assert_int_eq(store_write(f.thread, &write, &written), RESULT_STORED);
        ck_assert_int_eq(store_touch(f.thread, &key, to[i], &view), RESULT_HIT);
        ck_assert_uint_eq(view.expiry_s, to[i]);
        ck_assert_int_eq(store_peek(f.thread, &key, &view), RESULT_HIT);
        ck_assert_uint_eq(view.expiry_s, to[i]);
        ck_assert_uint_eq(view.cas, written.cas);
        ck_assert_uint_eq(view.flags, i);
        ck_assert(view.fetched);
    }
    ck_assert_uint_eq(fixture_metric(&f, METRIC_total_items), 6);
    fixture_close(&f);
}
END_TEST

START_TEST(touch_with_a_past_expiry_hits_and_then_the_item_is_gone)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_key key = fixture_key(&f, "k");
    struct store_view view;
    ck_assert_int_eq(store_touch(f.thread, &key, 500, &view), RESULT_MISS);
    fixture_set(&f, "k", "v");
    ck_assert_int_eq(store_touch(f.thread, &key, STORE_EXPIRED_S, &view), RESULT_HIT);
    ck_assert_uint_eq(view.size, 1);
    ck_assert_int_eq(fixture_miss(&f, "k"), STORE_MISS_EXPIRED);
    fixture_close(&f);
}
END_TEST

START_TEST(peek_leaves_no_trace)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_key key = fixture_key(&f, "k");
    struct store_view view;
    fixture_set(&f, "k", "v");
    store_peek(f.thread, &key, &view);
    store_peek(f.thread, &key, &view);
    ck_assert(!view.fetched);
    clock_freeze_for_test(300);
    store_peek(f.thread, &key, &view);
    ck_assert_uint_eq(view.access_s, 100);
    store_get(f.thread, &key, &view, NULL);
    ck_assert(!view.fetched);
    store_get(f.thread, &key, &view, NULL);
    ck_assert(view.fetched);
    ck_assert_uint_eq(view.access_s, 300);
    fixture_close(&f);
}
END_TEST

START_TEST(too_large_is_refused_where_memcached_refuses_it)
{
    struct fixture f = fixture_of_size(64 * MIB);
    size_t border = MIB - 48 - 8 - 2 - 2; /* header, CAS, key and its NUL, CR LF */
    ck_assert(store_fits(f.store, 1, border));
    ck_assert(!store_fits(f.store, 1, border + 1));
    char *value = calloc(1, MIB);
    struct store_write write = {.key = fixture_key(&f, "k"), .value = value, .size = border + 1};
    fixture_set(&f, "k", "old");
    ck_assert_int_eq(store_write(f.thread, &write, NULL), RESULT_TOO_LARGE);
    fixture_miss(&f, "k"); /* a failed set leaves no stale value */
    write.size = border;
    ck_assert_int_eq(store_write(f.thread, &write, NULL), RESULT_STORED);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_store_too_large), 1);
    free(value);
    fixture_close(&f);
}
END_TEST

static enum result plain_set(struct fixture *f, const struct store_key *key, const char *value, size_t size,
                             uint32_t expiry_s)
{
    struct store_set set = {key, value, size, expiry_s, expiry_s};
    struct store_written written = {0};
    struct store_view view;
    enum result result = store_set(f->thread, &set, &written);
    ck_assert_int_eq(store_peek(f->thread, key, &view), result == RESULT_STORED ? RESULT_HIT : RESULT_MISS);
    if (result != RESULT_STORED)
        return result;
    ck_assert_uint_eq(view.size, size);
    ck_assert_uint_eq(written.size, size);
    ck_assert_uint_eq(view.cas, written.cas);
    ck_assert_uint_eq(view.expiry_s, expiry_s);
    ck_assert_uint_eq(view.flags, expiry_s);
    ck_assert(view.key_size == key->size && memcmp(view.key, key->data, key->size) == 0);
    ck_assert(size == 0 || view.value == NULL || memcmp(view.value, value, size) == 0);
    return result;
}

/* A set without a condition does as store_write, be the key new, there, seen ahead or seen where it no longer
 * is, and the value small, in chunks or too large. */
START_TEST(a_plain_set_stores_what_it_is_given)
{
    struct fixture f = fixture_of_size(64 * MIB);
    char *value = malloc(2 * MIB);
    memset(value, 'v', 2 * MIB);
    struct store_key key = fixture_key(&f, "a key of some length");
    static const size_t sizes[] = {100, 100, 0, 4000, 100, 4000, 900000, 900000, 100, 100, 2 * MIB, 7};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        enum result wanted = sizes[i] < MIB ? RESULT_STORED : RESULT_TOO_LARGE;
        value[0] = (char)('a' + i);
        if (i % 3 == 0)
            store_prefetch(f.thread, &key, 1);
        ck_assert_int_eq(plain_set(&f, &key, value, sizes[i], i % 2 == 0 ? STORE_NEVER_S : 500 + i), wanted);
        store_thread_quiesce(f.thread);
        fixture_check_conservation(&f);
    }
    struct store_usage usage;
    store_usage_read(f.store, &usage);
    ck_assert_uint_lt(usage.segments_used, 20);
    free(value);
    fixture_close(&f);
}
END_TEST

START_TEST(keys_of_every_size_and_binary_bytes_are_told_apart)
{
    struct fixture f = fixture_of_size(4 * MIB);
    char name[STORE_KEY_SIZE_MAX];
    memset(name, 0xff, sizeof name);
    for (size_t size = 1; size <= sizeof name; size++) {
        struct store_write write = {.key = store_key(f.store, name, size), .value = name, .size = size};
        ck_assert_int_eq(store_write(f.thread, &write, NULL), RESULT_STORED);
    }
    for (size_t size = 1; size <= sizeof name; size++) {
        struct store_key key = store_key(f.store, name, size);
        struct store_view view;
        ck_assert_int_eq(store_get(f.thread, &key, &view, NULL), RESULT_HIT);
        ck_assert_uint_eq(view.size, size);
        ck_assert_uint_eq(view.key_size, size);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(prefetch_of_any_keys_is_harmless)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_key keys[STORE_PREFETCH_MAX];
    fixture_set(&f, "k", "v");
    for (unsigned i = 0; i < STORE_PREFETCH_MAX; i++)
        keys[i] = fixture_key(&f, i % 2 ? "k" : "absent");
    store_prefetch(f.thread, keys, STORE_PREFETCH_MAX);
    store_prefetch(f.thread, keys, 0);
    ck_assert(fixture_has(&f, "k", "v"));
    fixture_close(&f);
}
END_TEST

START_TEST(a_configuration_without_sense_is_refused_with_a_reason)
{
    char error[100] = "";
    struct metrics *metrics = metrics_create();
    struct store_config config = {.memory_size = MIB - 1, .item_size_max = MIB};
    ck_assert_ptr_null(store_create(&config, metrics, error, sizeof error));
    ck_assert_str_ne(error, "");
    metrics_destroy(metrics);
    store_destroy(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store commands");
    TCase *tcase = tcase_create("commands");
    tcase_add_test(tcase, set_then_get_gives_the_value);
    tcase_add_test(tcase, add_on_live_key_is_not_stored);
    tcase_add_test(tcase, replace_on_absent_key_is_not_stored);
    tcase_add_test(tcase, append_and_prepend_join_and_keep_flags_and_expiry);
    tcase_add_test(tcase, cas_stores_only_on_the_version_it_names);
    tcase_add_test(tcase, delete_removes_and_honours_cas);
    tcase_add_test(tcase, touch_changes_expiry_and_nothing_else);
    tcase_add_test(tcase, touch_with_a_past_expiry_hits_and_then_the_item_is_gone);
    tcase_add_test(tcase, peek_leaves_no_trace);
    tcase_add_test(tcase, too_large_is_refused_where_memcached_refuses_it);
    tcase_add_test(tcase, a_plain_set_stores_what_it_is_given);
    tcase_add_test(tcase, keys_of_every_size_and_binary_bytes_are_told_apart);
    tcase_add_test(tcase, prefetch_of_any_keys_is_harmless);
    tcase_add_test(tcase, a_configuration_without_sense_is_refused_with_a_reason);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
