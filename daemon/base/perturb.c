#include "base/perturb.h"

#ifdef PERTURB_POINTS

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define BUSY_POINTS  4u    /* one point in so many is busy, by the seed ... */
#define BUSY_CHANCE  24u   /* and disturbs one thread in so many */
#define QUIET_CHANCE 1500u /* the others */
#define SPIN_MAX     3000u
#define SLEEP_NS_MAX 40000u

/* ---- by chance ---- */

/* Relaxed everywhere: what disturbs may not order anything. */
static _Atomic uint64_t run_seed;
static _Atomic uint32_t thread_serial;
static _Thread_local uint64_t thread_random;

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdull;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ull;
    return x ^ x >> 33;
}

static uint64_t draw(uint64_t seed)
{
    if (thread_random == 0) {
        uint32_t serial = atomic_fetch_add_explicit(&thread_serial, 1, memory_order_relaxed);
        thread_random = mix(seed + 1) + serial * 0x632be59bd9b4e019ull;
    }
    thread_random += 0x9e3779b97f4a7c15ull;
    return mix(thread_random);
}

static void spin(unsigned turns)
{
    for (volatile unsigned i = 0; i < turns; i++)
        ;
}

static void disturb(enum perturb_point point, uint64_t seed)
{
    uint64_t random = draw(seed);
    bool busy = mix(seed ^ (uint64_t)(point + 1) << 32) % BUSY_POINTS == 0;
    if (random % (busy ? BUSY_CHANCE : QUIET_CHANCE) != 0)
        return;
    random = draw(seed);
    struct timespec pause = {.tv_nsec = (long)((random >> 8) % SLEEP_NS_MAX)};
    switch (random % 4) {
    case 0:
        nanosleep(&pause, NULL);
        break;
    case 1:
        spin((unsigned)(random >> 8) % SPIN_MAX);
        break;
    default:
        sched_yield();
    }
}

void perturb_seed(uint64_t seed)
{
    atomic_store_explicit(&run_seed, seed, memory_order_relaxed);
}

__attribute__((constructor)) static void seed_from_environment(void)
{
    const char *text = getenv("VITRINE_SEED");
    if (text)
        perturb_seed(strtoull(text, NULL, 10));
}

/* ---- by order ---- */

enum hold_state { HOLD_NONE, HOLD_WANTED, HOLD_STANDS, HOLD_GIVEN_UP };

struct hold {
    _Atomic bool wanted; /* a hint, so that a point that holds nobody costs a load */
    enum hold_state state;
    unsigned passes;
    pthread_t setter;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct hold holds[PERTURB_POINT_COUNT]; /* under mutex */

static void state_set(struct hold *hold, enum hold_state state)
{
    hold->state = state;
    atomic_store_explicit(&hold->wanted, state == HOLD_WANTED, memory_order_relaxed);
    pthread_cond_broadcast(&changed);
}

static void stop(struct hold *hold)
{
    pthread_mutex_lock(&mutex);
    bool here = hold->state == HOLD_WANTED && !pthread_equal(hold->setter, pthread_self());
    if (here && hold->passes > 0) {
        hold->passes--;
        here = false;
    }
    if (here)
        state_set(hold, HOLD_STANDS);
    while (here && hold->state == HOLD_STANDS)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

void perturb_reach(enum perturb_point point)
{
    if (atomic_load_explicit(&holds[point].wanted, memory_order_relaxed))
        stop(&holds[point]);
    uint64_t seed = atomic_load_explicit(&run_seed, memory_order_relaxed);
    if (seed != 0)
        disturb(point, seed);
}

void perturb_hold(enum perturb_point point, unsigned passes)
{
    pthread_mutex_lock(&mutex);
    holds[point].passes = passes;
    holds[point].setter = pthread_self();
    state_set(&holds[point], HOLD_WANTED);
    pthread_mutex_unlock(&mutex);
}

bool perturb_await(enum perturb_point point)
{
    pthread_mutex_lock(&mutex);
    while (holds[point].state == HOLD_WANTED)
        pthread_cond_wait(&changed, &mutex);
    bool stands = holds[point].state == HOLD_STANDS;
    pthread_mutex_unlock(&mutex);
    return stands;
}

void perturb_release(enum perturb_point point)
{
    pthread_mutex_lock(&mutex);
    state_set(&holds[point], HOLD_NONE);
    pthread_mutex_unlock(&mutex);
}

void perturb_give_up(void)
{
    pthread_mutex_lock(&mutex);
    for (unsigned point = 0; point < PERTURB_POINT_COUNT; point++)
        if (holds[point].state == HOLD_WANTED)
            state_set(&holds[point], HOLD_GIVEN_UP);
    pthread_mutex_unlock(&mutex);
}

#endif
