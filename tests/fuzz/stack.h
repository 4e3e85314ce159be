/*
 * The world of fuzz_stack: one context, a device that is the peer (stack_link.c hears what the
 * stack says and checks it, stack_peer.c speaks), an application (stack_app.c) and monitors
 * (stack_watch.c), which check each other: the monitor's bytes are the application's bytes.
 *
 * Every byte of a stream tells where it belongs: the peer's by its sequence number (five bits; the
 * other three say which copy of it this is), the stack's by its offset.
 */
#ifndef TESTS_FUZZ_STACK_H
#define TESTS_FUZZ_STACK_H

#include "mtcp/wire/addr.h"
#include "mtcp/wire/seg.h"
#include "tests/fuzz/stack_prog.h"

#include <mos_api.h>
#include <mtcp_api.h>
#include <mtcp_io.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEEN_MAX     65536u /* bytes of a stream that are compared */
#define LIVES_MAX    12u
#define PORT_PASSIVE 40000u
#define PORT_ACTIVE  7000u
#define LISTEN_PORT  80u

/* Fuzz targets trap in every build. */
_Noreturn void fuzz_failed(const char *what, const char *file, int line);
#define HOLDS(x) ((x) ? (void)0 : fuzz_failed(#x, __FILE__, __LINE__))

/* A connection's peer: what it said and heard. */
struct slot {
    tcp_seq_t isn, nxt, last, after, edge; /* see enum prog_seq_base */
    tcp_seq_t iss, sent, una;              /* the stack's, and what was acknowledged of it */
    uint64_t who;                          /* whom the peer heard last: stack_who.c */
    uint16_t port;                         /* the stack's, of an active one */
    uint16_t mss_most;                     /* the largest that was offered */
    uint8_t wscale;                        /* the stack's */
    bool has_iss, has_ack, is_scaled;
    uint32_t ts_val; /* of the stack */
    int mon_sock;    /* the acting monitor's; -1: none yet */
};

/* From CONN_START to CONN_END, as the watchful monitor sees it, and what the application read. */
struct life {
    unsigned slot;
    uint64_t who; /* stack_who.c; 0: not known yet */
    int sock;     /* the monitor's */
    int real;
    uint32_t init_seq; /* of the peer's first byte */
    uint64_t n_seen, n_seen_back, n_read;
    uint8_t state[2];
    uint8_t n_end;
    bool has_init, has_app, is_reset, has_shut;
};

/* What a monitor is to do in its next callback. */
struct armed {
    struct step step;
    bool is_set;
};

struct world {
    struct prog_head head;
    const struct step *at, *end; /* the program */
    uint64_t now_us;
    mctx_t m;
    int ep, listener;
    bool accepts, verbose;
    bool is_hidden; /* the peer answers no ARP */
    struct slot slot[SLOTS];
    struct life life[LIVES_MAX];
    unsigned n_lives;
    struct armed armed;
    bool was_starved;
    bool has_lied; /* headers were changed: a byte may not be what its number says */
};

extern struct world w;

/* The peer's byte at a sequence number; its copy 0..7. The stack's byte at an offset. */
static inline uint8_t peer_byte(uint32_t seq, uint8_t copy)
{
    return (uint8_t)(((seq * 0x9e3779b1u) >> 27) << 3 | (copy & 7));
}

static inline uint8_t app_byte(uint64_t off)
{
    return (uint8_t)((uint32_t)off * 0x9e3779b1u >> 24);
}

static inline bool slot_is_v6(unsigned slot)
{
    return (w.head.conf2 & CONF2_V6) && (slot & 1);
}

static inline bool slot_is_active(unsigned slot)
{
    return slot >= SLOTS_PASSIVE;
}

/* fuzz_stack.c: one turn, and turns until the stack is silent; time passes, in one go or not. */
void world_turn(void);
void world_run(uint64_t us);

/* stack_who.c: numbers of connections, from 1 on; 0: none. How many have begun; the one that has
 * this tuple now; the one of an application's socket, which may have ended. */
void who_reset(void);
uint64_t who_has_begun(void);
uint64_t who_is_at(const struct flow_tuple *t);
uint64_t who_has_sock(int id);

/* stack_link.c: the device. */
void link_open(struct mtcp_io *io);
void link_close(void);             /* checks that every packet came back */
struct mtcp_pkt *link_frame(void); /* a new one on its way in; NULL: too many */
void link_again(unsigned which);   /* one of the last ones once more */
void link_reflect(void);           /* what the stack sent last comes back to it */
uint64_t link_n_sent(void);
void link_starve(unsigned n_pkts, unsigned n_bursts);
extern const struct mac_addr link_our_mac, link_peer_mac;

/* stack_peer.c: what the peer says. */
void peer_reset(void);
void peer_segment(const struct step *s);
void peer_open(const struct step *s);
void peer_raw(const struct step *s);
void peer_icmp(const struct step *s);
void peer_arp(const struct step *s);
void peer_ndp_answer(const struct ip_addr *to);
extern const struct ip_addr peer_our_v6, peer_v6;

/* stack_app.c: the application. */
void app_start(void);
void app_call(const struct step *s);
void app_accept(void);
void app_end(void);          /* closes everything */
int app_sock(unsigned slot); /* -1: none */

/* stack_lend.c: writes with MSG_ZEROCOPY, of one socket. */
struct lending {
    struct lent *first;       /* calls whose memory the stack may use */
    uint32_t n_calls, n_told; /* so far, and of these over */
};
ssize_t lend_write(struct lending *l, int id, uint64_t off, size_t n);
void lend_collect(struct lending *l, int id);
void lend_end(struct lending *l); /* the socket is closed */

/* stack_watch.c: the monitors. */
void watch_start(void);
void watch_act(const struct step *s); /* a call outside callbacks */
void watch_arm(const struct step *s);
void watch_end(void);                     /* every connection has ended: was that told? */
struct life *watch_life_of(int app_sock); /* NULL: nobody watched it */
/* The application got n bytes of the connection, which start at its `off`. */
void watch_compare(const struct life *l, uint64_t off, const uint8_t *bytes, size_t n);

#endif
