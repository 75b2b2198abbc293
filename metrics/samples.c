/* Where the samples of each Prometheus family come from: the `source` column of families.def. */
#include "base/lock.h"
#include "metrics/prometheus_priv.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define US_PER_S 1000000u
#define NS_PER_S 1000000000u

#define COUNT_OF(array) ((unsigned)(sizeof(array) / sizeof *(array)))

/* ---- figures of metrics.def ---- */

static const struct {
    const char *family, *labels;
    enum metric metric;
} more[] = {
#define FAMILY(name, type, source, text)
#define SAMPLE(family_, labels_, metric_) {#family_, labels_, METRIC_##metric_},
#include "metrics/families.def"
};

static void metric_sample(struct exposition *to, const char *labels, enum metric id)
{
    uint32_t scale = metrics_row(id)->unit == UNIT_MICROSECONDS ? US_PER_S : 1;
    exposition_sample(to, labels, to->snapshot.value[id], scale);
}

SOURCE(rows)
{
    for (unsigned id = 0; id < METRIC_COUNT; id++) {
        const struct metric_row *row = metrics_row((enum metric)id);
        if (row->family != NULL && strcmp(row->family, to->family->name) == 0)
            metric_sample(to, row->labels, (enum metric)id);
    }
    for (unsigned i = 0; i < COUNT_OF(more); i++)
        if (strcmp(more[i].family, to->family->name) == 0)
            metric_sample(to, more[i].labels, more[i].metric);
}

static bool metric_counted(const struct exposition *to, const char *family)
{
    bool counted = false;
    for (unsigned id = 0; id < METRIC_COUNT; id++) {
        const struct metric_row *row = metrics_row((enum metric)id);
        counted |= row->family != NULL && strcmp(row->family, family) == 0 && to->snapshot.value[id] != 0;
    }
    return counted;
}

SOURCE(used_rows)
{
    if (metric_counted(to, to->family->name))
        exposition_rows(to);
}

/* ---- size bands: the exporter's slabs ---- */

static bool band_in_use(const struct exposition *to, unsigned band)
{
    const uint64_t *figures = to->snapshot.band[band];
    return figures[BAND_stored] != 0 || figures[BAND_outofmemory] != 0;
}

static void band_sample(struct exposition *to, unsigned band, const char *labels, uint64_t value)
{
    char text[EXPOSITION_LABELS_MAX];
    snprintf(text, sizeof text, "slab=\"%u\"%s%s", band + 1, *labels == '\0' ? "" : ",", labels);
    exposition_sample(to, text, value, 1);
}

/* A command that has not met an item of the band yet, get aside: seven lines for each band, most of them 0,
 * would be a fifth of the page. */
static bool is_idle_command(unsigned id, const struct metric_row *row, uint64_t value)
{
    return value == 0 && *row->labels != '\0' && id != BAND_get_hits;
}

static void band_samples(struct exposition *to, unsigned band)
{
    for (unsigned id = 0; id < BAND_METRIC_COUNT; id++) {
        const struct metric_row *row = metrics_band_row((enum band_metric)id);
        uint64_t value = to->snapshot.band[band][id];
        if (row->family != NULL && strcmp(row->family, to->family->name) == 0 &&
            !is_idle_command(id, row, value))
            band_sample(to, band, row->labels, value);
    }
}

SOURCE(bands)
{
    for (unsigned band = 0; band < METRICS_BAND_COUNT; band++)
        if (band_in_use(to, band))
            band_samples(to, band);
}

/* What a busy server counted between two reads may make negative is 0. */
static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* A band as `stats slabs` tells it: items lie in segments of all sizes mixed, so its pages are those that its
 * bytes would fill, and its chunks the items that these would hold. */
struct band {
    uint64_t items, bytes, pages, chunks_per_page, chunks;
};

static struct band band_read(const struct exposition *to, unsigned band)
{
    const uint64_t *figures = to->snapshot.band[band];
    uint64_t segment_size = to->snapshot.value[METRIC_segment_size];
    struct band told = {.items = less(figures[BAND_stored], figures[BAND_removed]),
                        .bytes = less(figures[BAND_stored_bytes], figures[BAND_removed_bytes]),
                        .chunks_per_page = segment_size / metrics_band_size_max(band)};
    if (segment_size != 0)
        told.pages = (told.bytes + segment_size - 1) / segment_size;
    told.chunks = told.pages * told.chunks_per_page;
    if (told.chunks < told.items)
        told.chunks = told.items;
    return told;
}

/* One sample a band in use: `expression` of `band`, what band_read tells of it. */
#define BAND_SOURCE(name, expression)                                                                        \
    SOURCE(name)                                                                                             \
    {                                                                                                        \
        for (unsigned i = 0; i < METRICS_BAND_COUNT; i++) {                                                  \
            const struct band band = band_read(to, i);                                                       \
            if (band_in_use(to, i))                                                                          \
                band_sample(to, i, "", (expression));                                                        \
        }                                                                                                    \
    }

BAND_SOURCE(band_items, band.items)
BAND_SOURCE(band_bytes, band.bytes)
BAND_SOURCE(band_pages, band.pages)
BAND_SOURCE(band_chunks_per_page, band.chunks_per_page)
BAND_SOURCE(band_chunks, band.chunks)
BAND_SOURCE(band_chunks_free, band.chunks - band.items)

/* There are no pages with an end left over. */
SOURCE(band_chunks_free_end)
{
    for (unsigned i = 0; i < METRICS_BAND_COUNT; i++)
        if (band_in_use(to, i))
            band_sample(to, i, "", 0);
}

/* The last band has no upper end to tell. */
SOURCE(band_sizes)
{
    for (unsigned band = 0; band + 1 < METRICS_BAND_COUNT; band++)
        if (band_in_use(to, band))
            band_sample(to, band, "", metrics_band_size_max(band));
}

/* The exporter's set count leaves out cas, which memcached counts as a set too. */
SOURCE(band_commands)
{
    exposition_bands(to);
    for (unsigned band = 0; band < METRICS_BAND_COUNT; band++) {
        const uint64_t *figures = to->snapshot.band[band];
        if (band_in_use(to, band))
            band_sample(to, band, "command=\"set\",status=\"hit\"",
                        less(figures[BAND_cmd_set], figures[BAND_cas_hits] + figures[BAND_cas_badval]));
    }
}

/* ---- the process and the build ---- */

/* Counts of a mechanism that memcached has and this server has not. */
SOURCE(never)
{
    exposition_sample(to, "", 0, 1);
}

/* Whoever reads this has reached us. */
SOURCE(up)
{
    exposition_sample(to, "", 1, 1);
}

SOURCE(version)
{
    char labels[EXPOSITION_LABELS_MAX];
    if (to->options->version == NULL)
        return;
    exposition_label(labels, "version", to->options->version);
    exposition_sample(to, labels, 1, 1);
}

SOURCE(build)
{
    exposition_sample(to, "version=\"" VITRINE_VERSION "\"", 1, 1);
}

SOURCE(open_descriptors)
{
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return;
    uint64_t count = 0;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        count += entry->d_name[0] != '.';
    closedir(folder);
    exposition_sample(to, "", count - 1, 1); /* less the folder's own */
}

SOURCE(max_descriptors)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        exposition_sample(to, "", limit.rlim_cur, 1);
}

SOURCE(locks)
{
    for (unsigned class = 0; class < LOCK_CLASS_COUNT; class ++) {
        char labels[EXPOSITION_LABELS_MAX];
        exposition_label(labels, "lock", lock_name((enum lock_class) class));
        exposition_sample(to, labels, lock_contention((enum lock_class) class), 1);
    }
}

/* ---- requests ---- */

static void pair_labels(const struct exposition *to, unsigned command, unsigned result, char *labels)
{
    snprintf(labels, EXPOSITION_LABELS_MAX, "command=\"%s\",result=\"%s\"",
             metrics_command_name(to->metrics, command), result_label((enum result)result));
}

SOURCE(requests)
{
    for (unsigned command = 0; command < metrics_command_count(to->metrics); command++)
        for (unsigned result = 0; result < RESULT_COUNT; result++) {
            char labels[EXPOSITION_LABELS_MAX];
            if (to->snapshot.request[command][result] == 0)
                continue;
            pair_labels(to, command, result, labels);
            exposition_sample(to, labels, to->snapshot.request[command][result], 1);
        }
}

#define US(n) ((n)*1000ull)
#define MS(n) ((n)*1000000ull)
static const uint64_t latency_limits[] = {US(5), US(20), US(50), US(200), MS(1), MS(5), MS(100)};

/* How long refusing a bad request took helps nobody, nor how long `stats` took, or another command that only
 * answers OK. */
static bool latency_add(const struct exposition *to, unsigned command, unsigned result,
                        struct histogram *histogram)
{
    struct histogram one;
    if (to->snapshot.request[command][result] == 0 || result == RESULT_OK ||
        result_refuses((enum result)result))
        return false;
    metrics_latency_read(to->metrics, (int)command, (int)result, &one);
    histogram_merge(histogram, &one);
    return true;
}

/* Of a command and of those that are told with it. */
static bool latency_add_kin(const struct exposition *to, unsigned command, struct histogram *histogram)
{
    bool any = false;
    for (unsigned other = 0; other < metrics_command_count(to->metrics); other++) {
        if (metrics_command_kin(to->metrics, other) != command)
            continue;
        for (unsigned result = 0; result < RESULT_COUNT; result++)
            any |= latency_add(to, other, result, histogram);
    }
    return any;
}

/* By command alone: all requests of a turn take equally long, whatever they come to, and a dozen lines for
 * each result would be half of the page. For its size, too, mg is told with get, and so on. */
SOURCE(latency)
{
    static const struct exposition_limits limits = {latency_limits, COUNT_OF(latency_limits), NS_PER_S};
    for (unsigned command = 0; command < metrics_command_count(to->metrics); command++) {
        struct histogram histogram = {0};
        char labels[EXPOSITION_LABELS_MAX];
        if (!latency_add_kin(to, command, &histogram))
            continue;
        exposition_label(labels, "command", metrics_command_name(to->metrics, command));
        exposition_histogram(to, labels, &histogram, &limits);
    }
}

/* ---- distributions ---- */

static const uint64_t size_limits[] = {16,    64,    256,     1024,    4096,    8192,
                                       16384, 65536, 1 << 18, 1 << 20, 1 << 23, 1 << 27};
static const uint64_t age_limits[] = {0, 1, 10, 60, 300, 1800, 3600, 21600, 86400, 604800, 2592000};

static void distribution(struct exposition *to, enum distribution id, const uint64_t *limit, unsigned count)
{
    const struct exposition_limits limits = {limit, count, 1};
    struct histogram histogram;
    metrics_distribution_read(to->metrics, id, &histogram);
    exposition_histogram(to, "", &histogram, &limits);
}

SOURCE(value_sizes)
{
    distribution(to, DISTRIBUTION_value_size, size_limits, COUNT_OF(size_limits));
}

SOURCE(set_ttls)
{
    distribution(to, DISTRIBUTION_set_ttl, age_limits, COUNT_OF(age_limits));
}

SOURCE(evicted_ages)
{
    distribution(to, DISTRIBUTION_evicted_age, age_limits, COUNT_OF(age_limits));
}

SOURCE(evicted_idles)
{
    distribution(to, DISTRIBUTION_evicted_idle, age_limits, COUNT_OF(age_limits));
}
