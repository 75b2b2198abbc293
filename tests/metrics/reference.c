/* Prints docs/metrics.md from the tables that the server itself reads. */
#include "metrics/history.h"
#include "metrics/metrics.h"
#include "metrics/prometheus.h"

#include <stdio.h>
#include <string.h>

static const char *const kinds[] = {[METRIC_COUNTER] = "counter",
                                    [METRIC_DERIVED] = "counter",
                                    [METRIC_GAUGE] = "gauge",
                                    [METRIC_LASTING] = "counter"};
static const char *const units[] = {[UNIT_COUNT] = "",
                                    [UNIT_BYTES] = "bytes",
                                    [UNIT_SECONDS] = "seconds",
                                    [UNIT_MICROSECONDS] = "microseconds",
                                    [UNIT_BOOL] = "0 or 1"};

static const char *const head =
    "# Metrics\n\n"
    "Made by `make docs` from metrics/*.def; do not edit. Every figure is counted once, where the thing "
    "happens, and\n"
    "`stats`, the API, the dashboard and Prometheus read the same sum.\n\n"
    "## Figures\n\n"
    "`stats` names the line of the `stats` command. Counters grow from the start of the process; `stats "
    "reset` turns those\n"
    "of `stats` back, never those of Prometheus.\n\n"
    "| figure | kind | unit | `stats` | Prometheus | what it means |\n|---|---|---|---|---|---|\n";

static const char *const bands_head =
    "\n## Figures a size class\n\n"
    "A class is a band of item sizes, two an octave: class 1 holds items of up to 64 bytes, header and key "
    "included, the\n"
    "next ones up to 96, 128, 192, 256 and so on; the last one all that are larger.\n\n"
    "| figure | kind | unit | `stats` | Prometheus | what it means |\n|---|---|---|---|---|---|\n";

static const char *const families_head =
    "\n## Prometheus\n\n"
    "`/metrics` answers in text format 0.0.4 or OpenMetrics 1.0, as the client's Accept header asks. The "
    "`memcached_`\n"
    "families have the names, types, labels and help texts of memcached_exporter 0.16, so dashboards and "
    "alerts made for\n"
    "it work unchanged; no key ever is a label. A family without samples is left out.\n\n"
    "| family | type | HELP |\n|---|---|---|\n";

static const char *const series_head =
    "\n## History\n\n"
    "Kept in fixed memory: every second for 15 minutes, every 10 seconds for 6 hours, every 5 minutes for 14 "
    "days. A\n"
    "missed second leaves a gap; a ratio or quantile of nothing is null.\n\n"
    "| series | unit | what it is |\n|---|---|---|\n";

/* Figures told under a family besides their own. */
static const struct {
    const char *family, *labels;
    enum metric metric;
} more[] = {
#define FAMILY(name, type, source, text)
#define SAMPLE(family_, labels_, metric_) {#family_, labels_, METRIC_##metric_},
#include "metrics/families.def"
};

static void print_code(const char *text)
{
    if (text == NULL)
        printf(" |");
    else
        printf(" `%s` |", text);
}

static void print_sample(const char *family, const char *labels)
{
    if (*labels == '\0')
        printf(" `%s`", family);
    else
        printf(" `%s{%s}`", family, labels);
}

static void print_row(const struct metric_row *row, unsigned id)
{
    printf("| `%s` | %s | %s |", row->name, kinds[row->kind], units[row->unit]);
    print_code(row->stats_name);
    if (row->family != NULL)
        print_sample(row->family, row->labels);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (more[i].metric == id)
            print_sample(more[i].family, more[i].labels);
    printf(" | %s |\n", row->text);
}

static void print_lower(const char *text)
{
    for (; *text != '\0'; text++)
        putchar(*text == '_' ? ' ' : *text | 0x20);
}

int main(void)
{
    fputs(head, stdout);
    for (unsigned id = 0; id < METRIC_COUNT; id++)
        print_row(metrics_row((enum metric)id), id);
    fputs(bands_head, stdout);
    for (unsigned id = 0; id < BAND_METRIC_COUNT; id++)
        print_row(metrics_band_row((enum band_metric)id), METRIC_COUNT);
    fputs(families_head, stdout);
    for (unsigned i = 0; i < prometheus_family_count(); i++) {
        const struct prometheus_family *family = prometheus_family_row(i);
        printf("| `%s` | %s | %s |\n", family->name, family->type, family->text);
    }
    fputs(series_head, stdout);
    for (unsigned i = 0; i < history_series_count(); i++) {
        const struct history_series *series = history_series_row(i);
        printf("| `%s` | ", series->name);
        print_lower(series->unit);
        printf(" | %s |\n", series->text);
    }
    return 0;
}
