/* Hazards of writing: an item is prepared without a lock from what was read before, so what it rests on may
 * have changed when it is published. In most tests the writer stands before the lock with its item ready. */
#include "hazards.h"

/* ---- conditions ---- */

static uint64_t cas_of(struct fixture *f, const char *name)
{
    struct store_key key = fixture_key(f, name);
    struct store_view view;
    ck_assert_int_eq(store_peek(f->thread, &key, &view), RESULT_HIT);
    return view.cas;
}

static uint32_t expiry_of(struct fixture *f, const char *name)
{
    struct store_key key = fixture_key(f, name);
    struct store_view view;
    ck_assert_int_eq(store_peek(f->thread, &key, &view), RESULT_HIT);
    return view.expiry_s;
}

/* Guard (of this and the next three): publish_locked asks again whether the mode's condition holds. */
START_TEST(cas_against_set)
{
    struct fixture f = fixture_of_size(MIB);
    fixture_set(&f, "k", "old");
    struct helper writer = {
        .act = act_write, .key = "k", .value = "mine", .mode = STORE_CAS, .cas = cas_of(&f, "k")};
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(fixture_set(&f, "k", "new"), RESULT_STORED);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(writer.result, RESULT_EXISTS);
    ck_assert(fixture_has(&f, "k", "new"));
    fixture_close(&f);
}
END_TEST

START_TEST(cas_against_delete)
{
    struct fixture f = fixture_of_size(MIB);
    fixture_set(&f, "k", "old");
    struct helper writer = {
        .act = act_write, .key = "k", .value = "mine", .mode = STORE_CAS, .cas = cas_of(&f, "k")};
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(fixture_delete(&f, "k"), RESULT_DELETED);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(writer.result, RESULT_NOT_FOUND);
    ck_assert_int_eq(fixture_miss(&f, "k"), STORE_MISS_DELETED);
    fixture_close(&f);
}
END_TEST

/* Guard (of this and the next): plain_slot asks whether the slot is as it was when the key was found there.
 * Without it the old item is taken off twice, and the one in between never. */
START_TEST(set_against_set)
{
    struct fixture f = fixture_of_size(MIB);
    fixture_set(&f, "k", "old");
    struct helper writer = {.act = act_write, .key = "k", .value = "mine"};
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(fixture_set(&f, "k", "theirs, which is longer than the one before"), RESULT_STORED);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(writer.result, RESULT_STORED);
    ck_assert(fixture_has(&f, "k", "mine"));
    ck_assert_int_eq(fixture_delete(&f, "k"), RESULT_DELETED);
    check_nothing_lives(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(set_against_delete)
{
    struct fixture f = fixture_of_size(MIB);
    fixture_set(&f, "k", "old");
    struct helper writer = {.act = act_write, .key = "k", .value = "mine"};
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(fixture_delete(&f, "k"), RESULT_DELETED);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(writer.result, RESULT_STORED);
    ck_assert(fixture_has(&f, "k", "mine"));
    fixture_close(&f);
}
END_TEST

START_TEST(add_against_add)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper writer = {.act = act_write, .key = "k", .value = "mine", .mode = STORE_ADD};
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(fixture_write(&f, STORE_ADD, "k", "theirs", STORE_NEVER_S), RESULT_STORED);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(writer.result, RESULT_NOT_STORED);
    ck_assert(fixture_has(&f, "k", "theirs"));
    fixture_close(&f);
}
END_TEST

START_TEST(replace_against_delete)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper writer = {.act = act_write, .key = "k", .value = "mine", .mode = STORE_REPLACE};
    fixture_set(&f, "k", "old");
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(fixture_delete(&f, "k"), RESULT_DELETED);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(writer.result, RESULT_NOT_STORED);
    ck_assert_int_eq(fixture_miss(&f, "k"), STORE_MISS_DELETED);
    fixture_close(&f);
}
END_TEST

/* ---- what is made from the item before ---- */

/* Guard (of all that follow here): the exact condition, by which the item must be the one that was read.
 * Without it a change between reading and publishing is lost. */
START_TEST(increment_against_increment)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper writer = {.act = act_increment, .key = "k"};
    fixture_set(&f, "k", "40");
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(fixture_increment(&f, "k"), RESULT_HIT);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(writer.result, RESULT_HIT);
    ck_assert(fixture_has(&f, "k", "42"));
    fixture_close(&f);
}
END_TEST

START_TEST(increment_against_delete)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper writer = {.act = act_increment, .key = "k"};
    fixture_set(&f, "k", "40");
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(fixture_delete(&f, "k"), RESULT_DELETED);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(writer.result, RESULT_MISS);
    ck_assert_int_eq(fixture_miss(&f, "k"), STORE_MISS_DELETED);
    fixture_close(&f);
}
END_TEST

START_TEST(append_against_append)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper writer = {.act = act_write, .key = "k", .value = "c", .mode = STORE_APPEND};
    fixture_set(&f, "k", "a");
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(fixture_write(&f, STORE_APPEND, "k", "b", STORE_NEVER_S), RESULT_STORED);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(writer.result, RESULT_STORED);
    ck_assert(fixture_has(&f, "k", "abc"));
    fixture_close(&f);
}
END_TEST

START_TEST(prepend_against_overwrite)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper writer = {.act = act_write, .key = "k", .value = "a", .mode = STORE_PREPEND};
    fixture_set(&f, "k", "old");
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(fixture_set(&f, "k", "new"), RESULT_STORED);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert(fixture_has(&f, "k", "anew"));
    fixture_close(&f);
}
END_TEST

/* The item has no word for an expiry, so touching copies it. */
START_TEST(touch_against_overwrite)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper writer = {.act = act_touch, .key = "k", .expiry_s = 500};
    fixture_set(&f, "k", "old");
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(fixture_set(&f, "k", "new"), RESULT_STORED);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert(helper_saw(&writer, "new"));
    ck_assert(fixture_has(&f, "k", "new"));
    ck_assert_uint_eq(expiry_of(&f, "k"), 500);
    fixture_close(&f);
}
END_TEST

START_TEST(touch_against_delete)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper writer = {.act = act_touch, .key = "k", .expiry_s = 500};
    fixture_set(&f, "k", "old");
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(fixture_delete(&f, "k"), RESULT_DELETED);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(writer.result, RESULT_MISS);
    ck_assert_int_eq(fixture_miss(&f, "k"), STORE_MISS_DELETED);
    fixture_close(&f);
}
END_TEST

/* Guard: store_arithmetic tries again. The maintainer has moved the item meanwhile, and no other has changed
 * it. */
START_TEST(increment_against_copy)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper maintainer = {0}, writer = {.act = act_increment, .key = "k"};
    set_lonely(&f, "k", "41", STORE_NEVER_S);
    maintain_until(&maintainer, &f, PERTURB_ITEM_COPIED);
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    maintain_on(&maintainer, &f, PERTURB_ITEM_COPIED);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert(fixture_has(&f, "k", "42"));
    check_nothing_lives(&f);
    fixture_close(&f);
}
END_TEST

/* ---- touches in place ---- */

/* Guard: keep_expiry. The item is touched while its successor is being written. */
static void touch_under(struct helper writer, const char *value)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_view view;
    struct store_key key = fixture_key(&f, "k");
    fixture_write(&f, STORE_SET, "k", "40", 1000);
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(store_touch(f.thread, &key, 500, &view), RESULT_HIT);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert(fixture_has(&f, "k", value));
    ck_assert_uint_eq(expiry_of(&f, "k"), 500);
    fixture_close(&f);
}

START_TEST(increment_against_touch)
{
    touch_under((struct helper){.act = act_increment, .key = "k"}, "41");
}
END_TEST

START_TEST(append_against_touch)
{
    touch_under((struct helper){.act = act_write, .key = "k", .value = "0", .mode = STORE_APPEND}, "400");
}
END_TEST

/* ---- flushes ---- */

/* Guard: the sweep waits for a grace period. A write that drew its number before the flush is dead when it is
 * published; had the sweep passed its bucket and taken the watermark away, it would come alive again. */
START_TEST(flush_against_write)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper writer = {.act = act_write, .key = "k", .value = "v"}, maintainer = {.act = act_maintain};
    struct store_view view;
    struct store_key key = fixture_key(&f, "k");
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    store_flush(f.thread, 0);
    store_thread_offline(f.thread);
    perturb_hold(PERTURB_SWEEP_BUCKET, 0);
    helper_start(&maintainer, &f);
    ck_assert_msg(!perturb_await(PERTURB_SWEEP_BUCKET), "the sweep has begun");
    helper_join(&maintainer);
    store_thread_online(f.thread);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(writer.result, RESULT_STORED);
    ck_assert_int_eq(store_peek(f.thread, &key, &view), RESULT_MISS);
    fixture_maintain(&f, 4);
    ck_assert_int_eq(store_peek(f.thread, &key, &view), RESULT_MISS);
    ck_assert_int_eq(fixture_set(&f, "k", "new"), RESULT_STORED);
    ck_assert(fixture_has(&f, "k", "new"));
    fixture_close(&f);
}
END_TEST

/* Guard: flush_arm looks again whether the flush is still to come. Without that it is carried out twice, and
 * takes what was stored after it. */
START_TEST(flush_against_flush)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper reader = {.act = act_get, .key = "k"};
    fixture_set(&f, "k", "old");
    store_flush(f.thread, 150);
    clock_freeze_for_test(150);
    helper_start_until(&reader, &f, PERTURB_FLUSH_DUE);
    ck_assert_int_eq(fixture_miss(&f, "k"), STORE_MISS_FLUSHED);
    ck_assert_int_eq(fixture_set(&f, "k", "new"), RESULT_STORED);
    helper_release(&reader, PERTURB_FLUSH_DUE);
    ck_assert(fixture_has(&f, "k", "new"));
    fixture_close(&f);
}
END_TEST

/* ---- segments that are drained ---- */

static void delete_fillers(struct fixture *f, unsigned count)
{
    char filler[32];
    for (unsigned i = 0; i < count; i++) {
        snprintf(filler, sizeof filler, "filler-%u", i);
        ck_assert_int_eq(fixture_delete(f, filler), RESULT_DELETED);
    }
}

/* Guard: a segment is walked only a grace period after it was claimed. The writer has room in a segment of
 * which nothing else is alive, and has not written it yet. */
START_TEST(drain_against_write)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper writer = {.act = act_write, .key = "k", .value = "v"};
    fixture_set(&f, "mark", "m");
    helper_start_until(&writer, &f, PERTURB_WRITE_RESERVED);
    delete_fillers(&f, fill_behind(&f, "mark", STORE_NEVER_S));
    fixture_delete(&f, "mark");
    fixture_maintain(&f, HELPER_ROUNDS);
    write_over_freed(&f);
    helper_release(&writer, PERTURB_WRITE_RESERVED);
    ck_assert(fixture_has(&f, "k", "v"));
    fixture_maintain(&f, HELPER_ROUNDS);
    write_over_freed(&f);
    ck_assert(fixture_has(&f, "k", "v"));
    fixture_close(&f);
}
END_TEST

/* Behaviour with memory owed, when all that can be drained is; the guard itself is held by
 * drain_against_write. */
START_TEST(limit_change_against_write)
{
    struct fixture f = fixture_of_size(2 * MIB);
    struct store_usage usage;
    struct helper writer = {.act = act_write, .key = "k", .value = "v"};
    char name[32];
    for (unsigned i = 0; i < 16000; i++) {
        snprintf(name, sizeof name, "some-%u", i);
        ck_assert_int_eq(
            fixture_set(&f, name, "0123456789012345678901234567890123456789012345678901234567890123"),
            RESULT_STORED);
        if (i == 20)
            helper_start_until(&writer, &f, PERTURB_WRITE_RESERVED);
    }
    ck_assert(store_memory_limit_set(f.store, MIB));
    fixture_maintain(&f, HELPER_ROUNDS);
    helper_release(&writer, PERTURB_WRITE_RESERVED);
    ck_assert(fixture_has(&f, "k", "v"));
    fixture_maintain(&f, HELPER_ROUNDS);
    store_usage_read(f.store, &usage);
    ck_assert_uint_le(usage.used_size, MIB);
    ck_assert_uint_gt(fixture_metric(&f, METRIC_removed_evicted), 0);
    ck_assert_int_eq(fixture_set(&f, "k", "new"), RESULT_STORED);
    ck_assert(fixture_has(&f, "k", "new"));
    check_nothing_lives(&f);
    fixture_close(&f);
}
END_TEST

/* Guard: segments with chunks of a value that is not yet published are pinned. Its writer is offline, to make
 * room for more of them, so that no grace period waits for it, and nothing in those segments counts as alive.
 */
START_TEST(drain_against_large_write)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_usage usage;
    char name[32], value[40001], filler[1001];
    memset(value, 'v', sizeof value - 1);
    memset(filler, 'f', sizeof filler - 1);
    value[sizeof value - 1] = filler[sizeof filler - 1] = 0;
    struct helper writer = {.act = act_write, .key = "k", .value = value};
    unsigned i = 0;
    do {
        snprintf(name, sizeof name, "some-%u", i++);
        ck_assert_int_eq(fixture_set(&f, name, filler), RESULT_STORED);
        store_usage_read(f.store, &usage);
    } while (usage.segments_free > SEGMENT_SPARE + 3);
    helper_start_until(&writer, &f, PERTURB_MAKING_ROOM);
    fixture_maintain(&f, HELPER_ROUNDS);
    write_over_freed(&f);
    store_thread_offline(f.thread); /* the writer waits for grace periods of its own */
    helper_release(&writer, PERTURB_MAKING_ROOM);
    store_thread_online(f.thread);
    ck_assert_int_eq(writer.result, RESULT_STORED);
    struct store_key key = fixture_key(&f, "k");
    struct store_view view;
    const char *data;
    ck_assert_int_eq(store_get(f.thread, &key, &view, NULL), RESULT_HIT);
    for (size_t at = 0, part; at < view.size; at += part) {
        part = store_view_part(&view, at, &data);
        ck_assert(part > 0 && memcmp(data, value + at, part) == 0);
    }
    check_nothing_lives(&f);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    TCase *tcase;
    Suite *suite = hazards_suite("store hazards: writes", &tcase);
    tcase_add_test(tcase, cas_against_set);
    tcase_add_test(tcase, cas_against_delete);
    tcase_add_test(tcase, set_against_set);
    tcase_add_test(tcase, set_against_delete);
    tcase_add_test(tcase, add_against_add);
    tcase_add_test(tcase, replace_against_delete);
    tcase_add_test(tcase, increment_against_increment);
    tcase_add_test(tcase, increment_against_delete);
    tcase_add_test(tcase, append_against_append);
    tcase_add_test(tcase, prepend_against_overwrite);
    tcase_add_test(tcase, touch_against_overwrite);
    tcase_add_test(tcase, touch_against_delete);
    tcase_add_test(tcase, increment_against_copy);
    tcase_add_test(tcase, increment_against_touch);
    tcase_add_test(tcase, append_against_touch);
    tcase_add_test(tcase, flush_against_write);
    tcase_add_test(tcase, flush_against_flush);
    tcase_add_test(tcase, drain_against_write);
    tcase_add_test(tcase, limit_change_against_write);
    tcase_add_test(tcase, drain_against_large_write);
    TCase *many = hazards_of_many(suite);
    tcase_add_test(many, flush_against_flush);
    return fixture_run(suite);
}
