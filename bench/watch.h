/* The monitor whose cost the benchmarks measure (watch.c). */
#ifndef BENCH_WATCH_H
#define BENCH_WATCH_H

#include <stdint.h>

extern uint64_t watch_n_events; /* callbacks so far */

#endif
