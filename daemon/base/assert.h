/* Invariants that are always checked, in release builds too.
 *
 * Place: the lowest room; everything may include it.
 * Use: ASSERT for what only a bug of ours can break (state, magic, reference counts). Never for
 * anything a client, a file or an HTTP request can cause: that is a result, not an abort.
 * Thread-safety: any thread. */
#ifndef VITRINE_BASE_ASSERT_H
#define VITRINE_BASE_ASSERT_H

/* Prints the broken invariant and aborts. */
_Noreturn void assert_fail(const char *condition, const char *file, int line, const char *function);

#define ASSERT(condition)                                                                                    \
    (__builtin_expect(!!(condition), 1) ? (void)0 : assert_fail(#condition, __FILE__, __LINE__, __func__))

#define UNREACHABLE() assert_fail("unreachable", __FILE__, __LINE__, __func__)

#endif
