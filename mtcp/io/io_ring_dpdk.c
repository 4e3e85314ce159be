/* A ring of pointers: DPDK's, in memory of ours, so that it needs no EAL. */
#include "mtcp/io/io.h"

#include <rte_ring.h>

#include <stdlib.h>

struct io_ring {
    struct rte_ring ring; /* and its places behind it */
};

struct io_ring *io_ring_create(unsigned n)
{
    unsigned places = 1;
    while (places <= n)
        places *= 2; /* one stays empty */
    ssize_t bytes = rte_ring_get_memsize(places);
    struct io_ring *r = bytes < 0 ? NULL : aligned_alloc(RTE_CACHE_LINE_SIZE, (size_t)bytes);
    if (r && rte_ring_init(&r->ring, "steer", places, 0) != 0) {
        free(r);
        r = NULL;
    }
    return r;
}

void io_ring_destroy(struct io_ring *r)
{
    free(r);
}

bool io_ring_put(struct io_ring *r, void *what)
{
    return rte_ring_enqueue(&r->ring, what) == 0;
}

unsigned io_ring_get(struct io_ring *r, void **what, unsigned n)
{
    return rte_ring_dequeue_burst(&r->ring, what, n, NULL);
}

bool io_ring_is_empty(const struct io_ring *r)
{
    return rte_ring_empty(&r->ring) != 0;
}
