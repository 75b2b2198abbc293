/* All that threads can do to the store at once, with eviction, expiry, growth, shrinking and flushes running,
 * and every value telling by itself whether it is right.
 *
 * A key is written and deleted by one thread only (its owner) and read by all. A value holds its key, a
 * version that only rises, and bytes that follow from both. So a lie of any kind shows: bytes of another key,
 * torn bytes, an old version after a newer one, a deleted item that comes back, an expired or flushed one
 * that is still served. At the end the books must balance and everything must be gone after a flush.
 *
 * VITRINE_STRESS_OPERATIONS=<a thread's count>, VITRINE_STRESS_THREADS; VITRINE_SEED=<what is drawn>, which
 * also disturbs the schedule at the marked points (base/perturb.h). Exits 1 on a lie. */
#include "base/clock.h"
#include "store/store.h"
#include "value.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_COUNT   6000u
#define THREAD_MAX  16u
#define VALUE_MAX   60000u
#define MEMORY_SIZE ((size_t)4 << 20)

struct actor {
    pthread_t thread;
    unsigned index;
    uint64_t random;
    struct store_thread *store;
    uint64_t seen[KEY_COUNT];  /* the highest version of each key this thread has read */
    uint64_t wrote[KEY_COUNT]; /* by its owner; 0: deleted */
    uint64_t hits, misses;
    struct win *wins; /* every lease it was given */
    size_t win_count, win_capacity;
    char value[VALUE_MAX];
};

/* A lease: of one version of one key, so that there may be no two alike. */
struct win {
    uint32_t key;
    uint64_t version;
};

static struct store *store;
static struct actor *actors[THREAD_MAX];
static unsigned actor_count = 4;
static uint64_t operation_count = 60000;
static _Atomic unsigned actors_done;

static void lie(const char *what, uint64_t key, uint64_t a, uint64_t b)
{
    fprintf(stderr, "LIE: %s: key %llu, %llu, %llu\n", what, (unsigned long long)key, (unsigned long long)a,
            (unsigned long long)b);
    exit(EXIT_FAILURE);
}

static uint64_t draw(struct actor *a, uint64_t bound)
{
    a->random += 0x9e3779b97f4a7c15;
    return mix(a->random) % bound;
}

static struct store_key key_of(char kind, uint32_t k, char name[32])
{
    int size = snprintf(name, 32, "%c:%u", kind, k);
    return store_key(store, name, (size_t)size);
}

/* ---- values that verify themselves ---- */

/* Joins a value's parts: `part` is store_view_part or store_pin_part behind a common face. */
typedef size_t (*part_fn)(const void *of, size_t offset, const char **data);

static size_t part_of_view(const void *of, size_t offset, const char **data)
{
    return store_view_part(of, offset, data);
}

static size_t part_of_pin(const void *of, size_t offset, const char **data)
{
    return store_pin_part(of, offset, data);
}

static uint64_t value_check(uint32_t key, const void *of, part_fn part, size_t size)
{
    static _Thread_local char bytes[VALUE_MAX], wanted[VALUE_MAX];
    struct head head;
    if (size < sizeof head || size > VALUE_MAX)
        lie("size", key, size, 0);
    for (size_t at = 0; at < size;) {
        const char *data;
        size_t got = part(of, at, &data);
        if (got == 0 || got > size - at)
            lie("part", key, at, got);
        memcpy(bytes + at, data, got);
        at += got;
    }
    memcpy(&head, bytes, sizeof head);
    if (head.key != key || head.size != size)
        lie("another key's value", key, head.key, head.size);
    value_make(wanted, key, head.version, size);
    if (memcmp(bytes, wanted, size) != 0)
        lie("torn value", key, head.version, size);
    return head.version;
}

static size_t part_of_hit(const void *of, size_t offset, const char **data)
{
    const struct store_hit *hit = of;
    *data = hit->value + offset;
    return hit->size - offset;
}

static void version_check(struct actor *a, uint32_t k, uint64_t version, uint32_t flags)
{
    if (flags != flags_of(version))
        lie("flags", k, version, flags);
    if (version < a->seen[k])
        lie("an older version came back", k, version, a->seen[k]);
    a->seen[k] = version;
    if (k % actor_count == a->index && version != a->wrote[k])
        lie("not what its owner wrote last", k, version, a->wrote[k]);
}

static void view_check(struct actor *a, uint32_t k, const struct store_view *view, uint32_t now_s)
{
    uint64_t version = value_check(k, view, part_of_view, view->size);
    if (view->expiry_s != STORE_NEVER_S && view->expiry_s <= now_s)
        lie("expired and served", k, view->expiry_s, now_s);
    version_check(a, k, version, view->flags);
}

/* ---- what threads do ---- */

static uint32_t draw_key(struct actor *a)
{
    return (uint32_t)(draw(a, 2) ? draw(a, KEY_COUNT) : draw(a, 64));
}

static uint32_t draw_own_key(struct actor *a)
{
    uint32_t k = draw_key(a);
    k = k - k % actor_count + a->index;
    return k < KEY_COUNT ? k : a->index;
}

static uint32_t draw_expiry(struct actor *a)
{
    return draw(a, 3) == 0 ? STORE_NEVER_S : clock_s() + 1 + (uint32_t)draw(a, draw(a, 2) ? 5 : 5000);
}

static void do_get(struct actor *a)
{
    struct store_view view;
    char name[32];
    uint32_t k = draw_key(a), now_s = clock_s();
    struct store_key key = key_of('v', k, name);
    store_prefetch(a->store, &key, 1);
    if (store_get(a->store, &key, &view, NULL) == RESULT_HIT) {
        a->hits++;
        view_check(a, k, &view, now_s);
    } else {
        a->misses++;
    }
}

/* Many keys at once, some of them more than once. */
static void do_get_many(struct actor *a)
{
    struct store_hit hits[STORE_PREFETCH_MAX];
    struct store_key keys[STORE_PREFETCH_MAX];
    char names[STORE_PREFETCH_MAX][32];
    uint32_t k[STORE_PREFETCH_MAX];
    unsigned count = 1 + (unsigned)draw(a, STORE_PREFETCH_MAX);
    for (unsigned i = 0; i < count; i++)
        keys[i] = key_of('v', k[i] = draw_key(a), names[i]);
    unsigned got = store_get_many(a->store, keys, count, 1 + draw(a, 30000), 64, hits);
    for (unsigned i = 0; i < got; i++) {
        if (hits[i].value)
            version_check(a, k[i], value_check(k[i], &hits[i], part_of_hit, hits[i].size), hits[i].flags);
        a->hits += hits[i].value != NULL;
        a->misses += hits[i].value == NULL;
    }
}

static void do_store(struct actor *a)
{
    static const enum store_mode modes[] = {STORE_SET, STORE_SET, STORE_ADD, STORE_REPLACE};
    char name[32];
    uint32_t k = draw_own_key(a);
    uint64_t version = (a->wrote[k] > a->seen[k] ? a->wrote[k] : a->seen[k]) + 1;
    size_t size = draw(a, 100) < 98 ? draw(a, 300) : draw(a, VALUE_MAX);
    size = value_make(a->value, k, version, size);
    struct store_write write = {.key = key_of('v', k, name),
                                .value = a->value,
                                .size = size,
                                .flags = flags_of(version),
                                .expiry_s = draw_expiry(a),
                                .mode = modes[draw(a, 4)]};
    enum result result = store_write(a->store, &write, NULL);
    if (result == RESULT_STORED)
        a->seen[k] = a->wrote[k] = version;
    else if (result != RESULT_NOT_STORED)
        lie("store", k, (uint64_t)result, size);
}

/* A cas with the version just read must store, unless the item was evicted or has expired meanwhile. */
static void do_cas(struct actor *a)
{
    char name[32];
    struct store_view view;
    uint32_t k = draw_own_key(a);
    struct store_key key = key_of('v', k, name);
    if (store_get(a->store, &key, &view, NULL) != RESULT_HIT)
        return;
    uint64_t version = a->wrote[k] + 1;
    struct store_write write = {.key = key,
                                .value = a->value,
                                .size = value_make(a->value, k, version, draw(a, 2000)),
                                .flags = flags_of(version),
                                .mode = STORE_CAS,
                                .cas = view.cas};
    enum result result = store_write(a->store, &write, NULL);
    if (result == RESULT_STORED)
        a->seen[k] = a->wrote[k] = version;
    else if (result != RESULT_NOT_FOUND)
        lie("cas", k, (uint64_t)result, view.cas);
}

static void do_delete(struct actor *a)
{
    char name[32];
    uint32_t k = draw_own_key(a);
    struct store_key key = key_of('v', k, name);
    struct store_view view;
    store_delete(a->store, &key, 0);
    a->seen[k] = a->wrote[k] > a->seen[k] ? a->wrote[k] : a->seen[k];
    if (store_get(a->store, &key, &view, NULL) == RESULT_HIT)
        lie("deleted and served", k, view.cas, 0);
}

static void do_touch(struct actor *a)
{
    char name[32];
    struct store_view view;
    uint32_t k = draw_key(a), expiry_s = draw_expiry(a);
    struct store_key key = key_of('v', k, name);
    if (store_touch(a->store, &key, expiry_s, &view) == RESULT_HIT && view.expiry_s == expiry_s)
        view_check(a, k, &view, 0);
}

/* All threads count one number: it only rises while it lives. Its eviction starts it anew. */
static void do_arithmetic(struct actor *a)
{
    char name[32];
    struct store_number number = {0};
    struct store_key key = key_of('n', (uint32_t)draw(a, 50), name);
    struct store_write write = {.key = key, .value = "0", .size = 1, .mode = STORE_ADD};
    struct store_delta delta = {.key = key, .delta = 1};
    enum result result = store_arithmetic(a->store, &delta, &number);
    if (result == RESULT_MISS)
        store_write(a->store, &write, NULL);
    else if (result != RESULT_HIT || number.size == 0 || number.text[0] == '0')
        lie("arithmetic", 0, (uint64_t)result, number.size);
}

/* All threads join blocks to the same values: each must be whole. */
static void do_join(struct actor *a)
{
    char name[32];
    struct store_view view;
    uint32_t k = (uint32_t)draw(a, 50);
    uint32_t block[2] = {k, ~k};
    struct store_write write = {.key = key_of('a', k, name),
                                .value = (const char *)block,
                                .size = sizeof block,
                                .mode = draw(a, 2) ? STORE_APPEND : STORE_PREPEND};
    enum result result = store_write(a->store, &write, NULL);
    if (result == RESULT_NOT_STORED || draw(a, 400) == 0) {
        write.mode = STORE_SET;
        store_write(a->store, &write, NULL);
    }
    if (store_peek(a->store, &write.key, &view) != RESULT_HIT)
        return;
    for (size_t at = 0; at < view.size; at += sizeof block) {
        const char *data;
        if (store_view_part(&view, at, &data) < sizeof block || memcmp(data, block, sizeof block) != 0)
            lie("joined value", k, at, view.size);
    }
}

static void win_note(struct actor *a, uint32_t k, const struct store_view *view)
{
    if (a->win_count == a->win_capacity) {
        a->win_capacity = a->win_capacity ? 2 * a->win_capacity : 1024;
        a->wins = realloc(a->wins, a->win_capacity * sizeof *a->wins);
        if (!a->wins)
            exit(EXIT_FAILURE);
    }
    a->wins[a->win_count++] = (struct win){k, store_view_version(view)};
}

/* All threads ask for the same few keys and renew what they are told to: now and then they are slow, so that
 * a value comes too late, and now and then somebody marks the item stale, empties it, touches it or has it
 * expire. */
static void do_lease(struct actor *a)
{
    char name[32];
    struct store_view view;
    struct store_lease lease;
    uint32_t k = (uint32_t)draw(a, 40), now_s = clock_s();
    struct store_key key = key_of('l', k, name);
    struct store_fetch fetch = {.silent = draw(a, 4) == 0,
                                .vivify = draw(a, 2) == 0,
                                .vivify_expiry_s = now_s + 1 + (uint32_t)draw(a, 4),
                                .recache_s = draw(a, 2) ? now_s + 3 : 0,
                                .touch = draw(a, 8) == 0,
                                .expiry_s = draw_expiry(a)};
    struct store_invalidation stale = {.key = key, .stale = true, .clear = draw(a, 8) == 0};
    if (draw(a, 6) == 0)
        store_invalidate(a->store, &stale);
    if (store_fetch(a->store, &key, &fetch, &view, &lease, NULL) != RESULT_HIT)
        return;
    if (lease.win && view.won)
        lie("leased twice", k, view.cas, 0);
    if (view.size != 0 && (view.size != key.size || memcmp(view.value, name, key.size) != 0))
        lie("leased value", k, view.size, 0);
    if (!lease.win)
        return;
    win_note(a, k, &view);
    struct store_write write = {.key = key,
                                .value = name,
                                .size = key.size,
                                .expiry_s = draw_expiry(a),
                                .mode = STORE_CAS,
                                .cas = view.cas,
                                .stale_allowed = draw(a, 2) == 0};
    if (draw(a, 3) > 0)
        store_write(a->store, &write, NULL);
}

static int win_compare(const void *a, const void *b)
{
    const struct win *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->version < y->version ? -1 : x->version > y->version;
}

/* At the end: no version of a key was leased to two. */
static void check_wins(void)
{
    size_t count = 0, at = 0;
    for (unsigned i = 0; i < actor_count; i++)
        count += actors[i]->win_count;
    struct win *wins = malloc((count + 1) * sizeof *wins);
    for (unsigned i = 0; i < actor_count; at += actors[i++]->win_count)
        if (actors[i]->win_count > 0)
            memcpy(wins + at, actors[i]->wins, actors[i]->win_count * sizeof *wins);
    qsort(wins, count, sizeof *wins, win_compare);
    for (size_t i = 1; i < count; i++)
        if (win_compare(&wins[i - 1], &wins[i]) == 0)
            lie("two were told to renew it", wins[i].key, wins[i].version, 0);
    printf("%zu leases, each given once\n", count);
    free(wins);
}

/* Bytes that are pinned stay what they are while the thread goes on. */
static void do_pin(struct actor *a)
{
    char name[32];
    struct store_view view;
    uint32_t k = draw_key(a);
    struct store_key key = key_of('v', k, name);
    if (store_get(a->store, &key, &view, NULL) != RESULT_HIT)
        return;
    size_t size = view.size;
    struct store_pin *pin = store_pin(a->store, &view);
    if (!pin)
        return;
    store_thread_offline(a->store);
    uint64_t before = value_check(k, pin, part_of_pin, size);
    store_thread_online(a->store);
    do_store(a);
    store_thread_quiesce(a->store);
    if (value_check(k, pin, part_of_pin, size) != before)
        lie("pinned value", k, before, 0);
    store_unpin(pin);
}

static void do_stage(struct actor *a)
{
    char name[32];
    uint32_t k = draw_own_key(a);
    uint64_t version = (a->wrote[k] > a->seen[k] ? a->wrote[k] : a->seen[k]) + 1;
    size_t got = 0, size = value_make(a->value, k, version, 20000 + draw(a, 30000));
    struct store_staging *staging = store_staging_open(store, size);
    while (staging && got < size) {
        size_t room;
        char *at = store_staging_room(staging, &room);
        if (!at)
            break;
        memcpy(at, a->value + got, room);
        store_staging_fill(staging, room);
        got += room;
    }
    struct store_write write = {
        .key = key_of('v', k, name), .size = size, .flags = flags_of(version), .mode = STORE_SET};
    if (staging && got == size) {
        write.value = store_staging_data(staging);
        if (store_write(a->store, &write, NULL) == RESULT_STORED)
            a->seen[k] = a->wrote[k] = version;
    }
    store_staging_close(staging);
}

static void visit(void *context, const struct store_view *view)
{
    struct actor *a = context;
    char name[32];
    if (view->key_size < 3 || view->key_size >= sizeof name)
        lie("browsed key", view->key_size, 0, 0);
    memcpy(name, view->key, view->key_size);
    name[view->key_size] = 0;
    if (name[0] == 'v')
        view_check(a, (uint32_t)strtoul(name + 2, NULL, 10), view, 0);
}

static void do_browse(struct actor *a)
{
    store_browse(a->store, mix(draw(a, 1u << 30)), 50, 64, visit, a);
}

/* Many small items at once, soon gone: the index grows, and shrinks again. */
static void do_burst(struct actor *a)
{
    char name[32];
    for (unsigned i = 0; i < 300; i++) {
        struct store_write write = {.key = key_of('x', (uint32_t)draw(a, 1u << 30), name),
                                    .expiry_s = clock_s() + 1 + (uint32_t)draw(a, 3)};
        if (store_write(a->store, &write, NULL) != RESULT_STORED)
            lie("burst", i, 0, 0);
    }
}

static void do_rare(struct actor *a)
{
    struct store_usage usage;
    switch (draw(a, 40)) {
    case 0:
        if (draw(a, 8) == 0)
            store_flush(a->store, draw(a, 2) ? 0 : clock_s() + 2);
        break;
    case 1:
        store_memory_limit_set(store, MEMORY_SIZE / 2 + draw(a, MEMORY_SIZE));
        break;
    case 2:
    case 3:
        do_burst(a);
        break;
    case 4:
        store_thread_offline(a->store);
        store_maintain(store);
        store_thread_online(a->store);
        break;
    default:
        store_usage_read(store, &usage);
    }
}

static void *act(void *arg)
{
    typedef void (*do_fn)(struct actor *);
    static const do_fn often[] = {do_get,   do_get,        do_get,  do_get_many, do_store,
                                  do_store, do_arithmetic, do_join, do_touch,    do_lease};
    static const do_fn seldom[] = {do_cas, do_delete, do_pin, do_stage, do_browse, do_rare};
    struct actor *a = arg;
    store_thread_online(a->store);
    for (uint64_t i = 0; i < operation_count; i++) {
        if (draw(a, 10) > 0)
            often[draw(a, sizeof often / sizeof *often)](a);
        else
            seldom[draw(a, sizeof seldom / sizeof *seldom)](a);
        if (draw(a, 8) == 0)
            store_thread_quiesce(a->store);
    }
    store_thread_offline(a->store);
    atomic_fetch_add(&actors_done, 1);
    return NULL;
}

/* ---- the frame ---- */

static uint64_t environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void balance(struct metrics *metrics, const char *when)
{
    struct metrics_snapshot *s = malloc(sizeof *s);
    struct store_usage usage;
    metrics_snapshot_take(metrics, s);
    store_usage_read(store, &usage);
    printf(
        "%s: %llu stored, %llu alive, %llu evicted, %llu expired, %llu deleted, %llu replaced, %llu flushed, "
        "%llu made room directly, %llu segments reclaimed\n",
        when, (unsigned long long)s->value[METRIC_total_items], (unsigned long long)usage.item_count,
        (unsigned long long)s->value[METRIC_removed_evicted],
        (unsigned long long)s->value[METRIC_removed_expired],
        (unsigned long long)s->value[METRIC_removed_deleted],
        (unsigned long long)s->value[METRIC_removed_replaced],
        (unsigned long long)s->value[METRIC_removed_flushed],
        (unsigned long long)s->value[METRIC_direct_reclaims],
        (unsigned long long)s->value[METRIC_segments_reclaimed]);
    if (s->value[METRIC_curr_items] != usage.item_count)
        lie("conservation", 0, s->value[METRIC_curr_items], usage.item_count);
    free(s);
}

/* After a flush and the maintainer's sweep nothing may be left, to the byte. */
static void check_empty(struct metrics *metrics)
{
    struct store_usage usage;
    struct store_thread *thread = actors[0]->store;
    store_flush(thread, 0);
    for (unsigned i = 0; i < 64; i++)
        store_maintain(store);
    store_usage_read(store, &usage);
    balance(metrics, "after a flush");
    if (usage.item_count != 0 || usage.live_size != 0 || usage.staging_size != 0)
        lie("left over", usage.item_count, usage.live_size, usage.staging_size);
}

int main(void)
{
    char error[200];
    uint64_t seed = environment("VITRINE_SEED", 1);
    operation_count = environment("VITRINE_STRESS_OPERATIONS", operation_count);
    actor_count = (unsigned)environment("VITRINE_STRESS_THREADS", actor_count);
    if (actor_count < 1 || actor_count > THREAD_MAX)
        return EXIT_FAILURE;
    printf("seed %llu, %u threads, %llu operations each, schedule %s\n", (unsigned long long)seed,
           actor_count, (unsigned long long)operation_count,
           getenv("VITRINE_SEED") ? "disturbed" : "left alone");
    fflush(stdout);
    clock_freeze_for_test(100);
    struct metrics *metrics = metrics_create();
    struct store_config config = {.memory_size = MEMORY_SIZE,
                                  .memory_size_max = 2 * MEMORY_SIZE,
                                  .item_size_max = 1 << 20,
                                  .hash_seed = mix(seed),
                                  .thread_count = actor_count};
    store = store_create(&config, metrics, error, sizeof error);
    if (!store)
        return EXIT_FAILURE;
    store_maintainer_start(store);
    for (unsigned i = 0; i < actor_count; i++) {
        actors[i] = calloc(1, sizeof *actors[i]);
        actors[i]->index = i;
        actors[i]->random = mix(seed) + i * 77777;
        actors[i]->store = store_thread_create(store, metrics_block_create(metrics));
    }
    for (unsigned i = 0; i < actor_count; i++)
        pthread_create(&actors[i]->thread, NULL, act, actors[i]);
    struct timespec pause = {.tv_nsec = 20000000};
    for (uint32_t now_s = 101; atomic_load(&actors_done) < actor_count; now_s++) {
        nanosleep(&pause, NULL);
        clock_freeze_for_test(now_s);
    }
    for (unsigned i = 0; i < actor_count; i++)
        pthread_join(actors[i]->thread, NULL);
    store_maintainer_stop(store);
    check_wins();
    balance(metrics, "at rest");
    check_empty(metrics);
    for (unsigned i = 0; i < actor_count; i++) {
        store_thread_destroy(actors[i]->store);
        free(actors[i]->wins);
        free(actors[i]);
    }
    store_destroy(store);
    metrics_destroy(metrics);
    return EXIT_SUCCESS;
}
