/*
 * What was put in the place of bytes of one direction of a connection, so that both hosts go on to
 * count what they know: the sender its own offsets, the receiver those of what it was given.
 *
 *     sender      ----- s [ del ] s+del ------------
 *     receiver    ----- r [   ins   ] r+ins --------      base: r - s before the first splice
 *
 * Each splice replaces at least one byte, so that the sender has a byte to send again for as long
 * as the receiver has not got all that stands for it: bytes that are only put in are put in beside
 * one that is replaced by itself. What the receiver has acknowledged is forgotten, all but the
 * difference.
 *
 * Pure. Offsets count from the first payload byte; a FIN is beyond the last one and moves with it.
 */
#ifndef MOS_SPLICE_H
#define MOS_SPLICE_H

#include "mtcp/base/bug.h"
#include "mtcp/base/mem.h"
#include "mtcp/wire/seq.h"

#include <stdbool.h>
#include <stdint.h>

#define SPLICES_MAX      4096u      /* not acknowledged, of one direction */
#define SPLICE_BYTES_MAX (4u << 20) /* put in, of these */

struct splice {
    uint64_t s, r;
    uint32_t del, ins; /* del > 0 */
    uint8_t *bytes;
};

/* Zero: nothing was changed. */
struct splices {
    struct splice *at; /* ascending, disjoint */
    uint32_t n, room;
    uint32_t n_bytes;
    int64_t base;
    uint64_t floor; /* the sender's: what is before it was acknowledged, and may be forgotten */
};

/* A change of a segment: where it lies for its sender, and what was done to what its receiver is to
 * get. */
struct splice_edit {
    uint64_t from, end; /* the sender's: no splice that begins before, none beyond */
    uint64_t r;         /* the receiver's: where bytes were taken out and put in */
    uint32_t del, ins;
    const uint8_t *payload; /* as it is after the change ... */
    uint64_t payload_r;     /* ... and where that begins, for the receiver */
};

/* Notes a change. 0; -ENODATA: bytes are put in and there is no byte beside them in [from, end);
 * -ENOBUFS: too much is noted already; -ENOMEM. On failure nothing changed. */
MUST_CHECK int splices_edit(struct splices *p, struct mem *mem, const struct splice_edit *e);

/* Forgets the splices from an offset of the sender's on; those that the receiver has acknowledged;
 * all. */
void splices_undo(struct splices *p, struct mem *mem, uint64_t from);
void splices_forget(struct splices *p, struct mem *mem, uint64_t acked);
void splices_fini(struct splices *p, struct mem *mem);

/* Where a segment begins for the receiver. Within replaced bytes: where those that replace them do.
 */
tcp_off_t splices_to_r(const struct splices *p, tcp_off_t s);

/* What an acknowledgement means to the sender, or where a SACK block ends: replaced bytes count
 * when all that stands for them has come. */
tcp_off_t splices_acked(const struct splices *p, tcp_off_t r);

/* Where a SACK block begins for the sender, or its window ends: what begins within a splice
 * includes none of it, what ends there may be sent as a whole. */
tcp_off_t splices_beyond(const struct splices *p, tcp_off_t r);

/* Was anything in [s, s + len) replaced? */
bool splices_touch(const struct splices *p, uint64_t s, uint32_t len);

/* What the receiver gets for these bytes of the sender, at [s, s + len): their number, or -1: they
 * are more than `room`. */
int64_t splices_apply(const struct splices *p, uint64_t s, const uint8_t *payload, uint32_t len,
                      uint8_t *out, uint32_t room);

#endif
