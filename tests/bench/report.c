#include "report.h"

#include <stdio.h>

uint64_t report_operations(const struct report *report)
{
    const struct tally *tally = &report->tally;
    return tally->hits + tally->misses + tally->stored;
}

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

static double quantile_us(const struct report *report, double quantile)
{
    return (double)histogram_quantile(report->latency, quantile) / 1e3;
}

static double per_operation_ns(const struct report *report, double seconds)
{
    return ratio(seconds * 1e9, (double)report_operations(report));
}

static double user_ns(const struct report *report)
{
    return per_operation_ns(report, report->after.user_s - report->before.user_s);
}

static double system_ns(const struct report *report)
{
    return per_operation_ns(report, report->after.system_s - report->before.system_s);
}

static void print_json(const struct report *r)
{
    const struct tally *t = &r->tally;
    printf("{\"label\":\"%s\",\"seconds\":%.3f,\"requests\":%llu,\"operations\":%llu,", r->options->label,
           r->seconds, (unsigned long long)t->requests, (unsigned long long)report_operations(r));
    printf("\"requests_per_second\":%.0f,\"operations_per_second\":%.0f,",
           ratio((double)t->requests, r->seconds), ratio((double)report_operations(r), r->seconds));
    printf("\"hits\":%llu,\"misses\":%llu,\"stored\":%llu,\"refused\":%llu,\"values_compared\":%llu,",
           (unsigned long long)t->hits, (unsigned long long)t->misses, (unsigned long long)t->stored,
           (unsigned long long)t->refused, (unsigned long long)t->values_compared);
    printf("\"latency_us\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},",
           quantile_us(r, 0.5), quantile_us(r, 0.9), quantile_us(r, 0.99), quantile_us(r, 0.999),
           (double)r->latency_max_ns / 1e3);
    printf("\"load_busy\":%.3f,\"server\":", ratio(r->load_cpu_s, r->seconds));
    if (r->server_known)
        printf("{\"user_ns\":%.1f,\"system_ns\":%.1f,\"rss_bytes\":%llu}}\n", user_ns(r), system_ns(r),
               (unsigned long long)r->after.rss_size);
    else
        printf("null}\n");
}

static void print_line(const struct report *r)
{
    const struct tally *t = &r->tally;
    printf("%s: %.0f requests/s, %.0f operations/s; us p50 %.0f p90 %.0f p99 %.0f p99.9 %.0f max %.0f; ",
           r->options->label, ratio((double)t->requests, r->seconds),
           ratio((double)report_operations(r), r->seconds), quantile_us(r, 0.5), quantile_us(r, 0.9),
           quantile_us(r, 0.99), quantile_us(r, 0.999), (double)r->latency_max_ns / 1e3);
    printf("%llu hits %llu misses %llu stored, %llu refused, %llu values compared; ",
           (unsigned long long)t->hits, (unsigned long long)t->misses, (unsigned long long)t->stored,
           (unsigned long long)t->refused, (unsigned long long)t->values_compared);
    if (r->server_known)
        printf("server ns/op user %.0f sys %.0f, rss %.1f MiB; ", user_ns(r), system_ns(r),
               (double)r->after.rss_size / (1 << 20));
    printf("load busy %.0f %%\n", 100 * ratio(r->load_cpu_s, r->seconds));
}

void report_print(const struct report *report)
{
    if (report->options->json)
        print_json(report);
    else
        print_line(report);
}
