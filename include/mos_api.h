#ifndef MOS_API_H
#define MOS_API_H

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>

/* <netinet/tcp.h> and <linux/tcp.h> exclude each other; whichever the program chose first stays. */
#if !defined(_LINUX_TCP_H) && !defined(_UAPI_LINUX_TCP_H)
#include <netinet/tcp.h>
#define _LINUX_TCP_H
#define _UAPI_LINUX_TCP_H
#endif

#include "mtcp_api.h"
#include "mtcp_epoll.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- states ---------------------------------------------------------------------------------- */

enum tcpstate {
    MOS_TCPS_CLOSED = 0,
    MOS_TCPS_LISTEN = 1,
    MOS_TCPS_SYN_SENT = 2,
    MOS_TCPS_SYN_RCVD = 3,
    MOS_TCPS_ESTABLISHED = 4,
    MOS_TCPS_FIN_WAIT_1 = 5,
    MOS_TCPS_FIN_WAIT_2 = 6,
    MOS_TCPS_CLOSE_WAIT = 7,
    MOS_TCPS_CLOSING = 8,
    MOS_TCPS_LAST_ACK = 9,
    MOS_TCPS_TIME_WAIT = 10
};
#define TCP_CLOSED      MOS_TCPS_CLOSED
#define TCP_LISTEN      MOS_TCPS_LISTEN
#define TCP_SYN_SENT    MOS_TCPS_SYN_SENT
#define TCP_SYN_RCVD    MOS_TCPS_SYN_RCVD
#define TCP_ESTABLISHED MOS_TCPS_ESTABLISHED
#define TCP_FIN_WAIT_1  MOS_TCPS_FIN_WAIT_1
#define TCP_FIN_WAIT_2  MOS_TCPS_FIN_WAIT_2
#define TCP_FINE_WAIT_2 MOS_TCPS_FIN_WAIT_2 /* the manual page's spelling */
#define TCP_CLOSE_WAIT  MOS_TCPS_CLOSE_WAIT
#define TCP_CLOSING     MOS_TCPS_CLOSING
#define TCP_LAST_ACK    MOS_TCPS_LAST_ACK
#define TCP_TIME_WAIT   MOS_TCPS_TIME_WAIT

/* ---- events, hook points, sides -------------------------------------------------------------- */

typedef uint64_t event_t;

enum mos_event_type {
    MOS_NULL_EVENT = 0,
    MOS_ON_PKT_IN = 0x1,
    MOS_ON_PKT_OUT = 0x2, /* reserved */
    MOS_ON_CONN_START = 0x4,
    MOS_ON_CONN_SETUP = 0x8, /* deprecated */
    MOS_ON_CONN_NEW_DATA = 0x10,
    MOS_ON_ERROR = 0x20,
    MOS_ON_TIMEOUT = 0x40, /* reserved */
    MOS_ON_TCP_STATE_CHANGE = 0x80,
    MOS_ON_ORPHAN = 0x100,
    MOS_ON_REXMIT = 0x200,
    MOS_ON_CONN_END = 0x400,
    MOS_ON_DEBUG_MESSAGE = 0x800 /* reserved */
};

enum mtcp_hook_point {
    MOS_NULL = 1 << 29,
    MOS_HK_RCV = 1 << 30
};
#define MOS_HK_SND ((int)(1u << 31))

enum mos_side {
    MOS_SIDE_CLI = 0,
    MOS_SIDE_SVR = 1,
    MOS_SIDE_BOTH = 2
};

/* ---- options --------------------------------------------------------------------------------- */

#define SOL_MONSOCKET 0xfffe

enum mos_socket_opts {
    MOS_FRAGINFO_CLIBUF = 0x01,
    MOS_FRAGINFO_SVRBUF = 0x02,
    MOS_INFO_CLIBUF = 0x03,
    MOS_INFO_SVRBUF = 0x04,
    MOS_TCP_STATE_CLI = 0x05,
    MOS_TCP_STATE_SVR = 0x06,
    MOS_TIMESTAMP = 0x07,
    MOS_CLIBUF = 0x09,
    MOS_SVRBUF = 0x0a,
    MOS_STOP_MON = 0x0c,
    MOS_CLIOVERLAP = 0x0f,
    MOS_SVROVERLAP = 0x10,
    MOS_MISSED_CLIBUF = 0x11,
    MOS_MISSED_SVRBUF = 0x12,
    MOS_LASTERROR = 0x13,
    MOS_END_REASON = 0x14,
    MOS_ENDPOINT_SOCK = 0x15,
    MOS_REAL_SIDE = 0x16
};

enum mos_overlap_policy {
    MOS_OVERLAP_POLICY_FIRST = 0,
    MOS_OVERLAP_POLICY_LAST = 1,
    MOS_OVERLAP_CNT = 2
};

enum mos_error {
    MOS_ERROR_NONE = 0,
    MOS_ERROR_OVERRUN = 1,
    MOS_ERROR_BEYOND_WINDOW = 2,
    MOS_ERROR_INCONSISTENT = 3
};

enum mos_end_reason {
    MOS_END_NONE = 0,
    MOS_END_FIN = 1,
    MOS_END_RST_IN = 2,
    MOS_END_RST_OUT = 3,
    MOS_END_TIMEOUT = 4,
    MOS_END_ABORT = 5,
    MOS_END_EVICTED = 6,
    MOS_END_RESET_BY_MONITOR = 7
};

struct tcp_buf_info {
    uint32_t tcpbi_init_seq;
    uint32_t tcpbi_last_byte_read;
    uint32_t tcpbi_next_byte_expected;
    uint32_t tcpbi_last_byte_received;
};

struct tcp_ring_fragment {
    uint64_t offset;
    uint32_t len;
};

/* ---- packets --------------------------------------------------------------------------------- */

#define MOS_ETH_HDR           (1 << 0)
#define MOS_IP_HDR            (1 << 1)
#define MOS_TCP_HDR           (1 << 2)
#define MOS_TCP_PAYLOAD       (1 << 3)
#define MOS_UPDATE_IP_CHKSUM  (1 << 4)
#define MOS_UPDATE_TCP_CHKSUM (1 << 5)
#define MOS_DROP              (1 << 6)
#define MOS_OVERWRITE         (1 << 7)
#define MOS_CHOMP             (1 << 8)
#define MOS_INSERT            (1 << 9)

struct pkt_info {
    uint32_t cur_ts;
    int8_t in_ifidx;
    uint16_t eth_len;
    uint16_t ip_len;
    uint64_t offset;
    uint16_t payloadlen;
    uint32_t seq;
    uint32_t ack_seq;
    uint16_t window;
    struct ethhdr *ethh;
    struct iphdr *iph;
    struct tcphdr *tcph;
    uint8_t *payload;
};
#define PKT_INFO_LEN offsetof(struct pkt_info, ethh)

struct pkt_ctx {
    struct pkt_info p;
    int8_t direction;
    uint8_t forward;
    int8_t out_ifidx;
    int8_t batch_index;
};

/* ---- callbacks and filters ------------------------------------------------------------------- */

typedef struct filter_arg {
    void *arg;
    size_t len;
} filter_arg_t;

typedef void (*callback_t)(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg);
typedef bool (*filter_t)(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg);

union monitor_filter {
    char *raw_pkt_filter;
    __extension__ struct {
        char *stream_syn_filter;
        char *stream_orphan_filter;
    };
};
typedef union monitor_filter *monitor_filter_t;

int mtcp_bind_monitor_filter(mctx_t mctx, int sock, monitor_filter_t ft);
int mtcp_register_callback(mctx_t mctx, int sock, event_t event, int hook_point, callback_t cb);
int mtcp_unregister_callback(mctx_t mctx, int sock, event_t event, int hook_point);
event_t mtcp_define_event(event_t base, filter_t filter, struct filter_arg *arg);
event_t mtcp_alloc_event(event_t parent);
int mtcp_raise_event(mctx_t mctx, event_t child);
void mtcp_set_uctx(mctx_t mctx, int sock, void *uctx);
void *mtcp_get_uctx(mctx_t mctx, int sock);
int mtcp_get_passive(mctx_t mctx, int sock);
ssize_t mtcp_peek(mctx_t mctx, int sock, int side, char *buf, size_t len);
ssize_t mtcp_ppeek(mctx_t mctx, int sock, int side, char *buf, size_t len, uint64_t off);
ssize_t mtcp_peek_iov(mctx_t mctx, int sock, int side, struct iovec iov[2]);
ssize_t mtcp_peek_consume(mctx_t mctx, int sock, int side, size_t len);
int mtcp_getlastpkt(mctx_t mctx, int sock, int side, struct pkt_info *p);
int mtcp_setlastpkt(mctx_t mctx, int sock, int side, off_t offset, byte *data, uint16_t datalen,
                    int option);
int mtcp_sendpkt(mctx_t mctx, int sock, const struct pkt_info *pkt);
int mtcp_reset_conn(mctx_t mctx, int sock);
int mtcp_settimer(mctx_t mctx, int id, struct timeval *timeout, callback_t cb);
int mtcp_canceltimer(mctx_t mctx, int id);
uint32_t mtcp_cb_get_ts(mctx_t mctx);

/* ---- plugins: what a monitor in a shared object exports ---------------------------------------- */

int mos_monitor_init(mctx_t mctx, const char *args);
void mos_monitor_fini(mctx_t mctx);

#ifdef __cplusplus
}
#endif

#endif
