/*
 * Several cores behind devices: each flow has one core, by the hash of its tuple with which network
 * cards choose queues (receive side scaling), so that a device that was told so brings packets to
 * the right one. A packet that arrives elsewhere is handed over on a ring, as a copy, so that
 * buffers stay with their devices. What concerns all (ARP, neighbour discovery) is copied to all;
 * what concerns none stays where it is. A core for which a device has no queue sends through
 * another.
 *
 * What a context sees of this is a device per core (steer_port()), its interface for whose a flow
 * is (struct net_steer), and nothing when there is one core.
 *
 *   ports:   steer_port(core) is used by that core's thread alone; the rest happens on rings
 *   wake-up: a sleeping core is woken by who hands it something
 */
#ifndef MTCP_CORE_STEER_H
#define MTCP_CORE_STEER_H

#include "mtcp/base/bug.h"
#include "mtcp/base/hash.h"
#include "mtcp/net/net.h"
#include "mtcp_io.h"

struct steer;

/* A device's queues, for the first n of the cores; n is at least 1. */
struct steer_dev {
    struct mtcp_io *const *queues;
    unsigned n;
};

/* The key, which peers must not know, and into how many buckets flows are sorted: a power of two,
 * and no more than any device that knows the key has. */
struct steer_rss {
    uint8_t key[HASH_TOEPLITZ_KEY];
    unsigned n_buckets;
};

/* For up to n_cores contexts over these devices, which outlive it. NULL: no memory. */
struct steer *steer_create(unsigned n_cores, const struct steer_dev *devs, unsigned n_devs,
                           const struct steer_rss *rss);

/* Every port was closed. NULL is allowed. */
void steer_destroy(struct steer *s);

/* The device `dev` as `core` uses it. Begins when it is asked for, and after its close() when it is
 * asked for again. Not thread safe. NULL: no descriptor. */
struct mtcp_io *steer_port(struct steer *s, unsigned dev, unsigned core);

/* What the context of that core is given beside its ports. */
const struct net_steer *steer_of_core(struct steer *s, unsigned core);

/* What a device with the key computes for the flow's segments, and whose the flow is. */
uint32_t steer_hash(const struct steer *s, const struct flow_tuple *t);
unsigned steer_owner(const struct steer *s, const struct flow_tuple *t);
unsigned steer_owner_of_bucket(const struct steer *s, unsigned bucket);

#endif
