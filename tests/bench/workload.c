#include "workload.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_COUNT   (1u << 22)
#define PATTERN_SPREAD 65536u
#define DIGITS_MAX     9u

/* splitmix64: a full-period mix of the index, for sizes and places that depend on nothing else. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t random_next(struct workload *w)
{
    return mix(w->random_state++);
}

static double random_unit(struct workload *w)
{
    return (double)(random_next(w) >> 11) * 0x1p-53;
}

/* A number below `count` without a division. */
static uint64_t random_below(struct workload *w, uint64_t count)
{
    return (uint64_t)(((unsigned __int128)random_next(w) * count) >> 64);
}

/* The integral of x^-alpha, and its inverse: Hoermann and Derflinger's rejection-inversion (1996). */
static double zipf_integral(double x, double alpha)
{
    double log_x = log(x), t = (1 - alpha) * log_x;
    return fabs(t) < 1e-8 ? log_x : expm1(t) / (1 - alpha);
}

static double zipf_inverse(double y, double alpha)
{
    double t = y * (1 - alpha);
    return fabs(t) < 1e-8 ? exp(y) : exp(log1p(t) / (1 - alpha));
}

static uint64_t zipf_rank(struct workload *w, double low, double high, double alpha)
{
    for (;;) {
        double u = high + random_unit(w) * (low - high);
        double x = zipf_inverse(u, alpha);
        double rank = floor(x + 0.5);
        if (rank < 1)
            rank = 1;
        if (u >= zipf_integral(rank + 0.5, alpha) - pow(rank, -alpha))
            return (uint64_t)rank;
    }
}

static bool zipf_draw(struct workload *w)
{
    double alpha = w->options->alpha;
    uint64_t count = w->options->key_count;
    double low = zipf_integral(1.5, alpha) - 1, high = zipf_integral((double)count + 0.5, alpha);
    w->sample = malloc(SAMPLE_COUNT * sizeof *w->sample);
    if (!w->sample)
        return false;
    for (uint32_t i = 0; i < SAMPLE_COUNT; i++) {
        uint64_t rank = (zipf_rank(w, low, high, alpha) - 1) % count;
        /* Spread, so that popular keys are not neighbours in the order in which they were stored. */
        w->sample[i] = (uint32_t)(rank * 2654435761u % count);
    }
    return true;
}

static bool pattern_fill(struct workload *w)
{
    size_t size = PATTERN_SPREAD + w->options->value_max;
    size = (size + 7) & ~(size_t)7;
    w->pattern = malloc(size);
    if (!w->pattern)
        return false;
    for (size_t at = 0; at < size; at += 8) {
        uint64_t bits = mix(at + 12345);
        memcpy(w->pattern + at, &bits, 8);
    }
    return true;
}

static unsigned key_digits(const struct options *options)
{
    unsigned room = options->key_size - 1;
    return room < DIGITS_MAX ? room : DIGITS_MAX;
}

bool workload_init(struct workload *w, const struct options *options)
{
    *w = (struct workload){
        .options = options, .random_state = mix(options->seed), .digit_count = key_digits(options)};
    if (pow(10, w->digit_count) < (double)options->key_count) {
        fprintf(stderr, "load: --key-size %u is too short for %llu keys\n", options->key_size,
                (unsigned long long)options->key_count);
        return false;
    }
    w->distribution = options->distribution;
    if (!pattern_fill(w) || (options->distribution == DISTRIBUTE_ZIPF && !zipf_draw(w))) {
        fprintf(stderr, "load: out of memory\n");
        workload_fini(w);
        return false;
    }
    return true;
}

void workload_fini(struct workload *w)
{
    free(w->sample);
    free(w->pattern);
}

void workload_distribute(struct workload *w, enum distribution distribution)
{
    w->distribution = distribution;
    w->next = 0;
}

uint64_t workload_next_key(struct workload *w)
{
    switch (w->distribution) {
    case DISTRIBUTE_SEQUENTIAL: {
        uint64_t index = w->next;
        w->next = index + 1 == w->options->key_count ? 0 : index + 1;
        return index;
    }
    case DISTRIBUTE_ZIPF:
        return w->sample[w->sample_at++ & (SAMPLE_COUNT - 1)];
    case DISTRIBUTE_UNIFORM:
        break;
    }
    return random_below(w, w->options->key_count);
}

bool workload_chance(struct workload *w, double share)
{
    return share >= 1 || (share > 0 && random_unit(w) < share);
}

/* Writes the last `count` digits of `value` before `end`, two at a time: this is the generator's hottest
 * loop. */
static void write_digits(uint32_t value, unsigned count, char *end)
{
    static const char pairs[] =
        "0001020304050607080910111213141516171819202122232425262728293031323334353637383940"
        "4142434445464748495051525354555657585960616263646566676869707172737475767778798081"
        "828384858687888990919293949596979899";
    for (; count >= 2; count -= 2, value /= 100)
        memcpy(end -= 2, pairs + (size_t)(value % 100) * 2, 2);
    if (count == 1)
        end[-1] = (char)('0' + value % 10);
}

unsigned workload_write_number(uint32_t value, char out[10])
{
    unsigned count = 1;
    for (uint32_t rest = value; rest >= 10; rest /= 10)
        count++;
    write_digits(value, count, out + count);
    return count;
}

void workload_write_key(const struct workload *w, uint64_t index, char *out)
{
    unsigned pad = w->options->key_size - w->digit_count;
    for (unsigned i = 0; i < pad; i++)
        out[i] = 'k';
    write_digits((uint32_t)index, w->digit_count, out + w->options->key_size);
}

uint32_t workload_value_size(const struct workload *w, uint64_t index)
{
    uint32_t min = w->options->value_min, span = w->options->value_max - min;
    return span == 0 ? min : min + (uint32_t)(mix(index ^ 0x5172) % (span + 1));
}

const char *workload_value(const struct workload *w, uint64_t index)
{
    return w->pattern + mix(index) % PATTERN_SPREAD;
}
