#include "base/assert.h"
#include "metrics/metrics.h"

size_t metrics_band_size_max(unsigned band)
{
    ASSERT(band < METRICS_BAND_COUNT);
    if (band == METRICS_BAND_COUNT - 1)
        return SIZE_MAX;
    if (band == 0)
        return METRICS_BAND_FIRST_SIZE;
    size_t octave = (size_t)1 << (METRICS_BAND_FIRST_BITS + (band - 1) / 2);
    return octave + octave / 2 * (1 + (band - 1) % 2);
}
