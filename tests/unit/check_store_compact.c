/* Dead bytes taken back while memory is not short: how far, at what cost, and that it comes to an end. */
#include "check_store.h"

#define ITEM_COUNT 4000u
#define VALUE_SIZE 100u

static void item_name(char name[24], unsigned i)
{
    snprintf(name, 24, "item-%06u", i);
}

static void set_items(struct fixture *f, unsigned from, unsigned to, size_t size)
{
    char name[24], value[1024];
    for (unsigned i = from; i < to; i++) {
        item_name(name, i);
        memset(value, (int)('a' + i % 26), size);
        value[size] = 0;
        ck_assert_int_eq(fixture_set(f, name, value), RESULT_STORED);
    }
}

static void delete_items(struct fixture *f, unsigned from, unsigned to, unsigned step)
{
    char name[24];
    for (unsigned i = from; i < to; i += step) {
        item_name(name, i);
        fixture_delete(f, name);
    }
}

static bool has_item(struct fixture *f, unsigned i, size_t size)
{
    char name[24], value[1024];
    item_name(name, i);
    memset(value, (int)('a' + i % 26), size);
    value[size] = 0;
    return fixture_has(f, name, value);
}

/* Some seconds of the maintainer's work with nothing else going on. */
static void rest(struct fixture *f, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        clock_freeze_for_test(clock_s() + 1);
        fixture_maintain(f, 2);
    }
}

static double alive_share(struct fixture *f)
{
    struct store_usage usage;
    store_usage_read(f->store, &usage);
    return (double)usage.live_size / (double)(usage.segments_used * usage.segment_size);
}

static uint64_t copied(struct fixture *f)
{
    return fixture_metric(f, METRIC_copied_bytes);
}

START_TEST(partly_dead_segments_are_joined_at_rest)
{
    struct fixture f = fixture_of_size(MIB);
    set_items(&f, 0, ITEM_COUNT, VALUE_SIZE);
    delete_items(&f, 0, ITEM_COUNT, 2);
    ck_assert(alive_share(&f) < 0.55);
    rest(&f, 6);
    ck_assert(alive_share(&f) >= 0.88);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_removed_evicted), 0);
    for (unsigned i = 0; i < ITEM_COUNT; i++)
        ck_assert_int_eq(has_item(&f, i, VALUE_SIZE), i % 2 == 1);
    fixture_close(&f);
}
END_TEST

START_TEST(nothing_is_copied_where_nothing_is_dead)
{
    struct fixture f = fixture_of_size(MIB);
    set_items(&f, 0, ITEM_COUNT / 2, VALUE_SIZE);
    set_items(&f, ITEM_COUNT, ITEM_COUNT + 500, 900); /* with a tenth of each segment left over */
    rest(&f, 20);
    ck_assert_uint_eq(copied(&f), 0);
    fixture_close(&f);
}
END_TEST

START_TEST(it_comes_to_rest)
{
    struct fixture f = fixture_of_size(MIB);
    set_items(&f, 0, ITEM_COUNT, VALUE_SIZE);
    delete_items(&f, 0, ITEM_COUNT, 3);
    rest(&f, 10);
    uint64_t before = copied(&f);
    ck_assert_uint_gt(before, 0);
    rest(&f, 20);
    ck_assert_uint_eq(copied(&f), before);
    fixture_close(&f);
}
END_TEST

START_TEST(no_more_is_copied_than_half_of_what_was_written)
{
    struct fixture f = fixture_of_size(MIB);
    set_items(&f, 0, ITEM_COUNT, VALUE_SIZE);
    for (unsigned round = 0; round < 19; round++) { /* each time a little becomes worth taking back */
        delete_items(&f, round, ITEM_COUNT, 20);
        rest(&f, 2);
    }
    rest(&f, 5);
    ck_assert_uint_gt(copied(&f), 0);
    ck_assert_uint_le(copied(&f), fixture_metric(&f, METRIC_bytes_stored) / 2);
    fixture_close(&f);
}
END_TEST

START_TEST(a_store_without_eviction_is_compacted_too)
{
    struct fixture f = fixture_open((struct store_config){.memory_size = MIB, .no_eviction = true});
    set_items(&f, 0, ITEM_COUNT, VALUE_SIZE);
    delete_items(&f, 0, ITEM_COUNT, 2);
    rest(&f, 6);
    ck_assert(alive_share(&f) >= 0.88);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store compact");
    TCase *tcase = tcase_create("compact");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, partly_dead_segments_are_joined_at_rest);
    tcase_add_test(tcase, nothing_is_copied_where_nothing_is_dead);
    tcase_add_test(tcase, it_comes_to_rest);
    tcase_add_test(tcase, no_more_is_copied_than_half_of_what_was_written);
    tcase_add_test(tcase, a_store_without_eviction_is_compacted_too);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
