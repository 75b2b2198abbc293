#include "base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#define NS_PER_S 1000000000ull
#define US_PER_S 1000000ull

static uint64_t origin_ns;
static int64_t origin_wall_s;
static bool frozen;

/* Relaxed everywhere: a second read late is no error, and no other data hangs on it. */
static _Atomic uint32_t now_s = CLOCK_FIRST_S;

uint64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void second_set(uint32_t s)
{
    if (!frozen)
        atomic_store_explicit(&now_s, s, memory_order_relaxed);
}

void clock_init(void)
{
    origin_ns = clock_ns();
    origin_wall_s = (int64_t)time(NULL);
    second_set(CLOCK_FIRST_S);
}

void clock_tick(void)
{
    second_set((uint32_t)((clock_ns() - origin_ns) / NS_PER_S) + CLOCK_FIRST_S);
}

uint64_t clock_left_ns(void)
{
    return NS_PER_S - (clock_ns() - origin_ns) % NS_PER_S;
}

uint32_t clock_s(void)
{
    return atomic_load_explicit(&now_s, memory_order_relaxed);
}

uint64_t clock_wall_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * US_PER_S + (uint64_t)t.tv_nsec / (NS_PER_S / US_PER_S);
}

int64_t clock_wall_s(uint32_t s)
{
    return origin_wall_s + (int64_t)s - (int64_t)CLOCK_FIRST_S;
}

uint32_t clock_from_wall_s(int64_t wall_s)
{
    int64_t s = wall_s - origin_wall_s + (int64_t)CLOCK_FIRST_S;
    if (s < (int64_t)CLOCK_FIRST_S)
        return 1;
    return s > (int64_t)UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

void clock_freeze_for_test(uint32_t s)
{
    frozen = true;
    atomic_store_explicit(&now_s, s, memory_order_relaxed);
}
