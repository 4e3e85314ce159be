/*
 * How often each value occurred, for percentiles: buckets whose width grows with the value, 64 per
 * power of two. Values below 128 are exact, larger ones to 1/64; fixed size, no allocation.
 */
#ifndef EPCLIENT_HISTOGRAM_H
#define EPCLIENT_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_BUCKETS  ((64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
    uint64_t n, min, max, sum;
    uint64_t count[HISTOGRAM_BUCKETS];
};

void histogram_init(struct histogram *h);
void histogram_add(struct histogram *h, uint64_t value);
void histogram_merge(struct histogram *h, const struct histogram *other);

/*
 * The smallest value that `per_million` of a million values do not exceed, rounded up to the end of
 * its bucket, and never beyond the largest value seen. 0 when there is none.
 */
uint64_t histogram_percentile(const struct histogram *h, uint32_t per_million);

#endif
