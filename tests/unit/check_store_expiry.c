/* Expiry: exact to the second on access, whole segments at once in the background; and flush_all. */
#include "check_store.h"

START_TEST(an_item_is_gone_the_second_it_expires)
{
    struct fixture f = fixture_of_size(MIB);
    fixture_write(&f, STORE_SET, "k", "v", 105);
    clock_freeze_for_test(104);
    ck_assert(fixture_has(&f, "k", "v"));
    clock_freeze_for_test(105);
    ck_assert_int_eq(fixture_miss(&f, "k"), STORE_MISS_EXPIRED);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_get_expired), 1);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_removed_expired), 1);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_curr_items), 0);
    fixture_close(&f);
}
END_TEST

START_TEST(an_item_stored_as_expired_is_never_served)
{
    struct fixture f = fixture_of_size(MIB);
    ck_assert_int_eq(fixture_write(&f, STORE_SET, "k", "v", STORE_EXPIRED_S), RESULT_STORED);
    fixture_miss(&f, "k");
    fixture_close(&f);
}
END_TEST

START_TEST(every_command_takes_an_expired_item_for_absent)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_view view;
    struct store_key key = fixture_key(&f, "k");
    fixture_write(&f, STORE_SET, "k", "1", 105);
    clock_freeze_for_test(105);
    ck_assert_int_eq(store_peek(f.thread, &key, &view), RESULT_MISS);
    ck_assert_int_eq(fixture_increment(&f, "k"), RESULT_MISS);
    ck_assert_int_eq(fixture_write(&f, STORE_REPLACE, "k", "2", 0), RESULT_NOT_STORED);
    ck_assert_int_eq(fixture_write(&f, STORE_APPEND, "k", "2", 0), RESULT_NOT_STORED);
    ck_assert_int_eq(fixture_write(&f, STORE_CAS, "k", "2", 0), RESULT_NOT_FOUND);
    ck_assert_int_eq(store_touch(f.thread, &key, 500, &view), RESULT_MISS);
    ck_assert_int_eq(fixture_delete(&f, "k"), RESULT_NOT_FOUND);
    fixture_write(&f, STORE_SET, "k", "1", 106);
    clock_freeze_for_test(106);
    ck_assert_int_eq(fixture_write(&f, STORE_ADD, "k", "2", 0), RESULT_STORED);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_removed_expired), 2);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_removed_replaced), 0);
    fixture_close(&f);
}
END_TEST

START_TEST(every_miss_has_one_reason)
{
    struct fixture f = fixture_of_size(MIB);
    fixture_miss(&f, "never");
    fixture_set(&f, "deleted", "v");
    fixture_delete(&f, "deleted");
    ck_assert_int_eq(fixture_miss(&f, "deleted"), STORE_MISS_DELETED);
    fixture_write(&f, STORE_SET, "expired", "v", 105);
    clock_freeze_for_test(105);
    ck_assert_int_eq(fixture_miss(&f, "expired"), STORE_MISS_EXPIRED);
    ck_assert_int_eq(fixture_miss(&f, "expired"), STORE_MISS_EXPIRED); /* of its ghost now */
    fixture_set(&f, "flushed", "v");
    store_flush(f.thread, 0);
    ck_assert_int_eq(fixture_miss(&f, "flushed"), STORE_MISS_FLUSHED);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_miss_never_seen), 1);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_miss_deleted), 1);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_miss_expired), 2);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_miss_flushed), 1);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_get_expired), 1); /* memcached's counts items, not traces */
    fixture_close(&f);
}
END_TEST

static void set_many(struct fixture *f, unsigned count, uint32_t expiry_s, const char *prefix)
{
    char name[32], value[200];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s%u", prefix, i);
        ck_assert_int_eq(fixture_write(f, STORE_SET, name, value, expiry_s), RESULT_STORED);
    }
}

START_TEST(segments_whose_time_is_up_are_freed_without_a_read)
{
    struct fixture f = fixture_of_size(8 * MIB);
    struct store_usage before, after;
    set_many(&f, 5000, 130, "short");
    set_many(&f, 5000, STORE_NEVER_S, "long");
    store_usage_read(f.store, &before);
    clock_freeze_for_test(130);
    fixture_maintain(&f, 3);
    store_usage_read(f.store, &after);
    ck_assert_uint_lt(after.segments_used, before.segments_used * 6 / 10);
    ck_assert_uint_eq(after.item_count, 5000);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_reclaimed), 5000);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_expired_unfetched), 5000);
    fixture_close(&f);
}
END_TEST

/* Hazard: expiry against touch. The segment's time is up, one item's is not. */
START_TEST(an_item_touched_longer_outlives_its_segment)
{
    struct fixture f = fixture_of_size(8 * MIB);
    struct store_view view;
    set_many(&f, 2000, 130, "k");
    struct store_key key = fixture_key(&f, "k7"), shorter = fixture_key(&f, "k8");
    ck_assert_int_eq(store_touch(f.thread, &key, 100000, &view), RESULT_HIT);
    ck_assert_int_eq(store_touch(f.thread, &shorter, 110, &view), RESULT_HIT);
    clock_freeze_for_test(110);
    ck_assert_int_eq(fixture_miss(&f, "k8"), STORE_MISS_EXPIRED);
    clock_freeze_for_test(200);
    fixture_maintain(&f, 3);
    ck_assert_int_eq(store_get(f.thread, &key, &view, NULL), RESULT_HIT);
    ck_assert_uint_eq(view.expiry_s, 100000);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_curr_items), 1);
    fixture_close(&f);
}
END_TEST

START_TEST(a_flush_hides_all_before_it_and_nothing_after)
{
    struct fixture f = fixture_of_size(MIB);
    fixture_set(&f, "before", "v");
    store_flush(f.thread, 0);
    fixture_set(&f, "after", "v");
    ck_assert_int_eq(fixture_miss(&f, "before"), STORE_MISS_FLUSHED);
    ck_assert(fixture_has(&f, "after", "v"));
    ck_assert_uint_eq(fixture_metric(&f, METRIC_get_flushed), 1);
    store_flush(f.thread, clock_s());
    fixture_miss(&f, "after");
    fixture_close(&f);
}
END_TEST

/* Threads draw sequence numbers in batches: what is left of one from before the flush must not be used. */
START_TEST(a_flush_by_one_thread_spares_what_another_writes_after_it)
{
    struct fixture f = fixture_of_size(MIB);
    struct fixture other = f;
    other.thread = store_thread_create(f.store, metrics_block_create(f.metrics));
    store_thread_online(other.thread);
    fixture_set(&f, "a", "1");
    fixture_set(&other, "b", "1");
    for (unsigned i = 0; i < 5; i++) {
        store_flush(i % 2 ? f.thread : other.thread, 0);
        fixture_miss(&f, "a");
        fixture_miss(&f, "b");
        fixture_set(&f, "a", "2");
        fixture_set(&other, "b", "2");
        ck_assert(fixture_has(&other, "a", "2"));
        ck_assert(fixture_has(&f, "b", "2"));
    }
    store_thread_offline(other.thread);
    store_thread_destroy(other.thread);
    fixture_close(&f);
}
END_TEST

START_TEST(a_flush_to_come_strikes_what_was_last_stored_before_its_second)
{
    struct fixture f = fixture_of_size(MIB);
    store_flush(f.thread, 110);
    fixture_set(&f, "early", "v");
    clock_freeze_for_test(109);
    fixture_set(&f, "late", "v");
    ck_assert(fixture_has(&f, "early", "v"));
    clock_freeze_for_test(110);
    fixture_set(&f, "after", "v");
    fixture_miss(&f, "early");
    fixture_miss(&f, "late");
    ck_assert(fixture_has(&f, "after", "v"));
    clock_freeze_for_test(111);
    ck_assert(fixture_has(&f, "after", "v"));
    fixture_close(&f);
}
END_TEST

START_TEST(a_later_flush_takes_the_place_of_one_to_come)
{
    struct fixture f = fixture_of_size(MIB);
    store_flush(f.thread, 110);
    store_flush(f.thread, 0);
    fixture_set(&f, "k", "v");
    clock_freeze_for_test(120);
    ck_assert(fixture_has(&f, "k", "v"));
    fixture_close(&f);
}
END_TEST

START_TEST(the_maintainer_sweeps_what_a_flush_has_hidden)
{
    struct fixture f = fixture_of_size(8 * MIB);
    struct store_usage usage;
    set_many(&f, 10000, STORE_NEVER_S, "k");
    store_flush(f.thread, 0);
    fixture_set(&f, "after", "v");
    fixture_maintain(&f, 4);
    store_usage_read(f.store, &usage);
    ck_assert_uint_eq(usage.item_count, 1);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_removed_flushed), 10000);
    ck_assert(fixture_has(&f, "after", "v"));
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store expiry");
    TCase *tcase = tcase_create("expiry");
    tcase_add_test(tcase, an_item_is_gone_the_second_it_expires);
    tcase_add_test(tcase, every_miss_has_one_reason);
    tcase_add_test(tcase, an_item_stored_as_expired_is_never_served);
    tcase_add_test(tcase, every_command_takes_an_expired_item_for_absent);
    tcase_add_test(tcase, segments_whose_time_is_up_are_freed_without_a_read);
    tcase_add_test(tcase, an_item_touched_longer_outlives_its_segment);
    tcase_add_test(tcase, a_flush_hides_all_before_it_and_nothing_after);
    tcase_add_test(tcase, a_flush_by_one_thread_spares_what_another_writes_after_it);
    tcase_add_test(tcase, a_flush_to_come_strikes_what_was_last_stored_before_its_second);
    tcase_add_test(tcase, a_later_flush_takes_the_place_of_one_to_come);
    tcase_add_test(tcase, the_maintainer_sweeps_what_a_flush_has_hidden);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
