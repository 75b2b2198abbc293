#include "base/lock.h"

#include "base/assert.h"

#include <sched.h>

#define SPINS_BEFORE_YIELD 64u

static const char *const names[LOCK_CLASS_COUNT] = {
#define LOCK(id, name, protects) name,
#include "base/locks.def"
};

/* Relaxed: a statistic; nothing is ordered by it. */
static _Atomic uint64_t contention[LOCK_CLASS_COUNT];

#ifdef LOCK_CHECK
static _Thread_local uint64_t held; /* bit c: this thread holds a lock of class c */
#endif

void lock_init(struct lock *lock, enum lock_class class)
{
    lock->class = class;
    ASSERT(pthread_mutex_init(&lock->mutex, NULL) == 0);
}

void lock_fini(struct lock *lock)
{
    pthread_mutex_destroy(&lock->mutex);
}

UNCHECKED_LOCKS void lock_acquire(struct lock *lock)
{
#ifdef LOCK_CHECK
    ASSERT(held >> lock->class == 0); /* ranks rise */
    held |= 1ull << lock->class;
#endif
    if (pthread_mutex_trylock(&lock->mutex) == 0)
        return;
    atomic_fetch_add_explicit(&contention[lock->class], 1, memory_order_relaxed);
    ASSERT(pthread_mutex_lock(&lock->mutex) == 0);
}

UNCHECKED_LOCKS void lock_release(struct lock *lock)
{
#ifdef LOCK_CHECK
    held &= ~(1ull << lock->class);
#endif
    ASSERT(pthread_mutex_unlock(&lock->mutex) == 0);
}

uint64_t lock_contention(enum lock_class class)
{
    return atomic_load_explicit(&contention[class], memory_order_relaxed);
}

const char *lock_name(enum lock_class class)
{
    return names[class];
}

static void relax_core(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void spin_pause(unsigned *turns)
{
    if (++*turns % SPINS_BEFORE_YIELD == 0)
        sched_yield();
    else
        relax_core();
}

UNCHECKED_LOCKS void spin_acquire(struct spin *spin)
{
    unsigned turns = 0;
    /* Acquire pairs with the release in spin_release. */
    while (atomic_exchange_explicit(&spin->taken, 1, memory_order_acquire) != 0)
        while (atomic_load_explicit(&spin->taken, memory_order_relaxed) != 0)
            spin_pause(&turns);
}

UNCHECKED_LOCKS void spin_release(struct spin *spin)
{
    atomic_store_explicit(&spin->taken, 0, memory_order_release);
}
