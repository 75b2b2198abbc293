/* Eviction: bounded memory, who stays and who goes, ghosts, and that the books balance. */
#include "check_store.h"

static void name_of(char out[24], unsigned i)
{
    snprintf(out, 24, "key-%07u", i);
}

static enum result set_sized(struct fixture *f, unsigned i, size_t size)
{
    static char value[100000];
    char name[24];
    name_of(name, i);
    memset(value, (int)('a' + i % 26), size);
    struct store_write write = {.key = fixture_key(f, name), .value = value, .size = size};
    return store_write(f->thread, &write, NULL);
}

static bool read_key(struct fixture *f, unsigned i)
{
    char name[24];
    struct store_view view;
    name_of(name, i);
    struct store_key key = fixture_key(f, name);
    if (store_get(f->thread, &key, &view, NULL) != RESULT_HIT)
        return false;
    const char *last;
    ck_assert_uint_eq(store_view_part(&view, view.size - 1, &last), 1);
    ck_assert_int_eq(*last, (char)('a' + i % 26));
    return true;
}

static unsigned count_present(struct fixture *f, unsigned from, unsigned to)
{
    unsigned present = 0;
    for (unsigned i = from; i < to; i++)
        present += read_key(f, i);
    return present;
}

START_TEST(memory_stays_within_the_limit_and_nothing_fails)
{
    static const size_t memory_mib[] = {1, 2, 16, 64};
    struct fixture f = fixture_of_size(memory_mib[_i] * MIB);
    unsigned count = (unsigned)memory_mib[_i] * 20000;
    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(set_sized(&f, i, 20 + i % 300), RESULT_STORED);
        if (i % 5000 == 0) {
            struct store_usage usage;
            fixture_maintain(&f, 2);
            store_usage_read(f.store, &usage);
            ck_assert_uint_le(usage.used_size, usage.limit_size);
        }
    }
    ck_assert_uint_gt(fixture_metric(&f, METRIC_removed_evicted), 0);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_store_no_memory), 0);
    fixture_close(&f);
}
END_TEST

START_TEST(small_stores_are_used_to_the_full)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_usage usage;
    for (unsigned i = 0; i < 50000; i++)
        ck_assert_int_eq(set_sized(&f, i, 100), RESULT_STORED);
    store_usage_read(f.store, &usage);
    ck_assert_uint_gt(usage.live_size * 100, usage.limit_size * 75);
    fixture_close(&f);
}
END_TEST

START_TEST(what_is_read_stays_and_one_hit_wonders_go)
{
    struct fixture f = fixture_of_size(4 * MIB);
    for (unsigned i = 0; i < 2000; i++)
        set_sized(&f, i, 200);
    for (unsigned i = 2000; i < 100000; i++) {
        set_sized(&f, i, 200);
        read_key(&f, i % 2000);
        if (i % 500 == 0)
            fixture_maintain(&f, 1);
    }
    ck_assert_uint_gt(count_present(&f, 0, 2000), 1900);
    ck_assert_uint_lt(count_present(&f, 2000, 50000), 500);
    fixture_close(&f);
}
END_TEST

START_TEST(a_key_that_comes_back_after_eviction_goes_to_main)
{
    struct fixture f = fixture_of_size(MIB);
    char name[24];
    unsigned evicted = 0;
    for (unsigned i = 0; i < 10000; i++) {
        set_sized(&f, i, 100);
        if (i % 200 == 0)
            fixture_maintain(&f, 1);
    }
    for (unsigned i = 0; i < 2000; i++) {
        name_of(name, i);
        struct store_key key = fixture_key(&f, name);
        struct store_view view;
        enum store_miss miss;
        if (store_get(f.thread, &key, &view, &miss) == RESULT_MISS && miss == STORE_MISS_EVICTED)
            evicted++;
    }
    ck_assert_uint_gt(evicted, 0);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_miss_evicted), evicted);
    for (unsigned i = 0; i < 500; i++)
        set_sized(&f, i, 100);
    for (unsigned i = 20000; i < 29000; i++) /* a scan that pushes all else out of the small pool */
        set_sized(&f, i, 100);
    ck_assert_uint_gt(count_present(&f, 0, 500), count_present(&f, 20000, 20500));
    fixture_close(&f);
}
END_TEST

/* A client that looks aside: true for a hit. */
static bool read_or_set(struct fixture *f, unsigned i, size_t size)
{
    if (read_key(f, i))
        return true;
    set_sized(f, i, size);
    if (i % 64 == 0)
        fixture_maintain(f, 1);
    return false;
}

/* LRU would miss every time, and so would a main pool to which what it threw out came back at once. */
START_TEST(a_loop_longer_than_memory_finds_a_part_of_it_there)
{
    struct fixture f = fixture_of_size(4 * MIB);
    unsigned hits = 0;
    for (unsigned round = 0; round < 12; round++)
        for (unsigned i = 0; i < 30000; i++)
            hits += read_or_set(&f, i, 200) && round >= 8;
    ck_assert_uint_gt(hits, 4 * 30000 / 4); /* what fits is half of it */
    fixture_close(&f);
}
END_TEST

START_TEST(small_items_stay_where_large_ones_would_take_their_room)
{
    struct fixture f = fixture_of_size(4 * MIB);
    unsigned small = 0, large = 0, gets = 0;
    uint32_t random = 1;
    for (unsigned request = 0; request < 300000; request++) {
        random = random * 1664525u + 1013904223u;
        unsigned i = (random >> 8) % 24000;
        bool is_large = i % 20 == 0;
        bool hit = read_or_set(&f, i, is_large ? 3500 : 80);
        if (request < 150000)
            continue;
        *(is_large ? &large : &small) += hit;
        gets += !is_large;
    }
    ck_assert_uint_gt(small, gets * 8 / 10);
    ck_assert_uint_lt(large, gets / 20 / 2);
    fixture_close(&f);
}
END_TEST

/* Half of the items take a fiftieth of the bytes: they outlive several times the memory. */
START_TEST(the_smallest_stay_though_nobody_has_read_them)
{
    struct fixture f = fixture_of_size(4 * MIB);
    for (unsigned i = 0; i < 40000; i++)
        ck_assert_int_eq(set_sized(&f, i, i % 2 == 0 ? 2000 : 20), RESULT_STORED);
    unsigned small = 0, large = 0;
    for (unsigned i = 40000 - 8000; i < 40000; i++)
        *(i % 2 == 0 ? &large : &small) += read_key(&f, i);
    ck_assert_uint_eq(small, 4000);
    ck_assert_uint_lt(large, 2000);
    fixture_maintain(&f, 2);
    fixture_close(&f);
}
END_TEST

START_TEST(what_is_read_stays_though_the_first_to_go_is_tiny)
{
    static const size_t sizes[] = {200, 2000, 20000};
    struct fixture f = fixture_of_size(4 * MIB);
    size_t size = sizes[_i];
    unsigned full = (unsigned)(4 * MIB / size);
    set_sized(&f, 0, 2);
    for (unsigned i = 1; i < full / 2; i++)
        ck_assert_int_eq(set_sized(&f, i, size), RESULT_STORED);
    for (unsigned i = 0; i < 3; i++)
        ck_assert(read_key(&f, 1));
    for (unsigned i = full / 2; i < full + full / 4; i++) {
        ck_assert_int_eq(set_sized(&f, i, size), RESULT_STORED);
        if (i % 50 == 0)
            fixture_maintain(&f, 1);
    }
    ck_assert(!read_key(&f, 2));
    ck_assert(read_key(&f, 1));
    fixture_close(&f);
}
END_TEST

START_TEST(where_all_are_large_what_is_read_stays)
{
    struct fixture f = fixture_of_size(4 * MIB);
    for (unsigned i = 0; i < 100; i++)
        set_sized(&f, i, 3500);
    for (unsigned i = 100; i < 10000; i++) {
        set_sized(&f, i, 3500);
        read_key(&f, i % 100);
        if (i % 50 == 0)
            fixture_maintain(&f, 1);
    }
    ck_assert_uint_gt(count_present(&f, 0, 100), 90);
    fixture_close(&f);
}
END_TEST

START_TEST(without_eviction_a_full_store_refuses_and_keeps_what_it_has)
{
    struct fixture f = fixture_open((struct store_config){.memory_size = MIB, .no_eviction = true});
    unsigned stored = 0;
    while (set_sized(&f, stored, 200) == RESULT_STORED)
        stored++;
    ck_assert_uint_gt(stored, 3000);
    ck_assert_uint_eq(count_present(&f, 0, stored), stored);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_removed_evicted), 0);
    ck_assert_uint_ge(fixture_metric(&f, METRIC_store_no_memory), 1);
    for (unsigned i = 0; i < stored; i += 2) {
        char name[24];
        name_of(name, i);
        ck_assert_int_eq(fixture_delete(&f, name), RESULT_DELETED);
    }
    unsigned again = 0;
    while (set_sized(&f, 100000 + again, 200) == RESULT_STORED)
        again++;
    ck_assert_uint_gt(again, stored / 4); /* deleted items' room is used again */
    for (unsigned i = 1; i < stored; i += 2)
        ck_assert(read_key(&f, i));
    fixture_close(&f);
}
END_TEST

START_TEST(overwriting_evicts_nobody)
{
    struct fixture f = fixture_of_size(4 * MIB);
    for (unsigned i = 0; i < 5000; i++)
        set_sized(&f, i, 200);
    for (unsigned i = 0; i < 200000; i++) {
        set_sized(&f, i % 500, 200);
        if (i % 1000 == 0)
            fixture_maintain(&f, 1);
    }
    ck_assert_uint_eq(count_present(&f, 0, 5000), 5000);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_removed_evicted), 0);
    fixture_close(&f);
}
END_TEST

/* Hazard: a stale location after its segment's reuse. A view is held while others write the store full. */
START_TEST(a_view_stays_valid_until_its_thread_is_quiescent)
{
    struct fixture f = fixture_of_size(MIB);
    struct fixture writer = f;
    struct store_view view;
    char name[24], before[100];
    set_sized(&f, 1, 100);
    name_of(name, 1);
    struct store_key key = fixture_key(&f, name);
    ck_assert_int_eq(store_get(f.thread, &key, &view, NULL), RESULT_HIT);
    memcpy(before, view.value, 100);
    writer.thread = store_thread_create(f.store, metrics_block_create(f.metrics));
    store_thread_online(writer.thread);
    for (unsigned i = 2; i < 5000; i++) /* as much as is free: nothing drained can be reused meanwhile */
        set_sized(&writer, i, 100);
    store_delete(writer.thread, &key, 0);
    ck_assert_mem_eq(view.value, before, 100);
    store_thread_quiesce(f.thread);
    store_thread_offline(writer.thread);
    store_thread_destroy(writer.thread);
    fixture_close(&f);
}
END_TEST

START_TEST(a_pin_holds_its_bytes_while_everything_else_is_replaced)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_view view;
    const char *data;
    char name[24];
    set_sized(&f, 1, 900);
    name_of(name, 1);
    struct store_key key = fixture_key(&f, name);
    store_get(f.thread, &key, &view, NULL);
    struct store_pin *pin = store_pin(f.thread, &view);
    ck_assert_ptr_nonnull(pin);
    store_delete(f.thread, &key, 0);
    for (unsigned i = 2; i < 30000; i++)
        set_sized(&f, i, 100);
    for (size_t at = 0; at < 900;) {
        size_t part = store_pin_part(pin, at, &data);
        for (size_t i = 0; i < part; i++)
            ck_assert_int_eq(data[i], 'b');
        at += part;
    }
    ck_assert_uint_eq(store_pin_part(pin, 900, &data), 0);
    store_unpin(pin);
    fixture_close(&f);
}
END_TEST

/* Hazard: the segment has been drained already, but waits for the grace period of the thread that now pins.
 */
START_TEST(a_pin_taken_after_the_drain_still_holds_the_segment)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_view view;
    const char *data;
    char name[24], value[901];
    memset(value, 'b', 900);
    value[900] = 0;
    for (unsigned i = 0; i < 40; i++) {
        name_of(name, i);
        fixture_write(&f, STORE_SET, name, value, 110);
    }
    fixture_maintain(&f, 1);
    name_of(name, 0);
    struct store_key key = fixture_key(&f, name);
    clock_freeze_for_test(110);
    store_maintain(f.store); /* this thread is online: what is claimed cannot be drained yet */
    store_thread_quiesce(f.thread);
    clock_freeze_for_test(109); /* for the reader: as late as a reader's clock may be */
    ck_assert_int_eq(store_get(f.thread, &key, &view, NULL), RESULT_HIT);
    clock_freeze_for_test(110);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_removed_expired), 0);
    store_maintain(f.store); /* has seen the claim, but is online: what is drained cannot be freed */
    ck_assert_uint_ge(fixture_metric(&f, METRIC_removed_expired), 8);
    struct store_pin *pin = store_pin(f.thread, &view);
    ck_assert_ptr_nonnull(pin);
    for (unsigned i = 100; i < 20000; i++)
        set_sized(&f, i, 100);
    ck_assert_uint_eq(store_pin_part(pin, 0, &data), 900);
    ck_assert_mem_eq(data, value, 900);
    store_unpin(pin);
    fixture_close(&f);
}
END_TEST

START_TEST(pins_are_refused_when_they_would_hold_too_much)
{
    struct fixture f = fixture_of_size(MIB);
    static struct store_pin *pins[1500];
    unsigned count = 0;
    struct store_view view;
    char name[24];
    for (unsigned i = 0; i < 1500; i++)
        set_sized(&f, i, 500);
    for (bool refused = false; count < 1500 && !refused; count += !refused) {
        name_of(name, count);
        struct store_key key = fixture_key(&f, name);
        ck_assert_int_eq(store_get(f.thread, &key, &view, NULL), RESULT_HIT);
        pins[count] = store_pin(f.thread, &view);
        refused = !pins[count];
    }
    ck_assert_uint_gt(count, 0);
    ck_assert_uint_lt(count, 1500);
    while (count > 0)
        store_unpin(pins[--count]);
    pins[0] = store_pin(f.thread, &view);
    ck_assert_ptr_nonnull(pins[0]);
    store_unpin(pins[0]);
    fixture_close(&f);
}
END_TEST

static uint64_t band_metric(struct fixture *f, unsigned band, enum band_metric id)
{
    struct metrics_snapshot *snapshot = malloc(sizeof *snapshot);
    metrics_snapshot_take_since_reset(f->metrics, snapshot);
    uint64_t value = snapshot->band[band][id];
    free(snapshot);
    return value;
}

START_TEST(tells_the_age_of_the_oldest_item_though_its_segment_is_open)
{
    struct fixture f = fixture_of_size(MIB);
    set_sized(&f, 0, 100);
    clock_freeze_for_test(160);
    metrics_reset(f.metrics); /* an age is a level: resets leave it alone */
    ck_assert_uint_eq(band_metric(&f, metrics_band_of(120), BAND_age), 60);
    ck_assert_uint_eq(band_metric(&f, metrics_band_of(120), BAND_age_hot), 60);
    fixture_close(&f);
}
END_TEST

START_TEST(tells_how_idle_the_item_was_that_was_evicted_last)
{
    struct fixture f = fixture_of_size(MIB);
    unsigned band = metrics_band_of(120);
    set_sized(&f, 0, 100);
    clock_freeze_for_test(130);
    for (unsigned i = 1; fixture_metric(&f, METRIC_removed_evicted) == 0; i++) {
        ck_assert_uint_lt(i, 100000);
        ck_assert_uint_eq(band_metric(&f, band, BAND_evicted_time), 0);
        set_sized(&f, i, 100);
    }
    /* The first to go were written at the beginning, or at 130 and evicted at once. */
    ck_assert_uint_le(band_metric(&f, band, BAND_evicted_time), 30);
    clock_freeze_for_test(200);
    for (unsigned i = 200000; i < 210000; i++)
        set_sized(&f, i, 100);
    clock_freeze_for_test(250);
    for (unsigned i = 300000; i < 300000 + 5000; i++)
        set_sized(&f, i, 100);
    ck_assert_uint_eq(band_metric(&f, band, BAND_evicted_time), 50);
    fixture_close(&f);
}
END_TEST

START_TEST(a_few_keys_written_over_and_over_hold_a_few_segments)
{
    struct fixture f = fixture_of_size(64 * MIB);
    struct store_usage usage;
    for (unsigned i = 0; i < 60000; i++) {
        ck_assert_int_eq(set_sized(&f, i % 100, 1000), RESULT_STORED);
        if (i % 1000 == 0)
            fixture_maintain(&f, 4);
    }
    fixture_maintain(&f, 8);
    store_usage_read(f.store, &usage);
    ck_assert_uint_lt(usage.used_size, 8 * MIB); /* of 60 MB written */
    ck_assert_uint_eq(count_present(&f, 0, 100), 100);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_removed_evicted), 0);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store evict");
    TCase *tcase = tcase_create("evict");
    tcase_set_timeout(tcase, 240);
    tcase_add_loop_test(tcase, memory_stays_within_the_limit_and_nothing_fails, 0, 4);
    tcase_add_test(tcase, small_stores_are_used_to_the_full);
    tcase_add_test(tcase, tells_the_age_of_the_oldest_item_though_its_segment_is_open);
    tcase_add_test(tcase, tells_how_idle_the_item_was_that_was_evicted_last);
    tcase_add_test(tcase, what_is_read_stays_and_one_hit_wonders_go);
    tcase_add_test(tcase, a_key_that_comes_back_after_eviction_goes_to_main);
    tcase_add_test(tcase, a_loop_longer_than_memory_finds_a_part_of_it_there);
    tcase_add_test(tcase, small_items_stay_where_large_ones_would_take_their_room);
    tcase_add_test(tcase, the_smallest_stay_though_nobody_has_read_them);
    tcase_add_loop_test(tcase, what_is_read_stays_though_the_first_to_go_is_tiny, 0, 3);
    tcase_add_test(tcase, where_all_are_large_what_is_read_stays);
    tcase_add_test(tcase, without_eviction_a_full_store_refuses_and_keeps_what_it_has);
    tcase_add_test(tcase, overwriting_evicts_nobody);
    tcase_add_test(tcase, a_few_keys_written_over_and_over_hold_a_few_segments);
    tcase_add_test(tcase, a_view_stays_valid_until_its_thread_is_quiescent);
    tcase_add_test(tcase, a_pin_holds_its_bytes_while_everything_else_is_replaced);
    tcase_add_test(tcase, a_pin_taken_after_the_drain_still_holds_the_segment);
    tcase_add_test(tcase, pins_are_refused_when_they_would_hold_too_much);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
