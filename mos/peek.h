/* Reading bytes through an active socket (MONITOR.md's table "Reading bytes"). As the public calls:
 * -1 and errno; the socket is known to be active. */
#ifndef MOS_PEEK_H
#define MOS_PEEK_H

#include "mos/mon.h"

#include <sys/types.h>
#include <sys/uio.h>

ssize_t watch_peek(struct watch *w, int side, char *buf, size_t len);
ssize_t watch_ppeek(struct watch *w, int side, char *buf, size_t len, uint64_t off);
ssize_t watch_peek_iov(struct watch *w, int side, struct iovec iov[2]);
ssize_t watch_peek_consume(struct watch *w, int side, size_t len);

/* Bytes gone before this monitor peeked them. */
uint64_t watch_missed(struct watch *w, int side);

/* Is the side's stream peeked from now on? Bytes that pass while it is not are not missed. */
void watch_set_peeking(struct watch *w, int side, bool is_on);

#endif
