/* Ghosts: who is remembered, for how long and as what; and the border between the pools that follows them. */
#include "check_store.h"

#include "base/hash.h"
#include "store/store_priv.h"

#define RING_SMALL 27u /* ghosts.c: in a line */
#define RING_MAIN  4u

/* A store whose table of ghosts is there: as the first eviction makes it. */
static struct fixture fixture_with_ghosts(void)
{
    struct fixture f = fixture_of_size(4 * MIB);
    ghosts_settle(f.store);
    ck_assert_uint_gt(ghosts_size(f.store), 0);
    return f;
}

/* Hashes that share a line and nothing else: the line is chosen by bits 16 to 47, the print is above. */
static uint64_t neighbour(unsigned i)
{
    return (uint64_t)(2 * i + 2) << 48;
}

START_TEST(without_an_eviction_there_are_no_ghosts)
{
    struct fixture f = fixture_of_size(4 * MIB);
    ck_assert_uint_eq(ghosts_size(f.store), 0);
    ghosts_add(f.store, neighbour(1), GHOST_SMALL);
    ck_assert_int_eq(ghosts_take(f.store, neighbour(1)), GHOST_NONE);
    fixture_close(&f);
}
END_TEST

START_TEST(a_ghost_tells_how_its_key_left_and_does_so_once)
{
    static const enum ghost told[][2] = {
        {GHOST_SMALL, GHOST_SMALL_LATEST}, {GHOST_MAIN, GHOST_MAIN}, {GHOST_DIED, GHOST_DIED}};
    struct fixture f = fixture_with_ghosts();
    ghosts_add(f.store, neighbour(1), told[_i][0]);
    ck_assert_int_eq(ghosts_take(f.store, neighbour(2)), GHOST_NONE);
    ck_assert_int_eq(ghosts_take(f.store, neighbour(1)), told[_i][1]);
    ck_assert_int_eq(ghosts_take(f.store, neighbour(1)), GHOST_NONE);
    fixture_close(&f);
}
END_TEST

START_TEST(a_print_of_zero_is_a_ghost_too)
{
    struct fixture f = fixture_with_ghosts();
    ck_assert_int_eq(ghosts_take(f.store, 0), GHOST_NONE);
    ghosts_add(f.store, 0, GHOST_SMALL);
    ck_assert_int_eq(ghosts_take(f.store, 0), GHOST_SMALL_LATEST);
    fixture_close(&f);
}
END_TEST

START_TEST(the_oldest_of_a_line_makes_way)
{
    struct fixture f = fixture_with_ghosts();
    for (unsigned i = 0; i <= RING_SMALL; i++)
        ghosts_add(f.store, neighbour(i), GHOST_SMALL);
    ck_assert_int_eq(ghosts_take(f.store, neighbour(0)), GHOST_NONE);
    for (unsigned i = 1; i <= RING_SMALL; i++)
        ck_assert_int_ne(ghosts_take(f.store, neighbour(i)), GHOST_NONE);
    fixture_close(&f);
}
END_TEST

START_TEST(small_counts_as_latest_as_long_as_main_remembers)
{
    struct fixture f = fixture_with_ghosts();
    for (unsigned i = 0; i <= RING_MAIN; i++)
        ghosts_add(f.store, neighbour(i), GHOST_SMALL);
    ck_assert_int_eq(ghosts_take(f.store, neighbour(0)), GHOST_SMALL);
    for (unsigned i = 1; i <= RING_MAIN; i++)
        ck_assert_int_eq(ghosts_take(f.store, neighbour(i)), GHOST_SMALL_LATEST);
    for (unsigned i = 0; i <= RING_MAIN; i++)
        ghosts_add(f.store, neighbour(i), GHOST_MAIN);
    ck_assert_int_eq(ghosts_take(f.store, neighbour(0)), GHOST_NONE);
    for (unsigned i = 1; i <= RING_MAIN; i++)
        ck_assert_int_eq(ghosts_take(f.store, neighbour(i)), GHOST_MAIN);
    fixture_close(&f);
}
END_TEST

START_TEST(ghosts_of_main_drive_out_none_of_small)
{
    struct fixture f = fixture_with_ghosts();
    ghosts_add(f.store, neighbour(0), GHOST_SMALL);
    for (unsigned i = 1; i < 100; i++)
        ghosts_add(f.store, neighbour(i), GHOST_MAIN);
    ck_assert_int_eq(ghosts_take(f.store, neighbour(0)), GHOST_SMALL_LATEST);
    fixture_close(&f);
}
END_TEST

static void set_many(struct fixture *f, unsigned count)
{
    char name[24];
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "key-%u", i);
        ck_assert_int_eq(fixture_set(f, name, "v"), RESULT_STORED);
    }
}

START_TEST(there_is_room_for_as_many_as_there_are_items)
{
    struct fixture f = fixture_with_ghosts();
    size_t before = ghosts_size(f.store);
    set_many(&f, 20000);
    ghosts_settle(f.store);
    ck_assert_uint_ge(ghosts_size(f.store), 20000 / RING_SMALL * 64);
    ck_assert_uint_gt(ghosts_size(f.store), before);
    store_flush(f.thread, 0);
    fixture_maintain(&f, 50);
    ghosts_settle(f.store);
    ck_assert_uint_eq(ghosts_size(f.store), before);
    fixture_close(&f);
}
END_TEST

/* ---- the pool that a key enters ---- */

START_TEST(what_main_threw_out_starts_over_and_the_rest_goes_to_main)
{
    static const enum ghost ghosts[] = {GHOST_SMALL, GHOST_DIED, GHOST_MAIN};
    struct fixture f = fixture_with_ghosts();
    ck_assert_int_eq(pools_admit(f.thread, neighbour(1), STORE_NEVER_S), POOL_SMALL);
    ghosts_add(f.store, neighbour(1), ghosts[_i]);
    ck_assert_int_eq(pools_admit(f.thread, neighbour(1), STORE_NEVER_S),
                     ghosts[_i] == GHOST_MAIN ? POOL_SMALL : POOL_MAIN);
    fixture_close(&f);
}
END_TEST

static unsigned pool_of(struct fixture *f, const char *name)
{
    struct found found;
    struct store_key key = fixture_key(f, name);
    ck_assert(index_find(f->store, &key, &found));
    return atomic_load_explicit(&segment_of(f->store, slot_location(found.value))->pool,
                                memory_order_relaxed);
}

/* In main, since its ghost says that small threw it out. */
static void set_in_main(struct fixture *f, const char *name, uint32_t expiry_s)
{
    ghosts_add(f->store, hash_bytes(name, strlen(name), f->store->hash_seed), GHOST_SMALL);
    ck_assert_int_eq(fixture_write(f, STORE_SET, name, "value", expiry_s), RESULT_STORED);
    ck_assert_uint_eq(pool_of(f, name), POOL_MAIN);
}

START_TEST(what_expired_in_main_comes_back_there)
{
    struct fixture f = fixture_with_ghosts();
    set_in_main(&f, "popular", clock_s() + 10);
    ck_assert_int_eq(fixture_write(&f, STORE_SET, "new", "value", clock_s() + 10), RESULT_STORED);
    clock_freeze_for_test(clock_s() + 11);
    ck_assert(!fixture_has(&f, "popular", "value"));
    ck_assert(!fixture_has(&f, "new", "value"));
    fixture_set(&f, "popular", "again");
    fixture_set(&f, "new", "again");
    ck_assert_uint_eq(pool_of(&f, "popular"), POOL_MAIN);
    ck_assert_uint_eq(pool_of(&f, "new"), POOL_SMALL);
    fixture_close(&f);
}
END_TEST

START_TEST(what_was_deleted_in_main_comes_back_there)
{
    struct fixture f = fixture_with_ghosts();
    set_in_main(&f, "popular", STORE_NEVER_S);
    struct store_key key = fixture_key(&f, "popular");
    ck_assert_int_eq(store_delete(f.thread, &key, 0), RESULT_DELETED);
    fixture_set(&f, "popular", "again");
    ck_assert_uint_eq(pool_of(&f, "popular"), POOL_MAIN);
    fixture_close(&f);
}
END_TEST

/* ---- the border ---- */

/* As many decisions as make the border move by a part, and ghosts of this kind met before each. */
static double share_after(struct fixture *f, enum ghost ghost, uint32_t expiry_s)
{
    for (unsigned i = 0; i < 50; i++) {
        for (unsigned at = 0; ghost != GHOST_NONE && at < 100; at++) {
            ghosts_add(f->store, neighbour(at), ghost);
            pools_admit(f->thread, neighbour(at), expiry_s);
        }
        pools_next(f->store);
    }
    return f->store->border.small_extra;
}

static struct fixture fixture_with_items(void)
{
    struct fixture f = fixture_with_ghosts();
    set_many(&f, 20000);
    return f;
}

START_TEST(small_grows_where_what_it_threw_out_comes_back)
{
    struct fixture f = fixture_with_items();
    double idle = share_after(&f, GHOST_NONE, STORE_NEVER_S);
    double grown = share_after(&f, GHOST_SMALL, STORE_NEVER_S);
    ck_assert_double_eq(idle, 0);
    ck_assert_double_gt(grown, 0.1);
    ck_assert_double_le(grown, 0.8);
    fixture_close(&f);
}
END_TEST

START_TEST(small_shrinks_to_a_tenth_where_what_main_threw_out_comes_back)
{
    struct fixture f = fixture_with_items();
    double grown = share_after(&f, GHOST_SMALL, STORE_NEVER_S);
    double shrunk = share_after(&f, GHOST_MAIN, STORE_NEVER_S);
    ck_assert_double_lt(shrunk, grown);
    for (unsigned i = 0; i < 20; i++)
        shrunk = share_after(&f, GHOST_MAIN, STORE_NEVER_S);
    ck_assert_double_eq(shrunk, 0);
    fixture_close(&f);
}
END_TEST

START_TEST(a_brief_item_weighs_more_than_a_lasting_one)
{
    struct fixture brief = fixture_with_ghosts(), lasting = fixture_with_ghosts();
    atomic_store_explicit(&brief.store->brief_s, 100, memory_order_relaxed);
    atomic_store_explicit(&lasting.store->brief_s, 100, memory_order_relaxed);
    ghosts_add(brief.store, neighbour(1), GHOST_SMALL);
    ghosts_add(lasting.store, neighbour(1), GHOST_SMALL);
    pools_admit(brief.thread, neighbour(1), clock_s() + 99);
    pools_admit(lasting.thread, neighbour(1), clock_s() + 100);
    ck_assert_uint_eq(threads_pulls(brief.store).small, 4 * threads_pulls(lasting.store).small);
    fixture_close(&brief);
    fixture_close(&lasting);
}
END_TEST

START_TEST(what_a_thread_told_is_kept_when_it_ends)
{
    struct fixture f = fixture_with_ghosts();
    struct store_thread *other = store_thread_create(f.store, metrics_block_create(f.metrics));
    ghosts_add(f.store, neighbour(1), GHOST_MAIN);
    pools_admit(other, neighbour(1), STORE_NEVER_S);
    uint64_t told = threads_pulls(f.store).main;
    ck_assert_uint_gt(told, 0);
    store_thread_destroy(other);
    ck_assert_uint_eq(threads_pulls(f.store).main, told);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_ghosts");
    TCase *tcase = tcase_create("ghosts");
    tcase_add_test(tcase, without_an_eviction_there_are_no_ghosts);
    tcase_add_loop_test(tcase, a_ghost_tells_how_its_key_left_and_does_so_once, 0, 3);
    tcase_add_test(tcase, a_print_of_zero_is_a_ghost_too);
    tcase_add_test(tcase, the_oldest_of_a_line_makes_way);
    tcase_add_test(tcase, small_counts_as_latest_as_long_as_main_remembers);
    tcase_add_test(tcase, ghosts_of_main_drive_out_none_of_small);
    tcase_add_test(tcase, there_is_room_for_as_many_as_there_are_items);
    tcase_add_loop_test(tcase, what_main_threw_out_starts_over_and_the_rest_goes_to_main, 0, 3);
    tcase_add_test(tcase, what_expired_in_main_comes_back_there);
    tcase_add_test(tcase, what_was_deleted_in_main_comes_back_there);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("border");
    tcase_add_test(tcase, small_grows_where_what_it_threw_out_comes_back);
    tcase_add_test(tcase, small_shrinks_to_a_tenth_where_what_main_threw_out_comes_back);
    tcase_add_test(tcase, a_brief_item_weighs_more_than_a_lasting_one);
    tcase_add_test(tcase, what_a_thread_told_is_kept_when_it_ends);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
