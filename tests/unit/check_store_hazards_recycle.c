/* Hazards of places that are used again: a writer puts its items where others were that it has replaced or
 * deleted, while others may still read what was there, walk the segment or move what lies beside it. */
#include "hazards.h"

#define CELLS 40u /* enough that the writer keeps track of them */

static const char *cell_name(unsigned i)
{
    static _Thread_local char name[32];
    snprintf(name, sizeof name, "cell-%03u", i);
    return name;
}

/* Values of one size: what replaces an item fits into its place. */
static const char *cell_value(unsigned i, char letter)
{
    static _Thread_local char value[201];
    snprintf(value, sizeof value, "%03u", i);
    memset(value + 3, letter, sizeof value - 4);
    return value;
}

static void set_cells(struct fixture *f, char letter)
{
    for (unsigned i = 0; i < CELLS; i++)
        ck_assert_int_eq(fixture_set(f, cell_name(i), cell_value(i, letter)), RESULT_STORED);
}

static void check_cells(struct fixture *f, char letter)
{
    for (unsigned i = 0; i < CELLS; i++)
        ck_assert_msg(fixture_has(f, cell_name(i), cell_value(i, letter)), "%s is wrong", cell_name(i));
}

/* Twice: once so that what was unlinked begins to wait, and once more for what waited. */
static void pass_turns(struct fixture *f)
{
    store_thread_quiesce(f->thread);
    store_thread_quiesce(f->thread);
}

/* The reader has an item in hand, as far as the point says, that is replaced; then its writer stores more
 * than there are places for. */
static void recycle_under(struct helper reader, enum perturb_point point)
{
    struct fixture f = fixture_of_size(MIB);
    set_cells(&f, 'a');
    helper_start_until(&reader, &f, point);
    for (char letter = 'b'; letter <= 'e'; letter++) {
        set_cells(&f, letter);
        pass_turns(&f);
    }
    ck_assert_uint_eq(fixture_metric(&f, METRIC_recycled_writes), 0);
    helper_release(&reader, point);
    ck_assert(helper_saw(&reader, cell_value(7, 'a')));
    for (char letter = 'f'; letter <= 'i'; letter++) {
        set_cells(&f, letter);
        pass_turns(&f);
    }
    ck_assert_uint_gt(fixture_metric(&f, METRIC_recycled_writes), CELLS);
    check_cells(&f, 'i');
    fixture_close(&f);
}

/* Guard: batches_collect waits until every thread has passed a quiescent state. */
START_TEST(recycling_against_a_get)
{
    recycle_under((struct helper){.act = act_get, .key = "cell-007"}, PERTURB_FIND_SLOT);
    recycle_under((struct helper){.act = act_get, .key = "cell-007"}, PERTURB_GET_FOUND);
}
END_TEST

static void stand_in_visit(void *context, const struct store_view *view)
{
    struct helper *helper = context;
    if (view->key_size != strlen(helper->key) || memcmp(view->key, helper->key, view->key_size) != 0)
        return;
    perturb_reach(PERTURB_TEST);
    helper->view = *view;
    helper_keep(helper);
    helper->result = RESULT_HIT;
}

static void act_walk(struct helper *helper)
{
    store_thread_online(helper->f.thread);
    store_browse(helper->f.thread, 0, UINT32_MAX, UINT32_MAX, stand_in_visit, helper);
    store_thread_offline(helper->f.thread);
}

/* Guard: the same: who walks the keys is online. */
START_TEST(recycling_against_a_walk)
{
    recycle_under((struct helper){.act = act_walk, .key = "cell-007"}, PERTURB_TEST);
}
END_TEST

/* Fills a segment, deletes it all, and stores one item more: into one of those places. */
static void act_refill(struct helper *helper)
{
    struct fixture *f = &helper->f;
    store_thread_online(f->thread);
    set_cells(f, 'a');
    for (unsigned i = CELLS; i-- > 0;) /* the first segment's last, since they are used again first */
        fixture_delete(f, cell_name(i));
    pass_turns(f);
    helper->result = fixture_set(f, cell_name(7), cell_value(7, 'b'));
    store_thread_offline(f->thread);
}

/* Guard: a segment is walked only a grace period after it was claimed. The writer has found it in use and
 * writes into it; nothing there is alive, so that it is claimed at once. */
START_TEST(recycling_against_draining)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper writer = {.act = act_refill};
    perturb_hold(PERTURB_WRITE_RESERVED, CELLS);
    store_thread_offline(f.thread);
    helper_start(&writer, &f);
    ck_assert(perturb_await(PERTURB_WRITE_RESERVED));
    store_thread_online(f.thread);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_recycled_writes), 1);
    fixture_maintain(&f, HELPER_ROUNDS);
    write_over_freed(&f);
    helper_release(&writer, PERTURB_WRITE_RESERVED);
    ck_assert_int_eq(writer.result, RESULT_STORED);
    ck_assert(fixture_has(&f, cell_name(7), cell_value(7, 'b')));
    fixture_maintain(&f, HELPER_ROUNDS);
    write_over_freed(&f);
    ck_assert(fixture_has(&f, cell_name(7), cell_value(7, 'b')));
    check_nothing_lives(&f);
    fixture_close(&f);
}
END_TEST

/* Guard: a writer asks the segment's state before it takes a place there. The maintainer walks the segment,
 * with one item of it copied, when the writer stores into the places of the others. */
START_TEST(draining_against_recycling)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper maintainer = {0};
    ck_assert_int_eq(fixture_set(&f, "kept", "v"), RESULT_STORED);
    set_cells(&f, 'a');
    ck_assert_uint_ne(segment_id_of(&f, cell_name(CELLS - 1)), segment_id_of(&f, "kept"));
    for (unsigned i = 0; i < CELLS; i++)
        ck_assert_int_eq(fixture_delete(&f, cell_name(i)), RESULT_DELETED);
    pass_turns(&f);
    maintain_until(&maintainer, &f, PERTURB_ITEM_COPIED);
    uint32_t drained = segment_id_of(&f, "kept");
    set_cells(&f, 'b');
    for (unsigned i = 0; i < CELLS; i++)
        ck_assert_uint_ne(segment_id_of(&f, cell_name(i)), drained);
    maintain_on(&maintainer, &f, PERTURB_ITEM_COPIED);
    check_cells(&f, 'b');
    ck_assert(fixture_has(&f, "kept", "v"));
    check_nothing_lives(&f);
    fixture_close(&f);
}
END_TEST

#define REFUSED 99u

static void act_be_refused(struct helper *helper)
{
    store_thread_online(helper->f.thread);
    helper->result =
        fixture_write(&helper->f, STORE_ADD, cell_name(REFUSED), cell_value(REFUSED, 'm'), STORE_NEVER_S);
    set_cells(&helper->f, 'n');
    store_thread_offline(helper->f.thread);
}

/* Guard: a write that is refused gives its place back once. Given back twice, two keys share it. */
START_TEST(a_refused_write_gives_its_place_back_once)
{
    struct fixture f = fixture_of_size(MIB);
    struct helper writer = {.act = act_be_refused};
    helper_start_until(&writer, &f, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(fixture_set(&f, cell_name(REFUSED), "theirs"), RESULT_STORED);
    helper_release(&writer, PERTURB_WRITE_FILLED);
    ck_assert_int_eq(writer.result, RESULT_NOT_STORED);
    ck_assert_uint_eq(fixture_metric(&f, METRIC_recycled_writes), 1);
    ck_assert(fixture_has(&f, cell_name(REFUSED), "theirs"));
    check_cells(&f, 'n');
    check_nothing_lives(&f);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    TCase *tcase;
    Suite *suite = hazards_suite("store hazards: places used again", &tcase);
    tcase_add_test(tcase, recycling_against_a_get);
    tcase_add_test(tcase, recycling_against_a_walk);
    tcase_add_test(tcase, recycling_against_draining);
    tcase_add_test(tcase, draining_against_recycling);
    tcase_add_test(tcase, a_refused_write_gives_its_place_back_once);
    TCase *many = hazards_of_many(suite);
    tcase_add_test(many, recycling_against_a_get);
    return fixture_run(suite);
}
