/* Gets of many keys at once: they find what single gets find, count what those count, and stop where they
 * are to. */
#include "check_store.h"
#include "store/find_priv.h"

#define FRAME 64u
#define MANY  STORE_PREFETCH_MAX

static void keys_set(struct fixture *f, struct store_key *keys, unsigned count,
                     char (*names)[STORE_KEY_SIZE_MAX + 1])
{
    for (unsigned i = 0; i < count; i++)
        keys[i] = (struct store_key){.data = names[i], .size = (uint32_t)strlen(names[i])};
    store_hash_keys(f->store, keys, count);
}

static char names[MANY][STORE_KEY_SIZE_MAX + 1];

static void set_with(struct fixture *f, const char *name, size_t size, uint32_t flags, uint32_t expiry_s)
{
    static char value[1 << 18];
    for (size_t i = 0; i < size; i++)
        value[i] = (char)(i * 7 + i / 256 + strlen(name));
    struct store_write write = {.key = fixture_key(f, name),
                                .value = value,
                                .size = size,
                                .flags = flags,
                                .expiry_s = expiry_s,
                                .cas_chosen = flags % 3 == 2,
                                .cas_new = 77 + flags};
    ck_assert_int_eq(store_write(f->thread, &write, NULL), RESULT_STORED);
}

/* A hit says of its key what a look without a trace says. */
static void check_hit(struct fixture *f, const struct store_key *key, const struct store_hit *hit)
{
    struct store_view view;
    if (hit->value == NULL) {
        ck_assert_int_eq(store_peek(f->thread, key, &view), RESULT_MISS);
        return;
    }
    ck_assert_int_eq(store_peek(f->thread, key, &view), RESULT_HIT);
    ck_assert_ptr_eq(hit->value, view.value);
    ck_assert_uint_eq(hit->size, view.size);
    ck_assert_uint_eq(hit->flags, view.flags);
    ck_assert_uint_eq(store_hit_cas(hit), view.cas);
    ck_assert(memcmp(hit->value - key->size, key->data, key->size) == 0);
    ck_assert(view.fetched);
}

/* Items of every layout and key size, some of them absent, some behind overflow buckets. */
START_TEST(many_gets_find_what_single_ones_find)
{
    struct fixture f = fixture_of_size(8 * MIB);
    struct store_key keys[MANY];
    struct store_hit hits[MANY];
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned i = 0; i < MANY; i++) {
            unsigned number = round * MANY + i, size = 5 + number % (STORE_KEY_SIZE_MAX - 4);
            snprintf(names[i], sizeof names[i], "%0*u", (int)size, number);
            if (number % 5 != 0)
                set_with(&f, names[i], number % 700, number % 4, number % 3 ? 0 : 1000);
        }
        keys_set(&f, keys, MANY, names);
        if (round % 2)
            store_prefetch(f.thread, keys, MANY);
        ck_assert_uint_eq(store_get_many(f.thread, keys, MANY, MIB, FRAME, hits), MANY);
        for (unsigned i = 0; i < MANY; i++)
            check_hit(&f, &keys[i], &hits[i]);
    }
    struct store_usage usage;
    store_usage_read(f.store, &usage);
    ck_assert_msg(usage.item_count > usage.bucket_count * BUCKET_SLOTS / 2, "hardly any overflow bucket");
    fixture_close(&f);
}
END_TEST

START_TEST(each_miss_is_counted_with_its_reason)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_key keys[5];
    struct store_hit hits[5];
    static const char *const what[5] = {"flushed", "never", "expired", "deleted", "alive"};
    for (unsigned i = 0; i < 5; i++)
        strcpy(names[i], what[i]);
    fixture_set(&f, "flushed", "v");
    store_flush(f.thread, 0);
    fixture_write(&f, STORE_SET, "expired", "v", 150);
    fixture_set(&f, "deleted", "v");
    fixture_delete(&f, "deleted");
    fixture_set(&f, "alive", "v");
    clock_freeze_for_test(150);
    keys_set(&f, keys, 5, names);
    ck_assert_uint_eq(store_get_many(f.thread, keys, 5, MIB, FRAME, hits), 5);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_ptr_null(hits[i].value);
    ck_assert_ptr_nonnull(hits[4].value);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_miss_flushed), 1);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_miss_never_seen), 1);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_miss_expired), 1);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_miss_deleted), 1);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_get_expired), 1);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_get_flushed), 1);
    fixture_close(&f);
}
END_TEST

static bool is_untouched(struct fixture *f, const char *name)
{
    struct store_key key = fixture_key(f, name);
    struct found found;
    ck_assert(index_find(f->store, &key, &found));
    return slot_freq(found.value) == 0 && !(item_state(found.item) & ITEM_FETCHED);
}

static void check_stop(size_t size)
{
    struct fixture f = fixture_of_size(64 * MIB);
    struct store_key keys[3];
    struct store_hit hits[3];
    for (unsigned i = 0; i < 3; i++)
        snprintf(names[i], sizeof names[i], "key-%u", i);
    set_with(&f, "key-0", STORE_INLINE_COPY_MAX, 0, 0);
    set_with(&f, "key-1", size, 0, 0);
    set_with(&f, "key-2", 1, 0, 0);
    keys_set(&f, keys, 3, names);
    ck_assert_uint_eq(store_get_many(f.thread, keys, 3, MIB, FRAME, hits), 1);
    ck_assert(!is_untouched(&f, "key-0"));
    ck_assert(is_untouched(&f, "key-1"));
    ck_assert(is_untouched(&f, "key-2"));
    fixture_close(&f);
}

START_TEST(a_long_value_is_left_as_it_is)
{
    check_stop(STORE_INLINE_COPY_MAX + 1);
}
END_TEST

START_TEST(a_value_in_chunks_is_left_as_it_is)
{
    check_stop(1 << 18);
}
END_TEST

/* The room is charged to the byte, for hits and misses; who finds none changes nothing. */
START_TEST(what_does_not_fit_is_left_as_it_is)
{
    struct fixture f = fixture_of_size(MIB);
    struct store_key keys[3];
    struct store_hit hits[3];
    const size_t one = FRAME + 5 + 100, miss = FRAME;
    strcpy(names[0], "key-0");
    strcpy(names[1], "absent");
    strcpy(names[2], "key-2");
    set_with(&f, "key-0", 100, 0, 0);
    set_with(&f, "key-2", 100, 0, 0);
    for (unsigned round = 0; round < 2; round++) {
        keys_set(&f, keys, 3, names);
        ck_assert_uint_eq(store_get_many(f.thread, keys, 3, one - 1, FRAME, hits), 0);
        ck_assert(round == 1 || is_untouched(&f, "key-0"));
        ck_assert_uint_eq(store_get_many(f.thread, keys, 3, one + miss - 1, FRAME, hits), 1);
        ck_assert_uint_eq(fixture_metric(&f, METRIC_miss_never_seen), 2 * round);
        ck_assert_uint_eq(store_get_many(f.thread, keys, 3, 2 * one + miss - 1, FRAME, hits), 2);
        ck_assert(round == 1 || is_untouched(&f, "key-2"));
        ck_assert_uint_eq(store_get_many(f.thread, keys, 3, 2 * one + miss, FRAME, hits), 3);
    }
    ck_assert_uint_eq(store_get_many(f.thread, keys, 0, MIB, FRAME, hits), 0);
    fixture_close(&f);
}
END_TEST

/* The vector compare says of any bucket what looking at slot by slot says. */
START_TEST(a_bucket_is_matched_as_its_slots_are)
{
    uint64_t random = 1;
    for (unsigned round = 0; round < 20000; round++) {
        struct bucket bucket;
        uint64_t hash = 0, word[1 + BUCKET_SLOTS] = {0};
        for (unsigned i = 0; i <= BUCKET_SLOTS + 1; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            uint64_t bits = random ^ random >> 29;
            if (i > BUCKET_SLOTS)
                hash = bits;
            else
                word[i] = bits;
        }
        for (unsigned i = 0; i <= BUCKET_SLOTS; i++)
            if (word[i] % 3 == 0) /* the right tag, used or not, in the bucket's own word too */
                word[i] = (word[i] & ~0ull >> 12) | slot_tag(hash) << SLOT_TAG_SHIFT;
        atomic_store(&bucket.word, word[0]);
        for (unsigned i = 0; i < BUCKET_SLOTS; i++)
            atomic_store(&bucket.slot[i], word[i + 1]);
        ck_assert_uint_eq(bucket_match(&bucket, hash), slots_match(bucket.slot, BUCKET_SLOTS, hash));
    }
}
END_TEST

/* The level and the bucket within it, as linear hashing has them. */
START_TEST(every_hash_belongs_to_the_bucket_that_its_level_says)
{
    for (uint64_t count = 1; count < 300; count++)
        for (uint64_t hash = 0; hash < 1024; hash++) {
            uint64_t level = 1;
            while (level * 2 <= count)
                level *= 2;
            uint64_t bucket = hash % (level * 2) < count ? hash % (level * 2) : hash % level;
            ck_assert_uint_eq(index_bucket_of(count, hash), bucket);
            ck_assert_uint_eq(index_bucket_of(count, hash | 1ull << 63), bucket);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store many");
    TCase *tcase = tcase_create("many");
    tcase_add_test(tcase, many_gets_find_what_single_ones_find);
    tcase_add_test(tcase, each_miss_is_counted_with_its_reason);
    tcase_add_test(tcase, a_long_value_is_left_as_it_is);
    tcase_add_test(tcase, a_value_in_chunks_is_left_as_it_is);
    tcase_add_test(tcase, what_does_not_fit_is_left_as_it_is);
    tcase_add_test(tcase, a_bucket_is_matched_as_its_slots_are);
    tcase_add_test(tcase, every_hash_belongs_to_the_bucket_that_its_level_says);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
