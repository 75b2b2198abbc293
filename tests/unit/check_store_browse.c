/* Browsing is complete whatever the index does meanwhile; the memory limit moves both ways, and RSS with it.
 */
#include "check_store.h"

#include <unistd.h>

#define KEPT 3000u

struct walk {
    unsigned seen[KEPT];
    unsigned visits;
};

static void note(void *context, const struct store_view *view)
{
    struct walk *walk = context;
    char name[16] = "";
    ck_assert_uint_lt(view->key_size, sizeof name);
    memcpy(name, view->key, view->key_size);
    walk->visits++;
    if (name[0] == 'k')
        walk->seen[strtoul(name + 1, NULL, 10)]++;
}

static void set_range(struct fixture *f, char kind, unsigned from, unsigned to)
{
    char name[16];
    for (unsigned i = from; i < to; i++) {
        snprintf(name, sizeof name, "%c%u", kind, i);
        ck_assert_int_eq(fixture_set(f, name, name), RESULT_STORED);
    }
}

static void delete_range(struct fixture *f, char kind, unsigned from, unsigned to)
{
    char name[16];
    for (unsigned i = from; i < to; i++) {
        snprintf(name, sizeof name, "%c%u", kind, i);
        fixture_delete(f, name);
    }
}

static void check_complete(const struct walk *walk)
{
    for (unsigned i = 0; i < KEPT; i++)
        ck_assert_msg(walk->seen[i] >= 1, "key %u was not visited", i);
}

START_TEST(a_walk_at_rest_visits_each_key_once)
{
    struct fixture f = fixture_of_size(16 * MIB);
    struct walk walk = {0};
    uint64_t cursor = 0;
    set_range(&f, 'k', 0, KEPT);
    fixture_maintain(&f, 5);
    do
        cursor = store_browse(f.thread, cursor, 10, 4, note, &walk);
    while (cursor != 0);
    check_complete(&walk);
    ck_assert_uint_eq(walk.visits, KEPT);
    fixture_close(&f);
}
END_TEST

START_TEST(a_walk_is_complete_while_the_index_grows)
{
    struct fixture f = fixture_of_size(64 * MIB);
    struct walk walk = {0};
    uint64_t cursor = 0;
    unsigned more = 0;
    set_range(&f, 'k', 0, KEPT);
    do {
        cursor = store_browse(f.thread, cursor, 20, 8, note, &walk);
        if (more < 60000) {
            set_range(&f, 'x', more, more + 500);
            more += 500;
            fixture_maintain(&f, 1);
        }
    } while (cursor != 0);
    check_complete(&walk);
    fixture_close(&f);
}
END_TEST

START_TEST(a_walk_is_complete_while_the_index_shrinks)
{
    struct fixture f = fixture_of_size(64 * MIB);
    struct walk walk = {0};
    uint64_t cursor = 0;
    unsigned at = 0;
    set_range(&f, 'x', 0, 60000);
    set_range(&f, 'k', 0, KEPT);
    fixture_maintain(&f, 20);
    do {
        cursor = store_browse(f.thread, cursor, 20, 8, note, &walk);
        if (at < 60000) {
            delete_range(&f, 'x', at, at + 1000);
            at += 1000;
            fixture_maintain(&f, 1);
        }
    } while (cursor != 0);
    check_complete(&walk);
    fixture_close(&f);
}
END_TEST

START_TEST(a_walk_shows_no_dead_item_and_leaves_no_trace)
{
    struct fixture f = fixture_of_size(MIB);
    struct walk walk = {0};
    set_range(&f, 'k', 0, 100);
    fixture_write(&f, STORE_SET, "k100", "v", 105);
    store_browse(f.thread, 0, UINT32_MAX, UINT32_MAX, note, &walk);
    ck_assert_uint_eq(walk.visits, 101);
    clock_freeze_for_test(105);
    store_browse(f.thread, 0, UINT32_MAX, UINT32_MAX, note, &walk);
    ck_assert_uint_eq(walk.visits, 201);
    struct store_key key = fixture_key(&f, "k1");
    struct store_view view;
    store_peek(f.thread, &key, &view);
    ck_assert(!view.fetched);
    fixture_close(&f);
}
END_TEST

START_TEST(a_walk_does_no_more_than_it_is_asked)
{
    struct fixture f = fixture_of_size(16 * MIB);
    struct walk walk = {0};
    set_range(&f, 'k', 0, KEPT);
    fixture_maintain(&f, 5);
    ck_assert_uint_ne(store_browse(f.thread, 0, 1000, 3, note, &walk), 0);
    ck_assert_uint_lt(walk.visits, 100);
    walk.visits = 0;
    store_browse(f.thread, 0, 10, 1000, note, &walk);
    ck_assert_uint_ge(walk.visits, 10);
    ck_assert_uint_lt(walk.visits, 40);
    fixture_close(&f);
}
END_TEST

/* ---- the limit ---- */

static size_t resident_size(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    ck_assert_int_eq(fscanf(file, "%*u %lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void fill(struct fixture *f, unsigned count)
{
    static char value[1001];
    char name[16];
    memset(value, 'v', sizeof value - 1);
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "x%u", i);
        ck_assert_int_eq(fixture_set(f, name, value), RESULT_STORED);
        if (i % 1000 == 0)
            fixture_maintain(f, 1);
    }
}

START_TEST(raising_the_limit_keeps_more_at_once)
{
    struct fixture f =
        fixture_open((struct store_config){.memory_size = 16 * MIB, .memory_size_max = 64 * MIB});
    struct store_usage before, after;
    fill(&f, 40000);
    store_usage_read(f.store, &before);
    ck_assert(store_memory_limit_set(f.store, 64 * MIB));
    fill(&f, 80000);
    store_usage_read(f.store, &after);
    ck_assert_uint_gt(after.item_count, 3 * before.item_count);
    ck_assert_uint_le(after.used_size, 64 * MIB);
    ck_assert(!store_memory_limit_set(f.store, 65 * MIB));
    ck_assert(!store_memory_limit_set(f.store, MIB / 2));
    fixture_close(&f);
}
END_TEST

START_TEST(lowering_the_limit_gives_memory_back_to_the_system)
{
    struct fixture f = fixture_of_size(128 * MIB);
    struct store_usage usage;
    fill(&f, 140000);
    size_t full = resident_size();
    ck_assert(store_memory_limit_set(f.store, 32 * MIB));
    fixture_maintain(&f, 60);
    store_usage_read(f.store, &usage);
    ck_assert_uint_le(usage.used_size, 32 * MIB);
    ck_assert_uint_gt(usage.item_count, 10000);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    ck_assert_uint_lt(resident_size(), full - 80 * MIB); /* sanitizers keep shadows of what was */
#endif
    (void)full;
    fill(&f, 40000);
    store_usage_read(f.store, &usage);
    ck_assert_uint_le(usage.used_size, 32 * MIB);
    fixture_close(&f);
}
END_TEST

START_TEST(an_idle_store_takes_little_memory)
{
    size_t before = resident_size();
    struct fixture f = fixture_of_size(1024 * MIB);
    ck_assert_uint_lt(resident_size() - before, 16 * MIB);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store browse");
    TCase *tcase = tcase_create("browse");
    tcase_set_timeout(tcase, 240);
    tcase_add_test(tcase, a_walk_at_rest_visits_each_key_once);
    tcase_add_test(tcase, a_walk_is_complete_while_the_index_grows);
    tcase_add_test(tcase, a_walk_is_complete_while_the_index_shrinks);
    tcase_add_test(tcase, a_walk_shows_no_dead_item_and_leaves_no_trace);
    tcase_add_test(tcase, a_walk_does_no_more_than_it_is_asked);
    tcase_add_test(tcase, raising_the_limit_keeps_more_at_once);
    tcase_add_test(tcase, lowering_the_limit_gives_memory_back_to_the_system);
    tcase_add_test(tcase, an_idle_store_takes_little_memory);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
