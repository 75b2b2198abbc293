/* Large values: chunks, byte for byte; moved, evicted and expired as one item; and bodies that are staged. */
#include "check_store.h"

static char *pattern(size_t size, uint32_t seed)
{
    char *bytes = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)((seed = seed * 1664525 + 1013904223) >> 24);
    return bytes;
}

static enum result set_bytes(struct fixture *f, const char *name, const char *bytes, size_t size,
                             uint32_t expiry_s)
{
    struct store_write write = {
        .key = fixture_key(f, name), .value = bytes, .size = size, .expiry_s = expiry_s};
    return store_write(f->thread, &write, NULL);
}

static bool has_bytes(struct fixture *f, const char *name, const char *bytes, size_t size)
{
    struct store_key key = fixture_key(f, name);
    struct store_view view;
    if (store_get(f->thread, &key, &view, NULL) != RESULT_HIT)
        return false;
    ck_assert_uint_eq(view.size, size);
    for (size_t at = 0; at < size;) {
        const char *data;
        size_t part = store_view_part(&view, at, &data);
        ck_assert_uint_gt(part, 0);
        ck_assert_uint_le(part, size - at);
        ck_assert(memcmp(data, bytes + at, part) == 0);
        at += part;
    }
    const char *end;
    ck_assert_uint_eq(store_view_part(&view, size, &end), 0);
    if (view.value && size > 0)
        ck_assert(memcmp(view.value, bytes, size) == 0);
    return true;
}

START_TEST(values_of_all_sizes_come_back_byte_for_byte)
{
    static const size_t memory_mib[] = {1, 4, 64};
    struct fixture f = fixture_of_size(memory_mib[_i] * MIB);
    size_t most = memory_mib[_i] * MIB / 2 < MIB ? 400000 : MIB - 100;
    for (size_t size = 1; size <= most; size += 1 + size / 7) {
        char *bytes = pattern(size, (uint32_t)size);
        ck_assert_int_eq(set_bytes(&f, "k", bytes, size, 0), RESULT_STORED);
        ck_assert(has_bytes(&f, "k", bytes, size));
        free(bytes);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(eight_megabytes_fit_where_the_options_allow_them)
{
    struct fixture f =
        fixture_open((struct store_config){.memory_size = 128 * MIB, .item_size_max = 16 * MIB});
    size_t size = 8 * MIB + 12345;
    char *bytes = pattern(size, 5);
    ck_assert_int_eq(set_bytes(&f, "k", bytes, size, 0), RESULT_STORED);
    ck_assert(has_bytes(&f, "k", bytes, size));
    free(bytes);
    fixture_close(&f);
}
END_TEST

START_TEST(many_large_values_are_evicted_whole)
{
    struct fixture f = fixture_of_size(64 * MIB);
    char name[24];
    size_t size = 900000;
    char *bytes = pattern(size + 300, 9);
    unsigned present = 0;
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "k%u", i);
        ck_assert_int_eq(set_bytes(&f, name, bytes + i, size, 0), RESULT_STORED);
        if (i % 3 == 0)
            fixture_maintain(&f, 1);
    }
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "k%u", i);
        present += has_bytes(&f, name, bytes + i, size);
    }
    ck_assert_uint_gt(present, 50);
    ck_assert_uint_lt(present, 75);
    free(bytes);
    fixture_close(&f);
}
END_TEST

/* Hazard: a chunk is moved by the maintainer while its item stays, and the other way round. */
START_TEST(a_large_value_that_is_read_survives_being_moved)
{
    struct fixture f = fixture_of_size(4 * MIB);
    size_t size = 300001;
    char name[24], *bytes = pattern(size, 3), *filler = pattern(100000, 4);
    ck_assert_int_eq(set_bytes(&f, "hot", bytes, size, 0), RESULT_STORED);
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "k%u", i);
        ck_assert_int_eq(set_bytes(&f, name, filler, 50000 + i * 41 % 50000, 0), RESULT_STORED);
        if (i % 5 == 0) {
            ck_assert(has_bytes(&f, "hot", bytes, size));
            ck_assert(has_bytes(&f, "hot", bytes, size));
            fixture_maintain(&f, 1);
        }
    }
    ck_assert_uint_gt(fixture_metric(&f, METRIC_copied_bytes), size);
    free(bytes);
    free(filler);
    fixture_close(&f);
}
END_TEST

START_TEST(large_values_are_replaced_deleted_and_expired_to_the_byte)
{
    struct fixture f = fixture_of_size(16 * MIB);
    struct store_usage usage;
    char *bytes = pattern(MIB, 1);
    set_bytes(&f, "k", bytes, 700000, 0);
    set_bytes(&f, "k", bytes, 600000, 0);
    set_bytes(&f, "gone", bytes, 500000, 0);
    set_bytes(&f, "old", bytes, 400000, 150);
    ck_assert_int_eq(fixture_delete(&f, "gone"), RESULT_DELETED);
    clock_freeze_for_test(150);
    fixture_maintain(&f, 3);
    store_usage_read(f.store, &usage);
    ck_assert_uint_eq(usage.item_count, 1);
    ck_assert_uint_gt(usage.live_size, 600000);
    ck_assert_uint_lt(usage.live_size, 600000 + 2000);
    ck_assert(has_bytes(&f, "k", bytes, 600000));
    fixture_delete(&f, "k");
    store_usage_read(f.store, &usage);
    ck_assert_uint_eq(usage.live_size, 0);
    free(bytes);
    fixture_close(&f);
}
END_TEST

START_TEST(a_large_value_is_touched_in_place)
{
    struct fixture f = fixture_of_size(16 * MIB);
    struct store_view view;
    struct store_key key = fixture_key(&f, "k");
    char *bytes = pattern(500000, 1);
    static const uint32_t expiry_s[] = {130, 0, 100000, 140};
    set_bytes(&f, "k", bytes, 500000, 0);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(store_touch(f.thread, &key, expiry_s[i], &view), RESULT_HIT);
        ck_assert_uint_eq(view.expiry_s, expiry_s[i]);
        fixture_maintain(&f, 1);
        ck_assert(has_bytes(&f, "k", bytes, 500000));
    }
    clock_freeze_for_test(139);
    fixture_maintain(&f, 2);
    ck_assert(has_bytes(&f, "k", bytes, 500000));
    clock_freeze_for_test(140);
    ck_assert_int_eq(fixture_miss(&f, "k"), STORE_MISS_EXPIRED);
    free(bytes);
    fixture_close(&f);
}
END_TEST

START_TEST(append_turns_a_small_value_into_a_large_one)
{
    struct fixture f = fixture_of_size(16 * MIB);
    size_t size = 0, step = 9999;
    char *bytes = pattern(600000, 8);
    set_bytes(&f, "k", bytes, 0, 0);
    while (size + step < 600000) {
        struct store_write write = {
            .key = fixture_key(&f, "k"), .value = bytes + size, .size = step, .mode = STORE_APPEND};
        ck_assert_int_eq(store_write(f.thread, &write, NULL), RESULT_STORED);
        size += step;
        ck_assert(has_bytes(&f, "k", bytes, size));
    }
    struct store_write write = {
        .key = fixture_key(&f, "k"), .value = bytes, .size = MIB - size, .mode = STORE_APPEND};
    ck_assert_int_eq(store_write(f.thread, &write, NULL), RESULT_TOO_LARGE);
    ck_assert(has_bytes(&f, "k", bytes, size)); /* a failed append leaves the value */
    free(bytes);
    fixture_close(&f);
}
END_TEST

START_TEST(a_pinned_large_value_stays_while_it_is_replaced)
{
    struct fixture f = fixture_of_size(64 * MIB);
    struct store_view view;
    struct store_key key = fixture_key(&f, "k");
    char name[24], *bytes = pattern(MIB, 8);
    size_t size = 1000000;
    set_bytes(&f, "k", bytes, size, 0);
    store_get(f.thread, &key, &view, NULL);
    struct store_pin *pin = store_pin(f.thread, &view);
    ck_assert_ptr_nonnull(pin);
    for (unsigned i = 0; i < 150; i++) {
        snprintf(name, sizeof name, "k%u", i);
        set_bytes(&f, i == 0 ? "k" : name, bytes + i, 800000, 0);
        fixture_maintain(&f, 1);
    }
    for (size_t at = 0; at < size;) {
        const char *data;
        size_t part = store_pin_part(pin, at, &data);
        ck_assert(memcmp(data, bytes + at, part) == 0);
        at += part;
    }
    store_unpin(pin);
    free(bytes);
    fixture_close(&f);
}
END_TEST

static struct store_pin *pin_key(struct fixture *f, const char *name)
{
    struct store_view view;
    struct store_key key = fixture_key(f, name);
    ck_assert_int_eq(store_get(f->thread, &key, &view, NULL), RESULT_HIT);
    return store_pin(f->thread, &view);
}

START_TEST(many_readers_of_one_value_pin_its_segments_once)
{
    struct fixture f = fixture_of_size(64 * MIB);
    struct store_usage usage;
    struct store_pin *pins[200];
    char *bytes = pattern(MIB, 8);
    set_bytes(&f, "k", bytes, 1000000, 0);
    store_usage_read(f.store, &usage);
    for (unsigned i = 0; i < 200; i++) {
        pins[i] = pin_key(&f, "k");
        ck_assert_ptr_nonnull(pins[i]);
        ck_assert_uint_le(fixture_metric(&f, METRIC_pinned_bytes), 1000000 + 2 * usage.segment_size);
    }
    for (unsigned i = 0; i < 200; i++) {
        ck_assert_uint_gt(fixture_metric(&f, METRIC_pinned_bytes), 0);
        store_unpin(pins[i]);
    }
    ck_assert_uint_eq(fixture_metric(&f, METRIC_pinned_bytes), 0);
    free(bytes);
    fixture_close(&f);
}
END_TEST

/* The oldest segments are all pinned: those behind them have to go, and what is pinned stays as it was. */
START_TEST(pins_take_their_share_and_eviction_goes_on_behind_them)
{
    enum { COUNT = 50 };
    struct fixture f = fixture_of_size(64 * MIB);
    struct store_pin *pins[COUNT];
    char name[24], *bytes = pattern(MIB + 500, 8);
    unsigned pinned = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "k%u", i);
        ck_assert_int_eq(set_bytes(&f, name, bytes + i, 1000000, 0), RESULT_STORED);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "k%u", i);
        pins[i] = pin_key(&f, name);
        pinned += pins[i] != NULL;
        ck_assert_uint_le(fixture_metric(&f, METRIC_pinned_bytes), 64 * MIB / 8);
    }
    ck_assert_uint_ge(pinned, 6);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "n%u", i);
        ck_assert_int_eq(set_bytes(&f, name, bytes + i, 1000000, 0), RESULT_STORED);
        ck_assert(has_bytes(&f, name, bytes + i, 1000000));
    }
    for (unsigned i = 0; i < COUNT; i++) {
        const char *data;
        for (size_t at = 0, part; pins[i] && (part = store_pin_part(pins[i], at, &data)) > 0; at += part)
            ck_assert(memcmp(data, bytes + i + at, part) == 0);
        if (pins[i])
            store_unpin(pins[i]);
    }
    ck_assert_uint_eq(fixture_metric(&f, METRIC_pinned_bytes), 0);
    free(bytes);
    fixture_close(&f);
}
END_TEST

/* ---- staging ---- */

static bool stage_fill(struct store_staging *staging, const char *bytes, size_t size)
{
    for (size_t got = 0; got < size;) {
        size_t room;
        char *at = store_staging_room(staging, &room);
        if (!at)
            return false;
        if (room > size - got)
            room = size - got;
        memcpy(at, bytes + got, room);
        store_staging_fill(staging, room);
        got += room;
    }
    return true;
}

START_TEST(memory_of_a_body_done_with_serves_the_next_within_bounds)
{
    struct fixture f = fixture_of_size(64 * MIB);
    static char bytes[100000];
    struct store_staging *staging[100];
    struct store_usage usage;
    for (unsigned i = 0; i < 100; i++) {
        staging[i] = store_staging_open(f.store, sizeof bytes);
        ck_assert(stage_fill(staging[i], bytes, sizeof bytes));
    }
    for (unsigned i = 0; i < 100; i++)
        store_staging_close(staging[i]);
    store_usage_read(f.store, &usage);
    ck_assert_uint_eq(usage.staging_size, 0);
    size_t kept_size = usage.used_size;
    ck_assert_uint_le(kept_size, 64 * MIB / 16 + MIB); /* a sixteenth, and the index */
    staging[0] = store_staging_open(f.store, 50000);
    memset(bytes, 'n', sizeof bytes);
    ck_assert(stage_fill(staging[0], bytes, 50000));
    ck_assert_int_eq(memcmp(store_staging_data(staging[0]), bytes, 50000), 0);
    store_usage_read(f.store, &usage);
    ck_assert_uint_ge(usage.staging_size, 50000);
    ck_assert_uint_eq(usage.used_size, kept_size); /* nothing new was charged */
    store_staging_close(staging[0]);
    ck_assert(store_memory_limit_set(f.store, 16 * MIB));
    fixture_close(&f);
}
END_TEST

START_TEST(memory_of_a_body_of_megabytes_serves_the_next)
{
    enum { SIZE = 3000000 };
    struct fixture f = fixture_of_size(64 * MIB);
    char *bytes = malloc(SIZE);
    struct store_usage before, after;
    memset(bytes, 'b', SIZE);
    for (unsigned i = 0; i < 2; i++) {
        struct store_staging *staging = store_staging_open(f.store, SIZE);
        store_usage_read(f.store, &before);
        ck_assert(stage_fill(staging, bytes, SIZE));
        ck_assert(memcmp(store_staging_data(staging), bytes, SIZE) == 0);
        store_usage_read(f.store, &after);
        store_staging_close(staging);
    }
    ck_assert_uint_ge(before.used_size, SIZE);
    ck_assert_uint_eq(after.used_size, before.used_size); /* nothing new was charged */
    free(bytes);
    fixture_close(&f);
}
END_TEST

/* Stages so many bodies at a time, and is done with them. */
static void stage_bodies(struct fixture *f, unsigned count)
{
    static char bytes[50000];
    struct store_staging *staging[10];
    for (unsigned i = 0; i < count; i++) {
        staging[i] = store_staging_open(f->store, sizeof bytes);
        ck_assert(stage_fill(staging[i], bytes, sizeof bytes));
    }
    for (unsigned i = 0; i < count; i++)
        store_staging_close(staging[i]);
}

START_TEST(memory_kept_for_bodies_is_as_much_as_a_second_needed)
{
    struct fixture f = fixture_of_size(64 * MIB);
    struct store_usage usage;
    store_maintain(f.store);
    store_usage_read(f.store, &usage);
    size_t least_size = usage.used_size;
    stage_bodies(&f, 10);
    clock_freeze_for_test(clock_s() + 1);
    store_maintain(f.store);
    store_usage_read(f.store, &usage);
    ck_assert_uint_ge(usage.used_size, least_size + 500000); /* they were needed until just now */
    stage_bodies(&f, 2);
    stage_bodies(&f, 1);
    clock_freeze_for_test(clock_s() + 1);
    store_maintain(f.store);
    store_usage_read(f.store, &usage);
    ck_assert_uint_ge(usage.used_size, least_size + 100000);
    ck_assert_uint_le(usage.used_size, least_size + 150000);
    clock_freeze_for_test(clock_s() + 1);
    store_maintain(f.store);
    store_usage_read(f.store, &usage);
    ck_assert_uint_eq(usage.used_size, least_size);
    fixture_close(&f);
}
END_TEST

START_TEST(a_staged_body_is_stored_and_its_charge_given_back)
{
    struct fixture f = fixture_of_size(64 * MIB);
    struct store_usage usage;
    size_t size = 1000000;
    char *bytes = pattern(size, 2);
    struct store_staging *staging = store_staging_open(f.store, size);
    ck_assert(stage_fill(staging, bytes, size));
    store_usage_read(f.store, &usage);
    ck_assert_uint_ge(usage.staging_size, size);
    ck_assert_int_eq(set_bytes(&f, "k", store_staging_data(staging), size, 0), RESULT_STORED);
    store_staging_close(staging);
    store_usage_read(f.store, &usage);
    ck_assert_uint_eq(usage.staging_size, 0);
    ck_assert(has_bytes(&f, "k", bytes, size));
    free(bytes);
    fixture_close(&f);
}
END_TEST

START_TEST(half_sent_bodies_cost_little_and_full_ones_at_most_a_quarter)
{
    struct fixture f = fixture_of_size(16 * MIB);
    struct store_staging *staging[300];
    struct store_usage usage;
    char *bytes = pattern(MIB, 2);
    for (unsigned i = 0; i < 200; i++) {
        staging[i] = store_staging_open(f.store, 1000000);
        ck_assert(stage_fill(staging[i], bytes, 1000));
    }
    store_usage_read(f.store, &usage);
    ck_assert_uint_le(usage.staging_size, 200 * 16384);
    bool refused = false;
    for (unsigned i = 0; i < 200; i++) {
        refused |= !stage_fill(staging[i], bytes, 900000);
        store_usage_read(f.store, &usage);
        ck_assert_uint_le(usage.staging_size, 4 * MIB);
    }
    ck_assert(refused);
    for (unsigned i = 0; i < 200; i++)
        store_staging_close(staging[i]);
    store_staging_close(NULL);
    free(bytes);
    fixture_close(&f);
}
END_TEST

START_TEST(staged_bodies_take_their_memory_from_the_segments)
{
    struct fixture f = fixture_of_size(16 * MIB);
    struct store_usage usage;
    char name[24], *bytes = pattern(4 * MIB, 2);
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "k%u", i);
        set_bytes(&f, name, bytes, 1000, 0);
    }
    struct store_staging *staging = store_staging_open(f.store, 3 * MIB);
    ck_assert(stage_fill(staging, bytes, 3 * MIB));
    fixture_maintain(&f, 10);
    store_usage_read(f.store, &usage);
    ck_assert_uint_le(usage.used_size, usage.limit_size);
    ck_assert_uint_eq(usage.staging_size, 3 * MIB);
    store_staging_close(staging);
    free(bytes);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store large");
    TCase *tcase = tcase_create("large");
    tcase_set_timeout(tcase, 240);
    tcase_add_loop_test(tcase, values_of_all_sizes_come_back_byte_for_byte, 0, 3);
    tcase_add_test(tcase, eight_megabytes_fit_where_the_options_allow_them);
    tcase_add_test(tcase, many_large_values_are_evicted_whole);
    tcase_add_test(tcase, a_large_value_that_is_read_survives_being_moved);
    tcase_add_test(tcase, large_values_are_replaced_deleted_and_expired_to_the_byte);
    tcase_add_test(tcase, a_large_value_is_touched_in_place);
    tcase_add_test(tcase, append_turns_a_small_value_into_a_large_one);
    tcase_add_test(tcase, a_pinned_large_value_stays_while_it_is_replaced);
    tcase_add_test(tcase, many_readers_of_one_value_pin_its_segments_once);
    tcase_add_test(tcase, pins_take_their_share_and_eviction_goes_on_behind_them);
    tcase_add_test(tcase, a_staged_body_is_stored_and_its_charge_given_back);
    tcase_add_test(tcase, memory_of_a_body_done_with_serves_the_next_within_bounds);
    tcase_add_test(tcase, memory_of_a_body_of_megabytes_serves_the_next);
    tcase_add_test(tcase, memory_kept_for_bodies_is_as_much_as_a_second_needed);
    tcase_add_test(tcase, half_sent_bodies_cost_little_and_full_ones_at_most_a_quarter);
    tcase_add_test(tcase, staged_bodies_take_their_memory_from_the_segments);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
