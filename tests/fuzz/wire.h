/*
 * The world of fuzz_wire: one context between two devices, whose far ends are the program's. Hosts
 * say what the program says (wire_host.c); monitors look and act (wire_watch.c); what comes out is
 * compared with what went in (wire_link.c) and with what a receiver that knows nothing of the stack
 * makes of it (wire_model.c).
 *
 * Every byte of a stream tells where it belongs: five bits by its sequence number, the other three
 * say which copy of it this is.
 */
#ifndef TESTS_FUZZ_WIRE_H
#define TESTS_FUZZ_WIRE_H

#include "mtcp/wire/parse.h"
#include "tests/fuzz/wire_prog.h"

#include <mos_api.h>
#include <mtcp_api.h>
#include <mtcp_io.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIDES     2 /* MOS_SIDE_CLI, MOS_SIDE_SVR; also the devices behind which they are */
#define SEEN_MAX  65536u
#define FRAME_MAX 2048u
#define CLI_PORT  40000u
#define SVR_PORT  80u

/* Fuzz targets trap in every build. */
_Noreturn void fuzz_failed(const char *what, const char *file, int line);
#define HOLDS(x) ((x) ? (void)0 : fuzz_failed(#x, __FILE__, __LINE__))

struct world {
    struct prog_head head;
    const struct step *at, *end; /* the program */
    uint64_t now_us;
    mctx_t m;
    int ep;
    bool has_policy; /* the acting monitor has set one, for the connections to come as well */
    bool verbose, was_starved;
    bool has_reset; /* a monitor asked for one */
    bool has_edits; /* a monitor changed payload or lengths: that connection's frames are
                     * translated, and what is sent again is changed again */
};

extern struct world w;

static inline int other(int side)
{
    return side == MOS_SIDE_CLI ? MOS_SIDE_SVR : MOS_SIDE_CLI;
}

static inline uint8_t host_byte(uint32_t seq, uint8_t copy)
{
    return (uint8_t)(((seq * 0x9e3779b1u) >> 27) << 3 | (copy & 7));
}

/* fuzz_wire.c: the wire works until nothing is left to be received. */
void world_turn(void);

/* ---- wire_link.c: the devices ---- */

/* A frame on its way in; what became of it. */
struct in {
    struct mtcp_pkt pkt; /* first */
    int from;            /* the side, which is the device */
    bool is_frag, is_good;
    bool is_dropped, is_changed, is_longer;
    unsigned n_out;
    uint8_t *mem;
    uint32_t was_len, now_len;
    uint8_t was[FRAME_MAX], now[FRAME_MAX]; /* as it came; as it was when the wire was done */
};

void link_open(struct mtcp_io *io, int side);
void link_close(void);
/* A frame comes from that side. `flags` of mtcp_pkt; false: too many have come. */
bool link_send(int side, const uint8_t *frame, uint32_t len, uint32_t flags);
bool link_waits(void); /* there are frames that nobody has received */
void link_again(unsigned which);
void link_starve(unsigned n_pkts);
struct in *link_current(void); /* the frame that is worked on; NULL: none */
void link_user(bool is_in);    /* a monitor's code begins or ends */

/* ---- wire_host.c: what hosts say ---- */

void host_reset(void);
void host_segment(const struct step *s);
void host_open(const struct step *s);
void host_raw(const struct step *s);
void host_flood(const struct step *s);
/* The connection and the side that a segment comes from; false: of none of them. */
bool host_find(const struct seg *received, unsigned *slot, int *side);

/* ---- wire_model.c: what a receiver makes of it ---- */

void model_reset(void);
void model_begin(unsigned slot); /* the monitor says that a connection begins */
void model_end(unsigned slot);
void model_doubt(unsigned slot);  /* from now on only that no byte is invented */
void model_ignore(unsigned slot); /* not even that */
void model_frame(const struct in *f);
/* The monitor got bytes of what a side receives, from `off` on. */
void model_compare(unsigned slot, int side, uint64_t off, const uint8_t *bytes, size_t n);
/* At the end of a turn: it has got n so far. */
void model_check(unsigned slot, int side, uint64_t n);

/* ---- wire_watch.c: the monitors ---- */

void watch_start(void);
void watch_act(const struct step *s);
void watch_arm(const struct step *s);
void watch_turn(void); /* a turn is over */
void watch_end(void);  /* nothing is there any more: was that told? */

#endif
