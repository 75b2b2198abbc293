#include "process.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The process name in /proc/PID/stat may hold spaces and parentheses: fields are counted from its last ')'.
 */
static bool stat_read(int pid, unsigned long long *user, unsigned long long *system, long long *rss_pages)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    const char *after = strrchr(text, ')');
    return after && sscanf(after,
                           ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d "
                           "%*u %*u %lld",
                           user, system, rss_pages) == 3;
}

bool process_cost_read(int pid, struct process_cost *cost)
{
    unsigned long long user, system;
    long long rss_pages;
    if (!stat_read(pid, &user, &system, &rss_pages))
        return false;
    double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    cost->user_s = (double)user * tick;
    cost->system_s = (double)system * tick;
    cost->rss_size = (uint64_t)rss_pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

double process_own_cpu_s(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}
