#include "metrics/insight/prefixes.h"

#include "base/hash.h"
#include "base/lock.h"
#include "metrics/metrics.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_COUNT (PREFIXES_MAX * 2)

/* Entries stand one after the other in the arena; a name never moves once it is published. */
struct entry {
    _Atomic uint64_t count[PREFIXES_EVENT_COUNT];
    uint64_t hash;
    uint32_t name_size;
    char name[];
};

/* Single writer. Readers see the entries below `used`. */
struct table {
    char *arena;            /* PREFIXES_SIZE bytes, zeroed; taken at the first use */
    _Atomic size_t used;    /* bytes of the arena */
    uint32_t *slots;        /* the owner's alone: offset + 1 of an entry, 0: none */
    unsigned entry_count;   /* the owner's alone */
    _Atomic unsigned epoch; /* of the clear that these counts follow */
};

struct prefixes_thread {
    struct table table;
    struct prefixes *owner;
    struct prefixes_thread *next;
};

struct prefixes {
    _Atomic bool enabled;   /* relaxed: a request counted more or less at the switch is no error */
    _Atomic unsigned epoch; /* of the last clear */
    uint64_t hash_seed;     /* so that no client can choose collisions */
    char delimiter;
    struct lock lock; /* guards the list of threads */
    struct prefixes_thread *threads;
};

/* ---- one table ---- */

static bool table_init(struct table *table)
{
    char *arena = calloc(1, PREFIXES_SIZE);
    table->slots = calloc(SLOT_COUNT, sizeof *table->slots);
    if (arena == NULL || table->slots == NULL) {
        free(arena);
        free(table->slots);
        table->slots = NULL;
        return false;
    }
    table->arena = arena;
    return true;
}

static void table_fini(struct table *table)
{
    free(table->arena);
    free(table->slots);
}

static struct entry *entry_at(const struct table *table, size_t offset)
{
    return (struct entry *)(void *)(table->arena + offset);
}

static size_t entry_size(size_t name_size)
{
    size_t size = sizeof(struct entry) + name_size;
    return (size + _Alignof(struct entry) - 1) & ~(_Alignof(struct entry) - 1);
}

static struct entry *table_append(struct table *table, uint32_t *slot, uint64_t hash, const char *name,
                                  size_t name_size)
{
    size_t used = atomic_load_explicit(&table->used, memory_order_relaxed); /* our own store */
    if (table->entry_count == PREFIXES_MAX || used + entry_size(name_size) > PREFIXES_SIZE)
        return NULL;
    struct entry *entry = entry_at(table, used);
    entry->hash = hash;
    entry->name_size = (uint32_t)name_size;
    memcpy(entry->name, name, name_size);
    *slot = (uint32_t)used + 1;
    table->entry_count++;
    /* Release: name and size are there before the entry is; pairs with the acquire in table_merge. */
    atomic_store_explicit(&table->used, used + entry_size(name_size), memory_order_release);
    return entry;
}

/* The entry of that name, made if need be; NULL when the table is full. */
static struct entry *table_entry(struct table *table, uint64_t hash, const char *name, size_t name_size)
{
    if (table->slots == NULL && !table_init(table))
        return NULL;
    /* Ends: there are twice as many slots as entries. */
    for (uint64_t i = hash;; i++) {
        uint32_t *slot = &table->slots[i % SLOT_COUNT];
        if (*slot == 0)
            return table_append(table, slot, hash, name, name_size);
        struct entry *entry = entry_at(table, *slot - 1);
        if (entry->hash == hash && entry->name_size == name_size && memcmp(entry->name, name, name_size) == 0)
            return entry;
    }
}

/* Relaxed load and store: single writer; partner: the relaxed loads of entry_merge. */
static void entry_add(struct entry *entry, unsigned event, uint64_t n)
{
    uint64_t count = atomic_load_explicit(&entry->count[event], memory_order_relaxed);
    atomic_store_explicit(&entry->count[event], count + n, memory_order_relaxed);
}

static void table_zero(struct table *table)
{
    size_t used = atomic_load_explicit(&table->used, memory_order_relaxed); /* our own store */
    for (size_t at = 0; at < used; at += entry_size(entry_at(table, at)->name_size))
        for (unsigned event = 0; event < PREFIXES_EVENT_COUNT; event++)
            atomic_store_explicit(&entry_at(table, at)->count[event], 0, memory_order_relaxed);
}

static void entry_merge(struct table *into, const struct entry *from)
{
    struct entry *entry = table_entry(into, from->hash, from->name, from->name_size);
    for (unsigned event = 0; entry != NULL && event < PREFIXES_EVENT_COUNT; event++)
        entry_add(entry, event, atomic_load_explicit(&from->count[event], memory_order_relaxed));
}

static void table_merge(struct table *into, const struct table *from)
{
    /* Acquire: pairs with the release in table_append. */
    size_t used = atomic_load_explicit(&from->used, memory_order_acquire);
    for (size_t at = 0; at < used; at += entry_size(entry_at(from, at)->name_size))
        entry_merge(into, entry_at(from, at));
}

/* ---- all of them ---- */

struct prefixes *prefixes_create(char delimiter)
{
    struct prefixes *prefixes = calloc(1, sizeof *prefixes);
    if (prefixes == NULL)
        return NULL;
    prefixes->delimiter = delimiter;
    prefixes->hash_seed = hash_random_seed();
    lock_init(&prefixes->lock, LOCK_METRICS_PREFIXES);
    return prefixes;
}

void prefixes_destroy(struct prefixes *prefixes)
{
    if (prefixes == NULL)
        return;
    struct prefixes_thread *next;
    for (struct prefixes_thread *thread = prefixes->threads; thread != NULL; thread = next) {
        next = thread->next;
        table_fini(&thread->table);
        free(thread);
    }
    lock_fini(&prefixes->lock);
    free(prefixes);
}

struct prefixes_thread *prefixes_thread_create(struct prefixes *prefixes)
{
    struct prefixes_thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL)
        return NULL;
    thread->owner = prefixes;
    lock_acquire(&prefixes->lock);
    thread->next = prefixes->threads;
    prefixes->threads = thread;
    lock_release(&prefixes->lock);
    return thread;
}

void prefixes_enable(struct prefixes *prefixes, bool on)
{
    atomic_store_explicit(&prefixes->enabled, on, memory_order_relaxed);
}

bool prefixes_enabled(const struct prefixes *prefixes)
{
    return atomic_load_explicit(&prefixes->enabled, memory_order_relaxed);
}

/* A clear only moves the epoch on; each owner zeroes its own table when it next counts, and until then a dump
 * passes the table by. */
static void follow_epoch(struct prefixes_thread *thread)
{
    unsigned epoch = atomic_load_explicit(&thread->owner->epoch, memory_order_relaxed);
    if (atomic_load_explicit(&thread->table.epoch, memory_order_relaxed) == epoch)
        return;
    table_zero(&thread->table);
    /* Release: the zeroes are there before the epoch is; pairs with the acquire in prefixes_dump. */
    atomic_store_explicit(&thread->table.epoch, epoch, memory_order_release);
}

void prefixes_record(struct prefixes_thread *thread, const char *key, size_t size, enum prefixes_event event)
{
    const char *end = METRICS_ON ? memchr(key, thread->owner->delimiter, size) : NULL;
    if (end == NULL)
        return;
    follow_epoch(thread);
    size_t name_size = (size_t)(end - key);
    uint64_t hash = hash_bytes(key, name_size, thread->owner->hash_seed);
    struct entry *entry = table_entry(&thread->table, hash, key, name_size);
    if (entry != NULL)
        entry_add(entry, event, 1);
}

void prefixes_clear(struct prefixes *prefixes)
{
    /* Relaxed: no data hangs on it; owners notice at their next request. */
    atomic_fetch_add_explicit(&prefixes->epoch, 1, memory_order_relaxed);
}

static void entry_print(const struct entry *entry, struct buffer *out)
{
    unsigned long long count[PREFIXES_EVENT_COUNT];
    unsigned long long sum = 0;
    for (unsigned event = 0; event < PREFIXES_EVENT_COUNT; event++)
        sum += count[event] = atomic_load_explicit(&entry->count[event], memory_order_relaxed);
    if (sum == 0) /* not asked for since the last clear */
        return;
    buffer_text(out, "PREFIX ");
    buffer_append(out, entry->name, entry->name_size);
    buffer_format(out, " get %llu hit %llu set %llu del %llu\r\n", count[PREFIXES_MISS] + count[PREFIXES_HIT],
                  count[PREFIXES_HIT], count[PREFIXES_SET], count[PREFIXES_DELETE]);
}

void prefixes_dump(struct prefixes *prefixes, struct buffer *out)
{
    struct table merged = {0};
    unsigned epoch = atomic_load_explicit(&prefixes->epoch, memory_order_relaxed);
    lock_acquire(&prefixes->lock);
    for (const struct prefixes_thread *thread = prefixes->threads; thread != NULL; thread = thread->next)
        /* Acquire: pairs with the release in follow_epoch. */
        if (atomic_load_explicit(&thread->table.epoch, memory_order_acquire) == epoch)
            table_merge(&merged, &thread->table);
    lock_release(&prefixes->lock);
    size_t used = atomic_load_explicit(&merged.used, memory_order_relaxed); /* our own store */
    for (size_t at = 0; at < used; at += entry_size(entry_at(&merged, at)->name_size))
        entry_print(entry_at(&merged, at), out);
    table_fini(&merged);
}

size_t prefixes_memory_size(struct prefixes *prefixes)
{
    size_t size = sizeof *prefixes;
    lock_acquire(&prefixes->lock);
    for (const struct prefixes_thread *thread = prefixes->threads; thread != NULL; thread = thread->next) {
        size += sizeof *thread;
        /* Relaxed: a figure. A table that holds anything holds its whole arena. */
        if (atomic_load_explicit(&thread->table.used, memory_order_relaxed) != 0)
            size += PREFIXES_SIZE + SLOT_COUNT * sizeof(uint32_t);
    }
    lock_release(&prefixes->lock);
    return size;
}
