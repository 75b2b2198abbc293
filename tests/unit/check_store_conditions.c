/* The richer forms of writing: conditions on the CAS in every mode, a CAS of the client's choice, values that
 * come too late, numbers that are created, items that are invalidated or emptied. */
#include "check_store.h"

static struct store_view peek(struct fixture *f, const char *name)
{
    struct store_key key = fixture_key(f, name);
    struct store_view view;
    ck_assert_int_eq(store_peek(f->thread, &key, &view), RESULT_HIT);
    return view;
}

static struct store_written set(struct fixture *f, const char *name, const char *value, uint32_t expiry_s)
{
    struct store_write write = {
        .key = fixture_key(f, name), .value = value, .size = strlen(value), .flags = 5, .expiry_s = expiry_s};
    struct store_written written;
    ck_assert_int_eq(store_write(f->thread, &write, &written), RESULT_STORED);
    return written;
}

START_TEST(a_cas_is_a_condition_in_every_mode_but_add)
{
    static const enum store_mode modes[] = {STORE_SET, STORE_REPLACE, STORE_APPEND, STORE_PREPEND, STORE_CAS};
    struct fixture f = fixture_of_size(MIB);
    enum store_mode mode = modes[_i];
    uint64_t cas = set(&f, "k", "old", 0).cas;
    struct store_write write = {
        .key = fixture_key(&f, "k"), .value = "new", .size = 3, .mode = mode, .cas = cas + 1};
    ck_assert_int_eq(store_write(f.thread, &write, NULL), RESULT_EXISTS);
    ck_assert(fixture_has(&f, "k", "old"));
    write.cas = cas;
    ck_assert_int_eq(store_write(f.thread, &write, NULL), RESULT_STORED);
    fixture_delete(&f, "k");
    enum result absent = mode == STORE_SET   ? RESULT_STORED
                         : mode == STORE_CAS ? RESULT_NOT_FOUND
                                             : RESULT_NOT_STORED;
    ck_assert_int_eq(store_write(f.thread, &write, NULL), absent);
    fixture_close(&f);
}
END_TEST

START_TEST(add_knows_no_cas_and_no_item_has_cas_0)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_write write = {
        .key = fixture_key(&f, "k"), .value = "v", .size = 1, .mode = STORE_ADD, .cas = 9};
    ck_assert_int_eq(store_write(f.thread, &write, NULL), RESULT_STORED);
    ck_assert_int_eq(store_write(f.thread, &write, NULL), RESULT_NOT_STORED);
    write.mode = STORE_CAS;
    write.cas = 0;
    ck_assert_int_eq(store_write(f.thread, &write, NULL), RESULT_EXISTS);
    fixture_close(&f);
}
END_TEST

START_TEST(a_chosen_cas_stays_until_the_item_changes)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_view view;
    struct store_write write = {.key = fixture_key(&f, "n"),
                                .value = "1",
                                .size = 1,
                                .flags = 3,
                                .expiry_s = 500,
                                .cas_chosen = true,
                                .cas_new = UINT64_MAX};
    struct store_written written;
    ck_assert_int_eq(store_write(f.thread, &write, &written), RESULT_STORED);
    ck_assert_uint_eq(written.cas, UINT64_MAX);
    ck_assert_int_eq(store_touch(f.thread, &write.key, 0, &view), RESULT_HIT); /* copied */
    view = peek(&f, "n");
    ck_assert_uint_eq(view.cas, UINT64_MAX);
    ck_assert_uint_eq(view.flags, 3);
    ck_assert_mem_eq(view.value, "1", 1);
    ck_assert_int_eq(store_delete(f.thread, &write.key, 4), RESULT_EXISTS);
    ck_assert_int_eq(fixture_increment(&f, "n"), RESULT_HIT);
    ck_assert_uint_lt(peek(&f, "n").cas, 1000);
    write.mode = STORE_APPEND;
    write.cas_new = 12;
    ck_assert_int_eq(store_write(f.thread, &write, &written), RESULT_STORED);
    ck_assert_uint_eq(peek(&f, "n").cas, 12);
    fixture_close(&f);
}
END_TEST

START_TEST(a_value_that_comes_too_late_is_kept_as_stale)
{
    struct fixture f = fixture_of_size(MIB);
    uint64_t old = set(&f, "k", "1", 300).cas, now = set(&f, "k", "2", 400).cas;
    struct store_write late = {.key = fixture_key(&f, "k"),
                               .value = "late",
                               .size = 4,
                               .mode = STORE_CAS,
                               .cas = old,
                               .stale_allowed = true};
    ck_assert_int_eq(store_write(f.thread, &late, NULL), RESULT_STORED);
    struct store_view view = peek(&f, "k");
    ck_assert(view.stale && !view.won);
    ck_assert_uint_eq(view.expiry_s, 400);
    ck_assert_mem_eq(view.value, "late", 4);
    ck_assert_uint_gt(view.cas, now);
    late.cas = view.cas + 1;
    ck_assert_int_eq(store_write(f.thread, &late, NULL), RESULT_EXISTS);
    late.cas = 0;
    ck_assert_int_eq(store_write(f.thread, &late, NULL), RESULT_EXISTS);
    late.cas = view.cas;
    ck_assert_int_eq(store_write(f.thread, &late, NULL), RESULT_STORED);
    ck_assert(!peek(&f, "k").stale);
    fixture_close(&f);
}
END_TEST

START_TEST(a_late_value_leaves_a_lease_where_it_is)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_lease lease;
    struct store_view view;
    uint64_t old = set(&f, "k", "1", 0).cas;
    struct store_invalidation stale = {.key = fixture_key(&f, "k"), .stale = true};
    ck_assert_int_eq(store_invalidate(f.thread, &stale), RESULT_OK);
    ck_assert_int_eq(store_fetch(f.thread, &stale.key, &(struct store_fetch){0}, &view, &lease, NULL),
                     RESULT_HIT);
    ck_assert(lease.win);
    struct store_write late = {
        .key = stale.key, .value = "late", .size = 4, .mode = STORE_CAS, .cas = old, .stale_allowed = true};
    ck_assert_int_eq(store_write(f.thread, &late, NULL), RESULT_STORED);
    view = peek(&f, "k");
    ck_assert(view.stale && view.won);
    fixture_close(&f);
}
END_TEST

START_TEST(append_creates_where_it_is_told_to)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_write write = {.key = fixture_key(&f, "k"),
                                .value = "ab",
                                .size = 2,
                                .flags = 4,
                                .expiry_s = 130,
                                .mode = _i ? STORE_APPEND : STORE_PREPEND,
                                .create = true};
    struct store_written written;
    ck_assert_int_eq(store_write(f.thread, &write, &written), RESULT_STORED);
    ck_assert_uint_eq(written.size, 2);
    write.value = "xyz";
    write.size = 3;
    write.expiry_s = 900;
    ck_assert_int_eq(store_write(f.thread, &write, &written), RESULT_STORED);
    ck_assert_uint_eq(written.size, 5);
    ck_assert(fixture_has(&f, "k", _i ? "abxyz" : "xyzab"));
    ck_assert_uint_eq(peek(&f, "k").expiry_s, 130);
    ck_assert_uint_eq(peek(&f, "k").flags, 4);
    fixture_close(&f);
}
END_TEST

START_TEST(a_number_is_created_where_it_is_told_to)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_delta delta = {.key = fixture_key(&f, "n"),
                                .delta = 7,
                                .create = true,
                                .initial = 13,
                                .create_expiry_s = 130,
                                .key_binary = true};
    struct store_number number;
    ck_assert_int_eq(store_arithmetic(f.thread, &delta, &number), RESULT_STORED);
    ck_assert_uint_eq(number.value, 13);
    ck_assert_uint_eq(number.expiry_s, 130);
    ck_assert_uint_eq(number.cas, peek(&f, "n").cas);
    ck_assert(peek(&f, "n").key_binary);
    ck_assert_int_eq(store_arithmetic(f.thread, &delta, &number), RESULT_HIT);
    ck_assert_uint_eq(number.value, 20);
    ck_assert(peek(&f, "n").key_binary);
    fixture_close(&f);
}
END_TEST

START_TEST(arithmetic_honours_cas_and_sets_cas_and_expiry)
{
    struct fixture f = fixture_of_size(MIB);
    uint64_t cas = set(&f, "n", "10", 300).cas;
    struct store_delta delta = {.key = fixture_key(&f, "n"), .delta = 1, .decrement = true, .cas = cas + 1};
    struct store_number number;
    ck_assert_int_eq(store_arithmetic(f.thread, &delta, &number), RESULT_EXISTS);
    delta.cas = cas;
    delta.cas_chosen = delta.touch = true;
    delta.cas_new = 99;
    ck_assert_int_eq(store_arithmetic(f.thread, &delta, &number), RESULT_HIT);
    ck_assert_uint_eq(number.cas, 99);
    ck_assert_uint_eq(number.expiry_before_s, 300);
    ck_assert_uint_eq(number.expiry_s, 0);
    ck_assert_uint_eq(peek(&f, "n").cas, 99);
    ck_assert_uint_eq(peek(&f, "n").expiry_s, 0);
    ck_assert(fixture_has(&f, "n", "9 "));
    fixture_close(&f);
}
END_TEST

START_TEST(what_is_empty_or_no_number_says_so_before_its_cas)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_delta delta = {.key = fixture_key(&f, "n"), .delta = 1, .cas = 1ull << 40};
    struct store_number number;
    set(&f, "n", "", 0);
    ck_assert_int_eq(store_arithmetic(f.thread, &delta, &number), RESULT_NON_NUMERIC);
    set(&f, "n", "text", 0);
    ck_assert_int_eq(store_arithmetic(f.thread, &delta, &number), RESULT_EXISTS);
    fixture_close(&f);
}
END_TEST

/* ---- invalidating ---- */

START_TEST(invalidating_keeps_all_but_the_cas)
{
    struct fixture f = fixture_of_size(MIB);
    uint64_t cas = set(&f, "k", "value", 300).cas;
    struct store_invalidation stale = {
        .key = fixture_key(&f, "k"), .stale = true, .cas_given = true, .cas = cas + 1};
    ck_assert_int_eq(store_invalidate(f.thread, &stale), RESULT_EXISTS);
    stale.cas = cas;
    fixture_has(&f, "k", "");
    ck_assert_int_eq(store_invalidate(f.thread, &stale), RESULT_OK);
    struct store_view view = peek(&f, "k");
    ck_assert(view.stale && !view.won && view.fetched);
    ck_assert_uint_gt(view.cas, cas);
    ck_assert_uint_eq(view.expiry_s, 300);
    ck_assert_uint_eq(view.flags, 5);
    ck_assert(fixture_has(&f, "k", "value"));
    ck_assert_uint_eq(fixture_metric(&f, METRIC_total_items), 1);
    stale.key = fixture_key(&f, "absent");
    ck_assert_int_eq(store_invalidate(f.thread, &stale), RESULT_NOT_FOUND);
    fixture_close(&f);
}
END_TEST

START_TEST(invalidating_may_set_expiry_and_cas)
{
    struct fixture f = fixture_of_size(MIB);
    static const uint32_t from[] = {0, 0, 300}, to[] = {130, 0, 0};
    for (unsigned i = 0; i < 3; i++) {
        set(&f, "k", "value", from[i]);
        struct store_invalidation stale = {.key = fixture_key(&f, "k"),
                                           .stale = true,
                                           .touch = true,
                                           .expiry_s = to[i],
                                           .cas_chosen = true,
                                           .cas_new = 55 + i};
        ck_assert_int_eq(store_invalidate(f.thread, &stale), RESULT_OK);
        ck_assert_uint_eq(peek(&f, "k").expiry_s, to[i]);
        ck_assert_uint_eq(peek(&f, "k").cas, 55 + i);
    }
    struct store_invalidation again = {.key = fixture_key(&f, "k"), .stale = true};
    ck_assert_int_eq(store_invalidate(f.thread, &again), RESULT_OK);
    ck_assert_uint_ne(peek(&f, "k").cas, 57);
    fixture_close(&f);
}
END_TEST

START_TEST(clearing_leaves_an_empty_item_with_its_cas)
{
    struct fixture f = fixture_of_size(MIB);
    uint64_t cas = set(&f, "k", "value", 300).cas;
    struct store_invalidation clear = {.key = fixture_key(&f, "k"), .clear = true};
    ck_assert_int_eq(store_invalidate(f.thread, &clear), RESULT_DELETED);
    struct store_view view = peek(&f, "k");
    ck_assert_uint_eq(view.size, 0);
    ck_assert_uint_eq(view.flags, 0);
    ck_assert_uint_eq(view.expiry_s, 0);
    ck_assert_uint_eq(view.cas, cas);
    ck_assert(!view.stale);
    clear.stale = true;
    clear.flags = 8;
    clear.expiry_s = 140;
    ck_assert_int_eq(store_invalidate(f.thread, &clear), RESULT_OK);
    view = peek(&f, "k");
    ck_assert(view.stale);
    ck_assert_uint_eq(view.flags, 8);
    ck_assert_uint_eq(view.expiry_s, 140);
    ck_assert_uint_ne(view.cas, cas);
    fixture_close(&f);
}
END_TEST

START_TEST(with_neither_the_item_is_deleted)
{
    struct fixture f = fixture_of_size(MIB);
    uint64_t cas = set(&f, "k", "value", 0).cas;
    struct store_invalidation delete = {.key = fixture_key(&f, "k"), .cas_given = true, .cas = 0};
    ck_assert_int_eq(store_invalidate(f.thread, &delete), RESULT_EXISTS);
    delete.cas = cas;
    ck_assert_int_eq(store_invalidate(f.thread, &delete), RESULT_DELETED);
    ck_assert_int_eq(fixture_miss(&f, "k"), STORE_MISS_DELETED);
    fixture_close(&f);
}
END_TEST

/* A large value is not copied: its chunks go over to the new form of the item, and are its own from then on.
 */
START_TEST(a_large_value_goes_over_to_its_stale_form)
{
    struct fixture f = fixture_of_size(8 * MIB);
    size_t size = 700000;
    char *value = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        value[i] = (char)('a' + i % 23);
    value[size] = 0;
    set(&f, "large", value, 300);
    size_t used = fixture_metric(&f, METRIC_bytes);
    for (unsigned i = 0; i < 20; i++) {
        struct store_invalidation stale = {.key = fixture_key(&f, "large"),
                                           .stale = true,
                                           .touch = i % 2 == 0,
                                           .expiry_s = 1000,
                                           .cas_chosen = i % 3 == 0,
                                           .cas_new = i};
        ck_assert_int_eq(store_invalidate(f.thread, &stale), RESULT_OK);
        fixture_maintain(&f, 3);
        struct store_view view = peek(&f, "large");
        ck_assert(view.stale);
        ck_assert_uint_eq(view.expiry_s, 1000);
        ck_assert_uint_eq(view.size, size);
        for (size_t at = 0; at < size;) {
            const char *data;
            size_t part = store_view_part(&view, at, &data);
            ck_assert(part > 0 && memcmp(data, value + at, part) == 0);
            at += part;
        }
    }
    ck_assert_uint_eq(fixture_metric(&f, METRIC_bytes), used);
    ck_assert_int_eq(fixture_delete(&f, "large"), RESULT_DELETED);
    struct store_usage usage;
    store_usage_read(f.store, &usage);
    ck_assert_uint_eq(usage.live_size, 0);
    free(value);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store conditions");
    TCase *tcase = tcase_create("conditions");
    tcase_add_loop_test(tcase, a_cas_is_a_condition_in_every_mode_but_add, 0, 5);
    tcase_add_test(tcase, add_knows_no_cas_and_no_item_has_cas_0);
    tcase_add_test(tcase, a_chosen_cas_stays_until_the_item_changes);
    tcase_add_test(tcase, a_value_that_comes_too_late_is_kept_as_stale);
    tcase_add_test(tcase, a_late_value_leaves_a_lease_where_it_is);
    tcase_add_loop_test(tcase, append_creates_where_it_is_told_to, 0, 2);
    tcase_add_test(tcase, a_number_is_created_where_it_is_told_to);
    tcase_add_test(tcase, arithmetic_honours_cas_and_sets_cas_and_expiry);
    tcase_add_test(tcase, what_is_empty_or_no_number_says_so_before_its_cas);
    tcase_add_test(tcase, invalidating_keeps_all_but_the_cas);
    tcase_add_test(tcase, invalidating_may_set_expiry_and_cas);
    tcase_add_test(tcase, clearing_leaves_an_empty_item_with_its_cas);
    tcase_add_test(tcase, with_neither_the_item_is_deleted);
    tcase_add_test(tcase, a_large_value_goes_over_to_its_stale_form);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
