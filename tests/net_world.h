/*
 * A struct net on a link that the test holds in its hands: frames in, exactly these frames out.
 *
 *     struct world w;
 *     world_up(&w, NULL);
 *     world_syn(&w, 4000, 100);                    a SYN from the peer's port 4000, seq 100
 *     world_turn(&w);                              receive, timers, flush
 *     const struct packet *p = world_out(&w);      the next frame that was sent, parsed
 *     world_silence(&w);                           and nothing else
 *
 * We are 10.0.0.1/24 (02:00:00:00:00:01), the peer is 10.0.0.2 (02:00:00:00:00:02). The gratuitous
 * ARP of the start has been taken off; the peer's address is a static neighbour unless no_arp was
 * set. With is_v6 we are fd00::1/64 as well and the peer fd00::2, which world_in() and what is
 * built upon it then take.
 */
#ifndef TESTS_NET_WORLD_H
#define TESTS_NET_WORLD_H

#include "mtcp/net/net.h"
#include "mtcp/wire/parse.h"

#include <stdbool.h>
#include <stdint.h>

#define WORLD_FRAMES 512
#define WORLD_ROOM   66000u

/* The device: an array of frames each way. */
struct world_io {
    struct mtcp_io io;
    struct mtcp_pkt *rx[WORLD_FRAMES], *tx[WORLD_FRAMES];
    unsigned n_rx, at_rx, n_tx, at_tx;
    unsigned n_out;   /* packets that the stack holds */
    unsigned tx_room; /* frames that it takes now */
    uint32_t room;    /* of its packets; 0: all */
    bool no_pkts;     /* alloc says NULL */
};

struct world_opts {
    struct net_conf conf;
    uint32_t caps;
    bool no_arp; /* nor neighbours of IPv6 */
    bool is_v6;
};

struct world {
    struct net net;
    struct mem *mem;
    bool is_v6;
    struct world_io dev;
    struct packet got; /* what world_out() returned */
    uint8_t frame[WORLD_ROOM];
    uint32_t frame_flags;
    uint16_t frame_tso_mss;
    uint16_t in_tso_mss; /* of the frames that come in */
};

extern const struct net_conf world_conf;

struct ip_addr world_ip(const char *text);
struct mac_addr world_mac(uint8_t last);

void world_up(struct world *w, const struct world_opts *o);
void world_down(struct world *w); /* checks that no memory and no packet is left */

/* One turn: net_rx, net_timers, net_flush. */
void world_turn(struct world *w);
void world_advance(struct world *w, uint64_t us); /* in steps of 10 ms, with turns */

/* Frames in. */
void world_in_frame(struct world *w, const uint8_t *frame, uint32_t len, uint32_t flags);

/* A segment from the peer's port; `s` as the peer sends it but for the addresses, which are filled
 * in (local = peer) unless they are there. */
void world_in(struct world *w, struct seg *s);
void world_syn(struct world *w, uint16_t port, uint32_t seq);
void world_seg(struct world *w, uint16_t port, uint8_t flags, uint32_t seq, uint32_t ack);

/* ARP from the peer 10.0.0.<host> with MAC ...:<host>. */
void world_arp(struct world *w, uint8_t host, bool is_reply, const char *target);

/* The next frame out, parsed (checksums verified when they were done in software), or NULL. */
const struct packet *world_out(struct world *w);

/* The next frame out is a TCP segment with these flags to that port. */
const struct seg *world_expect_at(struct world *w, uint16_t port, uint8_t flags, const char *file,
                                  int line);
#define world_expect(w, port, flags) world_expect_at(w, port, flags, __FILE__, __LINE__)

void world_silence_at(struct world *w, const char *file, int line);
#define world_silence(w) world_silence_at(w, __FILE__, __LINE__)

/* A listener on port 80 of every address. */
void world_listen(struct world *w, struct net_listener *l, uint32_t backlog);

/* The whole handshake from a port of the peer; the connection was not accepted yet. */
void world_handshake(struct world *w, uint16_t port);

/* The flow of the peer's port to port 80, or NULL. */
struct flow *world_flow(struct world *w, uint16_t port);

/* An active open to the peer's port 7, its SYN taken off. */
struct tcp_conn *world_connect(struct world *w);

#endif
