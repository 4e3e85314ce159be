/* Between the files of the input side: a segment in offsets, and what text.c does with its bytes. */
#ifndef MTCP_TCP_INPUT_H
#define MTCP_TCP_INPUT_H

#include "mtcp/tcp/conn.h"

struct in {
    const struct seg *seg;
    tcp_off_t off, end; /* payload: [off, end) */
    tcp_off_t ack;
    bool fin;
};

/* Stores the payload, decides how it is acknowledged, notes a FIN that comes out of order. */
void tcp_in_text(struct tcp_env *e, struct tcp_conn *c, const struct in *in);

/* Bytes that were had before: counted, reported by D-SACK with the next ACK (RFC 2883). */
void text_note_duplicate(struct tcp_env *e, struct tcp_conn *c, const struct in *in);

/* TIME_WAIT, full connection or compact record: what to do with a segment (time_wait.c). */
struct tw_facts {
    tcp_seq_t rcv_nxt, snd_nxt;
    bool has_ts;
    uint32_t ts_recent;
    enum tw_syn syn;
};
unsigned tw_judge(const struct tw_facts *w, const struct seg *s);
/* What `syn` is after the segment. */
enum tw_syn tw_syn_after(const struct tw_facts *w, const struct seg *s);

#endif
