/* Leases: who is told to renew an item, and that nobody else is. */
#include "check_store.h"

struct fetched {
    enum result result;
    struct store_view view;
    struct store_lease lease;
};

static struct fetched fetch(struct fixture *f, const char *name, struct store_fetch how)
{
    struct store_key key = fixture_key(f, name);
    struct fetched fetched;
    enum store_miss miss;
    fetched.result = store_fetch(f->thread, &key, &how, &fetched.view, &fetched.lease, &miss);
    return fetched;
}

static enum result invalidate(struct fixture *f, const char *name)
{
    struct store_invalidation invalidation = {.key = fixture_key(f, name), .stale = true};
    return store_invalidate(f->thread, &invalidation);
}

START_TEST(a_fetch_without_wishes_reads_as_a_get_does)
{
    struct fixture f = fixture_of_size(MIB);
    fixture_set(&f, "k", "value");
    struct fetched first = fetch(&f, "k", (struct store_fetch){0});
    ck_assert_int_eq(first.result, RESULT_HIT);
    ck_assert_mem_eq(first.view.value, "value", 5);
    ck_assert(!first.view.fetched && !first.lease.win && !first.view.won && !first.view.stale);
    ck_assert(fetch(&f, "k", (struct store_fetch){0}).view.fetched);
    ck_assert_int_eq(fetch(&f, "absent", (struct store_fetch){0}).result, RESULT_MISS);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_miss_never_seen), 1);
    fixture_close(&f);
}
END_TEST

START_TEST(a_silent_fetch_leaves_no_trace)
{
    struct fixture f = fixture_of_size(MIB);
    fixture_set(&f, "k", "value");
    clock_freeze_for_test(250);
    fetch(&f, "k", (struct store_fetch){.silent = true});
    fetch(&f, "k", (struct store_fetch){.silent = true, .touch = true, .expiry_s = 900});
    struct fetched seen = fetch(&f, "k", (struct store_fetch){.silent = true});
    ck_assert(!seen.view.fetched);
    ck_assert_uint_eq(seen.view.access_s, 100);
    ck_assert_uint_eq(seen.view.expiry_s, 900);
    fixture_close(&f);
}
END_TEST

START_TEST(vivify_makes_an_empty_item_for_the_first_and_leases_it_to_nobody_else)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_fetch how = {.vivify = true, .vivify_expiry_s = 130};
    struct fetched first = fetch(&f, "k", how), second = fetch(&f, "k", how);
    ck_assert_int_eq(first.result, RESULT_HIT);
    ck_assert(first.lease.win && first.lease.created && !first.view.won);
    ck_assert_uint_eq(first.view.size, 0);
    ck_assert_uint_eq(first.view.expiry_s, 130);
    ck_assert_int_eq(second.result, RESULT_HIT);
    ck_assert(!second.lease.win && !second.lease.created && second.view.won);
    ck_assert_uint_eq(first.view.cas, second.view.cas);
    clock_freeze_for_test(130);
    ck_assert(fetch(&f, "k", how).lease.win);
    fixture_close(&f);
}
END_TEST

START_TEST(vivify_takes_the_cas_it_is_given)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_fetch how = {.vivify = true, .cas_chosen = true, .cas_new = 1ull << 60, .key_binary = true};
    struct fetched made = fetch(&f, "k", how);
    ck_assert_uint_eq(made.view.cas, 1ull << 60);
    ck_assert(made.view.key_binary);
    fixture_close(&f);
}
END_TEST

START_TEST(the_next_value_begins_without_a_lease)
{
    struct fixture f = fixture_of_size(MIB);
    fetch(&f, "k", (struct store_fetch){.vivify = true});
    ck_assert_int_eq(fixture_set(&f, "k", "new"), RESULT_STORED);
    struct fetched seen = fetch(&f, "k", (struct store_fetch){.vivify = true});
    ck_assert(!seen.lease.win && !seen.view.won);
    ck_assert_uint_eq(seen.view.size, 3);
    fixture_close(&f);
}
END_TEST

START_TEST(an_item_about_to_expire_is_leased_once)
{
    struct fixture f = fixture_of_size(MIB);
    fixture_write(&f, STORE_SET, "k", "value", 150);
    fixture_set(&f, "never", "value");
    ck_assert(!fetch(&f, "k", (struct store_fetch){.recache_s = 150}).lease.win);
    ck_assert(!fetch(&f, "never", (struct store_fetch){.recache_s = 1000}).lease.win);
    ck_assert(fetch(&f, "k", (struct store_fetch){.recache_s = 151}).lease.win);
    struct fetched second = fetch(&f, "k", (struct store_fetch){.recache_s = 151});
    ck_assert(!second.lease.win && second.view.won);
    fixture_close(&f);
}
END_TEST

START_TEST(a_stale_item_is_leased_once_for_each_time_it_is_invalidated)
{
    struct fixture f = fixture_of_size(MIB);
    fixture_write(&f, STORE_SET, "k", "value", 500);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(invalidate(&f, "k"), RESULT_OK);
        struct fetched first = fetch(&f, "k", (struct store_fetch){0});
        struct fetched second = fetch(&f, "k", (struct store_fetch){0});
        ck_assert(first.view.stale && first.lease.win && !first.view.won);
        ck_assert(second.view.stale && !second.lease.win && second.view.won);
        ck_assert_mem_eq(second.view.value, "value", 5);
        ck_assert_uint_eq(second.view.expiry_s, 500);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(a_plain_get_takes_no_lease)
{
    struct fixture f = fixture_of_size(MIB);
    fixture_set(&f, "k", "value");
    invalidate(&f, "k");
    ck_assert(fixture_has(&f, "k", "value"));
    ck_assert(fetch(&f, "k", (struct store_fetch){0}).lease.win);
    fixture_close(&f);
}
END_TEST

/* touch, and arithmetic that fits, change an item in place as far as anybody can see: its marks stay. */
START_TEST(marks_outlive_what_leaves_the_item_the_same)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_key key = fixture_key(&f, "n");
    struct store_view view;
    fixture_set(&f, "n", "41");
    invalidate(&f, "n");
    ck_assert(fetch(&f, "n", (struct store_fetch){0}).lease.win);
    ck_assert_int_eq(store_touch(f.thread, &key, 300, &view), RESULT_HIT); /* copied: it had no expiry */
    ck_assert_int_eq(store_touch(f.thread, &key, 200, &view), RESULT_HIT); /* in place */
    ck_assert(view.stale && view.won);
    ck_assert_int_eq(fixture_increment(&f, "n"), RESULT_HIT);
    ck_assert_int_eq(store_peek(f.thread, &key, &view), RESULT_HIT);
    ck_assert(view.stale && view.won);
    fixture_write(&f, STORE_APPEND, "n", "0", 0);
    ck_assert_int_eq(store_peek(f.thread, &key, &view), RESULT_HIT);
    ck_assert(!view.stale && !view.won);
    fixture_close(&f);
}
END_TEST

static void note_marks(void *context, const struct store_view *view)
{
    unsigned *marked = context;
    if (view->stale && view->won && view->cas == 77 && view->key_binary)
        ++*marked;
}

/* Stale, leased, with a CAS and a way to show the key of their own: all that through compaction and growth of
 * the index. */
START_TEST(marks_and_traits_outlive_moves)
{
    struct fixture f = fixture_of_size(4 * MIB);
    const unsigned count = 3000;
    char name[32], value[401];
    memset(value, 'v', sizeof value);
    for (unsigned i = 0; i < 3 * count; i++) {
        snprintf(name, sizeof name, "key-%u", i);
        struct store_write write = {
            .key = fixture_key(&f, name), .value = value, .size = i % 3 == 0 ? 40 : 400, .key_binary = true};
        struct store_invalidation stale = {
            .key = write.key, .stale = true, .cas_chosen = true, .cas_new = 77};
        ck_assert_int_eq(store_write(f.thread, &write, NULL), RESULT_STORED);
        if (i % 3 != 0)
            continue;
        ck_assert_int_eq(store_invalidate(f.thread, &stale), RESULT_OK);
        ck_assert(fetch(&f, name, (struct store_fetch){0}).lease.win);
    }
    for (unsigned i = 0; i < 3 * count; i++) {
        snprintf(name, sizeof name, "key-%u", i);
        if (i % 3 != 0)
            ck_assert_int_eq(fixture_delete(&f, name), RESULT_DELETED);
    }
    fixture_maintain(&f, 200);
    unsigned marked = 0;
    store_browse(f.thread, 0, UINT32_MAX, UINT32_MAX, note_marks, &marked);
    ck_assert_uint_gt(fixture_metric(&f, METRIC_copied_bytes), count * 40);
    ck_assert_uint_eq(marked, count);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store leases");
    TCase *tcase = tcase_create("leases");
    tcase_add_test(tcase, a_fetch_without_wishes_reads_as_a_get_does);
    tcase_add_test(tcase, a_silent_fetch_leaves_no_trace);
    tcase_add_test(tcase, vivify_makes_an_empty_item_for_the_first_and_leases_it_to_nobody_else);
    tcase_add_test(tcase, vivify_takes_the_cas_it_is_given);
    tcase_add_test(tcase, the_next_value_begins_without_a_lease);
    tcase_add_test(tcase, an_item_about_to_expire_is_leased_once);
    tcase_add_test(tcase, a_stale_item_is_leased_once_for_each_time_it_is_invalidated);
    tcase_add_test(tcase, a_plain_get_takes_no_lease);
    tcase_add_test(tcase, marks_outlive_what_leaves_the_item_the_same);
    tcase_add_test(tcase, marks_and_traits_outlive_moves);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
