/*
 * The stream buffer. The byte at offset o lives at ring[o & (alloc - 1)]; what is stored is
 * [head, next) plus the ranges in `ooo`, and stored bytes never span more than `alloc`.
 *
 * The order inside stream_insert is: memory for the ring, room in the range set (both may say no,
 * and then nothing changed), room in the ring (head moves), compare and copy, account.
 */
#include "mtcp/base/stream.h"

#include <errno.h>
#include <string.h>

enum {
    RING_LOG2_MIN = 11, /* one full Ethernet segment */
    RING_LOG2_HINT =
        16, /* the largest ring that the last turn's use alone asks for: cached blocks */
};

/* ---- the ring -------------------------------------------------------------------------------- */

static inline uint64_t ring_size(const struct stream *s)
{
    return s->ring == NULL ? 0 : (uint64_t)1 << s->alloc_log2;
}

/* log2 of the smallest power of two >= n, n >= 1. */
static unsigned log2_up(uint64_t n)
{
    return n <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(n - 1);
}

/* [off, off + len) in the ring: the part up to the ring's end; the rest is at its beginning. */
static inline uint8_t *ring_piece(const struct stream *s, uint64_t off, uint64_t len, uint64_t *n)
{
    uint64_t size = (uint64_t)1 << s->alloc_log2;
    uint64_t pos = off & (size - 1);
    *n = len < size - pos ? len : size - pos;
    return s->ring + pos;
}

static inline void ring_write(struct stream *s, uint64_t off, const uint8_t *data, uint64_t len)
{
    uint64_t n;
    uint8_t *p = ring_piece(s, off, len, &n);
    memcpy(p, data, n);
    if (unlikely(n < len))
        memcpy(s->ring, data + n, len - n);
}

static bool ring_differs(const struct stream *s, uint64_t off, const uint8_t *data, uint64_t len)
{
    uint64_t n;
    const uint8_t *p = ring_piece(s, off, len, &n);
    return memcmp(p, data, n) != 0 || memcmp(s->ring, data + n, len - n) != 0;
}

/* Copies [r.start, r.end) from one ring to another, at the same offsets. */
static void ring_move(struct stream *to, const struct stream *from, struct range r)
{
    while (r.start < r.end) {
        uint64_t n;
        const uint8_t *p = ring_piece(from, r.start, r.end - r.start, &n);
        ring_write(to, r.start, p, n);
        r.start += n;
    }
}

/* Moves all stored bytes to a ring of another size, which must hold them. */
static int ring_resize(struct stream *s, struct mem *mem, unsigned log2)
{
    uint8_t *ring = mem_alloc(mem, (size_t)1 << log2);
    if (ring == NULL)
        return -ENOMEM;
    struct stream old = *s;
    s->ring = ring;
    s->alloc_log2 = (uint8_t)log2;
    if (old.ring == NULL)
        return 0;
    ring_move(s, &old, (struct range){stream_head(s), s->next});
    for (unsigned i = 0; i < ranges_count(s->ooo); i++)
        ring_move(s, &old, ranges_at(s->ooo, i));
    mem_free(mem, old.ring, (size_t)1 << old.alloc_log2);
    return 0;
}

static void ring_free(struct stream *s, struct mem *mem)
{
    mem_free(mem, s->ring, (size_t)ring_size(s));
    s->ring = NULL;
    s->kept = 0;
}

/* ---- room ------------------------------------------------------------------------------------ */

/* The oldest byte that is to be kept when room is needed. */
static inline uint64_t wanted_head(const struct stream *s)
{
    uint64_t hist = s->kept - s->unread;
    return stream_read(s) - (hist < s->hist ? hist : s->hist);
}

/* log2 of the smallest ring that holds [wanted_head, end). */
static unsigned least_log2(const struct stream *s, uint64_t end)
{
    unsigned log2 = log2_up(end - wanted_head(s));
    return log2 < RING_LOG2_MIN ? RING_LOG2_MIN : log2;
}

/* log2 of the ring to have for bytes up to end: the present one when it is large enough; the first
 * one is at least what the last turn used. */
static unsigned wanted_log2(const struct stream *s, uint64_t end)
{
    unsigned log2 = least_log2(s, end);
    return log2 < s->alloc_log2 ? s->alloc_log2 : log2;
}

static inline bool fits(const struct stream *s, uint64_t end)
{
    return end - stream_head(s) <= ring_size(s);
}

/* Can the present ring hold bytes up to end, at the price of bytes that are not to be kept? */
static inline bool holds(const struct stream *s, uint64_t end)
{
    return end - wanted_head(s) <= ring_size(s);
}

/* Makes the ring large enough for bytes up to end. Moves no edge. */
static inline int reserve(struct stream *s, struct mem *mem, uint64_t end)
{
    if (holds(s, end))
        return 0;
    int rc = ring_resize(s, mem, wanted_log2(s, end));
    if (rc != 0 && s->ring == NULL)
        rc = ring_resize(s, mem, least_log2(s, end)); /* the last turn's size was only a wish */
    return rc;
}

/* Drops the oldest consumed bytes so that the ring holds bytes up to end. */
static inline void make_room(struct stream *s, uint64_t end)
{
    uint64_t size = ring_size(s);
    if (end - stream_head(s) > size) {
        s->kept = (uint32_t)(s->next - (end - size));
        ASSERT(s->kept >= s->unread);
    }
}

uint64_t stream_head_after_growth(const struct stream *s, uint64_t end)
{
    uint64_t head = stream_head(s);
    uint64_t size = (uint64_t)1 << wanted_log2(s, end);
    return end - head <= size ? head : end - size;
}

/* log2 of the ring after stream_release(): a ring at most a quarter full becomes one at most half
 * full; 0: none. */
static unsigned released_log2(const struct stream *s)
{
    if (stream_is_spent(s))
        return 0;
    uint64_t must = stream_end(s) - wanted_head(s);
    if (must > ring_size(s) / 4)
        return s->alloc_log2;
    unsigned log2 = log2_up(2 * must);
    if (log2 < RING_LOG2_MIN)
        log2 = RING_LOG2_MIN;
    return log2 < s->alloc_log2 ? log2 : s->alloc_log2;
}

uint64_t stream_head_shrunk(const struct stream *s)
{
    return released_log2(s) < s->alloc_log2 ? wanted_head(s) : stream_head(s);
}

/* ---- life ------------------------------------------------------------------------------------ */

void stream_init(struct stream *s, uint32_t limit)
{
    *s = (struct stream){0};
    stream_set_limit(s, limit);
}

void stream_fini(struct stream *s, struct mem *mem)
{
    ring_free(s, mem);
    ranges_clear(&s->ooo, mem);
}

void stream_set_limit(struct stream *s, uint32_t limit)
{
    s->limit = limit < STREAM_LIMIT_MAX ? limit : STREAM_LIMIT_MAX;
}

void stream_set_hist(struct stream *s, uint32_t hist)
{
    s->hist = hist < STREAM_LIMIT_MAX ? hist : STREAM_LIMIT_MAX;
}

void stream_drop_ooo(struct stream *s, struct mem *mem)
{
    ranges_clear(&s->ooo, mem);
}

/* Nothing is to be kept: the ring goes, and how much of it was used becomes the next one's size. */
static void release_all(struct stream *s, struct mem *mem)
{
    unsigned log2 = log2_up(s->kept);
    ring_free(s, mem);
    s->alloc_log2 = (uint8_t)(log2 < RING_LOG2_HINT ? log2 : RING_LOG2_HINT);
}

void stream_release(struct stream *s, struct mem *mem)
{
    if (s->ring == NULL)
        return;
    unsigned log2 = released_log2(s);
    if (log2 == 0) {
        release_all(s, mem);
    } else if (log2 < s->alloc_log2) {
        uint32_t kept = s->kept;
        s->kept = (uint32_t)(s->next - wanted_head(s));
        if (ring_resize(s, mem, log2) != 0)
            s->kept = kept; /* no memory for the smaller one: it stays */
    }
}

/* ---- bytes in -------------------------------------------------------------------------------- */

/* What stream_insert was given, clipped: data is the byte at off. */
struct piece {
    uint64_t off, end;
    const uint8_t *data;
};

static inline void advance(struct stream *s, uint64_t n)
{
    s->next += n;
    s->unread += (uint32_t)n;
    s->kept += (uint32_t)n;
}

static bool piece_differs(const struct stream *s, const struct piece *in, uint64_t from,
                          uint64_t to)
{
    return ring_differs(s, from, in->data + (from - in->off), to - from);
}

/* Does what is stored below next differ from the copy in hand? */
static bool differs_in_order(const struct stream *s, const struct piece *in)
{
    uint64_t head = stream_head(s);
    uint64_t from = in->off > head ? in->off : head;
    uint64_t to = in->end < s->next ? in->end : s->next;
    return from < to && piece_differs(s, in, from, to);
}

/* Stores what lies beyond next: holes are filled, for stored bytes the policy decides. */
static void store_beyond(struct stream *s, const struct piece *in, struct stream_insert *what)
{
    uint64_t pos = in->off > s->next ? in->off : s->next;
    while (pos < in->end) {
        struct range r;
        if (!ranges_next(s->ooo, pos, &r) || r.start > in->end)
            r = (struct range){in->end, in->end};
        if (pos < r.start) {
            ring_write(s, pos, in->data + (pos - in->off), r.start - pos);
            what->n_stored += (uint32_t)(r.start - pos);
            pos = r.start;
        }
        uint64_t to = r.end < in->end ? r.end : in->end;
        if (pos < to && piece_differs(s, in, pos, to)) {
            what->inconsistent = true;
            if (s->policy == STREAM_LAST)
                ring_write(s, pos, in->data + (pos - in->off), to - pos);
        }
        pos = to;
    }
}

/* Memory for the ring and a place in the range set; only memory changes. */
static int prepare(struct stream *s, struct mem *mem, const struct piece *in)
{
    int rc = reserve(s, mem, in->end);
    if (rc == 0 && in->off > s->next)
        rc = ranges_reserve(&s->ooo, mem, in->off, in->end);
    return rc;
}

/* Moves next over what is now contiguous, or remembers the piece beyond the hole. */
static void account(struct stream *s, struct mem *mem, const struct piece *in)
{
    if (in->off > s->next) {
        int rc = ranges_add(&s->ooo, mem, in->off, in->end);
        BUG_ON(rc != 0); /* prepared */
        return;
    }
    struct range r = {0, in->end};
    (void)ranges_find(s->ooo, in->end, &r);
    advance(s, r.end - s->next);
    ranges_remove_below(&s->ooo, mem, s->next);
}

static int insert_any(struct stream *s, struct mem *mem, const struct piece *in,
                      struct stream_insert *what)
{
    if (in->off >= in->end)
        return 0;
    if (in->end <= s->next) {
        what->inconsistent = differs_in_order(s, in);
        return 0;
    }
    int rc = prepare(s, mem, in);
    if (rc != 0)
        return rc;
    what->inconsistent = differs_in_order(s, in); /* before make_room forgets them */
    make_room(s, in->end);
    store_beyond(s, in, what);
    account(s, mem, in);
    what->new_to = s->next;
    return 0;
}

int stream_insert(struct stream *s, struct mem *mem, uint64_t off, const void *data, uint32_t len,
                  struct stream_insert *what)
{
    uint64_t end = off + len, edge = stream_edge(s);
    *what = (struct stream_insert){s->next, s->next, 0, false};
    if (likely(off == s->next && s->ooo == NULL && end <= edge && len > 0)) {
        int rc = reserve(s, mem, end);
        if (unlikely(rc != 0))
            return rc;
        make_room(s, end);
        ring_write(s, off, data, len);
        advance(s, len);
        what->new_to = end;
        what->n_stored = len;
        return 0;
    }
    if (edge < s->next)
        edge = s->next; /* limit was lowered: in-order bytes are still compared */
    struct piece in = {off, end < edge ? end : edge, data};
    return insert_any(s, mem, &in, what);
}

void stream_skip(struct stream *s, struct mem *mem, uint64_t to)
{
    struct range r = {to, to};
    BUG_ON(s->unread > 0);
    if (to <= s->next)
        return;
    (void)ranges_find(s->ooo, to, &r);
    s->next = r.end;
    s->unread = s->kept = (uint32_t)(r.end - r.start);
    ranges_remove_below(&s->ooo, mem, s->next);
}

/* How many of n bytes can be appended: all of them if the ring can grow, else what it holds now, or
 * what the largest ring holds that there is memory for. */
static uint64_t append_room(struct stream *s, struct mem *mem, uint64_t n)
{
    while (reserve(s, mem, s->next + n) != 0) {
        if (s->ring != NULL)
            return ring_size(s) - (s->next - wanted_head(s));
        if (n <= (uint64_t)1 << RING_LOG2_MIN)
            return 0;
        n /= 2;
    }
    return n;
}

int64_t stream_append(struct stream *s, struct mem *mem, const void *data, uint32_t len)
{
    ASSERT(s->ooo == NULL);
    uint64_t n = s->unread < s->limit ? s->limit - s->unread : 0;
    if (len < n)
        n = len;
    if (n == 0)
        return 0;
    if (unlikely(!fits(s, s->next + n))) {
        n = append_room(s, mem, n);
        if (n == 0)
            return -ENOMEM;
        make_room(s, s->next + n);
    }
    ring_write(s, s->next, data, n);
    advance(s, n);
    return (int64_t)n;
}

bool stream_append_blank(struct stream *s, struct mem *mem, uint32_t len)
{
    uint64_t end = s->next + len;
    ASSERT(s->ooo == NULL && end <= stream_edge(s));
    if (reserve(s, mem, stream_edge(s)) != 0 && reserve(s, mem, end) != 0)
        return false;
    make_room(s, end);
    advance(s, len);
    return true;
}

void stream_fill(struct stream *s, uint64_t off, const void *data, uint32_t len)
{
    ASSERT(off >= stream_head(s) && off + len <= s->next);
    ring_write(s, off, data, len);
}

/* ---- bytes out ------------------------------------------------------------------------------- */

/* The end of the stored run that holds off; off when it is not stored. */
static uint64_t run_end(const struct stream *s, uint64_t off)
{
    struct range r = {off, off};
    if (off < s->next)
        return off >= stream_head(s) ? s->next : off;
    (void)ranges_find(s->ooo, off, &r);
    return r.end;
}

unsigned stream_span(const struct stream *s, uint64_t off, uint32_t len, struct iovec iov[2])
{
    uint64_t n = run_end(s, off) - off;
    if (len < n)
        n = len;
    if (n == 0)
        return 0;
    uint64_t first;
    iov[0].iov_base = ring_piece(s, off, n, &first);
    iov[0].iov_len = first;
    iov[1].iov_base = s->ring;
    iov[1].iov_len = n - first;
    return first < n ? 2 : 1;
}

uint32_t stream_copy(const struct stream *s, uint64_t off, void *buf, uint32_t len)
{
    struct iovec iov[2];
    uint8_t *to = buf;
    unsigned n = stream_span(s, off, len, iov);
    for (unsigned i = 0; i < n; i++) {
        memcpy(to, iov[i].iov_base, iov[i].iov_len);
        to += iov[i].iov_len;
    }
    return (uint32_t)(to - (uint8_t *)buf);
}

/* ---- questions ------------------------------------------------------------------------------- */

uint64_t stream_end(const struct stream *s)
{
    unsigned n = ranges_count(s->ooo);
    return n == 0 ? s->next : ranges_at(s->ooo, n - 1).end;
}

bool stream_has_all(const struct stream *s, uint64_t start, uint64_t end)
{
    return ranges_covers(s->ooo, start > s->next ? start : s->next, end);
}

bool stream_has_any(const struct stream *s, uint64_t start, uint64_t end)
{
    return start < end && (start < s->next || ranges_touches(s->ooo, start, end));
}

unsigned stream_runs(const struct stream *s, struct range *runs, unsigned max)
{
    unsigned n = 0;
    if (s->kept > 0) {
        if (n < max)
            runs[n] = (struct range){stream_head(s), s->next};
        n++;
    }
    for (unsigned i = 0; i < ranges_count(s->ooo); i++, n++)
        if (n < max)
            runs[n] = ranges_at(s->ooo, i);
    return n;
}

size_t stream_mem(const struct stream *s)
{
    return (size_t)ring_size(s) + ranges_mem(s->ooo);
}
