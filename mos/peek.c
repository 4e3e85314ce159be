/* Peeking. */
#include "mos/peek.h"

#include "mos/edges.h"

#include <errno.h>
#include <string.h>

static int fail(int err)
{
    errno = err;
    return -1;
}

/* 0, or -1 and errno: may this monitor read that side? */
static int check(const struct watch *w, const void *buf, int side)
{
    if (!buf)
        return fail(EFAULT);
    if (!side_is_one(side) || w->no_peek[side])
        return fail(EINVAL);
    return 0;
}

/* Bytes lost since the last peek: moves the offset over them. */
static uint64_t skip_lost(struct watch *w, int side, const struct mon_edges *e)
{
    if (e->head <= w->peek[side])
        return 0;
    uint64_t n = e->head - w->peek[side];
    w->peek[side] = e->head;
    w->missed[side] += n;
    return n;
}

static size_t iov_copy(const struct iovec *iov, unsigned n, char *buf)
{
    size_t done = 0;
    for (unsigned i = 0; i < n && iov[i].iov_len > 0; i++) {
        memcpy(buf + done, iov[i].iov_base, iov[i].iov_len);
        done += iov[i].iov_len;
    }
    return done;
}

/* The new in-order bytes, at most len, in place: their number; or as mtcp_peek_iov fails. */
static ssize_t peek_span(struct watch *w, int side, size_t len, struct iovec iov[2])
{
    struct mon_edges e;
    mon_edges(w->conn, side, &e);
    uint64_t lost = skip_lost(w, side, &e);
    if (lost > 0) {
        errno = ENODATA;
        return -(ssize_t)lost;
    }
    uint64_t n = e.next - w->peek[side];
    unsigned pieces = mon_edges_span(&e, w->peek[side], len < n ? len : n, iov);
    for (unsigned i = pieces; i < 2; i++)
        iov[i] = (struct iovec){0};
    if (pieces == 0)
        return fail(ENODATA);
    return (ssize_t)(iov[0].iov_len + iov[1].iov_len);
}

ssize_t watch_peek(struct watch *w, int side, char *buf, size_t len)
{
    struct iovec iov[2];
    if (check(w, len == 0 ? "" : buf, side) != 0)
        return -1;
    if (len == 0)
        return 0;
    ssize_t n = peek_span(w, side, len, iov);
    if (n > 0) {
        iov_copy(iov, 2, buf);
        w->peek[side] += (uint64_t)n;
    }
    return n;
}

ssize_t watch_ppeek(struct watch *w, int side, char *buf, size_t len, uint64_t off)
{
    struct iovec iov[2];
    struct mon_edges e;
    if (check(w, len == 0 ? "" : buf, side) != 0)
        return -1;
    if (len == 0)
        return 0;
    mon_edges(w->conn, side, &e);
    unsigned pieces = mon_edges_span(&e, off, len, iov);
    if (pieces == 0)
        return fail(ENODATA);
    return (ssize_t)iov_copy(iov, pieces, buf);
}

ssize_t watch_peek_iov(struct watch *w, int side, struct iovec iov[2])
{
    struct iovec found[2];
    if (check(w, iov, side) != 0)
        return -1;
    ssize_t n = peek_span(w, side, SIZE_MAX, found);
    if (n > 0)
        memcpy(iov, found, sizeof(found));
    return n;
}

ssize_t watch_peek_consume(struct watch *w, int side, size_t len)
{
    struct mon_edges e;
    if (check(w, "", side) != 0)
        return -1;
    mon_edges(w->conn, side, &e);
    if (w->peek[side] > e.next || len > e.next - w->peek[side])
        return fail(EINVAL);
    w->peek[side] += len;
    return (ssize_t)len;
}

uint64_t watch_missed(struct watch *w, int side)
{
    struct mon_edges e;
    if (w->no_peek[side])
        return w->missed[side];
    mon_edges(w->conn, side, &e);
    return w->missed[side] + (e.head > w->peek[side] ? e.head - w->peek[side] : 0);
}

void watch_set_peeking(struct watch *w, int side, bool is_on)
{
    struct mon_edges e;
    if (w->no_peek[side] != is_on)
        return;
    mon_edges(w->conn, side, &e);
    if (is_on && e.head > w->peek[side])
        w->peek[side] = e.head;
    else if (!is_on)
        skip_lost(w, side, &e);
    w->no_peek[side] = !is_on;
}
