#include "apps/tcpstat/totals.h"

#include <string.h>

void totals_init(struct totals *t)
{
    memset(t, 0, sizeof(*t));
    histogram_init(&t->rtt[0]);
    histogram_init(&t->rtt[1]);
    histogram_init(&t->handshake);
}

void totals_merge(struct totals *t, const struct totals *other)
{
    t->n_begun += other->n_begun;
    t->n_ended += other->n_ended;
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < COUNT_KINDS; i++)
            t->count[side][i] += other->count[side][i];
        histogram_merge(&t->rtt[side], &other->rtt[side]);
    }
    histogram_merge(&t->handshake, &other->handshake);
}
