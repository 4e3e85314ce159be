/*
 * When requests begin. Closed loop (rate 0): whenever a connection is free. Open loop: request k at
 * k/rate seconds after the beginning, whether or not earlier ones have been answered; a request
 * that has to wait for a connection keeps its time, so that what a slow server makes others wait is
 * measured ("coordinated omission" is leaving that out).
 *
 * No clock: times are arguments, in microseconds of any one clock.
 */
#ifndef EPCLIENT_SCHEDULE_H
#define EPCLIENT_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#define SCHEDULE_NEVER UINT64_MAX

struct schedule {
    uint64_t rate; /* requests per second; 0: closed loop */
    uint64_t begun_us;
    uint64_t end_us;     /* from then on no request begins; SCHEDULE_NEVER */
    uint64_t n_total;    /* requests 0 .. n_total-1, of all workers */
    uint64_t next, step; /* ours are next, next + step, ... */
};

struct request {
    uint64_t number;   /* from 0 */
    uint64_t start_us; /* what its latency is measured from */
};

/* When the next request may begin: now or earlier, later, or SCHEDULE_NEVER: there is none. */
uint64_t schedule_due(const struct schedule *s, uint64_t now_us);

/* Takes the next request if it is due. */
bool schedule_take(struct schedule *s, uint64_t now_us, struct request *r);

/* No further request begins. */
void schedule_stop(struct schedule *s);

#endif
