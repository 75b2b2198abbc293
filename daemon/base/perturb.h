/* Marked points at which tests disturb the schedule of threads.
 *
 * Place: base. PERTURB(point) is nothing at all in the product. In builds with -DPERTURB_POINTS (make
 * PERTURB=1, SANITIZE=thread, and always the programs that test hazards) a thread that comes to a point may
 * be disturbed in two ways. By chance: after perturb_seed it sometimes yields, spins or sleeps for some
 * microseconds, as a generator of its own says that follows from the run's seed and from how many threads
 * came before it; each seed makes some points busier than others. The environment's VITRINE_SEED seeds a
 * whole process. By order: perturb_hold stops a thread at a point until perturb_release, which makes an
 * interleaving exact. Thread-safety: any thread; a point is held by one test at a time. */
#ifndef VITRINE_BASE_PERTURB_H
#define VITRINE_BASE_PERTURB_H

#include <stdbool.h>
#include <stdint.h>

enum perturb_point {
#define PERTURB_POINT(id) PERTURB_##id,
#include "base/perturb.def"
    PERTURB_POINT_COUNT
};

#ifdef PERTURB_POINTS
#define PERTURB(id) perturb_reach(PERTURB_##id)
#else
#define PERTURB(id) ((void)0)
#endif

void perturb_reach(enum perturb_point point);

/* From now on threads are disturbed by chance; 0 ends it. */
void perturb_seed(uint64_t seed);

/* The next thread but the caller that reaches the point, after `passes` that go through, stops there. */
void perturb_hold(enum perturb_point point, unsigned passes);
/* Waits until a thread stands there: true. False: perturb_give_up came first. */
bool perturb_await(enum perturb_point point);
/* The thread goes on, if one stands there; the point holds nobody any more. */
void perturb_release(enum perturb_point point);
/* Called by a thread that ends: whoever awaits it at a point it has not come to waits no longer. */
void perturb_give_up(void);

#endif
