#include "apps/epclient/histogram.h"

#include <string.h>

#define SUB (1u << HISTOGRAM_SUB_BITS)

/*
 * The index of a value: below 2*SUB the value itself; above, the SUB values after each power of two
 * share a bucket of 2^shift values each.
 */
static unsigned bucket_of(uint64_t value)
{
    if (value < 2ull * SUB)
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return (shift << HISTOGRAM_SUB_BITS) + (unsigned)(value >> shift);
}

/* The largest value of a bucket. */
static uint64_t bucket_end(unsigned i)
{
    if (i < 2 * SUB)
        return i;
    unsigned shift = (i >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t first = (uint64_t)(i - (shift << HISTOGRAM_SUB_BITS)) << shift;
    return first + ((UINT64_C(1) << shift) - 1);
}

void histogram_init(struct histogram *h)
{
    memset(h, 0, sizeof(*h));
    h->min = UINT64_MAX;
}

void histogram_add(struct histogram *h, uint64_t value)
{
    h->n++;
    h->sum += value;
    h->count[bucket_of(value)]++;
    if (value < h->min)
        h->min = value;
    if (value > h->max)
        h->max = value;
}

void histogram_merge(struct histogram *h, const struct histogram *other)
{
    h->n += other->n;
    h->sum += other->sum;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        h->count[i] += other->count[i];
    if (other->min < h->min)
        h->min = other->min;
    if (other->max > h->max)
        h->max = other->max;
}

uint64_t histogram_percentile(const struct histogram *h, uint32_t per_million)
{
    /* the rank, rounded up, of 1 .. n; in two parts so that no product overflows */
    uint64_t want =
        h->n / 1000000 * per_million + (h->n % 1000000 * per_million + 999999) / 1000000;
    uint64_t seen = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS && h->n > 0; i++) {
        seen += h->count[i];
        if (seen >= want && seen > 0)
            return bucket_end(i) < h->max ? bucket_end(i) : h->max;
    }
    return 0;
}
