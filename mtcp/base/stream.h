/*
 * The stream buffer: one copy of the bytes of one direction, two kinds of readers. A power-of-two
 * ring addressed by a 64-bit stream offset (0 = first payload byte; it never wraps), plus the
 * ranges that lie beyond the in-order edge. Used for both directions; knows nothing of TCP.
 *
 *     head            read               next                    end
 *      |   kept for    |   in order, not  |   hole   | out of     |
 *      |  the monitor  |   yet consumed   |          | order      |
 *      v               v                  v          v            v
 *   ---+---------------+------------------+----------+------------+---
 *      head <= read <= next <= end            end - head <= alloc
 *
 * Send side: `read` is what the peer acknowledged, `next` == `end` what the application wrote.
 *
 *   limit   the promise: how many bytes beyond `read` may be stored (drives the window)
 *   hist    bytes below `read` that monitors asked to be kept peekable
 *   alloc   the ring; a power of two (at least 2 KB), grown on demand up to roundup(limit + hist)
 *
 * `head` moves only when room is needed, never past `read`: what was not consumed is never
 * overwritten. Memory comes with the first byte; stream_release() gives it back when everything was
 * consumed and no history is asked for. Offsets live here, so giving memory back changes no number.
 */
#ifndef MTCP_BASE_STREAM_H
#define MTCP_BASE_STREAM_H

#include "mtcp/base/bug.h"
#include "mtcp/base/mem.h"
#include "mtcp/base/ranges.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define STREAM_LIMIT_MAX (1u << 30)

enum stream_policy {
    STREAM_FIRST = 0,
    STREAM_LAST = 1
}; /* which copy of a byte beyond next wins */

struct stream {
    uint8_t *ring;      /* NULL while no memory is held */
    struct ranges *ooo; /* stored runs beyond next */
    uint64_t next;
    uint32_t unread; /* next - read */
    uint32_t kept;   /* next - head, >= unread */
    uint32_t limit;
    uint32_t hist;
    uint8_t alloc_log2; /* of the ring; while that is NULL, of the one to begin with */
    uint8_t policy : 1; /* enum stream_policy */
    /* The owner's, not touched here: may it change limit by itself? Where and when did it begin to
     * measure how much is read (tcp/tune.h)? */
    uint8_t is_auto : 1;
    uint16_t mark_at;
    uint32_t mark;
};

/* What stream_insert did. */
struct stream_insert {
    uint64_t new_from, new_to; /* bytes that became in order: [new_from, new_to), may be empty */
    uint32_t n_stored;         /* bytes copied that were not there before (rewrites not counted) */
    bool inconsistent;         /* a copy of a byte that is stored differs from it */
};

void stream_init(struct stream *s, uint32_t limit);

/* Frees all: nothing is stored any more (head == next); next and read stay readable. */
void stream_fini(struct stream *s, struct mem *mem);

static inline uint64_t stream_next(const struct stream *s)
{
    return s->next;
}

static inline uint64_t stream_read(const struct stream *s)
{
    return s->next - s->unread;
}

/* The oldest byte that is still stored (== stream_next() when none below it is). */
static inline uint64_t stream_head(const struct stream *s)
{
    return s->next - s->kept;
}

/* One past the highest stored byte. */
uint64_t stream_end(const struct stream *s);

/* One past the highest offset that may be stored: read + limit. */
static inline uint64_t stream_edge(const struct stream *s)
{
    return stream_read(s) + s->limit;
}

/* The head after bytes up to `end` (<= stream_edge()) have been stored: a pure question, asked so
 * that a monitor can be told before bytes that it has not peeked go. Accounts for growth of the
 * ring up to roundup(limit + hist). */
uint64_t stream_head_after_growth(const struct stream *s, uint64_t end); /* end > next */
static inline uint64_t stream_head_after(const struct stream *s, uint64_t end)
{
    uint64_t head = stream_head(s);
    if (end <= s->next || (s->ring != NULL && (end - head) >> s->alloc_log2 == 0))
        return head;
    return stream_head_after_growth(s, end);
}

/* Stores data at [off, off + len). The caller has clipped it to [0, stream_edge()), beyond which
 * nothing is stored in any case; bytes below next
 * are only compared (while still stored), never rewritten; beyond next the policy decides.
 * Asks the range set first, copies after: on failure nothing changed.
 * 0; -ENOSPC: too many ranges; -ENOMEM: no memory for the ring. */
MUST_CHECK int stream_insert(struct stream *s, struct mem *mem, uint64_t off, const void *data,
                             uint32_t len, struct stream_insert *what);

/* Appends up to len bytes at next, as limit allows; the number appended (0 when full), or -ENOMEM.
 * When the ring can't grow it takes what the present one holds beside the wanted history; head may
 * then move further than stream_head_after() said. Only for streams without out-of-order runs. */
MUST_CHECK int64_t stream_append(struct stream *s, struct mem *mem, const void *data, uint32_t len);

/* Appends len bytes, which there must be room for, without a value: stream_fill() gives it to them
 * while they are stored, and nobody reads them before. The ring grows at once as far as limit asks.
 * False: no memory. */
MUST_CHECK bool stream_append_blank(struct stream *s, struct mem *mem, uint32_t len);
void stream_fill(struct stream *s, uint64_t off, const void *data, uint32_t len);

/* Consumes: read += n, n <= next - read. Bytes stay peekable until room is needed. */
static inline void stream_consume(struct stream *s, uint64_t n)
{
    BUG_ON(n > s->unread);
    s->unread -= (uint32_t)n;
}

/* Bytes that never came are given up: next goes to `to`, and on to the end of the run that is
 * stored there, which is unread; what lies before `to` is dropped. Everything must have been
 * consumed. */
void stream_skip(struct stream *s, struct mem *mem, uint64_t to);

/* Copies stored bytes from `off` to buf: at most len, and only to the end of the run that holds
 * `off`. The number copied; 0 when `off` is not stored. */
uint32_t stream_copy(const struct stream *s, uint64_t off, void *buf, uint32_t len);

/* The same in place: 0, 1 or 2 pieces, valid until the next call that changes the stream. */
unsigned stream_span(const struct stream *s, uint64_t off, uint32_t len, struct iovec iov[2]);

/* Is every byte of [start, end) stored or already consumed? Any of them? (end <= 2^63) */
bool stream_has_all(const struct stream *s, uint64_t start, uint64_t end);
bool stream_has_any(const struct stream *s, uint64_t start, uint64_t end);

/* Every maximal stored run in ascending order, the in-order run [head, next) first when not empty.
 * The number of runs; at most `max` are written to `runs` (which may be NULL when max is 0). */
unsigned stream_runs(const struct stream *s, struct range *runs, unsigned max);

/* limit may grow or shrink at any time: bytes already stored stay, the right edge is the caller's
 * business. hist: history beyond the new value is dropped at the next need for room or release. */
void stream_set_limit(struct stream *s, uint32_t limit);
void stream_set_hist(struct stream *s, uint32_t hist);

/* Drops out-of-order runs (reneging is legal for data beyond next, RFC 2018 section 8). */
void stream_drop_ooo(struct stream *s, struct mem *mem);

/* Gives the ring back when read == next == end and no history is to be kept; otherwise shrinks an
 * oversized ring when what must be kept fits a quarter of it. Call at the end of a turn. */
void stream_release(struct stream *s, struct mem *mem);

/* Is all that is stored consumed, with no history to be kept? */
static inline bool stream_is_spent(const struct stream *s)
{
    return s->unread == 0 && s->ooo == NULL && (s->hist == 0 || s->kept == 0);
}

/* The head after stream_release(): a pure question, for the same reason as stream_head_after(). */
uint64_t stream_head_shrunk(const struct stream *s); /* not spent */
static inline uint64_t stream_head_released(const struct stream *s)
{
    if (s->kept == s->unread) /* no consumed byte is stored: head can't move */
        return stream_head(s);
    return stream_is_spent(s) ? s->next : stream_head_shrunk(s);
}

/* Bytes of memory held now (ring and range set). */
size_t stream_mem(const struct stream *s);

#endif
