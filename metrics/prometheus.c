#include "metrics/prometheus.h"

#include "base/assert.h"
#include "metrics/prometheus_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct prometheus_family families[] = {
#define FAMILY(name_, type_, source, text_) {#name_, #type_, text_},
#define SAMPLE(family, labels, metric)
#include "metrics/families.def"
};

static const exposition_source_fn sources[] = {
#define FAMILY(name, type, source, text) exposition_##source,
#define SAMPLE(family, labels, metric)
#include "metrics/families.def"
};

#define FAMILY_COUNT (sizeof families / sizeof *families)

unsigned prometheus_family_count(void)
{
    return FAMILY_COUNT;
}

const struct prometheus_family *prometheus_family_row(unsigned family)
{
    ASSERT(family < FAMILY_COUNT);
    return &families[family];
}

/* ---- numbers and labels ---- */

/* A value / scale in decimal, exactly; `scale` is a power of ten. */
static void append_number(struct buffer *out, uint64_t value, uint32_t scale)
{
    int digits = 0;
    for (uint32_t power = scale; power > 1; power /= 10)
        digits++;
    buffer_format(out, "%llu", (unsigned long long)(value / scale));
    if (digits != 0)
        buffer_format(out, ".%0*llu", digits, (unsigned long long)(value % scale));
}

/* The upper end of a bucket. OpenMetrics wants a fraction even of whole numbers. */
static void append_limit(struct exposition *to, uint64_t limit, uint32_t scale)
{
    char text[32];
    int size = snprintf(text, sizeof text, "%.12g", (double)limit / scale);
    buffer_append(to->out, text, (size_t)size);
    if (to->options->openmetrics && strcspn(text, ".e") == (size_t)size)
        buffer_text(to->out, ".0");
}

static const char *escape_of(char byte)
{
    switch (byte) {
    case '\\':
        return "\\\\";
    case '"':
        return "\\\"";
    case '\n':
        return "\\n";
    default:
        return NULL;
    }
}

void exposition_label(char *out, const char *name, const char *value)
{
    size_t size = (size_t)snprintf(out, EXPOSITION_LABELS_MAX, "%s=\"", name);
    for (; *value != '\0' && size < EXPOSITION_LABELS_MAX - 4; value++) {
        const char *escape = escape_of(*value);
        if (escape != NULL)
            out[size++] = *escape++;
        out[size++] = escape != NULL ? *escape : *value;
    }
    /* A cut must not leave the first bytes of a character of UTF-8. */
    while (*value != '\0' && ((unsigned char)*value & 0xc0) == 0x80) {
        size--;
        value--;
    }
    memcpy(out + size, "\"", 2);
}

/* ---- samples ---- */

/* name[suffix]{labels} and the blank after it. */
static void begin_sample(struct exposition *to, const char *suffix, const char *labels)
{
    buffer_text(to->out, to->family->name);
    buffer_text(to->out, suffix);
    if (*labels != '\0') {
        buffer_text(to->out, "{");
        buffer_text(to->out, labels);
        buffer_text(to->out, "}");
    }
    buffer_text(to->out, " ");
}

void exposition_sample(struct exposition *to, const char *labels, uint64_t value, uint32_t scale)
{
    begin_sample(to, "", labels);
    append_number(to->out, value, scale);
    buffer_text(to->out, "\n");
}

static void begin_bucket(struct exposition *to, const char *labels)
{
    buffer_text(to->out, to->family->name);
    buffer_text(to->out, "_bucket{");
    buffer_text(to->out, labels);
    buffer_text(to->out, *labels == '\0' ? "le=\"" : ",le=\"");
}

static void end_bucket(struct exposition *to, uint64_t count)
{
    buffer_text(to->out, "\"} ");
    append_number(to->out, count, 1);
    buffer_text(to->out, "\n");
}

void exposition_histogram(struct exposition *to, const char *labels, const struct histogram *histogram,
                          const struct exposition_limits *limits)
{
    for (unsigned i = 0; i < limits->count; i++) {
        begin_bucket(to, labels);
        append_limit(to, limits->limit[i], limits->scale);
        end_bucket(to, histogram_count_below(histogram, limits->limit[i]));
    }
    uint64_t count = histogram_count(histogram);
    begin_bucket(to, labels);
    buffer_text(to->out, "+Inf");
    end_bucket(to, count);
    begin_sample(to, "_sum", labels);
    append_number(to->out, atomic_load_explicit(&histogram->sum, memory_order_relaxed), limits->scale);
    buffer_text(to->out, "\n");
    begin_sample(to, "_count", labels);
    append_number(to->out, count, 1);
    buffer_text(to->out, "\n");
}

/* ---- families ---- */

static bool ends_with_total(const char *name)
{
    static const char total[] = "_total";
    size_t size = strlen(name), end = sizeof total - 1;
    return size > end && memcmp(name + size - end, total, end) == 0;
}

/* OpenMetrics names a counter's family without its _total, and knows none that lacks it: the exporter's are
 * `unknown` there, with the sample's name unchanged, as Prometheus' own encoder has it. */
static void append_head(struct exposition *to)
{
    const char *name = to->family->name, *type = to->family->type;
    int size = (int)strlen(name);
    if (to->options->openmetrics && strcmp(type, "counter") == 0) {
        if (ends_with_total(name))
            size -= (int)strlen("_total");
        else
            type = "unknown";
    }
    buffer_format(to->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", size, name, to->family->text, size, name,
                  type);
}

static void append_family(struct exposition *to, unsigned family)
{
    size_t before = to->out->size;
    to->family = &families[family];
    append_head(to);
    size_t headed = to->out->size;
    sources[family](to);
    if (to->out->size == headed) /* a family without samples is left out, as the exporter does */
        to->out->size = before;
}

void prometheus_render(struct metrics *metrics, const struct prometheus_options *options, struct buffer *out)
{
    struct exposition to = {.metrics = metrics, .options = options, .out = out};
    metrics_snapshot_take(metrics, &to.snapshot);
    for (unsigned family = 0; family < FAMILY_COUNT; family++)
        append_family(&to, family);
    if (options->openmetrics)
        buffer_text(out, "# EOF\n");
}
