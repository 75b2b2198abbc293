#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void assert_fail(const char *condition, const char *file, int line, const char *function)
{
    fprintf(stderr, "vitrine: invariant broken: %s (%s:%d, %s)\n", condition, file, line, function);
    abort();
}
