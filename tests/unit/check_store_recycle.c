/* Places used again: when a write may take the place of an item that was replaced or deleted, and when not.
 */
#include "check_store.h"

#define ITEM_SIZE 100u /* of a value: 61 records to a segment of 8 KiB, which a store of 1 MiB has */

static uint64_t recycled(struct fixture *f)
{
    return fixture_metric(f, METRIC_recycled_writes);
}

static size_t segments_used(struct fixture *f)
{
    struct store_usage usage;
    store_usage_read(f->store, &usage);
    return usage.segments_used;
}

static void item_name(char name[24], unsigned i)
{
    snprintf(name, 24, "item-%06u", i);
}

/* The value tells its key and version, and fills the item up. */
static void item_value(char *value, unsigned i, unsigned version, size_t size)
{
    int head = snprintf(value, size + 1, "%u/%u/", i, version);
    memset(value + head, 'v', size - (size_t)head);
    value[size] = 0;
}

static void set_item(struct fixture *f, unsigned i, unsigned version, size_t size, uint32_t expiry_s)
{
    char name[24], value[1024];
    item_name(name, i);
    item_value(value, i, version, size);
    ck_assert_int_eq(fixture_write(f, STORE_SET, name, value, expiry_s), RESULT_STORED);
}

static void set_items(struct fixture *f, unsigned from, unsigned to, unsigned version, uint32_t expiry_s)
{
    for (unsigned i = from; i < to; i++)
        set_item(f, i, version, ITEM_SIZE, expiry_s);
}

static bool has_item(struct fixture *f, unsigned i, unsigned version, size_t size)
{
    char name[24], value[1024];
    item_name(name, i);
    item_value(value, i, version, size);
    return fixture_has(f, name, value);
}

static unsigned count_items(struct fixture *f, unsigned from, unsigned to, unsigned version)
{
    unsigned count = 0;
    for (unsigned i = from; i < to; i++)
        count += has_item(f, i, version, ITEM_SIZE);
    return count;
}

static void delete_items(struct fixture *f, unsigned from, unsigned to)
{
    char name[24];
    for (unsigned i = from; i < to; i++) {
        item_name(name, i);
        fixture_delete(f, name);
    }
}

/* Another thread on the same store, online from the start. */
static struct fixture other_thread(const struct fixture *f)
{
    struct fixture other = *f;
    other.thread = store_thread_create(f->store, metrics_block_create(f->metrics));
    store_thread_online(other.thread);
    return other;
}

static void other_gone(struct fixture *other)
{
    store_thread_offline(other->thread);
    store_thread_destroy(other->thread);
}

START_TEST(a_replaced_items_place_is_used_again)
{
    struct fixture f = fixture_of_size(MIB);
    set_items(&f, 0, 300, 0, STORE_NEVER_S);
    set_items(&f, 0, 300, 1, STORE_NEVER_S);
    size_t used = segments_used(&f);
    for (unsigned version = 2; version < 50; version++) {
        store_thread_quiesce(f.thread);
        set_items(&f, 0, 300, version, STORE_NEVER_S);
    }
    ck_assert_uint_eq(recycled(&f), 48 * 300);
    ck_assert_uint_eq(segments_used(&f), used);
    ck_assert_uint_eq(count_items(&f, 0, 300, 49), 300);
    fixture_close(&f);
}
END_TEST

START_TEST(a_deleted_items_place_is_used_by_another_key_of_another_length)
{
    struct fixture f = fixture_of_size(MIB);
    set_items(&f, 0, 300, 0, STORE_NEVER_S);
    delete_items(&f, 0, 300);
    store_thread_quiesce(f.thread);
    size_t used = segments_used(&f);
    char name[24], value[ITEM_SIZE];
    memset(value, 'w', sizeof value);
    value[ITEM_SIZE - 4] = 0;
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "longer-key-%04u", i); /* 15 of key and 96 of value: 111 as before */
        ck_assert_int_eq(fixture_set(&f, name, value), RESULT_STORED);
    }
    ck_assert_uint_eq(recycled(&f), 300);
    ck_assert_uint_eq(segments_used(&f), used);
    delete_items(&f, 0, 300);
    fixture_maintain(&f, 3);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "longer-key-%04u", i);
        ck_assert(fixture_has(&f, name, value));
    }
    fixture_close(&f);
}
END_TEST

START_TEST(a_place_is_not_used_before_every_reader_has_passed)
{
    struct fixture f = fixture_of_size(MIB);
    set_items(&f, 0, 100, 0, STORE_NEVER_S);
    struct fixture reader = other_thread(&f);
    struct store_view view;
    char name[24], value[ITEM_SIZE + 1];
    item_name(name, 7);
    item_value(value, 7, 0, ITEM_SIZE);
    struct store_key key = fixture_key(&f, name);
    ck_assert_int_eq(store_get(reader.thread, &key, &view, NULL), RESULT_HIT);
    for (unsigned version = 1; version < 10; version++) {
        set_items(&f, 0, 100, version, STORE_NEVER_S);
        store_thread_quiesce(f.thread);
    }
    ck_assert_uint_eq(recycled(&f), 0);
    ck_assert_mem_eq(view.value, value, ITEM_SIZE);
    store_thread_quiesce(reader.thread);
    store_thread_quiesce(f.thread);
    set_items(&f, 0, 100, 10, STORE_NEVER_S);
    ck_assert_uint_eq(recycled(&f), 100);
    other_gone(&reader);
    fixture_close(&f);
}
END_TEST

START_TEST(a_place_is_not_used_while_its_segment_is_pinned)
{
    struct fixture f = fixture_of_size(MIB);
    set_items(&f, 0, 40, 0, STORE_NEVER_S); /* one segment */
    struct store_view view;
    const char *data;
    char name[24], value[ITEM_SIZE + 1];
    item_name(name, 7);
    item_value(value, 7, 0, ITEM_SIZE);
    struct store_key key = fixture_key(&f, name);
    ck_assert_int_eq(store_get(f.thread, &key, &view, NULL), RESULT_HIT);
    struct store_pin *pin = store_pin(f.thread, &view);
    delete_items(&f, 0, 40);
    store_thread_quiesce(f.thread);
    set_items(&f, 100, 120, 0, STORE_NEVER_S);
    ck_assert_uint_eq(recycled(&f), 0);
    ck_assert_uint_eq(store_pin_part(pin, 0, &data), ITEM_SIZE);
    ck_assert_mem_eq(data, value, ITEM_SIZE);
    store_unpin(pin);
    fixture_close(&f);
}
END_TEST

/* The maintainer has claimed the sealed segments and waits for a grace period before it walks them. */
START_TEST(a_place_is_not_used_once_its_segment_is_claimed)
{
    struct fixture f = fixture_of_size(MIB);
    set_items(&f, 0, 61 * 4, 0, STORE_NEVER_S);
    delete_items(&f, 0, 61 * 4);
    store_thread_quiesce(f.thread);
    struct fixture reader = other_thread(&f);
    store_maintain(f.store); /* claims; the reader keeps it from emptying */
    ck_assert_uint_eq(segments_used(&f), 4);
    set_items(&f, 1000, 1200, 0, STORE_NEVER_S);
    ck_assert_uint_le(recycled(&f),
                      61 + 4); /* in the open segment; four tries a write find the others void */
    store_thread_quiesce(reader.thread);
    fixture_maintain(&f, 3);
    ck_assert_uint_eq(count_items(&f, 1000, 1200, 0), 200);
    other_gone(&reader);
    fixture_close(&f);
}
END_TEST

START_TEST(a_place_of_a_segment_that_was_emptied_and_used_anew_is_void)
{
    struct fixture f = fixture_of_size(MIB);
    set_items(&f, 0, 61 * 8, 0, STORE_NEVER_S);
    delete_items(&f, 0, 61 * 8);
    fixture_maintain(&f, 3);
    for (unsigned i = 0; i < 500; i++)
        set_item(&f, i, 1, 300, STORE_NEVER_S);
    set_items(&f, 1000, 1500, 0, STORE_NEVER_S);
    for (unsigned i = 0; i < 500; i++)
        ck_assert(has_item(&f, i, 1, 300));
    ck_assert_uint_eq(count_items(&f, 1000, 1500, 0), 500);
    fixture_close(&f);
}
END_TEST

START_TEST(a_hot_counter_holds_one_segment_after_a_million_increments)
{
    struct fixture f = fixture_of_size(MIB);
    fixture_write(&f, STORE_SET, "counter", "1000000", 1000); /* one with a time to live, too */
    for (unsigned i = 0; i < 1000000; i++) {
        ck_assert_int_eq(fixture_increment(&f, "counter"), RESULT_HIT);
        if (i % 50 == 0)
            store_thread_quiesce(f.thread);
    }
    ck_assert(fixture_has(&f, "counter", "2000000"));
    ck_assert_uint_eq(segments_used(&f), 1);
    fixture_close(&f);
}
END_TEST

static void replace_all(struct fixture *f, unsigned version, uint32_t expiry_s)
{
    delete_items(f, 0, 60);
    store_thread_quiesce(f->thread);
    set_items(f, 0, 60, version, expiry_s);
}

START_TEST(an_expiring_items_place_is_used_only_for_those_that_expire_with_it)
{
    static const struct {
        uint32_t expiry_s;
        unsigned recycled;
    } row[] = {{1100, 60}, {9000, 0}, {200, 0}, {STORE_NEVER_S, 0}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct fixture f = fixture_of_size(MIB);
        set_items(&f, 0, 60, 0, 1100);
        replace_all(&f, 1, row[i].expiry_s);
        ck_assert_uint_eq(recycled(&f), row[i].recycled);
        fixture_close(&f);
    }
}
END_TEST

START_TEST(a_lasting_items_place_is_not_used_for_one_that_expires)
{
    struct fixture f = fixture_of_size(MIB);
    set_items(&f, 0, 60, 0, STORE_NEVER_S);
    replace_all(&f, 1, 200);
    ck_assert_uint_eq(recycled(&f), 0);
    fixture_close(&f);
}
END_TEST

START_TEST(expired_segments_go_whole_although_their_places_were_used_again)
{
    struct fixture f = fixture_of_size(MIB);
    set_items(&f, 0, 600, 0, 200);
    for (unsigned version = 1; version < 5; version++) {
        store_thread_quiesce(f.thread);
        set_items(&f, 0, 600, version, 200);
    }
    ck_assert_uint_gt(recycled(&f), 600);
    clock_freeze_for_test(200);
    fixture_maintain(&f, 6);
    ck_assert_uint_eq(segments_used(&f), 0);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_curr_items), 0);
    fixture_close(&f);
}
END_TEST

/* The first key from `from` on that eviction has left. */
static unsigned oldest_left(struct fixture *f, unsigned from, unsigned to)
{
    while (from < to && !has_item(f, from, 0, ITEM_SIZE))
        from++;
    return from;
}

START_TEST(freshly_written_items_survive_the_eviction_of_those_beside_them)
{
    struct fixture f = fixture_of_size(MIB);
    unsigned end = 12000;
    for (unsigned i = 0; i < end; i++) {
        set_item(&f, i, 0, ITEM_SIZE, STORE_NEVER_S);
        if (i % 50 == 0)
            fixture_maintain(&f, 1);
    }
    ck_assert_uint_gt(fixture_metric(&f, METRIC_removed_evicted), 0);
    unsigned oldest = oldest_left(&f, 0, end);
    delete_items(&f, oldest, oldest + 100); /* their places are the next to go */
    store_thread_quiesce(f.thread);
    set_items(&f, end, end + 100, 0, STORE_NEVER_S);
    for (unsigned i = end + 100; i < end + 1500; i++) {
        set_item(&f, i, 0, ITEM_SIZE, STORE_NEVER_S);
        if (i % 50 == 0)
            fixture_maintain(&f, 1);
    }
    ck_assert(!has_item(&f, oldest + 200, 0, ITEM_SIZE));
    ck_assert_uint_eq(count_items(&f, end, end + 100, 0), 100);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store recycle");
    TCase *tcase = tcase_create("recycle");
    tcase_set_timeout(tcase, 600);
    tcase_add_test(tcase, a_replaced_items_place_is_used_again);
    tcase_add_test(tcase, a_deleted_items_place_is_used_by_another_key_of_another_length);
    tcase_add_test(tcase, a_place_is_not_used_before_every_reader_has_passed);
    tcase_add_test(tcase, a_place_is_not_used_while_its_segment_is_pinned);
    tcase_add_test(tcase, a_place_is_not_used_once_its_segment_is_claimed);
    tcase_add_test(tcase, a_place_of_a_segment_that_was_emptied_and_used_anew_is_void);
    tcase_add_test(tcase, a_hot_counter_holds_one_segment_after_a_million_increments);
    tcase_add_test(tcase, an_expiring_items_place_is_used_only_for_those_that_expire_with_it);
    tcase_add_test(tcase, a_lasting_items_place_is_not_used_for_one_that_expires);
    tcase_add_test(tcase, expired_segments_go_whole_although_their_places_were_used_again);
    tcase_add_test(tcase, freshly_written_items_survive_the_eviction_of_those_beside_them);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
