/* Mutexes with a rank and a contention count, and a spin lock for a few instructions' work.
 *
 * Place: base. Every mutex belongs to a class of locks.def. No mutex is ever taken on the path of a get.
 * Thread-safety: that is its purpose. Annotated for clang's -Wthread-safety. */
#ifndef VITRINE_BASE_LOCK_H
#define VITRINE_BASE_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__clang__)
#define LOCK_ATTRIBUTE(x) __attribute__((x))
#else
#define LOCK_ATTRIBUTE(x)
#endif
#define LOCKABLE        LOCK_ATTRIBUTE(capability("mutex"))
#define ACQUIRES(...)   LOCK_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define RELEASES(...)   LOCK_ATTRIBUTE(release_capability(__VA_ARGS__))
#define REQUIRES(...)   LOCK_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define UNCHECKED_LOCKS LOCK_ATTRIBUTE(no_thread_safety_analysis)

enum lock_class {
#define LOCK(id, name, protects) LOCK_##id,
#include "base/locks.def"
    LOCK_CLASS_COUNT
};

struct LOCKABLE lock {
    pthread_mutex_t mutex;
    enum lock_class class;
};

void lock_init(struct lock *lock, enum lock_class class);
void lock_fini(struct lock *lock);
void lock_acquire(struct lock *lock) ACQUIRES(lock);
void lock_release(struct lock *lock) RELEASES(lock);

/* How often a thread found a lock of this class taken and had to wait; and the class's name. */
uint64_t lock_contention(enum lock_class class);
const char *lock_name(enum lock_class class);

/* Spin lock: for sections of a few dozen instructions that call nothing. */
struct LOCKABLE spin {
    _Atomic uint32_t taken;
};
void spin_acquire(struct spin *spin) ACQUIRES(spin);
void spin_release(struct spin *spin) RELEASES(spin);

/* One turn of a spinning loop: tells the core, and after a while the scheduler. `turns` counts them. */
void spin_pause(unsigned *turns);

#endif
