/*
 * The programs that fuzz_wire runs: a head, then steps of one size, as those of fuzz_stack
 * (stack_prog.h). Numbers are little endian. Every value of every byte means something; what a step
 * does not need it ignores.
 */
#ifndef TESTS_FUZZ_WIRE_PROG_H
#define TESTS_FUZZ_WIRE_PROG_H

#include <stdint.h>

#define PROG_STEPS_MAX 160u
#define SLOTS          4u /* connections; the last one speaks IPv6 */

struct prog_head {
    uint8_t
        isns; /* low nibble: the clients', high nibble: the servers': % 3: any, near 2^32, 2^31 */
    uint8_t conf;    /* enum prog_conf bits */
    uint8_t history; /* kept bytes that the acting monitor wants, 64 each */
    uint8_t seed;
};

enum prog_conf {
    CONF_FEW_CONNS = 1 << 0,
    CONF_SMALL = 1 << 1,   /* streams of 8 KB */
    CONF_RAW = 1 << 2,     /* a raw monitor, too */
    CONF_LAST = 1 << 3,    /* overlap policy LAST */
    CONF_FEW_IDS = 1 << 4, /* for monitors' sockets */
    CONF_IDLE = 1 << 5,    /* silence ends connections */
    CONF_ROOM = 1 << 6,    /* frames may become longer */
};

enum prog_op {
    OP_SEG,
    OP_PATCH, /* the same with the byte `arg` of the frame being `arg2` */
    OP_FRAG,  /* the same in fragments: enum prog_frag */
    OP_OPEN,  /* a handshake */
    OP_AGAIN, /* one of the last frames again */
    OP_RAW,   /* a frame: `len` bytes in the next steps' place */
    OP_TIME,
    OP_ARM,    /* what the acting monitor does in its next callback of the kind that `wnd` says */
    OP_ACT,    /* ... outside of callbacks */
    OP_STARVE, /* arg: no packet buffers for so long; len: memory, 0: enough of both */
    OP_FLOOD,  /* `arg` SYNs, or with `flags` fragments, of as many others */
    OP_N
};

/* step.arg2 */
enum prog_frag {
    FRAG_SWAPPED = 1 << 0,
    FRAG_LOST = 1 << 1,  /* the first one */
    FRAG_TWICE = 1 << 2, /* the first one, the second time with other bytes */
    FRAG_OVERLAP = 1 << 3,
};

enum prog_act {
    ACT_DROP,
    ACT_PAYLOAD, /* overwritten */
    ACT_HEADER,  /* `arg2` at byte `arg` of the TCP header */
    ACT_EDIT,    /* any change of any place */
    ACT_STOP,
    ACT_HISTORY,
    ACT_POLICY,
    ACT_PEEK,
    ACT_PPEEK,
    ACT_REGISTER,
    ACT_UNREGISTER,
    ACT_SENDPKT,
    ACT_RESET,
    ACT_TIMER,
    ACT_CLOSE, /* the acting monitor ends */
    ACT_N
};

/* step.slot */
#define STEP_SLOT    0x03
#define STEP_SERVER  0x04 /* it is from the server */
#define STEP_BURST   0x80 /* no turn after it */
#define STEP_CSUM_OK 0x40 /* the device says that checksums are right */
#define STEP_BAD_SUM 0x20

/* step.opts */
enum prog_opt {
    OPT_TS = 1 << 0,
    OPT_MSS = 1 << 1,
    OPT_WSCALE = 1 << 2, /* arg >> 4 */
    OPT_SACK_OK = 1 << 3,
    OPT_TS_ODD = 1 << 4, /* by arg2 - 128 */
    OPT_SACK = 1 << 5,
    OPT_CUT = 1 << 6, /* without don't-fragment */
};

/* step.base: low nibble of the sequence number, high nibble of the acknowledgement */
enum prog_seq { SEQ_NEXT, SEQ_LAST, SEQ_ACKED, SEQ_ISN, SEQ_EDGE, SEQ_N };
enum prog_ack { ACK_ALL, ACK_LAST, ACK_HALF, ACK_ISN, ACK_ZERO, ACK_N };

struct step {
    uint8_t op; /* enum prog_op */
    uint8_t slot;
    uint8_t flags; /* of TCP; or which act, which kind */
    uint8_t opts;  /* enum prog_opt */
    uint8_t base;
    uint8_t copy; /* & 7: which version of its bytes */
    int16_t seq, ack;
    uint16_t wnd;
    uint16_t len;
    uint8_t arg, arg2;
};

#define STEP_BYTES (sizeof(struct step))
_Static_assert(sizeof(struct step) == 16 && sizeof(struct prog_head) == 4, "no holes");

#endif
