/* Time: one coarse clock for expiry, one precise clock for latency.
 *
 * Place: base. The main thread ticks the coarse clock; all threads read it.
 * The coarse clock counts whole seconds since the process started and begins at CLOCK_FIRST_S, so
 * that 0 can mean "never" and 1 "already expired". It follows CLOCK_MONOTONIC: a step of the wall
 * clock expires nothing.
 * Thread-safety: any thread; clock_init, clock_tick and the test hook from one thread at a time. */
#ifndef VITRINE_BASE_CLOCK_H
#define VITRINE_BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_FIRST_S 2u

/* Takes the start of the process as the origin. Called once, before any other thread runs. */
void clock_init(void);

/* Brings the coarse clock up to date. Called by the main thread as each second begins (clock_left_ns), so
 * that what was stored for a second is gone a second later. */
void clock_tick(void);

/* Nanoseconds until the next second begins: 1 to 1,000,000,000. */
uint64_t clock_left_ns(void);

/* Seconds since the start of the process, at least CLOCK_FIRST_S. */
uint32_t clock_s(void);

/* Nanoseconds of CLOCK_MONOTONIC; for differences only. */
uint64_t clock_ns(void);

/* Microseconds of Unix time, by the system's clock as it stands. */
uint64_t clock_wall_us(void);

/* Unix time of the coarse second `s`, by the wall clock read at clock_init. */
int64_t clock_wall_s(uint32_t s);

/* The coarse second of a Unix time; 1 (already expired) for what lies before the start. */
uint32_t clock_from_wall_s(int64_t wall_s);

/* Stops following the system's clock and stands at `s` until called again. For tests. */
void clock_freeze_for_test(uint32_t s);

#endif
