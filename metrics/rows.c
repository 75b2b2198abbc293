/* The rows of metrics.def and bands.def as data, for renderers. */
#include "base/assert.h"
#include "metrics/metrics.h"

static const struct metric_row rows[METRIC_COUNT] = {
#define METRIC(id, kind_, unit_, stats, family_, labels_, text_)                                             \
    [METRIC_##id] = {.name = #id,                                                                            \
                     .stats_name = stats,                                                                    \
                     .family = family_,                                                                      \
                     .labels = labels_,                                                                      \
                     .text = text_,                                                                          \
                     .kind = METRIC_##kind_,                                                                 \
                     .unit = UNIT_##unit_},
#include "metrics/metrics.def"
};

static const struct metric_row band_rows[BAND_METRIC_COUNT] = {
#define BAND_METRIC(id, kind_, group_, stats, family_, labels_, text_)                                       \
    [BAND_##id] = {.name = #id,                                                                              \
                   .stats_group = group_,                                                                    \
                   .stats_name = stats,                                                                      \
                   .family = family_,                                                                        \
                   .labels = labels_,                                                                        \
                   .text = text_,                                                                            \
                   .kind = METRIC_##kind_,                                                                   \
                   .unit = UNIT_COUNT},
#include "metrics/bands.def"
};

const struct metric_row *metrics_row(enum metric id)
{
    ASSERT(id < METRIC_COUNT);
    return &rows[id];
}

const struct metric_row *metrics_band_row(enum band_metric id)
{
    ASSERT(id < BAND_METRIC_COUNT);
    return &band_rows[id];
}
