/* The monitor's public calls (mos_api.h): who calls, on which socket, and then the module that does
 * it. Calls that every socket has (options, close, addresses) are in mon_opt.c. */
#include "mos/dispatch.h"
#include "mos/lastpkt.h"
#include "mos/monitor.h"
#include "mos/passive.h"
#include "mos/peek.h"
#include "mos/sendpkt.h"
#include "mos/user_events.h"
#include "mos/wire.h"

#include <errno.h>

/* 0, or -1 and errno. */
static int answer(int rc)
{
    if (rc == 0)
        return 0;
    errno = -rc;
    return -1;
}

/* ---- sockets by handle and id ---------------------------------------------------------------- */

static struct watch *watch_of(mctx_t mctx, int sock)
{
    struct mon *m = hook_monitor_of(mctx);
    return m ? mon_watch(m, sock, ENOTSOCK) : NULL;
}

static struct mon *sock_of(mctx_t mctx, int sock, struct mon_sock *s)
{
    struct mon *m = hook_monitor_of(mctx);
    return m && mon_sock_find(m, sock, s) == 0 ? m : NULL;
}

/* ---- scope and callbacks --------------------------------------------------------------------- */

int mtcp_bind_monitor_filter(mctx_t mctx, int sock, monitor_filter_t ft)
{
    struct mon *m = hook_monitor_of(mctx);
    struct mon_passive *p = m ? mon_passive(m, sock, ENOTSOCK) : NULL;
    return p ? answer(passive_bind(p, ft)) : -1;
}

int mtcp_register_callback(mctx_t mctx, int sock, event_t event, int hook_point, callback_t cb)
{
    struct mon_sock s;
    struct cb_at at;
    struct mon *m = sock_of(mctx, sock, &s);
    if (!m)
        return -1;
    int rc = cb_at_find(event, hook_point, &at);
    return answer(rc ? rc : mon_sock_register(m, &s, &at, cb));
}

int mtcp_unregister_callback(mctx_t mctx, int sock, event_t event, int hook_point)
{
    struct mon_sock s;
    struct cb_at at;
    struct mon *m = sock_of(mctx, sock, &s);
    if (!m)
        return -1;
    int rc = cb_at_find(event, hook_point, &at);
    return answer(rc ? rc : mon_sock_unregister(m, &s, &at));
}

event_t mtcp_define_event(event_t base, filter_t filter, struct filter_arg *arg)
{
    event_t event = 0;
    return answer(event_define(base, filter, arg, &event)) == 0 ? event : 0;
}

event_t mtcp_alloc_event(event_t parent)
{
    event_t event = 0;
    return answer(event_alloc(parent, &event)) == 0 ? event : 0;
}

int mtcp_raise_event(mctx_t mctx, event_t child)
{
    struct mon *m = hook_monitor_of(mctx);
    return m ? answer(user_event_raise(m, child)) : -1;
}

void mtcp_set_uctx(mctx_t mctx, int sock, void *uctx)
{
    struct mon_sock s;
    if (sock_of(mctx, sock, &s))
        *(s.watch ? &s.watch->uctx : &s.passive->uctx) = uctx;
}

void *mtcp_get_uctx(mctx_t mctx, int sock)
{
    struct mon_sock s;
    if (!sock_of(mctx, sock, &s))
        return NULL;
    return s.watch ? s.watch->uctx : s.passive->uctx;
}

int mtcp_get_passive(mctx_t mctx, int sock)
{
    const struct watch *w = watch_of(mctx, sock);
    return w ? w->passive->sock : -1;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

ssize_t mtcp_peek(mctx_t mctx, int sock, int side, char *buf, size_t len)
{
    struct watch *w = watch_of(mctx, sock);
    return w ? watch_peek(w, side, buf, len) : -1;
}

ssize_t mtcp_ppeek(mctx_t mctx, int sock, int side, char *buf, size_t len, uint64_t off)
{
    struct mon *m = hook_monitor_of(mctx);
    struct watch *w = m ? mon_watch(m, sock, ESOCKTNOSUPPORT) : NULL;
    return w ? watch_ppeek(w, side, buf, len, off) : -1;
}

ssize_t mtcp_peek_iov(mctx_t mctx, int sock, int side, struct iovec iov[2])
{
    struct watch *w = watch_of(mctx, sock);
    return w ? watch_peek_iov(w, side, iov) : -1;
}

ssize_t mtcp_peek_consume(mctx_t mctx, int sock, int side, size_t len)
{
    struct watch *w = watch_of(mctx, sock);
    return w ? watch_peek_consume(w, side, len) : -1;
}

/* ---- packets --------------------------------------------------------------------------------- */

/* An active or raw socket, or a passive one whose orphan callback runs. */
static struct mon *packet_sock_of(mctx_t mctx, int sock, struct mon_sock *s)
{
    struct mon *m = sock_of(mctx, sock, s);
    if (!m || s->watch || s->passive->is_raw || (m->now && m->now->passive == s->passive))
        return m;
    errno = ENOTSOCK;
    return NULL;
}

int mtcp_getlastpkt(mctx_t mctx, int sock, int side, struct pkt_info *p)
{
    struct mon_sock s;
    struct mon *m = packet_sock_of(mctx, sock, &s);
    if (!m)
        return -1;
    if (!p)
        return answer(-EFAULT);
    if (s.watch && !side_is_one(side))
        return answer(-EINVAL);
    return answer(lastpkt_get(m, s.watch ? s.watch->conn : NULL, s.passive, p));
}

int mtcp_setlastpkt(mctx_t mctx, int sock, int side, off_t offset, byte *data, uint16_t datalen,
                    int option)
{
    const struct edit e = {.option = option, .offset = offset, .data = data, .len = datalen};
    struct mon_sock s;
    struct mon *m = sock_of(mctx, sock, &s);
    if (!m)
        return -1;
    if (s.passive && !s.passive->is_raw)
        return answer(-ENOTSOCK);
    if (!data && datalen > 0 && (option & (MOS_OVERWRITE | MOS_INSERT)))
        return answer(-EFAULT);
    if (s.watch && !side_is_one(side))
        return answer(-EINVAL);
    return answer(lastpkt_set(m, s.watch ? s.watch->conn : NULL, s.passive, &e));
}

int mtcp_sendpkt(mctx_t mctx, int sock, const struct pkt_info *pkt)
{
    struct mon_sock s;
    struct mon *m = sock_of(mctx, sock, &s);
    if (!m)
        return -1;
    if (s.passive && !s.passive->is_raw)
        return answer(-ENOTSOCK);
    return answer(sendpkt(m, s.watch ? s.watch->conn : NULL, pkt));
}

int mtcp_reset_conn(mctx_t mctx, int sock)
{
    const struct watch *w = watch_of(mctx, sock);
    if (!w)
        return -1;
    const struct mon_conn *c = w->conn;
    if (c->wire)
        return answer(wire_reset(c->wire));
    if (c->real < 0)
        return answer(-ENOTCONN);
    if (c->end_reason || (c->host[c->real].state == MOS_TCPS_CLOSED && !c->is_starting))
        return answer(-ENOTCONN);
    c->mon->sv->reset(c->mon->ctx, c->flow);
    return 0;
}

/* ---- time ------------------------------------------------------------------------------------ */

static bool is_timeout(const struct timeval *t)
{
    return t->tv_sec >= 0 && t->tv_usec >= 0 && t->tv_usec < 1000000;
}

static uint64_t time_after(uint64_t now_us, const struct timeval *t)
{
    const uint64_t far = UINT64_MAX / 2; /* nobody waits for it */
    if ((uint64_t)t->tv_sec >= far / 1000000u)
        return far;
    return now_us + (uint64_t)t->tv_sec * 1000000u + (uint64_t)t->tv_usec;
}

int mtcp_settimer(mctx_t mctx, int id, struct timeval *timeout, callback_t cb)
{
    struct mon *m = hook_monitor_of(mctx);
    if (!m)
        return -1;
    if (!timeout || !cb)
        return answer(-EFAULT);
    if (!is_timeout(timeout))
        return answer(-EINVAL);
    return answer(mon_timer_set(&m->timers, id, time_after(m->sv->clock_us(m->ctx), timeout), cb));
}

int mtcp_canceltimer(mctx_t mctx, int id)
{
    struct mon *m = hook_monitor_of(mctx);
    return m ? answer(mon_timer_cancel(&m->timers, id)) : -1;
}

uint32_t mtcp_cb_get_ts(mctx_t mctx)
{
    const struct mon *m = hook_monitor_of(mctx);
    return m ? (uint32_t)m->sv->now_us(m->ctx) : 0;
}
