/* Hazards of the maintainer's copies: it copies an item while no lock is held, and what the others do to the
 * item meanwhile must win. In each test the maintainer stands between copying and looking again. */
#include "hazards.h"

static struct helper compaction_of(struct fixture *f, const char *name, const char *value, uint32_t expiry_s)
{
    struct helper maintainer = {0};
    set_lonely(f, name, value, expiry_s);
    return maintainer;
}

/* Guard: drain_item's second look at the slot. Without it the slot is set to the copy: the key comes back. */
START_TEST(copy_against_delete)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper maintainer = compaction_of(&f, "k", "v", STORE_NEVER_S);
    maintain_until(&maintainer, &f, PERTURB_ITEM_COPIED);
    ck_assert_int_eq(fixture_delete(&f, "k"), RESULT_DELETED);
    maintain_on(&maintainer, &f, PERTURB_ITEM_COPIED);
    ck_assert_int_eq(fixture_miss(&f, "k"), STORE_MISS_DELETED);
    fixture_close(&f);
}
END_TEST

/* Guard: the second look goes by location, not by key. By key the old value takes the new one's place. */
START_TEST(copy_against_overwrite)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper maintainer = compaction_of(&f, "k", "old", STORE_NEVER_S);
    maintain_until(&maintainer, &f, PERTURB_ITEM_COPIED);
    ck_assert_int_eq(fixture_set(&f, "k", "new"), RESULT_STORED);
    maintain_on(&maintainer, &f, PERTURB_ITEM_COPIED);
    ck_assert(fixture_has(&f, "k", "new"));
    fixture_close(&f);
}
END_TEST

/* Guard: as in both before, with a ghost of the key in between. */
START_TEST(copy_against_delete_and_set)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper maintainer = compaction_of(&f, "k", "old", STORE_NEVER_S);
    maintain_until(&maintainer, &f, PERTURB_ITEM_COPIED);
    ck_assert_int_eq(fixture_delete(&f, "k"), RESULT_DELETED);
    ck_assert_int_eq(fixture_set(&f, "k", "new"), RESULT_STORED);
    maintain_on(&maintainer, &f, PERTURB_ITEM_COPIED);
    ck_assert(fixture_has(&f, "k", "new"));
    ck_assert_int_eq(fixture_delete(&f, "k"), RESULT_DELETED);
    ck_assert_int_eq(fixture_miss(&f, "k"), STORE_MISS_DELETED);
    fixture_close(&f);
}
END_TEST

/* Guard: the same second look: an incremented number is a new item. */
START_TEST(copy_against_increment)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper maintainer = compaction_of(&f, "k", "41", STORE_NEVER_S);
    maintain_until(&maintainer, &f, PERTURB_ITEM_COPIED);
    ck_assert_int_eq(fixture_increment(&f, "k"), RESULT_HIT);
    maintain_on(&maintainer, &f, PERTURB_ITEM_COPIED);
    ck_assert(fixture_has(&f, "k", "42"));
    fixture_close(&f);
}
END_TEST

/* Guard: record_refresh, the expiry. Without it the touch is lost, and the item lives as long as before. */
START_TEST(copy_against_touch)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_view view;
    struct store_key key = fixture_key(&f, "k");
    struct helper maintainer = compaction_of(&f, "k", "v", 1000);
    maintain_until(&maintainer, &f, PERTURB_ITEM_COPIED);
    uint64_t before = location_of(&f, "k");
    ck_assert_int_eq(store_touch(f.thread, &key, 500, &view), RESULT_HIT);
    ck_assert_uint_eq(location_of(&f, "k"), before); /* in place: the copy cannot have it yet */
    maintain_on(&maintainer, &f, PERTURB_ITEM_COPIED);
    ck_assert_uint_ne(location_of(&f, "k"), before);
    ck_assert_int_eq(store_peek(f.thread, &key, &view), RESULT_HIT);
    ck_assert_uint_eq(view.expiry_s, 500);
    clock_freeze_for_test(499);
    ck_assert(fixture_has(&f, "k", "v"));
    clock_freeze_for_test(500);
    ck_assert_int_eq(fixture_miss(&f, "k"), STORE_MISS_EXPIRED);
    fixture_close(&f);
}
END_TEST

/* Guard: record_refresh, the state. Without it the copy says that nobody has read it. */
START_TEST(copy_against_get)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_view view;
    struct store_key key = fixture_key(&f, "k");
    struct helper maintainer = compaction_of(&f, "k", "v", STORE_NEVER_S);
    maintain_until(&maintainer, &f, PERTURB_ITEM_COPIED);
    ck_assert(fixture_has(&f, "k", "v"));
    maintain_on(&maintainer, &f, PERTURB_ITEM_COPIED);
    ck_assert_int_eq(store_peek(f.thread, &key, &view), RESULT_HIT);
    ck_assert(view.fetched);
    fixture_close(&f);
}
END_TEST

/* Guard: a reader asks the item itself, wherever it lies; the move counts nothing as removed. */
START_TEST(expiry_against_copy)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper maintainer = compaction_of(&f, "k", "v", 200);
    maintain_until(&maintainer, &f, PERTURB_ITEM_COPIED);
    clock_freeze_for_test(200);
    maintain_on(&maintainer, &f, PERTURB_ITEM_COPIED);
    ck_assert_int_eq(fixture_miss(&f, "k"), STORE_MISS_EXPIRED);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_removed_expired), 1);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_removed_evicted), 0);
    fixture_close(&f);
}
END_TEST

/* Guard: removal_of_dead goes by location. By key, a reader that found the old item dead takes the new one
 * away. */
START_TEST(expiry_against_overwrite)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper reader = {.act = act_get, .key = "k"};
    ck_assert_int_eq(fixture_write(&f, STORE_SET, "k", "old", 200), RESULT_STORED);
    clock_freeze_for_test(200);
    helper_start_until(&reader, &f, PERTURB_GET_DEAD);
    ck_assert_int_eq(fixture_set(&f, "k", "new"), RESULT_STORED);
    helper_release(&reader, PERTURB_GET_DEAD);
    ck_assert_int_eq(reader.result, RESULT_MISS);
    ck_assert(fixture_has(&f, "k", "new"));
    fixture_close(&f);
}
END_TEST

/* Guard: the copy keeps its item's sequence, so that a flush of that moment holds for it too. */
START_TEST(flush_against_copy)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper maintainer = compaction_of(&f, "k", "v", STORE_NEVER_S);
    maintain_until(&maintainer, &f, PERTURB_ITEM_COPIED);
    store_flush(f.thread, 0);
    maintain_on(&maintainer, &f, PERTURB_ITEM_COPIED);
    ck_assert_int_eq(fixture_miss(&f, "k"), STORE_MISS_FLUSHED);
    fixture_maintain(&f, 4);
    ck_assert_int_eq(fixture_miss(&f, "k"), STORE_MISS_FLUSHED);
    fixture_close(&f);
}
END_TEST

/* ---- chunks of large values ---- */

/* A value of one chunk, in a segment where nothing else is alive: it is compacted, whatever its frequency and
 * whatever eviction thinks of its size. */
static char *set_lonely_large(struct fixture *f)
{
    size_t size = segment_size(f->store) / 8;
    char *value = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        value[i] = (char)('a' + i * 7 % 26);
    value[size] = 0;
    set_lonely(f, "k", value, STORE_NEVER_S);
    ck_assert(item_flags(item_at(f->store, location_of(f, "k"))) & ITEM_LARGE);
    return value;
}

/* Guard: drain_chunk's second look for the item that owns the chunk. Without it a dead item's list leads to
 * the copy, and the segments' live bytes are wrong for ever. */
START_TEST(chunk_copy_against_delete)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper maintainer = {0};
    char *value = set_lonely_large(&f);
    maintain_until(&maintainer, &f, PERTURB_CHUNK_COPIED);
    ck_assert_int_eq(fixture_delete(&f, "k"), RESULT_DELETED);
    maintain_on(&maintainer, &f, PERTURB_CHUNK_COPIED);
    fixture_miss(&f, "k");
    check_nothing_lives(&f);
    free(value);
    fixture_close(&f);
}
END_TEST

/* Guard: the same; the key is there, but its item has no chunks any more. */
START_TEST(chunk_copy_against_overwrite)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper maintainer = {0};
    char *value = set_lonely_large(&f);
    maintain_until(&maintainer, &f, PERTURB_CHUNK_COPIED);
    ck_assert_int_eq(fixture_set(&f, "k", "new"), RESULT_STORED);
    maintain_on(&maintainer, &f, PERTURB_CHUNK_COPIED);
    ck_assert(fixture_has(&f, "k", "new"));
    check_nothing_lives(&f);
    free(value);
    fixture_close(&f);
}
END_TEST

/* Guard: the same, and that the new form of the item is the chunk's owner as soon as its slot is set. */
START_TEST(chunk_copy_against_invalidate)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper maintainer = {0};
    char *value = set_lonely_large(&f);
    struct store_invalidation stale = {.key = fixture_key(&f, "k"), .stale = true};
    maintain_until(&maintainer, &f, PERTURB_CHUNK_COPIED);
    ck_assert_int_eq(store_invalidate(f.thread, &stale), RESULT_OK);
    maintain_on(&maintainer, &f, PERTURB_CHUNK_COPIED);
    fixture_maintain(&f, 8);
    write_over_freed(&f);
    ck_assert(fixture_has(&f, "k", value));
    check_nothing_lives(&f);
    free(value);
    fixture_close(&f);
}
END_TEST

/* Guard: large_share copies the list of chunks with the bucket locked. Copied before, it leads to where the
 * chunk was. */
START_TEST(invalidate_against_chunk_copy)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper maintainer = {0}, invalidator = {.act = act_invalidate, .key = "k"};
    char *value = set_lonely_large(&f);
    maintain_until(&maintainer, &f, PERTURB_CHUNK_COPIED);
    helper_start_until(&invalidator, &f, PERTURB_WRITE_FILLED);
    perturb_hold(PERTURB_ITEM_COPIED, 0); /* the item itself is next, and is to stay where it is */
    perturb_release(PERTURB_CHUNK_COPIED);
    ck_assert(perturb_await(PERTURB_ITEM_COPIED));
    helper_release(&invalidator, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(invalidator.result, RESULT_OK);
    maintain_on(&maintainer, &f, PERTURB_ITEM_COPIED);
    fixture_maintain(&f, 8);
    write_over_freed(&f);
    ck_assert(fixture_has(&f, "k", value));
    check_nothing_lives(&f);
    free(value);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    TCase *tcase;
    Suite *suite = hazards_suite("store hazards: copies", &tcase);
    tcase_add_test(tcase, copy_against_delete);
    tcase_add_test(tcase, copy_against_overwrite);
    tcase_add_test(tcase, copy_against_delete_and_set);
    tcase_add_test(tcase, copy_against_increment);
    tcase_add_test(tcase, copy_against_touch);
    tcase_add_test(tcase, copy_against_get);
    tcase_add_test(tcase, expiry_against_copy);
    tcase_add_test(tcase, expiry_against_overwrite);
    tcase_add_test(tcase, flush_against_copy);
    tcase_add_test(tcase, chunk_copy_against_delete);
    tcase_add_test(tcase, chunk_copy_against_overwrite);
    tcase_add_test(tcase, chunk_copy_against_invalidate);
    tcase_add_test(tcase, invalidate_against_chunk_copy);
    TCase *many = hazards_of_many(suite);
    tcase_add_test(many, expiry_against_overwrite);
    return fixture_run(suite);
}
