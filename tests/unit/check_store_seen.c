/* What store_prefetch saw of a key is a hint: right for nearly all of them, wherever in its chain an item
 * lies; and whatever has become of the item since, a key is answered as things are. */
#include "check_store.h"
#include "store/find_priv.h"

/* Nine for each of the buckets that there are before the maintainer has split any. */
#define COUNT (576u * BATCH)
#define BATCH STORE_PREFETCH_MAX

struct keys {
    struct store_key *key;
    char (*name)[16];
};

static struct keys keys_make(struct fixture *f)
{
    struct keys keys = {calloc(COUNT, sizeof *keys.key), calloc(COUNT, sizeof *keys.name)};
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(keys.name[i], sizeof keys.name[i], "key-%u", i);
        keys.key[i] = fixture_key(f, keys.name[i]);
    }
    return keys;
}

static void keys_drop(struct keys *keys)
{
    free(keys->key);
    free(keys->name);
}

static void keys_see(struct fixture *f, struct keys *keys)
{
    for (unsigned i = 0; i < COUNT; i += BATCH)
        store_prefetch(f->thread, keys->key + i, BATCH);
}

/* By a key of its own, that knows of no slot; or by the one that does. */
static bool set_key(struct fixture *f, const struct keys *keys, unsigned i, const char *value, bool seen)
{
    struct store_key key = fixture_key(f, keys->name[i]);
    struct store_set set = {.key = seen ? &keys->key[i] : &key,
                            .value = value,
                            .size = (uint32_t)strlen(value),
                            .expiry_s = STORE_NEVER_S};
    return store_set(f->thread, &set, NULL) == RESULT_STORED;
}

static void set_all(struct fixture *f, const struct keys *keys, const char *value)
{
    unsigned stored = 0;
    for (unsigned i = 0; i < COUNT; i++)
        stored += set_key(f, keys, i, value, false);
    ck_assert_uint_eq(stored, COUNT);
}

static bool is_of_key(struct fixture *f, const struct store_key *key)
{
    return key->seen && item_has_key(item_at(f->store, slot_location(slot_load(key->seen))), key);
}

static bool is_in_overflow(struct fixture *f, const struct store_key *key)
{
    uint64_t count = atomic_load(&f->store->bucket_count);
    const char *slot = (const char *)key->seen, *first = (const char *)f->store->buckets;
    return slot && (slot < first || slot >= first + count * sizeof(struct bucket));
}

/* Nine items a bucket lie in chains of up to five; tags of twelve bits are taken for another's now and then.
 */
START_TEST(items_are_seen_along_their_chains)
{
    struct fixture f = fixture_of_size(64 * MIB);
    struct keys keys = keys_make(&f);
    unsigned right = 0, behind = 0;
    set_all(&f, &keys, "v");
    keys_see(&f, &keys);
    for (unsigned i = 0; i < COUNT; i++) {
        right += is_of_key(&f, &keys.key[i]);
        behind += is_in_overflow(&f, &keys.key[i]);
    }
    ck_assert_msg(right * 100 >= COUNT * 98, "%u of %u", right, COUNT);
    ck_assert_msg(behind * 100 >= COUNT * 20, "%u of %u lie in overflow buckets", behind, COUNT);
    keys_drop(&keys);
    fixture_close(&f);
}
END_TEST

static void answer_check(const struct store_hit *hit, unsigned i)
{
    static const char *const wanted[] = {NULL, "other", "v", "v"};
    const char *value = wanted[i % 4];
    if (value)
        ck_assert_msg(hit->value && hit->size == strlen(value) && memcmp(hit->value, value, hit->size) == 0,
                      "key-%u is not as it was stored", i);
    else
        ck_assert_msg(!hit->value, "key-%u was deleted", i);
}

static void answers_check(struct fixture *f, struct keys *keys)
{
    struct store_hit hits[BATCH];
    for (unsigned i = 0; i < COUNT; i += BATCH) {
        ck_assert_uint_eq(store_get_many(f->thread, keys->key + i, BATCH, MIB, 64, hits), BATCH);
        for (unsigned j = 0; j < BATCH; j++)
            answer_check(&hits[j], i + j);
    }
}

/* A quarter of the items goes, a quarter is overwritten, others take the slots, then buckets are split and
 * chains drawn together. */
static void change_all(struct fixture *f, struct keys *keys)
{
    char other[24];
    for (unsigned i = 0; i < COUNT; i += 4) {
        ck_assert_int_eq(fixture_delete(f, keys->name[i]), RESULT_DELETED);
        ck_assert(set_key(f, keys, i + 1, "other", false));
    }
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(other, sizeof other, "other-%u", i);
        ck_assert_int_eq(fixture_set(f, other, "v"), RESULT_STORED);
    }
}

START_TEST(keys_are_answered_as_things_are_and_not_as_they_were_seen)
{
    struct fixture f = fixture_of_size(64 * MIB);
    struct keys keys = keys_make(&f);
    set_all(&f, &keys, "v");
    keys_see(&f, &keys);
    change_all(&f, &keys);
    answers_check(&f, &keys);
    fixture_maintain(&f, 5);
    answers_check(&f, &keys);
    keys_drop(&keys);
    fixture_close(&f);
}
END_TEST

START_TEST(a_write_where_another_was_seen_leaves_one_item_a_key)
{
    struct fixture f = fixture_of_size(64 * MIB);
    struct keys keys = keys_make(&f);
    struct store_usage usage;
    unsigned deleted = 0;
    set_all(&f, &keys, "v");
    keys_see(&f, &keys);
    change_all(&f, &keys);
    for (unsigned i = 0; i < COUNT; i++) {
        if (i == COUNT / 2)
            fixture_maintain(&f, 5);
        ck_assert(set_key(&f, &keys, i, "new", true));
    }
    store_usage_read(f.store, &usage);
    ck_assert_uint_eq(usage.item_count, 2 * COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        deleted += store_delete(f.thread, &keys.key[i], 0) == RESULT_DELETED;
    ck_assert_uint_eq(deleted, COUNT);
    for (unsigned i = 0; i < COUNT; i += 97)
        fixture_miss(&f, keys.name[i]);
    keys_drop(&keys);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store seen");
    TCase *tcase = tcase_create("seen");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, items_are_seen_along_their_chains);
    tcase_add_test(tcase, keys_are_answered_as_things_are_and_not_as_they_were_seen);
    tcase_add_test(tcase, a_write_where_another_was_seen_leaves_one_item_a_key);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
