/* The memory limit while it is changed: up, down, and what may be lost for it. */
#include "check_store.h"
#include "store/store_priv.h"

#define VALUE_SIZE 1000u

static void value_of(char out[VALUE_SIZE + 1], unsigned i)
{
    memset(out, 'a' + (int)(i % 26), VALUE_SIZE);
    out[VALUE_SIZE] = 0;
}

static void set_range(struct fixture *f, unsigned from, unsigned to)
{
    char name[24], value[VALUE_SIZE + 1];
    for (unsigned i = from; i < to; i++) {
        snprintf(name, sizeof name, "key-%u", i);
        value_of(value, i);
        ck_assert_int_eq(fixture_set(f, name, value), RESULT_STORED);
    }
}

static bool is_kept(unsigned i)
{
    return i % 5 < 3;
}

/* Three items of five stay, in every segment: none is empty enough to be compacted while memory is not short.
 */
static void thin_out(struct fixture *f, unsigned count)
{
    char name[24];
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "key-%u", i);
        if (!is_kept(i))
            ck_assert_int_eq(fixture_delete(f, name), RESULT_DELETED);
    }
}

static void check_kept(struct fixture *f, unsigned count)
{
    char name[24], value[VALUE_SIZE + 1];
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "key-%u", i);
        value_of(value, i);
        if (is_kept(i))
            ck_assert_msg(fixture_has(f, name, value), "%s is gone", name);
    }
}

static struct store_usage usage_of(struct fixture *f)
{
    struct store_usage usage;
    store_usage_read(f->store, &usage);
    return usage;
}

/* Address space for which huge pages are asked. */
static size_t huge_size(void)
{
    char line[512];
    size_t size = 0, sum = 0;
    FILE *file = fopen("/proc/self/smaps", "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "Size:", 5) == 0)
            size = strtoul(line + 5, NULL, 10) << 10;
        else if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " hg"))
            sum += size;
    }
    fclose(file);
    return sum;
}

START_TEST(huge_pages_are_asked_for_as_far_as_memory_fills_them)
{
    size_t before = huge_size();
    struct fixture f = fixture_of_size(64 * MIB);
    set_range(&f, 0, 20000);
    fixture_maintain(&f, 10);
    size_t first = huge_size() - before;
    ck_assert_uint_ge(first, 16 * MIB);
    ck_assert_uint_le(first, 32 * MIB);
    set_range(&f, 20000, 80000);
    fixture_maintain(&f, 10);
    size_t full = huge_size() - before;
    ck_assert_uint_ge(full, 56 * MIB);
    ck_assert_uint_lt(full, 64 * MIB);
    ck_assert(store_memory_limit_set(f.store, 128 * MIB));
    set_range(&f, 80000, 180000);
    fixture_maintain(&f, 10);
    ck_assert_uint_ge(huge_size() - before, 112 * MIB);
    fixture_close(&f);
}
END_TEST

START_TEST(small_memory_asks_for_no_huge_pages)
{
    size_t before = huge_size();
    struct fixture f = fixture_of_size(16 * MIB);
    set_range(&f, 0, 20000);
    ck_assert_uint_eq(huge_size(), before);
    fixture_close(&f);
}
END_TEST

START_TEST(lowering_the_limit_loses_nothing_that_fits_below_it)
{
    struct fixture f = fixture_of_size(64 * MIB);
    set_range(&f, 0, 30000);
    thin_out(&f, 30000);
    struct store_usage before = usage_of(&f);
    ck_assert(store_memory_limit_set(f.store, 26 * MIB));
    fixture_maintain(&f, 400);
    struct store_usage after = usage_of(&f);
    ck_assert_uint_eq(after.item_count, 18000);
    ck_assert_uint_eq(after.live_size, before.live_size);
    ck_assert_uint_le(after.used_size, 26 * MIB);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_removed_evicted), 0);
    check_kept(&f, 30000);
    fixture_close(&f);
}
END_TEST

START_TEST(lowering_the_limit_below_what_is_alive_evicts_until_it_holds)
{
    struct fixture f = fixture_of_size(64 * MIB);
    set_range(&f, 0, 30000);
    ck_assert(store_memory_limit_set(f.store, 16 * MIB));
    fixture_maintain(&f, 400);
    struct store_usage after = usage_of(&f);
    ck_assert_uint_le(after.used_size, 16 * MIB);
    ck_assert_uint_gt(after.live_size, 9 * MIB); /* not emptied for it */
    set_range(&f, 30000, 60000);
    fixture_maintain(&f, 10);
    ck_assert_uint_le(usage_of(&f).used_size, 16 * MIB);
    fixture_close(&f);
}
END_TEST

/* Items of many times to live and sizes: each kind has a segment open, and that stays whole. */
static void set_varied(struct fixture *f, unsigned count)
{
    static char value[6001];
    static const size_t sizes[] = {100, 100, 100, 100, 100, 100, 100, 1000, 1000, 6000};
    char name[24];
    for (unsigned i = 0; i < count; i++) {
        size_t size = sizes[i % 10];
        memset(value, 'v', size);
        value[size] = 0;
        snprintf(name, sizeof name, "key-%u", i);
        uint32_t expiry_s = i % 3 == 0 ? STORE_NEVER_S : clock_s() + (20u << i % 20);
        ck_assert_int_eq(fixture_write(f, STORE_SET, name, value, expiry_s), RESULT_STORED);
        if (i % 50 == 0)
            fixture_maintain(f, 1);
    }
}

/* No limit may lie between what compacting can reach and what counts as reached by it: it would go on for
 * ever. */
START_TEST(lowering_the_limit_ends_where_many_segments_are_open)
{
    struct fixture f = fixture_open((struct store_config){.memory_size = MIB, .memory_size_max = 4 * MIB});
    store_memory_limit_set(f.store, 2 * MIB);
    set_varied(&f, 20000);
    for (size_t limit = 2 * MIB; limit >= MIB; limit -= 8192) {
        store_memory_limit_set(f.store, limit);
        fixture_maintain(&f, 300);
        ck_assert_uint_le(usage_of(&f).used_size, limit);
        ck_assert(!atomic_load_explicit(&f.store->limit_lowered, memory_order_relaxed));
    }
    fixture_close(&f);
}
END_TEST

START_TEST(a_raised_limit_is_used_at_once_and_up_to_the_stated_maximum)
{
    struct fixture f =
        fixture_open((struct store_config){.memory_size = 16 * MIB, .memory_size_max = 128 * MIB});
    ck_assert(!store_memory_limit_set(f.store, 129 * MIB));
    ck_assert(store_memory_limit_set(f.store, 128 * MIB));
    for (unsigned i = 0; i < 10; i++) {
        set_range(&f, i * 10000, (i + 1) * 10000);
        fixture_maintain(&f, 2);
    }
    struct store_usage usage = usage_of(&f);
    ck_assert_uint_eq(usage.item_count, 100000);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_removed_evicted), 0);
    check_kept(&f, 100000);
    fixture_close(&f);
}
END_TEST

START_TEST(the_limit_goes_up_and_down_under_load_and_always_holds_in_the_end)
{
    struct fixture f =
        fixture_open((struct store_config){.memory_size = 32 * MIB, .memory_size_max = 64 * MIB});
    static const size_t limits[] = {64, 8, 48, 4, 32, 64, 16};
    for (unsigned i = 0; i < sizeof limits / sizeof *limits; i++) {
        ck_assert(store_memory_limit_set(f.store, limits[i] * MIB));
        set_range(&f, i * 10000, i * 10000 + 20000);
        fixture_maintain(&f, 200);
        ck_assert_uint_le(usage_of(&f).used_size, limits[i] * MIB);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(segments_are_brought_in_ahead_of_writes_from_the_first_write_on)
{
    struct fixture f = fixture_of_size(64 * MIB);
    fixture_maintain(&f, 3);
    ck_assert_uint_eq(atomic_load(&f.store->free.count), 0);
    set_range(&f, 0, 1);
    fixture_maintain(&f, 3);
    ck_assert_uint_eq(atomic_load(&f.store->free.count), segment_reserve_count(f.store));
    fixture_close(&f);
}
END_TEST

/* Of a store that a flush has emptied within second 100. */
static struct fixture flushed(void)
{
    clock_freeze_for_test(100);
    struct fixture f = fixture_of_size(64 * MIB);
    set_range(&f, 0, 50000);
    fixture_maintain(&f, 2);
    store_flush(f.thread, 0);
    fixture_maintain(&f, 100);
    return f;
}

/* Twice the reserve, and the open segments. */
#define KEPT_SIZE (8 * MIB)

START_TEST(memory_that_nobody_uses_is_given_back_after_a_flush)
{
    struct fixture f = flushed();
    for (uint32_t second = 101; second < 104; second++) {
        clock_freeze_for_test(second);
        fixture_maintain(&f, 100);
    }
    struct store_usage empty = usage_of(&f);
    ck_assert_uint_eq(empty.item_count, 0);
    ck_assert_uint_le(atomic_load(&f.store->held_size), KEPT_SIZE);
    set_range(&f, 0, 50000);
    fixture_maintain(&f, 2);
    ck_assert_uint_lt(empty.index_size, usage_of(&f).index_size);
    check_kept(&f, 50000);
    fixture_close(&f);
}
END_TEST

START_TEST(memory_that_was_in_use_a_second_ago_is_kept)
{
    struct fixture f = flushed();
    size_t held = atomic_load(&f.store->held_size);
    ck_assert_uint_gt(held, 2 * KEPT_SIZE);
    clock_freeze_for_test(101);
    fixture_maintain(&f, 100);
    ck_assert_uint_ge(atomic_load(&f.store->held_size), held - KEPT_SIZE);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store limit");
    TCase *tcase = tcase_create("limit");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, huge_pages_are_asked_for_as_far_as_memory_fills_them);
    tcase_add_test(tcase, small_memory_asks_for_no_huge_pages);
    tcase_add_test(tcase, lowering_the_limit_loses_nothing_that_fits_below_it);
    tcase_add_test(tcase, lowering_the_limit_below_what_is_alive_evicts_until_it_holds);
    tcase_add_test(tcase, lowering_the_limit_ends_where_many_segments_are_open);
    tcase_add_test(tcase, a_raised_limit_is_used_at_once_and_up_to_the_stated_maximum);
    tcase_add_test(tcase, the_limit_goes_up_and_down_under_load_and_always_holds_in_the_end);
    tcase_add_test(tcase, segments_are_brought_in_ahead_of_writes_from_the_first_write_on);
    tcase_add_test(tcase, memory_that_nobody_uses_is_given_back_after_a_flush);
    tcase_add_test(tcase, memory_that_was_in_use_a_second_ago_is_kept);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
