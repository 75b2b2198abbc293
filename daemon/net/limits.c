/* Descriptors: enough for -c, for ourselves and for the admin server, or as many as the system grants. */
#include "base/log.h"
#include "net/net_priv.h"

#include <sys/resource.h>

/* Listeners, event loops, log and files; and as many connections as the admin server takes. */
#define FILES_OWN      320u
#define FILES_A_THREAD 4u

static rlim_t raise_files(rlim_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wanted;
    if (limit.rlim_cur >= wanted)
        return limit.rlim_cur;
    struct rlimit raised = {.rlim_cur = wanted,
                            .rlim_max = limit.rlim_max < wanted ? wanted : limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        return wanted;
    raised.rlim_cur = raised.rlim_max = limit.rlim_max; /* only root may raise the hard limit */
    return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

uint32_t limits_connections(uint32_t wanted, unsigned thread_count)
{
    rlim_t own = FILES_OWN + FILES_A_THREAD * thread_count, files = raise_files(wanted + own);
    if (files >= wanted + own)
        return wanted;
    rlim_t left = files > 2 * own ? files - own : files / 2; /* never more than half for ourselves */
    uint32_t granted = left < 1 ? 1 : (uint32_t)left;
    log_warn("the limit of %llu open files allows %u connections of -c %u; more wait: raise it (ulimit -n)",
             (unsigned long long)files, granted, wanted);
    return granted;
}
