/* The groups of `stats`, for the text command and the admin server alike, in memcached's names and order. */
#include "protocol/protocol_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VALUE_SIZE 1280u /* the longest setting, a path or a list of addresses, is cut there */
#define US_PER_S   1000000u

/* Where the values of one group go. */
struct stats_writer {
    struct protocol *protocol;
    protocol_stat_fn visit;
    void *arg;
};

static void say(const struct stats_writer *writer, const char *name, const char *value)
{
    writer->visit(writer->arg, name, value);
}

static void say_u64(const struct stats_writer *writer, const char *name, uint64_t value)
{
    char text[NUMBER_TEXT_MAX + 1];
    text[number_format_u64(text, value)] = '\0';
    say(writer, name, text);
}

/* ---- general ---- */

static void stat_pid(struct protocol *protocol, char *out, size_t size)
{
    (void)protocol;
    snprintf(out, size, "%ld", (long)getpid());
}

static void stat_version(struct protocol *protocol, char *out, size_t size)
{
    (void)protocol;
    snprintf(out, size, "%s", protocol_version());
}

static void stat_pointer_size(struct protocol *protocol, char *out, size_t size)
{
    (void)protocol;
    snprintf(out, size, "%zu", 8 * sizeof(void *));
}

static void stat_threads(struct protocol *protocol, char *out, size_t size)
{
    snprintf(out, size, "%" PRIu64, settings_u64(protocol->settings, threads));
}

static void stat_free_segments(struct protocol *protocol, char *out, size_t size)
{
    struct store_usage usage;
    store_usage_read(protocol->store, &usage);
    snprintf(out, size, "%zu", usage.segments_free);
}

static bool tls_is_on(const struct settings *settings)
{
    return settings_on(settings, enable_ssl);
}

static bool tls_keeps_sessions(const struct settings *settings)
{
    return tls_is_on(settings) && settings_on(settings, ssl_session_cache);
}

struct general_row {
    const char *name;   /* NULL: the metric's */
    enum metric metric; /* NO_METRIC: none */
    void (*text)(struct protocol *protocol, char *out, size_t size);
    bool (*shown)(const struct settings *settings); /* NULL: always */
};

static const struct general_row general_rows[] = {
#define STAT_METRIC(metric)    {NULL, METRIC_##metric, NULL, NULL},
#define STAT_IF(metric, shown) {NULL, METRIC_##metric, NULL, shown},
#define STAT_TEXT(name, text)  {name, NO_METRIC, text, NULL},
#define STAT_NONE(name)        {name, NO_METRIC, NULL, NULL},
#include "protocol/general.def"
};
#define GENERAL_ROW_COUNT (sizeof general_rows / sizeof *general_rows)

static void say_metric(const struct stats_writer *writer, enum metric id, uint64_t value)
{
    const struct metric_row *row = metrics_row(id);
    char text[2 * NUMBER_TEXT_MAX];
    /* CPU times are the only ones that memcached writes in seconds with a fraction. */
    if (row->kind == METRIC_LASTING && row->unit == UNIT_MICROSECONDS)
        snprintf(text, sizeof text, "%" PRIu64 ".%06" PRIu64, value / US_PER_S, value % US_PER_S);
    else
        snprintf(text, sizeof text, "%" PRIu64, value);
    say(writer, row->stats_name, text);
}

static void say_general_row(const struct stats_writer *writer, const struct general_row *row,
                            const struct metrics_snapshot *snapshot)
{
    if (row->shown != NULL && !row->shown(writer->protocol->settings))
        return;
    if (row->metric != NO_METRIC) {
        say_metric(writer, row->metric, snapshot->value[row->metric]);
        return;
    }
    char text[64] = "0";
    if (row->text != NULL)
        row->text(writer->protocol, text, sizeof text);
    say(writer, row->name, text);
}

static bool general_has(enum metric id)
{
    for (size_t i = 0; i < GENERAL_ROW_COUNT; i++)
        if (general_rows[i].metric == id)
            return true;
    return false;
}

static void stats_general(const struct stats_writer *writer)
{
    struct metrics_snapshot snapshot;
    metrics_snapshot_take_since_reset(writer->protocol->metrics, &snapshot);
    for (size_t i = 0; i < GENERAL_ROW_COUNT; i++)
        say_general_row(writer, &general_rows[i], &snapshot);
    /* What memcached has no name for comes last. */
    for (unsigned id = 0; id < METRIC_COUNT; id++)
        if (metrics_row((enum metric)id)->stats_name != NULL && !general_has((enum metric)id))
            say_metric(writer, (enum metric)id, snapshot.value[id]);
}

/* ---- settings ---- */

static void stats_settings(const struct stats_writer *writer)
{
    char value[VALUE_SIZE];
    const char *name;
    for (unsigned i = 0; (name = settings_stat(writer->protocol->settings, i, value, sizeof value)) != NULL;
         i++)
        say(writer, name, value);
}

/* ---- size bands ---- */

struct band {
    unsigned id; /* as tools see it: from 1 */
    uint64_t item_count, item_size, largest, segment_size;
    const uint64_t *value;
};

static struct band band_read(const struct stats_writer *writer, const struct metrics_snapshot *total,
                             const struct metrics_snapshot *since_reset, unsigned index)
{
    uint64_t largest = metrics_band_size_max(index);
    uint64_t item_size_max = settings_u64(writer->protocol->settings, item_size_max);
    const uint64_t *value = total->band[index];
    return (struct band){.id = index + 1,
                         .item_count = value[BAND_stored] - value[BAND_removed],
                         .item_size = value[BAND_stored_bytes] - value[BAND_removed_bytes],
                         .largest = largest < item_size_max ? largest : item_size_max,
                         .segment_size = total->value[METRIC_segment_size],
                         .value = since_reset->band[index]};
}

static void say_band(const struct stats_writer *writer, const char *prefix, const struct band *band,
                     const char *name, uint64_t value)
{
    char full[64];
    snprintf(full, sizeof full, "%s%u:%s", prefix, band->id, name);
    say_u64(writer, full, value);
}

/* The counters of one group, from the rows of bands.def. */
static void say_band_rows(const struct stats_writer *writer, const char *group, const char *prefix,
                          const struct band *band)
{
    for (unsigned id = 0; id < BAND_METRIC_COUNT; id++) {
        const struct metric_row *row = metrics_band_row((enum band_metric)id);
        if (row->stats_group != NULL && strcmp(row->stats_group, group) == 0)
            say_band(writer, prefix, band, row->stats_name, band->value[id]);
    }
}

/* Calls say_one for each band that holds or has held anything. */
static void bands_each(const struct stats_writer *writer,
                       void (*say_one)(const struct stats_writer *, const struct band *))
{
    struct metrics_snapshot total, since_reset;
    metrics_snapshot_take(writer->protocol->metrics, &total);
    metrics_snapshot_take_since_reset(writer->protocol->metrics, &since_reset);
    for (unsigned i = 0; i < METRICS_BAND_COUNT; i++) {
        struct band band = band_read(writer, &total, &since_reset, i);
        if (total.band[i][BAND_stored] > 0)
            say_one(writer, &band);
    }
}

static void items_one(const struct stats_writer *writer, const struct band *band)
{
    static const char prefix[] = "items:";
    if (band->item_count == 0)
        return;
    say_band(writer, prefix, band, "number", band->item_count);
    say_band(writer, prefix, band, "age_hot", band->value[BAND_age_hot]);
    say_band(writer, prefix, band, "age", band->value[BAND_age]);
    say_band(writer, prefix, band, "mem_requested", band->item_size);
    say_band_rows(writer, "items", prefix, band);
}

static void stats_items(const struct stats_writer *writer)
{
    bands_each(writer, items_one);
}

static void slabs_one(const struct stats_writer *writer, const struct band *band)
{
    uint64_t segments = (band->item_size + band->segment_size - 1) / band->segment_size;
    uint64_t per_segment = band->segment_size / band->largest;
    uint64_t chunks = segments * per_segment;
    if (chunks < band->item_count)
        chunks = band->item_count;
    say_band(writer, "", band, "chunk_size", band->largest);
    say_band(writer, "", band, "chunks_per_page", per_segment);
    say_band(writer, "", band, "total_pages", segments);
    say_band(writer, "", band, "total_chunks", chunks);
    say_band(writer, "", band, "used_chunks", band->item_count);
    say_band(writer, "", band, "free_chunks", chunks - band->item_count);
    say_band(writer, "", band, "free_chunks_end", 0);
    say_band_rows(writer, "slabs", "", band);
}

static void stats_slabs(const struct stats_writer *writer)
{
    bands_each(writer, slabs_one);
    struct metrics_snapshot snapshot;
    metrics_snapshot_take(writer->protocol->metrics, &snapshot);
    uint64_t active = 0;
    for (unsigned i = 0; i < METRICS_BAND_COUNT; i++)
        active += snapshot.band[i][BAND_stored] > 0;
    struct store_usage usage;
    store_usage_read(writer->protocol->store, &usage);
    say_u64(writer, "active_slabs", active);
    say_u64(writer, "total_malloced", usage.segments_used * usage.segment_size);
}

static void say_size(void *arg, uint64_t size, uint64_t count)
{
    const struct stats_writer *writer = arg;
    char name[NUMBER_TEXT_MAX + 1];
    name[number_format_u64(name, size)] = '\0';
    say_u64(writer, name, count);
}

static void stats_sizes(const struct stats_writer *writer)
{
    struct stats_writer copy = *writer;
    if (!metrics_sizes_read(writer->protocol->metrics, say_size, &copy))
        say(writer, "sizes_status", "disabled");
}

/* ---- connections ---- */

static void say_connection(void *arg, int id, const char *name, const char *value)
{
    const struct stats_writer *writer = arg;
    char full[64];
    snprintf(full, sizeof full, "%d:%s", id, name);
    say(writer, full, value);
}

static void stats_conns(const struct stats_writer *writer)
{
    const struct protocol_host *host = &writer->protocol->host;
    struct stats_writer copy = *writer;
    if (host->connections != NULL)
        host->connections(host->context, say_connection, &copy);
}

bool protocol_stats(struct protocol *protocol, const char *group, protocol_stat_fn visit, void *arg)
{
    static const struct {
        const char *name;
        void (*write)(const struct stats_writer *writer);
    } groups[] = {{"", stats_general},    {"general", stats_general}, {"settings", stats_settings},
                  {"items", stats_items}, {"slabs", stats_slabs},     {"sizes", stats_sizes},
                  {"conns", stats_conns}};
    const struct stats_writer writer = {protocol, visit, arg};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        if (strcmp(groups[i].name, group) == 0) {
            groups[i].write(&writer);
            return true;
        }
    }
    return false;
}
