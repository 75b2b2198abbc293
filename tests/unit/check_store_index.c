/* The index: growth and shrinking bucket by bucket, overflow, ghosts. */
#include "check_store.h"
#include "store/index_priv.h"

#define INDEX_STORES 4u

static void name_of(char out[24], unsigned i)
{
    snprintf(out, 24, "key-%u", i);
}

static bool is_there(struct fixture *f, unsigned i)
{
    char name[24];
    name_of(name, i);
    return fixture_has(f, name, name);
}

/* One check for all of them: each is a message to another process. */
static void check_all(struct fixture *f, unsigned count)
{
    unsigned i = 0;
    while (i < count && is_there(f, i))
        i++;
    ck_assert_msg(i == count, "key-%u is gone", i);
}

static void set_range(struct fixture *f, unsigned from, unsigned to)
{
    char name[24];
    unsigned stored = 0;
    for (unsigned i = from; i < to; i++) {
        name_of(name, i);
        stored += fixture_set(f, name, name) == RESULT_STORED;
    }
    ck_assert_uint_eq(stored, to - from);
}

START_TEST(a_hash_leads_to_one_bucket_whatever_the_count)
{
    for (uint64_t count = 64; count < 1100; count++)
        for (uint64_t hash = 0; hash < 4096; hash += 7) {
            uint64_t bucket = index_bucket_of(count, hash);
            ck_assert_uint_lt(bucket, count);
            uint64_t next = index_bucket_of(count + 1, hash);
            ck_assert(next == bucket || next == count); /* a split moves keys to the new bucket only */
        }
}
END_TEST

START_TEST(growing_keeps_every_key)
{
    struct fixture f = fixture_of_size(64 * MIB);
    struct store_usage usage;
    uint64_t before = 0;
    for (unsigned round = 0; round < 20; round++) {
        set_range(&f, round * 5000, (round + 1) * 5000);
        fixture_maintain(&f, 1);
        check_all(&f, (round + 1) * 5000);
        store_usage_read(f.store, &usage);
        ck_assert_uint_ge(usage.bucket_count, before);
        before = usage.bucket_count;
    }
    fixture_maintain(&f, 10);
    store_usage_read(f.store, &usage);
    ck_assert_uint_ge(usage.bucket_count * 64, 100000 * 10 - 64);
    ck_assert(!usage.growing);
    check_all(&f, 100000);
    fixture_close(&f);
}
END_TEST

START_TEST(keys_beyond_their_bucket_are_found_before_the_index_has_grown)
{
    struct fixture f = fixture_of_size(64 * MIB);
    struct store_usage usage;
    set_range(&f, 0, 100000); /* no maintainer: chains of overflow buckets */
    check_all(&f, 100000);
    store_usage_read(f.store, &usage);
    ck_assert_uint_gt(usage.index_size, usage.bucket_count * sizeof(struct bucket));
    fixture_close(&f);
}
END_TEST

/* Splits reach a bucket one after the other, so that some hold twice the items of others; what they cannot
 * hold lies in overflow buckets of half a line. How many of those there are varies with the hash seed, by
 * 0.014 bytes an item (one standard deviation, 200 seeds), around 12.68 in the worst phase: so the mean of
 * stores with seeds given, the same in each run. */
START_TEST(the_index_takes_few_bytes_an_item_in_every_phase_of_growth)
{
    struct fixture f[INDEX_STORES];
    for (unsigned i = 0; i < INDEX_STORES; i++)
        f[i] = fixture_open((struct store_config){.memory_size = 64 * MIB, .hash_seed = i + 1});
    for (unsigned count = 5000; count <= 200000; count += 5000) {
        size_t index_size = 0;
        for (unsigned i = 0; i < INDEX_STORES; i++) {
            struct store_usage usage;
            set_range(&f[i], count - 5000, count);
            fixture_maintain(&f[i], 2);
            store_usage_read(f[i].store, &usage);
            ck_assert(!usage.growing);
            index_size += usage.index_size;
        }
        if (count >= 100000)
            ck_assert_msg(index_size * 10 <= INDEX_STORES * count * 127ull,
                          "%zu bytes for %u items in each of %u", index_size, count, INDEX_STORES);
    }
    for (unsigned i = 0; i < INDEX_STORES; i++)
        fixture_close(&f[i]);
}
END_TEST

START_TEST(chains_close_up_when_items_go_from_their_middle)
{
    struct fixture f = fixture_of_size(64 * MIB);
    struct store_usage full, half;
    char name[24];
    set_range(&f, 0, 80000); /* no maintainer: long chains */
    store_usage_read(f.store, &full);
    for (unsigned i = 0; i < 80000; i++) {
        name_of(name, i);
        if (i % 4 != 0)
            ck_assert_int_eq(fixture_delete(&f, name), RESULT_DELETED);
    }
    fixture_maintain(&f, 2); /* gives overflow pages back; so few items are left that no bucket is split */
    store_usage_read(f.store, &half);
    ck_assert_uint_eq(half.bucket_count, full.bucket_count);
    ck_assert_uint_lt(half.index_size - half.bucket_count * sizeof(struct bucket),
                      (full.index_size - full.bucket_count * sizeof(struct bucket)) / 6);
    for (unsigned i = 0; i < 80000; i += 4) {
        name_of(name, i);
        ck_assert_msg(fixture_has(&f, name, name), "%s is gone", name);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(shrinking_keeps_every_key_that_is_left_and_gives_memory_back)
{
    struct fixture f = fixture_of_size(64 * MIB);
    struct store_usage grown, shrunk;
    char name[24];
    set_range(&f, 0, 200000);
    fixture_maintain(&f, 30);
    store_usage_read(f.store, &grown);
    for (unsigned i = 1000; i < 200000; i++) {
        name_of(name, i);
        ck_assert_int_eq(fixture_delete(&f, name), RESULT_DELETED);
        if (i % 20000 == 0)
            fixture_maintain(&f, 1);
    }
    fixture_maintain(&f, 40);
    store_usage_read(f.store, &shrunk);
    ck_assert_uint_lt(shrunk.bucket_count * 4, grown.bucket_count);
    ck_assert_uint_lt(shrunk.index_size * 2, grown.index_size);
    check_all(&f, 1000);
    set_range(&f, 1000, 50000);
    check_all(&f, 50000);
    fixture_close(&f);
}
END_TEST

START_TEST(ghosts_make_no_chain_longer)
{
    struct fixture f = fixture_of_size(64 * MIB);
    struct store_usage first, second;
    char name[24];
    set_range(&f, 0, 60000); /* no maintainer: no bucket is split */
    store_usage_read(f.store, &first);
    for (unsigned i = 0; i < 60000; i++) {
        name_of(name, i);
        ck_assert_int_eq(fixture_delete(&f, name), RESULT_DELETED);
    }
    set_range(&f, 60000, 120000); /* among the ghosts of the others */
    store_usage_read(f.store, &second);
    ck_assert_uint_eq(second.bucket_count, first.bucket_count);
    ck_assert_uint_le(second.index_size * 100, first.index_size * 103);
    fixture_close(&f);
}
END_TEST

START_TEST(a_ghost_gives_way_to_the_item_of_its_key)
{
    struct fixture f = fixture_of_size(MIB);
    for (unsigned i = 0; i < 10; i++) {
        fixture_set(&f, "k", "v");
        ck_assert(fixture_has(&f, "k", "v"));
        fixture_delete(&f, "k");
        ck_assert_int_eq(fixture_miss(&f, "k"), STORE_MISS_DELETED);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(ghosts_survive_growth)
{
    struct fixture f = fixture_of_size(64 * MIB);
    unsigned deleted = 0;
    char name[24];
    set_range(&f, 0, 2000);
    fixture_maintain(&f, 2);
    for (unsigned i = 0; i < 2000; i++) {
        name_of(name, i);
        fixture_delete(&f, name);
    }
    set_range(&f, 2000, 30000);
    fixture_maintain(&f, 5);
    for (unsigned i = 0; i < 2000; i++) {
        name_of(name, i);
        deleted += fixture_miss(&f, name) == STORE_MISS_DELETED;
    }
    ck_assert_uint_gt(deleted, 100); /* many were overwritten, but not all, and those that stayed are right */
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store index");
    TCase *tcase = tcase_create("index");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, a_hash_leads_to_one_bucket_whatever_the_count);
    tcase_add_test(tcase, growing_keeps_every_key);
    tcase_add_test(tcase, keys_beyond_their_bucket_are_found_before_the_index_has_grown);
    tcase_add_test(tcase, the_index_takes_few_bytes_an_item_in_every_phase_of_growth);
    tcase_add_test(tcase, chains_close_up_when_items_go_from_their_middle);
    tcase_add_test(tcase, shrinking_keeps_every_key_that_is_left_and_gives_memory_back);
    tcase_add_test(tcase, ghosts_make_no_chain_longer);
    tcase_add_test(tcase, a_ghost_gives_way_to_the_item_of_its_key);
    tcase_add_test(tcase, ghosts_survive_growth);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
