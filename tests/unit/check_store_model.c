/* Random operations against a small dictionary, in so little memory that items are evicted all the time: the
 * store may lose an item, but what it gives must be right in value, flags, cas, expiry and marks.
 *
 * The seed is printed; VITRINE_SEED=<n> plays one again, VITRINE_MODEL_STEPS=<n> makes it longer. */
#include "check_store.h"

#define KEY_COUNT 3000u
#define BIG_SIZE  60000u

struct entry {
    bool there; /* may be there: the store may have evicted it */
    char *value;
    size_t size;
    uint32_t flags, expiry_s;
    uint64_t cas;
    bool stale, won;
};

struct model {
    struct fixture f;
    uint64_t random;
    uint32_t now_s;
    uint32_t flush_at_s;
    struct entry entry[KEY_COUNT];
    char value[BIG_SIZE * 4];
    uint64_t hits, losses;
};

static uint64_t draw(struct model *m, uint64_t bound)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (m->random >> 11) % bound;
}

static struct store_key model_key(struct model *m, unsigned k)
{
    static char name[STORE_KEY_SIZE_MAX];
    memset(name, 'p', sizeof name);
    int size = snprintf(name, sizeof name, "key:%u", k);
    name[size] = ':';
    return store_key(m->f.store, name, (size_t)size + (k * 7) % 60);
}

static void forget(struct entry *entry)
{
    free(entry->value);
    *entry = (struct entry){0};
}

static bool expect_alive(struct model *m, struct entry *entry)
{
    if (entry->there && entry->expiry_s != 0 && entry->expiry_s <= m->now_s)
        forget(entry);
    return entry->there;
}

static void check_value(const struct store_view *view, const struct entry *entry)
{
    ck_assert_uint_eq(view->size, entry->size);
    for (size_t at = 0; at < entry->size;) {
        const char *data;
        size_t part = store_view_part(view, at, &data);
        ck_assert_uint_gt(part, 0);
        ck_assert(memcmp(data, entry->value + at, part) == 0);
        at += part;
    }
    ck_assert_uint_eq(view->flags, entry->flags);
    ck_assert_uint_eq(view->expiry_s, entry->expiry_s);
    ck_assert_uint_eq(view->cas, entry->cas);
    ck_assert_int_eq(view->stale, entry->stale);
    ck_assert_int_eq(view->won, entry->won);
}

/* Is it really there? Learns of an eviction. */
static bool sync_entry(struct model *m, unsigned k)
{
    struct store_key key = model_key(m, k);
    struct store_view view;
    struct entry *entry = &m->entry[k];
    bool alive = expect_alive(m, entry);
    bool hit = store_peek(m->f.thread, &key, &view) == RESULT_HIT;
    ck_assert_msg(alive || !hit, "key %u came back from the dead", k);
    if (hit) {
        check_value(&view, entry);
        m->hits++;
    } else if (alive) {
        forget(entry);
        m->losses++;
    }
    return hit;
}

static void remember(struct entry *entry, const char *value, size_t size, const struct store_write *write,
                     uint64_t cas)
{
    char *copy = malloc(size + 1);
    memcpy(copy, value, size);
    forget(entry);
    *entry = (struct entry){true, copy, size, write->flags, write->expiry_s, cas, false, false};
}

static size_t draw_size(struct model *m)
{
    unsigned kind = (unsigned)draw(m, 100);
    return kind < 80 ? draw(m, 300) : kind < 93 ? draw(m, 3000) : draw(m, BIG_SIZE);
}

static uint32_t draw_expiry(struct model *m)
{
    static const uint32_t span[] = {3, 30, 300, 100000};
    return draw(m, 3) == 0 ? STORE_NEVER_S : m->now_s + 1 + (uint32_t)draw(m, span[draw(m, 4)]);
}

static struct store_write draw_write(struct model *m, unsigned k)
{
    size_t size = draw_size(m);
    memset(m->value, (int)('a' + draw(m, 26)), size);
    for (size_t i = 0; i < size; i += 61)
        m->value[i] = (char)draw(m, 256);
    return (struct store_write){.key = model_key(m, k),
                                .value = m->value,
                                .size = size,
                                .flags = (uint32_t)draw(m, 3) * 77,
                                .expiry_s = draw_expiry(m),
                                .cas_chosen = draw(m, 10) == 0,
                                .cas_new = 1000 + draw(m, 5)};
}

/* An item may be evicted by the very write that makes room for itself: a replace or cas then finds none. */
static void step_store(struct model *m, unsigned k)
{
    static const enum store_mode modes[] = {STORE_SET, STORE_SET, STORE_ADD, STORE_REPLACE, STORE_CAS};
    struct entry *entry = &m->entry[k];
    struct store_write write = draw_write(m, k);
    bool live = sync_entry(m, k);
    struct store_written written = {0};
    write.mode = modes[draw(m, 5)];
    bool right = draw(m, 2) == 0;
    if (write.mode == STORE_CAS)
        write.cas = entry->cas + (right ? 0 : 1);
    enum result expected = RESULT_STORED;
    if (write.mode == STORE_ADD && live)
        expected = RESULT_NOT_STORED;
    if (write.mode == STORE_REPLACE && !live)
        expected = RESULT_NOT_STORED;
    if (write.mode == STORE_CAS)
        expected = !live ? RESULT_NOT_FOUND : right ? RESULT_STORED : RESULT_EXISTS;
    enum result result = store_write(m->f.thread, &write, &written);
    enum result evicted = write.mode == STORE_CAS ? RESULT_NOT_FOUND : RESULT_NOT_STORED;
    if (result == evicted && live && write.mode != STORE_ADD) {
        forget(entry);
        return;
    }
    ck_assert_int_eq(result, expected);
    if (expected == RESULT_STORED)
        remember(entry, write.value, write.size, &write, written.cas);
}

/* Here too: then it is not stored. */
static void step_join(struct model *m, unsigned k)
{
    struct entry *entry = &m->entry[k];
    struct store_write write = draw_write(m, k);
    struct store_written written = {0};
    bool live = sync_entry(m, k), front = draw(m, 2) == 0;
    write.mode = front ? STORE_PREPEND : STORE_APPEND;
    if (live && entry->size + write.size > BIG_SIZE * 2)
        return;
    enum result result = store_write(m->f.thread, &write, &written);
    if (result == RESULT_NOT_STORED) {
        forget(entry);
        return;
    }
    ck_assert(live);
    ck_assert_int_eq(result, RESULT_STORED);
    size_t size = entry->size + write.size;
    char *joined = malloc(size + 1);
    memcpy(joined + (front ? 0 : entry->size), write.value, write.size);
    memcpy(joined + (front ? write.size : 0), entry->value, entry->size);
    write.flags = entry->flags;
    write.expiry_s = entry->expiry_s;
    ck_assert_uint_eq(written.size, size);
    remember(entry, joined, size, &write, written.cas);
    free(joined);
}

static void step_read(struct model *m, unsigned k)
{
    struct store_key key = model_key(m, k);
    struct store_view view;
    bool live = sync_entry(m, k);
    ck_assert_int_eq(store_get(m->f.thread, &key, &view, NULL), live ? RESULT_HIT : RESULT_MISS);
    if (live)
        check_value(&view, &m->entry[k]);
}

static void step_touch(struct model *m, unsigned k)
{
    struct store_key key = model_key(m, k);
    struct store_view view;
    bool live = sync_entry(m, k);
    uint32_t expiry_s = draw_expiry(m);
    enum result result = store_touch(m->f.thread, &key, expiry_s, &view);
    ck_assert(live || result == RESULT_MISS);
    if (result != RESULT_HIT) {
        forget(&m->entry[k]);
        return;
    }
    m->entry[k].expiry_s = expiry_s;
    check_value(&view, &m->entry[k]);
}

static bool wants_lease(const struct entry *entry, const struct store_fetch *fetch)
{
    bool soon = entry->expiry_s != 0 && entry->expiry_s < fetch->recache_s;
    return !entry->won && (entry->stale || soon);
}

/* An item that was evicted while room was made for its own new form may be made anew. */
static void step_fetch(struct model *m, unsigned k)
{
    struct store_key key = model_key(m, k);
    struct entry *entry = &m->entry[k];
    struct store_view view;
    struct store_lease lease;
    struct store_fetch fetch = {.silent = draw(m, 2) == 0,
                                .vivify = draw(m, 6) == 0,
                                .vivify_expiry_s = draw_expiry(m),
                                .recache_s = draw(m, 2) == 0 ? m->now_s + (uint32_t)draw(m, 40) : 0,
                                .touch = draw(m, 4) == 0,
                                .expiry_s = draw_expiry(m)};
    bool live = sync_entry(m, k);
    enum result result = store_fetch(m->f.thread, &key, &fetch, &view, &lease, NULL);
    ck_assert(result == RESULT_HIT || (!fetch.vivify && (!live || fetch.touch)));
    if (result != RESULT_HIT || lease.created) {
        ck_assert(!live || fetch.touch);
        forget(entry);
    }
    if (result != RESULT_HIT)
        return;
    if (lease.created) {
        struct store_write write = {.expiry_s = fetch.vivify_expiry_s};
        remember(entry, "", 0, &write, view.cas);
        ck_assert(lease.win);
        entry->won = true;
        return;
    }
    ck_assert(live);
    if (fetch.touch)
        entry->expiry_s = fetch.expiry_s;
    check_value(&view, entry);
    ck_assert_int_eq(lease.win, wants_lease(entry, &fetch));
    entry->won |= lease.win;
}

static void step_invalidate(struct model *m, unsigned k)
{
    struct entry *entry = &m->entry[k];
    struct store_view view;
    struct store_invalidation how = {.key = model_key(m, k),
                                     .stale = draw(m, 8) > 0,
                                     .clear = draw(m, 12) == 0,
                                     .flags = (uint32_t)draw(m, 3),
                                     .touch = draw(m, 2) == 0,
                                     .expiry_s = draw_expiry(m),
                                     .cas_given = draw(m, 2) == 0,
                                     .cas_chosen = draw(m, 4) == 0,
                                     .cas_new = 2000 + draw(m, 5)};
    bool live = sync_entry(m, k), right = draw(m, 3) > 0;
    uint64_t cas = entry->cas;
    how.cas = cas + !right;
    enum result result = store_invalidate(m->f.thread, &how);
    if (result == RESULT_EXISTS) {
        ck_assert(live && how.cas_given && !right);
        return;
    }
    if (result == RESULT_NOT_FOUND || (!how.stale && !how.clear)) {
        ck_assert(live || result == RESULT_NOT_FOUND);
        forget(entry);
        return;
    }
    ck_assert(live && (right || !how.cas_given));
    ck_assert_int_eq(result, how.stale ? RESULT_OK : RESULT_DELETED);
    entry->size = how.clear ? 0 : entry->size;
    entry->flags = how.clear ? how.flags : entry->flags;
    entry->expiry_s = how.touch || how.clear ? how.expiry_s : entry->expiry_s;
    entry->stale = how.stale;
    entry->won = false;
    ck_assert_int_eq(store_peek(m->f.thread, &how.key, &view), RESULT_HIT);
    entry->cas = how.cas_chosen ? how.cas_new : how.stale ? view.cas : cas;
    ck_assert(!how.stale || how.cas_chosen || view.cas != cas);
    check_value(&view, entry);
}

static void step_delete(struct model *m, unsigned k)
{
    struct store_key key = model_key(m, k);
    bool live = sync_entry(m, k);
    ck_assert_int_eq(store_delete(m->f.thread, &key, 0), live ? RESULT_DELETED : RESULT_NOT_FOUND);
    forget(&m->entry[k]);
}

static void step_arithmetic(struct model *m, unsigned k)
{
    struct store_write write = {.key = model_key(m, k), .value = "41", .size = 2};
    struct store_view view;
    struct store_written written;
    struct store_delta delta = {.key = write.key, .delta = 1};
    struct store_number number;
    ck_assert_int_eq(store_write(m->f.thread, &write, &written), RESULT_STORED);
    forget(&m->entry[k]);
    if (store_arithmetic(m->f.thread, &delta, &number) == RESULT_MISS)
        return;
    ck_assert_uint_eq(number.size, 2);
    ck_assert_mem_eq(number.text, "42", 2);
    ck_assert_int_eq(store_peek(m->f.thread, &write.key, &view), RESULT_HIT);
    ck_assert_uint_gt(view.cas, written.cas);
    ck_assert_uint_eq(view.cas, number.cas);
    remember(&m->entry[k], "42", 2, &write, view.cas);
}

static void step_time(struct model *m)
{
    m->now_s += (uint32_t)draw(m, 4);
    clock_freeze_for_test(m->now_s);
    if (m->flush_at_s != 0 && m->now_s >= m->flush_at_s) {
        m->flush_at_s = 0;
        for (unsigned k = 0; k < KEY_COUNT; k++)
            forget(&m->entry[k]);
    }
}

static void step_flush(struct model *m)
{
    uint32_t at_s = m->now_s + (uint32_t)draw(m, 3) * 2;
    store_flush(m->f.thread, at_s);
    m->flush_at_s = at_s;
    if (at_s > m->now_s)
        return;
    m->flush_at_s = 0;
    for (unsigned k = 0; k < KEY_COUNT; k++)
        forget(&m->entry[k]);
}

static void step_rare(struct model *m)
{
    if (draw(m, 4) == 0)
        fixture_maintain(&m->f, 1);
    if (draw(m, 10) == 0)
        step_time(m);
    if (draw(m, 15000) == 0)
        step_flush(m);
    if (draw(m, 300) == 0)
        store_memory_limit_set(m->f.store, MIB + draw(m, 3) * MIB / 2);
}

static void step(struct model *m)
{
    typedef void (*step_fn)(struct model *, unsigned);
    static const step_fn steps[] = {step_store, step_store, step_delete,     step_join,  step_read,
                                    step_touch, step_store, step_arithmetic, step_fetch, step_invalidate,
                                    step_store, step_store, step_join};
    unsigned k = (unsigned)(draw(m, 2) == 0 ? draw(m, KEY_COUNT) : draw(m, KEY_COUNT / 8));
    steps[draw(m, sizeof steps / sizeof *steps)](m, k);
    step_rare(m);
}

static uint64_t environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

START_TEST(may_lose_but_never_lies)
{
    static struct model m;
    uint64_t seed = environment("VITRINE_SEED", 0x9e3779b97f4a7c15 * (uint64_t)(_i + 1));
    uint64_t steps = environment("VITRINE_MODEL_STEPS", 30000);
    m = (struct model){.random = seed | 1, .now_s = 100};
    m.f = fixture_open(
        (struct store_config){.memory_size = MIB, .memory_size_max = 4 * MIB, .hash_seed = seed | 1});
    for (uint64_t i = 0; i < steps; i++)
        step(&m);
    printf("seed %llu: %llu hits, %llu lost\n", (unsigned long long)seed, (unsigned long long)m.hits,
           (unsigned long long)m.losses);
    ck_assert_uint_gt(m.hits, steps / 10);
    ck_assert_uint_gt(m.losses, 0);
    for (unsigned k = 0; k < KEY_COUNT; k++)
        forget(&m.entry[k]);
    fixture_close(&m.f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store model");
    TCase *tcase = tcase_create("model");
    tcase_set_timeout(tcase, 600);
    tcase_add_loop_test(tcase, may_lose_but_never_lies, 0, 8);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
