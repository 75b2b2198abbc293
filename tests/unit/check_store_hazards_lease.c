/* Hazards of leases: one client is told to renew an item while others read, write, touch and move it. */
#include "hazards.h"

static enum result invalidate(struct fixture *f, const char *name)
{
    struct store_invalidation stale = {.key = fixture_key(f, name), .stale = true};
    return store_invalidate(f->thread, &stale);
}

static struct store_view fetch(struct fixture *f, const char *name, struct store_fetch how,
                               struct store_lease *lease)
{
    struct store_key key = fixture_key(f, name);
    struct store_view view;
    ck_assert_int_eq(store_fetch(f->thread, &key, &how, &view, lease, NULL), RESULT_HIT);
    return view;
}

static bool wins(struct fixture *f, const char *name)
{
    struct store_lease lease;
    fetch(f, name, (struct store_fetch){0}, &lease);
    return lease.win;
}

static struct store_view marks(struct fixture *f, const char *name)
{
    struct store_key key = fixture_key(f, name);
    struct store_view view;
    ck_assert_int_eq(store_peek(f->thread, &key, &view), RESULT_HIT);
    return view;
}

/* Guard: the mark is set and looked at in one, with the bucket locked. By what was seen before both win. */
START_TEST(lease_against_lease)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper reader = {.act = act_fetch, .key = "k"};
    fixture_set(&f, "k", "v");
    invalidate(&f, "k");
    helper_start_until(&reader, &f, PERTURB_LEASE_WANTED);
    ck_assert(wins(&f, "k"));
    helper_release(&reader, PERTURB_LEASE_WANTED);
    ck_assert(helper_saw(&reader, "v"));
    ck_assert(!reader.lease.win && reader.view.won);
    fixture_close(&f);
}
END_TEST

/* Guard: lease_take looks whether the item is the one that was seen. Without it a good new value is leased,
 * with the old one's bytes. */
START_TEST(lease_against_overwrite)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper reader = {.act = act_fetch, .key = "k"};
    fixture_set(&f, "k", "old");
    invalidate(&f, "k");
    helper_start_until(&reader, &f, PERTURB_LEASE_WANTED);
    ck_assert_int_eq(fixture_set(&f, "k", "new"), RESULT_STORED);
    helper_release(&reader, PERTURB_LEASE_WANTED);
    ck_assert(helper_saw(&reader, "new"));
    ck_assert(!reader.lease.win);
    ck_assert(!marks(&f, "k").won);
    fixture_close(&f);
}
END_TEST

/* Guard: the same. */
START_TEST(lease_against_delete)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper reader = {.act = act_fetch, .key = "k"};
    fixture_set(&f, "k", "v");
    invalidate(&f, "k");
    helper_start_until(&reader, &f, PERTURB_LEASE_WANTED);
    ck_assert_int_eq(fixture_delete(&f, "k"), RESULT_DELETED);
    helper_release(&reader, PERTURB_LEASE_WANTED);
    ck_assert_int_eq(reader.result, RESULT_MISS);
    fixture_close(&f);
}
END_TEST

static const struct store_fetch soon = {.recache_s = 501};

/* Guard: the same: the copy is another place, and is looked at anew. */
START_TEST(lease_against_copy)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper maintainer = {0}, reader = {.act = act_fetch, .key = "k", .fetch = soon};
    struct store_lease lease;
    set_lonely(&f, "k", "v", 500);
    maintain_until(&maintainer, &f, PERTURB_ITEM_COPIED);
    helper_start_until(&reader, &f, PERTURB_LEASE_WANTED);
    maintain_on(&maintainer, &f, PERTURB_ITEM_COPIED);
    helper_release(&reader, PERTURB_LEASE_WANTED);
    ck_assert(helper_saw(&reader, "v"));
    ck_assert(reader.lease.win);
    ck_assert(fetch(&f, "k", soon, &lease).won && !lease.win);
    fixture_close(&f);
}
END_TEST

/* Guard: move takes the marks over from the slot, with the bucket locked. Without it the copy is leased
 * again. */
START_TEST(copy_against_lease)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper maintainer = {0};
    struct store_lease lease;
    set_lonely(&f, "k", "v", 500);
    maintain_until(&maintainer, &f, PERTURB_ITEM_COPIED);
    fetch(&f, "k", soon, &lease);
    ck_assert(lease.win);
    maintain_on(&maintainer, &f, PERTURB_ITEM_COPIED);
    ck_assert(fetch(&f, "k", soon, &lease).won && !lease.win);
    fixture_close(&f);
}
END_TEST

/* Guard: a touch that copies takes the marks over from the slot too, not from what it saw when it began. */
START_TEST(touch_against_lease)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper writer = {.act = act_touch, .key = "k", .expiry_s = 500};
    fixture_set(&f, "k", "v");
    invalidate(&f, "k");
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    ck_assert(wins(&f, "k"));
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(writer.result, RESULT_HIT);
    ck_assert(marks(&f, "k").won && marks(&f, "k").stale);
    ck_assert_uint_eq(marks(&f, "k").expiry_s, 500);
    ck_assert(!wins(&f, "k"));
    fixture_close(&f);
}
END_TEST

/* Guard: a reader counts its access by exchanging the slot it saw. A plain store would take the mark off. */
START_TEST(frequency_against_lease)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper reader = {.act = act_get, .key = "k"};
    fixture_set(&f, "k", "v");
    invalidate(&f, "k");
    helper_start_until(&reader, &f, PERTURB_GET_FOUND);
    ck_assert(wins(&f, "k"));
    helper_release(&reader, PERTURB_GET_FOUND);
    ck_assert(helper_saw(&reader, "v"));
    ck_assert(!wins(&f, "k"));
    fixture_close(&f);
}
END_TEST

/* ---- items made on a miss ---- */

/* Guard: the empty item is added, not set. Else the second takes the first one's place, and both win. */
START_TEST(vivify_against_vivify)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper reader = {.act = act_fetch, .key = "k", .fetch = {.vivify = true}};
    struct store_lease lease;
    helper_start_until(&reader, &f, PERTURB_WRITE_FILLED);
    fetch(&f, "k", reader.fetch, &lease);
    ck_assert(lease.win && lease.created);
    helper_release(&reader, PERTURB_WRITE_FILLED);
    ck_assert(helper_saw(&reader, ""));
    ck_assert(!reader.lease.win && !reader.lease.created && reader.view.won);
    fixture_close(&f);
}
END_TEST

/* Guard: the same. */
START_TEST(vivify_against_set)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper reader = {.act = act_fetch, .key = "k", .fetch = {.vivify = true}};
    helper_start_until(&reader, &f, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(fixture_set(&f, "k", "new"), RESULT_STORED);
    helper_release(&reader, PERTURB_WRITE_FILLED);
    ck_assert(helper_saw(&reader, "new"));
    ck_assert(!reader.lease.win && !reader.view.won);
    fixture_close(&f);
}
END_TEST

/* Guard: the same of numbers: who comes second adds to what the first has made. */
START_TEST(create_against_create)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper writer = {.act = act_create, .key = "n"};
    struct store_delta delta = {.key = fixture_key(&f, "n"), .delta = 1, .create = true, .initial = 10};
    struct store_number number;
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(store_arithmetic(f.thread, &delta, &number), RESULT_STORED);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(writer.result, RESULT_HIT);
    ck_assert(fixture_has(&f, "n", "11"));
    fixture_close(&f);
}
END_TEST

/* Guard: append that creates adds, and joins when somebody was faster. */
START_TEST(append_that_creates_against_set)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper writer = {.act = act_write, .key = "k", .value = "b", .mode = STORE_APPEND, .create = true};
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(fixture_set(&f, "k", "a"), RESULT_STORED);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(writer.result, RESULT_STORED);
    ck_assert(fixture_has(&f, "k", "ab"));
    fixture_close(&f);
}
END_TEST

/* ---- new forms of an item ---- */

/* Guard (of both that follow): the exact condition, by which the item must be the one that was read. */
START_TEST(invalidate_against_set)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper writer = {.act = act_invalidate, .key = "k"};
    fixture_set(&f, "k", "old");
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(fixture_set(&f, "k", "new"), RESULT_STORED);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(writer.result, RESULT_OK);
    ck_assert(fixture_has(&f, "k", "new"));
    ck_assert(marks(&f, "k").stale);
    fixture_close(&f);
}
END_TEST

START_TEST(late_write_against_set)
{
    struct fixture f = fixture_of_size(MIB);
    fixture_set(&f, "k", "old");
    struct helper writer = {.act = act_write,
                            .key = "k",
                            .value = "late",
                            .mode = STORE_CAS,
                            .cas = marks(&f, "k").cas,
                            .stale_allowed = true};
    fixture_write(&f, STORE_SET, "k", "newer", 400);
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(fixture_write(&f, STORE_SET, "k", "newest", 300), RESULT_STORED);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(writer.result, RESULT_STORED);
    ck_assert(fixture_has(&f, "k", "late"));
    ck_assert(marks(&f, "k").stale);
    ck_assert_uint_eq(marks(&f, "k").expiry_s, 300);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    TCase *tcase;
    Suite *suite = hazards_suite("store hazards: leases", &tcase);
    tcase_add_test(tcase, lease_against_lease);
    tcase_add_test(tcase, lease_against_overwrite);
    tcase_add_test(tcase, lease_against_delete);
    tcase_add_test(tcase, lease_against_copy);
    tcase_add_test(tcase, copy_against_lease);
    tcase_add_test(tcase, touch_against_lease);
    tcase_add_test(tcase, frequency_against_lease);
    tcase_add_test(tcase, vivify_against_vivify);
    tcase_add_test(tcase, vivify_against_set);
    tcase_add_test(tcase, create_against_create);
    tcase_add_test(tcase, append_that_creates_against_set);
    tcase_add_test(tcase, invalidate_against_set);
    tcase_add_test(tcase, late_write_against_set);
    TCase *many = hazards_of_many(suite);
    tcase_add_test(many, frequency_against_lease);
    return fixture_run(suite);
}
