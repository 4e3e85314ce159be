#include "apps/track/segment.h"

#define HEADER_LEN 20 /* without options (RFC 9293 3.1) */

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_SACK = 5 };

bool segment_has_sack(const struct segment *s)
{
    for (unsigned i = 0; i < s->options_len && s->options[i] != OPTION_END;) {
        if (s->options[i] == OPTION_SACK)
            return true;
        if (s->options[i] == OPTION_NOP)
            i++;
        else if (i + 1 < s->options_len && s->options[i + 1] >= 2)
            i += s->options[i + 1];
        else
            break;
    }
    return false;
}

static bool isn_of_sender(mctx_t mctx, int sock, int receiver, uint32_t *isn)
{
    int option = receiver == MOS_SIDE_CLI ? MOS_INFO_CLIBUF : MOS_INFO_SVRBUF;
    struct tcp_buf_info b;
    socklen_t len = sizeof(b);

    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, option, &b, &len) < 0)
        return false;
    *isn = b.tcpbi_init_seq - 1;
    return true;
}

/* Of a SYN cookie: what the server receives of which there is no packet is the SYN. */
static bool segment_rebuild(mctx_t mctx, int sock, int side, struct segment *s)
{
    *s = (struct segment){.at_us = mtcp_cb_get_ts(mctx), .flags = SEG_SYN, .wnd = UINT16_MAX};
    if (!isn_of_sender(mctx, sock, side, &s->seq))
        return false;
    if (side == MOS_SIDE_SVR)
        return true;
    s->flags |= SEG_ACK;
    if (!isn_of_sender(mctx, sock, MOS_SIDE_SVR, &s->ack))
        return false;
    s->ack++;
    return true;
}

bool segment_get(mctx_t mctx, int sock, int side, struct segment *s)
{
    struct pkt_info p;

    if (mtcp_getlastpkt(mctx, sock, side, &p) < 0)
        return segment_rebuild(mctx, sock, side, s);
    const uint8_t *tcp = (const uint8_t *)p.tcph; /* in the frame it is not aligned */
    *s = (struct segment){
        .at_us = p.cur_ts,
        .seq = p.seq,
        .ack = p.ack_seq,
        .len = p.payloadlen,
        .ip_len = p.ip_len,
        .options = tcp + HEADER_LEN,
        .options_len = (uint8_t)((tcp[12] >> 4) * 4 - HEADER_LEN),
        .flags = tcp[13],
        .wnd = p.window,
    };
    return true;
}
