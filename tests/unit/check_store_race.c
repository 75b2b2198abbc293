/* One thread reads keys that are there throughout, another does all that moves them. Memory is ample, so
 * every miss and every wrong byte is a fault: the named hazards of a lock-free store, one test each. Both
 * threads do a fixed amount of work; how they interleave decides nothing but how hard the test is. */
#include "check_store.h"

#include <pthread.h>

#define KEPT 1500u
#define SWEEPS                                                                                               \
    60u /* the reader goes through all kept keys so often at least, and until the writer is done             \
         */

struct race {
    struct fixture f;
    struct fixture writer;
    void (*write)(struct race *race, unsigned round);
    unsigned rounds;
    _Atomic bool written;
    _Atomic unsigned faults;
    _Atomic unsigned generation; /* of the kept keys: the one before may go */
    bool browse;
};

static void kept_name(char out[32], unsigned i)
{
    snprintf(out, 32, "kept-%u", i);
}

static void generation_name(char out[32], unsigned generation, unsigned i)
{
    snprintf(out, 32, "generation-%u-%u", generation, i);
}

/* A kept value begins with its key; overwrites change only what follows. */
static void kept_value(char out[128], unsigned i, unsigned version)
{
    snprintf(out, 128, "kept-%u/%0*u", i, (int)(10 + version % 50), version);
}

static bool kept_right(const struct store_view *view, unsigned i)
{
    char name[32];
    kept_name(name, i);
    size_t size = strlen(name);
    return view->size > size && memcmp(view->value, name, size) == 0 && view->value[size] == '/' &&
           view->key_size == size && memcmp(view->key, name, size) == 0;
}

static void set_kept(struct fixture *f, unsigned version)
{
    char name[32], value[128];
    for (unsigned i = 0; i < KEPT; i++) {
        kept_name(name, i);
        kept_value(value, i, version);
        fixture_write(f, STORE_SET, name, value, i % 2 ? STORE_NEVER_S : 100000);
    }
}

static void read_kept(struct race *race)
{
    char name[32];
    struct store_view view;
    for (unsigned i = 0; i < KEPT; i++) {
        kept_name(name, i);
        struct store_key key = fixture_key(&race->f, name);
        if (store_get(race->f.thread, &key, &view, NULL) != RESULT_HIT || !kept_right(&view, i))
            atomic_fetch_add(&race->faults, 1);
    }
    store_thread_quiesce(race->f.thread);
}

struct seen {
    bool key[KEPT];
};

static void note_seen(void *context, const struct store_view *view)
{
    struct seen *seen = context;
    char name[32] = "";
    memcpy(name, view->key, view->key_size < sizeof name - 1 ? view->key_size : sizeof name - 1);
    if (strncmp(name, "kept-", 5) == 0)
        seen->key[strtoul(name + 5, NULL, 10)] = true;
}

static void browse_kept(struct race *race)
{
    struct seen seen = {0};
    uint64_t cursor = 0;
    do {
        cursor = store_browse(race->f.thread, cursor, 100, 64, note_seen, &seen);
        store_thread_quiesce(race->f.thread);
    } while (cursor != 0);
    for (unsigned i = 0; i < KEPT; i++)
        if (!seen.key[i])
            atomic_fetch_add(&race->faults, 1);
}

/* A key of this generation may be gone only once the next one is announced. */
static void read_generation(struct race *race)
{
    char name[32];
    struct store_view view;
    unsigned generation = atomic_load(&race->generation);
    for (unsigned i = 0; generation > 0 && i < KEPT; i++) {
        generation_name(name, generation, i);
        struct store_key key = fixture_key(&race->f, name);
        if (store_peek(race->f.thread, &key, &view) == RESULT_HIT)
            continue;
        if (atomic_load(&race->generation) != generation)
            break;
        atomic_fetch_add(&race->faults, 1);
    }
    store_thread_quiesce(race->f.thread);
}

static void *read_loop(void *arg)
{
    struct race *race = arg;
    store_thread_online(race->f.thread);
    for (unsigned i = 0; i < SWEEPS || !atomic_load(&race->written); i++) {
        read_kept(race);
        read_generation(race);
        if (race->browse)
            browse_kept(race);
    }
    store_thread_offline(race->f.thread);
    return NULL;
}

static void set_numbered(struct fixture *f, unsigned from, unsigned to, const char *value)
{
    char name[32];
    for (unsigned i = from; i < to; i++) {
        snprintf(name, sizeof name, "n%u", i);
        fixture_set(f, name, value);
    }
}

static void delete_numbered(struct fixture *f, unsigned from, unsigned to)
{
    char name[32];
    for (unsigned i = from; i < to; i++) {
        snprintf(name, sizeof name, "n%u", i);
        fixture_delete(f, name);
    }
}

/* Splits and merges under the reader. */
static void write_resize(struct race *race, unsigned round)
{
    (void)round;
    set_numbered(&race->writer, 0, 20000, "v");
    fixture_maintain(&race->writer, 2);
    delete_numbered(&race->writer, 0, 20000);
    fixture_maintain(&race->writer, 2);
}

/* Segments are compacted: items are copied while they are read. */
static void write_copies(struct race *race, unsigned round)
{
    static char value[400];
    memset(value, 'a' + (int)(round % 26), sizeof value - 1);
    set_numbered(&race->writer, 0, 3000, value);
    fixture_maintain(&race->writer, 1);
}

/* Kept items are overwritten and touched while they are read and copied. */
static void write_over(struct race *race, unsigned round)
{
    char name[32];
    struct store_view view;
    set_kept(&race->writer, round);
    for (unsigned i = 0; i < KEPT; i++) {
        kept_name(name, i);
        struct store_key key = fixture_key(&race->writer, name);
        if (store_touch(race->writer.thread, &key, (i + round) % 3 ? 100000 : STORE_NEVER_S, &view) !=
            RESULT_HIT)
            atomic_fetch_add(&race->faults, 1);
    }
    write_copies(race, round);
}

/* Keys are set into the overflow of full buckets, and move up when what was before them is deleted. */
static void write_chains(struct race *race, unsigned round)
{
    char name[32];
    set_numbered(&race->writer, 0, 15000, "v");
    for (unsigned i = 0; i < KEPT; i++) {
        generation_name(name, round + 1, i);
        fixture_set(&race->writer, name, "v");
    }
    atomic_store(&race->generation, round + 1);
    delete_numbered(&race->writer, 0, 15000);
    for (unsigned i = 0; i < KEPT; i++) {
        generation_name(name, round, i);
        fixture_delete(&race->writer, name);
    }
}

/* Deletions leave ghosts, which make room for the items that come back. */
static void write_ghosts(struct race *race, unsigned round)
{
    set_numbered(&race->writer, 0, 4000, round % 2 ? "x" : "");
    delete_numbered(&race->writer, 0, 4000);
}

static void race_run(struct race race)
{
    pthread_t reader;
    race.f = fixture_of_size(16 * MIB);
    race.writer = race.f;
    race.writer.thread = store_thread_create(race.f.store, metrics_block_create(race.f.metrics));
    set_kept(&race.f, 0);
    store_thread_offline(race.f.thread);
    ck_assert_int_eq(pthread_create(&reader, NULL, read_loop, &race), 0);
    store_thread_online(race.writer.thread);
    for (unsigned round = 0; round < race.rounds; round++)
        race.write(&race, round);
    store_thread_offline(race.writer.thread);
    atomic_store(&race.written, true);
    pthread_join(reader, NULL);
    ck_assert_uint_eq(atomic_load(&race.faults), 0);
    ck_assert_uint_eq(fixture_metric(&race.f, METRIC_removed_evicted), 0);
    store_thread_destroy(race.writer.thread);
    store_thread_online(race.f.thread);
    fixture_close(&race.f);
}

START_TEST(a_get_during_splits_and_merges_never_misses)
{
    race_run((struct race){.write = write_resize, .rounds = 6});
}
END_TEST

START_TEST(a_walk_during_splits_and_merges_misses_no_key)
{
    race_run((struct race){.write = write_resize, .rounds = 6, .browse = true});
}
END_TEST

START_TEST(a_get_during_compaction_never_misses)
{
    race_run((struct race){.write = write_copies, .rounds = 60});
}
END_TEST

START_TEST(an_overwritten_or_touched_key_is_never_absent)
{
    race_run((struct race){.write = write_over, .rounds = 40});
}
END_TEST

START_TEST(ghosts_and_inserts_hide_no_neighbour)
{
    race_run((struct race){.write = write_ghosts, .rounds = 30});
}
END_TEST

START_TEST(a_key_that_moves_up_its_chain_is_never_absent)
{
    race_run((struct race){.write = write_chains, .rounds = 25});
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store race");
    TCase *tcase = tcase_create("race");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, a_get_during_splits_and_merges_never_misses);
    tcase_add_test(tcase, a_walk_during_splits_and_merges_misses_no_key);
    tcase_add_test(tcase, a_get_during_compaction_never_misses);
    tcase_add_test(tcase, an_overwritten_or_touched_key_is_never_absent);
    tcase_add_test(tcase, ghosts_and_inserts_hide_no_neighbour);
    tcase_add_test(tcase, a_key_that_moves_up_its_chain_is_never_absent);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
