/* One line that says how far it is, for a terminal. */
#ifndef EPCLIENT_PROGRESS_H
#define EPCLIENT_PROGRESS_H

#include "apps/epclient/args.h"

#include <stddef.h>

struct progress_at {
    uint64_t n_done, n_failed; /* requests */
    uint64_t elapsed_us;       /* since the beginning */
    uint64_t last_done;        /* n_done and elapsed_us of the line before */
    uint64_t last_us;
};

/* Writes the line without its end. */
void progress_line(char *out, size_t room, const struct args *a, const struct progress_at *at);

/* Seconds until all is done, rounded up: by the rate so far, by -r and by -d. UINT64_MAX: unknown.
 */
uint64_t progress_eta_s(const struct args *a, const struct progress_at *at);

#endif
