/*
 * The programs that fuzz_stack runs: a head, then steps of one size, so that a mutation, a splice
 * or a person can take whole steps. Numbers are little endian. Every value of every byte means
 * something; what a step does not need it ignores. seed_stack.c writes programs, fuzz_stack.c runs
 * and mutates them.
 */
#ifndef TESTS_FUZZ_STACK_PROG_H
#define TESTS_FUZZ_STACK_PROG_H

#include <stdint.h>

#define PROG_STEPS_MAX 160u

/* Connections: by the port of the peer. The first ones come to the stack's listener, the others the
 * stack opens. */
#define SLOTS         6u
#define SLOTS_PASSIVE 4u

struct prog_head {
    uint8_t isns;     /* low nibble: the peer's, high nibble: the stack's: enum prog_isn */
    uint8_t conf;     /* enum prog_conf bits: what the stack is set to */
    uint8_t monitors; /* & 3: how many; then enum prog_mon bits */
    uint8_t history;  /* of the lazy monitor: kept bytes, 64 each */
    uint8_t lazy;     /* how much it peeks at a time */
    uint8_t seed;
    uint8_t conf2; /* enum prog_conf2 bits */
    uint8_t spare;
};

enum prog_isn { ISN_ANY, ISN_WRAP32, ISN_WRAP31, ISN_ZERO, ISN_N };

enum prog_conf {
    CONF_NO_TS = 1 << 0,
    CONF_NO_SACK = 1 << 1,
    CONF_NO_WSCALE = 1 << 2,
    CONF_TINY = 1 << 3,  /* buffers of 4 KB */
    CONF_LARGE = 1 << 4, /* of 1 MB: a window that needs scaling */
    CONF_NEWRENO = 1 << 5,
    CONF_NO_MONITOR_FIRST = 1 << 6, /* the monitors come after the listener */
    CONF_BACKLOG_1 = 1 << 7,
};

enum prog_conf2 {
    CONF2_ECN = 1 << 0,           /* asks for ECN, too */
    CONF2_COOKIES = 1 << 1,       /* every SYN is answered with a cookie */
    CONF2_FEW_HALF_OPEN = 1 << 2, /* SYN cookies beyond two */
    CONF2_NO_COOKIES = 1 << 3,
    CONF2_V6 = 1 << 4,       /* every other slot speaks IPv6 */
    CONF2_FASTOPEN = 1 << 5, /* data goes and is taken with a SYN, with or without a cookie */
    CONF2_DOZE = 1 << 6,     /* connections without a monitor doze after 100 ms */
};

enum prog_mon {
    MON_COUNT = 3,
    MON_LAST_SVR = 1 << 2, /* overlap policy LAST from the start */
    MON_LAST_CLI = 1 << 3,
    MON_CALM = 1 << 4, /* nobody asks for packets: few are told (enum hook_spare) */
};

enum prog_op {
    OP_SEG,       /* a segment of the peer */
    OP_SEG_OPTS,  /* its options are the `arg2` bytes that follow in the next steps' place */
    OP_SEG_PATCH, /* one byte of its headers, at `arg`, becomes `arg2` */
    OP_AGAIN,     /* a frame of the peer's last ones, once more */
    OP_OPEN,      /* a whole handshake, the peer's part */
    OP_RAW,       /* a frame: `len` bytes in the next steps' place */
    OP_ICMP,      /* an ICMP message that quotes what the stack sent */
    OP_ARP,       /* with CONF2_V6 and odd `opts`: neighbour discovery */
    OP_TIME,      /* the loop runs for so long */
    OP_JUMP,      /* time passes at once */
    OP_APP,       /* a call of the application: enum prog_app */
    OP_MON,       /* a call of a monitor, outside callbacks: enum prog_act */
    OP_ARM,       /* the same in its next callback of the kind that `wnd` says */
    OP_STARVE,    /* packets, the device or memory are short: enum prog_starve */
    OP_SEG_FRAG,  /* a segment in two fragments: enum prog_frag */
    OP_N
};

enum prog_app {
    APP_READ,
    APP_READ_ALL,
    APP_WRITE,
    APP_WRITE_MUCH,
    APP_PEEK,
    APP_SHUT,
    APP_CLOSE,
    APP_ABORT,
    APP_OPTION,
    APP_CONNECT,
    APP_PAUSE_ACCEPT,
    APP_RELISTEN,
    APP_INFO,
    APP_READV,
    APP_LEND, /* with MSG_ZEROCOPY */
    APP_N
};

enum prog_act {
    ACT_DROP,
    ACT_RESET,
    ACT_STOP_SIDE,
    ACT_STOP,
    ACT_CALLBACK,
    ACT_POLICY,
    ACT_HISTORY,
    ACT_READ,
    ACT_WRITE,
    ACT_CLOSE,
    ACT_ABORT,
    ACT_SHUT,
    ACT_END,
    ACT_BEGIN,
    ACT_LOOP,
    ACT_LASTPKT,
    ACT_PPEEK,
    ACT_SETPKT,
    ACT_ADDRS,
    ACT_IOV,
    ACT_N
};

/* step.arg2 >> 5; & 31: where it is cut */
enum prog_frag { FRAG_SWAPPED = 1, FRAG_OVERLAP = 2, FRAG_ONE = 4 };

enum prog_starve { STARVE_PKTS, STARVE_TX, STARVE_MEM, STARVE_END, STARVE_N };

/* step.slot */
#define STEP_SLOT    0x0f
#define STEP_BURST   0x80 /* no turn of the loop after it */
#define STEP_CSUM_OK 0x40 /* the device says that checksums are right */
#define STEP_BAD_SUM 0x20 /* a checksum is wrong */
#define STEP_CE      0x10 /* marked by a router */

/* step.opts */
enum prog_opt {
    OPT_TS = 1 << 0,
    OPT_SACK = 1 << 1,   /* arg2: & 3 blocks - 1, >> 2 & 7 enum prog_sack, >> 5 unit */
    OPT_MSS = 1 << 2,    /* arg & 15: which */
    OPT_WSCALE = 1 << 3, /* arg >> 4 */
    OPT_SACK_OK = 1 << 4,
    OPT_TS_OLD = 1 << 5, /* a timestamp from before */
    OPT_TS_ECR = 1 << 6, /* echoes anything */
    OPT_URG = 1 << 7,    /* the urgent pointer is arg2 */
};

enum prog_sack {
    SACK_HOLES,
    SACK_BELOW,
    SACK_ABOVE,
    SACK_INVERTED,
    SACK_WRAPPED,
    SACK_OVERLAP,
    SACK_EMPTY,
    SACK_DSACK
};

/* step.base: low nibble of the sequence number, high nibble of the acknowledgement */
enum prog_seq_base {
    SEQ_NEXT, /* what the stack expects */
    SEQ_ISN,
    SEQ_AFTER, /* behind the peer's last segment */
    SEQ_EDGE,  /* of the stack's window */
    SEQ_LAST,  /* the peer's last segment again */
    SEQ_FIRST, /* ISN + 1 */
    SEQ_ZERO,
    SEQ_BASE_N
};
enum prog_ack_base {
    ACK_ALL, /* everything that the stack sent */
    ACK_UNA, /* what was acknowledged last */
    ACK_ISS,
    ACK_HALF,
    ACK_ZERO,
    ACK_BASE_N
};

struct step {
    uint8_t op; /* enum prog_op */
    uint8_t slot;
    uint8_t flags; /* of TCP; or which call, which type */
    uint8_t opts;  /* enum prog_opt */
    uint8_t base;
    uint8_t scale; /* low nibble: seq is shifted by so much; high nibble: ack */
    int16_t seq, ack;
    uint16_t wnd;
    uint16_t len;
    uint8_t arg, arg2;
};

#define STEP_BYTES (sizeof(struct step))
_Static_assert(sizeof(struct step) == 16 && sizeof(struct prog_head) == 8, "no holes");

static const uint16_t prog_mss[16] = {0,    1,    8,    48,   64,   100,  216,  536,
                                      1000, 1220, 1400, 1448, 1460, 1500, 9000, 65535};

#endif
