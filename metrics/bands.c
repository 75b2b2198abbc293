/* Size bands: two an octave (64, 96, 128, 192 ...), so that a band is found with a shift and no table. */
#include "base/assert.h"
#include "metrics/metrics.h"

#define FIRST_BITS 6u /* band 0 ends at 64 bytes */

unsigned metrics_band_of(size_t size)
{
    if (size <= (size_t)1 << FIRST_BITS)
        return 0;
    unsigned octave = 63u - (unsigned)__builtin_clzll(size - 1);
    unsigned upper_half = (unsigned)((size - 1) >> (octave - 1)) & 1u;
    unsigned band = (octave - FIRST_BITS) * 2 + upper_half + 1;
    return band < METRICS_BAND_COUNT ? band : METRICS_BAND_COUNT - 1;
}

size_t metrics_band_size_max(unsigned band)
{
    ASSERT(band < METRICS_BAND_COUNT);
    if (band == METRICS_BAND_COUNT - 1)
        return SIZE_MAX;
    if (band == 0)
        return (size_t)1 << FIRST_BITS;
    size_t octave = (size_t)1 << (FIRST_BITS + (band - 1) / 2);
    return octave + octave / 2 * (1 + (band - 1) % 2);
}
