#include "admin/watch_priv.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/lock.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define SWEEP_MS    250
#define NS_A_SECOND UINT64_C(1000000000)

static const uint64_t allowed_ns[WATCH_PHASE_COUNT] = {
    [WATCH_HEADER] = 5 * NS_A_SECOND,
    [WATCH_IDLE] = 30 * NS_A_SECOND,
    [WATCH_BODY] = 15 * NS_A_SECOND,
    [WATCH_REPLY] = 30 * NS_A_SECOND,
};

struct watch_entry {
    struct watch_entry *next, *previous;
    int fd;
    enum watch_phase phase;
    bool shut; /* asked to go; the library is about to close it */
    uint64_t since_ns;
};

struct watch {
    struct lock lock;
    struct watch_entry *first;
    /* Written under the lock, read by watch_count without it. Relaxed: each stands alone. */
    _Atomic uint64_t open_count; /* without those that are shut */
    _Atomic uint64_t cut_count;
    pthread_t thread;
    int stop_fd;
};

/* Adds under the lock; see the fields. */
static void adjust(_Atomic uint64_t *cell, int64_t by)
{
    uint64_t now = atomic_load_explicit(cell, memory_order_relaxed);
    atomic_store_explicit(cell, now + (uint64_t)by, memory_order_relaxed);
}

static void shut(struct watch *watch, struct watch_entry *entry)
{
    entry->shut = true;
    adjust(&watch->open_count, -1);
    adjust(&watch->cut_count, 1);
    shutdown(entry->fd, SHUT_RDWR);
}

void watch_sweep(struct watch *watch, uint64_t now_ns)
{
    lock_acquire(&watch->lock);
    for (struct watch_entry *entry = watch->first; entry != NULL; entry = entry->next)
        if (!entry->shut && now_ns > entry->since_ns && now_ns - entry->since_ns > allowed_ns[entry->phase])
            shut(watch, entry);
    lock_release(&watch->lock);
}

static void *watch_main(void *context)
{
    struct watch *watch = context;
    struct pollfd stop = {.fd = watch->stop_fd, .events = POLLIN};
    while (poll(&stop, 1, SWEEP_MS) <= 0)
        watch_sweep(watch, clock_ns());
    return NULL;
}

struct watch *watch_create(void)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL)
        return NULL;
    lock_init(&watch->lock, LOCK_ADMIN_JOBS);
    watch->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (watch->stop_fd >= 0 && pthread_create(&watch->thread, NULL, watch_main, watch) == 0)
        return watch;
    if (watch->stop_fd >= 0)
        close(watch->stop_fd);
    lock_fini(&watch->lock);
    free(watch);
    return NULL;
}

void watch_destroy(struct watch *watch)
{
    if (watch == NULL)
        return;
    eventfd_write(watch->stop_fd, 1);
    pthread_join(watch->thread, NULL);
    ASSERT(watch->first == NULL);
    close(watch->stop_fd);
    lock_fini(&watch->lock);
    free(watch);
}

/* Whether `a` is to go before `b`. */
static bool goes_before(const struct watch_entry *a, const struct watch_entry *b)
{
    if (b == NULL || a->phase != b->phase)
        return b == NULL || a->phase < b->phase;
    return a->since_ns < b->since_ns;
}

static void make_room(struct watch *watch)
{
    struct watch_entry *victim = NULL;
    for (struct watch_entry *entry = watch->first; entry != NULL; entry = entry->next)
        if (!entry->shut && goes_before(entry, victim))
            victim = entry;
    if (victim != NULL)
        shut(watch, victim);
}

struct watch_entry *watch_open(struct watch *watch, int fd)
{
    struct watch_entry *entry = calloc(1, sizeof(*entry));
    if (entry == NULL)
        return NULL;
    entry->fd = fd;
    entry->phase = WATCH_HEADER;
    entry->since_ns = clock_ns();
    lock_acquire(&watch->lock);
    if (atomic_load_explicit(&watch->open_count, memory_order_relaxed) >= WATCH_LIMIT - WATCH_SPARE)
        make_room(watch);
    entry->next = watch->first;
    if (entry->next != NULL)
        entry->next->previous = entry;
    watch->first = entry;
    adjust(&watch->open_count, 1);
    lock_release(&watch->lock);
    return entry;
}

void watch_close(struct watch *watch, struct watch_entry *entry)
{
    lock_acquire(&watch->lock);
    if (entry->previous != NULL)
        entry->previous->next = entry->next;
    else
        watch->first = entry->next;
    if (entry->next != NULL)
        entry->next->previous = entry->previous;
    adjust(&watch->open_count, entry->shut ? 0 : -1);
    lock_release(&watch->lock);
    free(entry);
}

void watch_enter(struct watch *watch, struct watch_entry *entry, enum watch_phase phase)
{
    lock_acquire(&watch->lock);
    entry->phase = phase;
    entry->since_ns = clock_ns();
    lock_release(&watch->lock);
}

void watch_count(const struct watch *watch, uint64_t *open, uint64_t *cut)
{
    *open = atomic_load_explicit(&watch->open_count, memory_order_relaxed);
    *cut = atomic_load_explicit(&watch->cut_count, memory_order_relaxed);
}

int watch_fd(const struct watch_entry *entry)
{
    return entry->fd;
}
