/* Hazards of the index: lookups take no lock while buckets are split and merged, chains are tidied, items
 * move and segments are used again. */
#include "hazards.h"

static struct fixture index_fixture(void)
{
    return fixture_open((struct store_config){.memory_size = MIB, .hash_seed = 12345});
}

/* The nth name whose hash ends in these bits. */
static const char *name_in(struct fixture *f, uint64_t bits, uint64_t mask, unsigned nth)
{
    static char names[16][32];
    static unsigned at;
    char *name = names[at++ % 16];
    for (unsigned i = 0;; i++) {
        snprintf(name, 32, "name-%u", i);
        if ((fixture_key(f, name).hash & mask) == bits && nth-- == 0)
            return name;
    }
}

/* There are 64 buckets to begin with: the first split takes from bucket 0 what belongs to bucket 64. */
#define SPLIT_MASK 127u
static const char *staying_name(struct fixture *f)
{
    return name_in(f, 0, SPLIT_MASK, 0);
}

static const char *moving_name(struct fixture *f)
{
    return name_in(f, 64, SPLIT_MASK, 0);
}

static void resize_once(struct fixture *f, bool (*resize)(struct store *store))
{
    lock_acquire(&f->store->maintain_lock);
    bool done = resize(f->store);
    lock_release(&f->store->maintain_lock);
    ck_assert(done);
}

static void act_split(struct helper *helper)
{
    resize_once(&helper->f, index_split);
}

static void act_merge(struct helper *helper)
{
    resize_once(&helper->f, index_merge);
}

static void set_both(struct fixture *f)
{
    struct store_usage usage;
    store_usage_read(f->store, &usage);
    ck_assert_uint_eq(usage.bucket_count, 64);
    ck_assert_int_eq(fixture_set(f, staying_name(f), "s"), RESULT_STORED);
    ck_assert_int_eq(fixture_set(f, moving_name(f), "m"), RESULT_STORED);
}

/* ---- splitting and merging ---- */

/* The reader stands at the point while the index is resized; it must find the key all the same. */
static void get_across(enum perturb_point point, bool merge)
{
    struct fixture f = index_fixture();
    struct helper reader = {.act = act_get, .key = moving_name(&f)};
    set_both(&f);
    if (merge)
        resize_once(&f, index_split);
    helper_start_until(&reader, &f, point);
    resize_once(&f, merge ? index_merge : index_split);
    helper_release(&reader, point);
    ck_assert(helper_saw(&reader, "m"));
    fixture_close(&f);
}

/* Guard: index_find's second look at which bucket the key belongs to. */
START_TEST(split_against_a_get_that_has_chosen_its_bucket)
{
    get_across(PERTURB_FIND_CHOSEN, false);
}
END_TEST

START_TEST(merge_against_a_get_that_has_chosen_its_bucket)
{
    get_across(PERTURB_FIND_CHOSEN, true);
}
END_TEST

/* Guard: the same, or the bucket's version. */
START_TEST(split_against_a_get_on_its_way_through_the_bucket)
{
    get_across(PERTURB_FIND_BEGUN, false);
}
END_TEST

START_TEST(merge_against_a_get_on_its_way_through_the_bucket)
{
    get_across(PERTURB_FIND_BEGUN, true);
}
END_TEST

/* While the maintainer stands in the middle of a resize, readers find every key without waiting for it. */
static void get_amid(void (*resize)(struct helper *helper), enum perturb_point point)
{
    struct fixture f = index_fixture();
    struct helper maintainer = {.act = resize};
    set_both(&f);
    if (resize == act_merge)
        resize_once(&f, index_split);
    helper_start_until(&maintainer, &f, point);
    ck_assert(fixture_has(&f, staying_name(&f), "s"));
    ck_assert(fixture_has(&f, moving_name(&f), "m"));
    helper_release(&maintainer, point);
    ck_assert(fixture_has(&f, staying_name(&f), "s"));
    ck_assert(fixture_has(&f, moving_name(&f), "m"));
    fixture_close(&f);
}

/* Guard: the order copy, publish, drop in index_split: else the key is in no bucket for a while, and the
 * reader waits for the lock. */
START_TEST(get_amid_a_split)
{
    get_amid(act_split, PERTURB_SPLIT_COPIED);
    get_amid(act_split, PERTURB_SPLIT_PUBLISHED);
}
END_TEST

/* Guard: the same order in index_merge. */
START_TEST(get_amid_a_merge)
{
    get_amid(act_merge, PERTURB_MERGE_COPIED);
    get_amid(act_merge, PERTURB_MERGE_PUBLISHED);
}
END_TEST

/* A writer has chosen its bucket and not yet locked it; the index is resized; what it does must take hold
 * where the key now belongs. */
static void write_across(void (*act)(struct helper *helper), bool merge, enum result wanted)
{
    struct fixture f = index_fixture();
    struct store_view view;
    struct helper writer = {.act = act, .key = moving_name(&f), .value = "n", .expiry_s = 300};
    set_both(&f);
    if (merge)
        resize_once(&f, index_split);
    helper_start_until(&writer, &f, PERTURB_LOCK_CHOSEN);
    resize_once(&f, merge ? index_merge : index_split);
    helper_release(&writer, PERTURB_LOCK_CHOSEN);
    ck_assert_int_eq(writer.result, wanted);
    struct store_key key = fixture_key(&f, moving_name(&f));
    if (act == act_delete)
        ck_assert_int_eq(fixture_miss(&f, moving_name(&f)), STORE_MISS_DELETED);
    else
        ck_assert(fixture_has(&f, moving_name(&f), act == act_write ? "n" : "m"));
    if (act == act_touch)
        ck_assert(store_peek(f.thread, &key, &view) == RESULT_HIT && view.expiry_s == 300);
    ck_assert(fixture_has(&f, staying_name(&f), "s"));
    fixture_close(&f);
}

/* Guard: index_lock's second look at which bucket the key belongs to. */
START_TEST(split_against_a_set)
{
    write_across(act_write, false, RESULT_STORED);
}
END_TEST

START_TEST(merge_against_a_set)
{
    write_across(act_write, true, RESULT_STORED);
}
END_TEST

START_TEST(split_against_a_delete)
{
    write_across(act_delete, false, RESULT_DELETED);
}
END_TEST

START_TEST(merge_against_a_delete)
{
    write_across(act_delete, true, RESULT_DELETED);
}
END_TEST

START_TEST(split_against_a_touch)
{
    write_across(act_touch, false, RESULT_HIT);
}
END_TEST

START_TEST(merge_against_a_touch)
{
    write_across(act_touch, true, RESULT_HIT);
}
END_TEST

/* ---- walking ---- */

#define WALKED 600u

struct key_walk {
    struct helper helper; /* first: a helper is a walk's */
    unsigned seen[WALKED];
};

static void note_walked(void *context, const struct store_view *view)
{
    struct key_walk *walk = context;
    unsigned number;
    char name[32] = "";
    memcpy(name, view->key, view->key_size < sizeof name ? view->key_size : sizeof name - 1);
    if (sscanf(name, "walked-%u", &number) == 1)
        walk->seen[number]++;
}

static void act_walk(struct helper *helper)
{
    uint64_t cursor = 0;
    store_thread_online(helper->f.thread);
    do
        cursor = store_browse(helper->f.thread, cursor, 10, 4, note_walked, helper);
    while (cursor != 0);
    store_thread_offline(helper->f.thread);
}

/* The walk stands before the lock of its nth bucket while the index is resized. */
static void walk_across(unsigned nth, bool merge)
{
    struct fixture f = index_fixture();
    struct key_walk walk = {.helper.act = act_walk};
    char name[32];
    for (unsigned i = 0; i < WALKED; i++) {
        snprintf(name, sizeof name, "walked-%u", i);
        ck_assert_int_eq(fixture_set(&f, name, "v"), RESULT_STORED);
    }
    for (unsigned i = 0; merge && i < 20; i++)
        resize_once(&f, index_split);
    perturb_hold(PERTURB_LOCK_CHOSEN, nth);
    helper_start(&walk.helper, &f);
    ck_assert(perturb_await(PERTURB_LOCK_CHOSEN));
    for (unsigned i = 0; i < 20; i++)
        resize_once(&f, merge ? index_merge : index_split);
    helper_release(&walk.helper, PERTURB_LOCK_CHOSEN);
    for (unsigned i = 0; i < WALKED; i++)
        ck_assert_msg(walk.seen[i] > 0, "the walk missed walked-%u", i);
    fixture_close(&f);
}

/* Guard: what the walk has covered is told from the bucket count under the bucket's lock. */
START_TEST(browse_against_split)
{
    for (unsigned nth = 0; nth < 60; nth += 3)
        walk_across(nth, false);
}
END_TEST

START_TEST(browse_against_merge)
{
    for (unsigned nth = 0; nth < 60; nth += 3)
        walk_across(nth, true);
}
END_TEST

/* ---- chains and ghosts ---- */

/* Guard: the bucket's version. The key leaves the overflow bucket for the home bucket behind the reader's
 * back, as its neighbour becomes a ghost. */
START_TEST(get_against_a_key_that_moves_up_its_chain)
{
    struct fixture f = index_fixture();
    struct helper reader = {.act = act_get};
    for (unsigned i = 0; i <= BUCKET_SLOTS; i++)
        ck_assert_int_eq(fixture_set(&f, name_in(&f, 5, 63, i), "v"), RESULT_STORED);
    reader.key = name_in(&f, 5, 63, BUCKET_SLOTS);
    helper_start_until(&reader, &f, PERTURB_FIND_NEXT);
    ck_assert_int_eq(fixture_delete(&f, name_in(&f, 5, 63, 0)), RESULT_DELETED);
    helper_release(&reader, PERTURB_FIND_NEXT);
    ck_assert(helper_saw(&reader, "v"));
    fixture_close(&f);
}
END_TEST

/* Guard: the bucket's lock. Without it two inserts take the place of the same ghost, and one key is lost. */
START_TEST(ghost_against_insert)
{
    struct fixture f = index_fixture();
    struct helper first = {.act = act_write, .value = "1"}, second = {.act = act_write, .value = "2"};
    for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
        fixture_set(&f, name_in(&f, 9, 63, i), "v");
        fixture_delete(&f, name_in(&f, 9, 63, i));
    }
    first.key = name_in(&f, 9, 63, BUCKET_SLOTS);
    second.key = name_in(&f, 9, 63, BUCKET_SLOTS + 1);
    helper_start_until(&second, &f, PERTURB_WRITE_FILLED);
    helper_start_until(&first, &f, PERTURB_WRITE_CHOSEN);
    perturb_hold(PERTURB_LOCK_BUSY, 0);
    perturb_release(PERTURB_WRITE_FILLED);
    ck_assert_msg(perturb_await(PERTURB_LOCK_BUSY), "two writers hold one bucket");
    helper_release(&first, PERTURB_WRITE_CHOSEN);
    helper_release(&second, PERTURB_LOCK_BUSY);
    ck_assert(fixture_has(&f, first.key, "1"));
    ck_assert(fixture_has(&f, second.key, "2"));
    fixture_close(&f);
}
END_TEST

/* Guard: the frequency is raised by compare and exchange. By a store the deleted key is back in its slot. */
START_TEST(frequency_against_delete)
{
    struct fixture f = index_fixture();
    struct helper reader = {.act = act_get, .key = "k"};
    ck_assert_int_eq(fixture_set(&f, "k", "v"), RESULT_STORED);
    helper_start_until(&reader, &f, PERTURB_GET_FOUND);
    ck_assert_int_eq(fixture_delete(&f, "k"), RESULT_DELETED);
    helper_release(&reader, PERTURB_GET_FOUND);
    ck_assert(helper_saw(&reader, "v"));
    ck_assert_int_eq(fixture_miss(&f, "k"), STORE_MISS_DELETED);
    fixture_close(&f);
}
END_TEST

START_TEST(frequency_against_overwrite)
{
    struct fixture f = index_fixture();
    struct helper reader = {.act = act_get, .key = "k"};
    ck_assert_int_eq(fixture_set(&f, "k", "old"), RESULT_STORED);
    helper_start_until(&reader, &f, PERTURB_GET_FOUND);
    ck_assert_int_eq(fixture_set(&f, "k", "new"), RESULT_STORED);
    helper_release(&reader, PERTURB_GET_FOUND);
    ck_assert(helper_saw(&reader, "old"));
    ck_assert(fixture_has(&f, "k", "new"));
    fixture_close(&f);
}
END_TEST

/* ---- places that are used again ---- */

/* The reader has the item's old place in hand when the item is moved and its segment drained. */
static void reuse_under_reader(enum perturb_point point)
{
    struct fixture f = index_fixture();
    struct helper maintainer = {0}, reader = {.act = act_get, .key = "k"};
    set_lonely(&f, "k", "the value", STORE_NEVER_S);
    uint32_t segment = segment_id_of(&f, "k");
    maintain_until(&maintainer, &f, PERTURB_ITEM_COPIED);
    helper_start_until(&reader, &f, point);
    maintain_on(&maintainer, &f, PERTURB_ITEM_COPIED);
    ck_assert_uint_ne(segment_id_of(&f, "k"), segment);
    write_over_freed(&f);
    helper_release(&reader, point);
    ck_assert(helper_saw(&reader, "the value"));
    fixture_close(&f);
}

/* Guard: segment_collect waits until every thread has passed a quiescent state. */
START_TEST(stale_location_after_reuse)
{
    reuse_under_reader(PERTURB_FIND_SLOT);
    reuse_under_reader(PERTURB_GET_FOUND);
}
END_TEST

/* Guard: segment_collect leaves pinned segments alone. The pin's owner is offline: no grace period waits. */
START_TEST(pin_against_reuse)
{
    struct fixture f = index_fixture();
    struct store_view view;
    struct store_key key = fixture_key(&f, "k");
    const char *data;
    set_lonely(&f, "k", "the value", STORE_NEVER_S);
    struct helper maintainer = {0};
    maintain_until(&maintainer, &f, PERTURB_ITEM_COPIED);
    ck_assert_int_eq(store_get(f.thread, &key, &view, NULL), RESULT_HIT);
    struct store_pin *pin = store_pin(f.thread, &view);
    ck_assert(pin != NULL);
    maintain_on(&maintainer, &f, PERTURB_ITEM_COPIED);
    fixture_maintain(&f, 4);
    write_over_freed(&f);
    ck_assert_uint_eq(store_pin_part(pin, 0, &data), 9);
    ck_assert(memcmp(data, "the value", 9) == 0);
    store_unpin(pin);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    TCase *tcase;
    Suite *suite = hazards_suite("store hazards: index", &tcase);
    tcase_add_test(tcase, split_against_a_get_that_has_chosen_its_bucket);
    tcase_add_test(tcase, merge_against_a_get_that_has_chosen_its_bucket);
    tcase_add_test(tcase, split_against_a_get_on_its_way_through_the_bucket);
    tcase_add_test(tcase, merge_against_a_get_on_its_way_through_the_bucket);
    tcase_add_test(tcase, get_amid_a_split);
    tcase_add_test(tcase, get_amid_a_merge);
    tcase_add_test(tcase, split_against_a_set);
    tcase_add_test(tcase, merge_against_a_set);
    tcase_add_test(tcase, split_against_a_delete);
    tcase_add_test(tcase, merge_against_a_delete);
    tcase_add_test(tcase, split_against_a_touch);
    tcase_add_test(tcase, merge_against_a_touch);
    tcase_add_test(tcase, browse_against_split);
    tcase_add_test(tcase, browse_against_merge);
    tcase_add_test(tcase, get_against_a_key_that_moves_up_its_chain);
    tcase_add_test(tcase, ghost_against_insert);
    tcase_add_test(tcase, frequency_against_delete);
    tcase_add_test(tcase, frequency_against_overwrite);
    tcase_add_test(tcase, stale_location_after_reuse);
    tcase_add_test(tcase, pin_against_reuse);
    TCase *many = hazards_of_many(suite);
    tcase_add_test(many, split_against_a_get_that_has_chosen_its_bucket);
    tcase_add_test(many, merge_against_a_get_that_has_chosen_its_bucket);
    tcase_add_test(many, get_against_a_key_that_moves_up_its_chain);
    tcase_add_test(many, frequency_against_delete);
    tcase_add_test(many, frequency_against_overwrite);
    tcase_add_test(many, stale_location_after_reuse);
    return fixture_run(suite);
}
