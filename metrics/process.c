/* What the kernel knows of this process: time, CPU and memory. */
#include "base/clock.h"
#include "base/number.h"
#include "metrics/metrics_priv.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define US_PER_S 1000000u

static uint64_t to_us(struct timeval t)
{
    return (uint64_t)t.tv_sec * US_PER_S + (uint64_t)t.tv_usec;
}

static void fill_cpu(struct metrics_snapshot *snapshot)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    snapshot->value[METRIC_rusage_user_us] = to_us(usage.ru_utime);
    snapshot->value[METRIC_rusage_system_us] = to_us(usage.ru_stime);
    snapshot->value[METRIC_cpu_us] = to_us(usage.ru_utime) + to_us(usage.ru_stime);
}

/* The next space-separated number of *text, in pages; moves *text past it. */
static uint64_t next_pages(const char **text)
{
    size_t size = strcspn(*text, " \n");
    uint64_t pages = 0;
    (void)number_parse_u64(*text, size, &pages); /* 0 when the kernel tells none */
    *text += size + ((*text)[size] != '\0');
    return pages;
}

static void fill_memory(struct metrics_snapshot *snapshot)
{
    char text[128] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got <= 0)
        return;
    const char *at = text;
    uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    snapshot->value[METRIC_virtual_bytes] = next_pages(&at) * page_size;
    snapshot->value[METRIC_rss_bytes] = next_pages(&at) * page_size;
}

void process_probe(void *context, struct metrics_snapshot *snapshot)
{
    const struct metrics *metrics = context;
    uint32_t now_s = clock_s();
    snapshot->value[METRIC_uptime] = now_s - CLOCK_FIRST_S;
    snapshot->value[METRIC_time] = (uint64_t)clock_wall_s(now_s);
    snapshot->value[METRIC_start_time] = (uint64_t)clock_wall_s(CLOCK_FIRST_S);
    snapshot->value[METRIC_observability_bytes] = metrics_memory_size(metrics);
    fill_cpu(snapshot);
    fill_memory(snapshot);
}
