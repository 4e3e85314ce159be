/*
 * The stream buffer against a flat array of bytes with a "stored" mark for each, through growth,
 * wrap-around of the ring, history, release, both policies, lack of memory and of ranges; and each
 * rule of the contract by itself.
 */
#include "tests/test.h"

#include "mtcp/base/rng.h"
#include "mtcp/base/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SPAN   (1u << 18) /* offsets that one run of the model covers */
#define MARGIN (1u << 17) /* a run ends so far before */
#define SEG    6000u      /* longest piece */

struct model {
    struct stream s;
    struct mem *mem;
    struct rng rng;
    uint64_t base, next, read, head, top; /* nothing is stored at or beyond top */
    uint64_t n_ring_max; /* the largest ring that limit and hist have allowed so far */
    uint32_t seg_max;
    bool is_send_side; /* appends only */
    uint8_t val[SPAN];
    uint8_t stored[SPAN];
    uint8_t data[SEG]; /* the piece in hand */
    uint8_t copy[SPAN];
};

/* What a run must have met to mean something. */
static struct {
    unsigned n_grown, n_shrunk, n_freed, n_wrapped, n_head_moved, n_enospc, n_enomem,
        n_inconsistent, n_partial, n_clipped, n_hole_filled;
} met;

static uint8_t *val_at(struct model *m, uint64_t off)
{
    return &m->val[off - m->base];
}

static bool is_stored(const struct model *m, uint64_t off)
{
    return off >= m->head && off < m->top && m->stored[off - m->base];
}

static uint64_t ring_bytes(const struct stream *s)
{
    return s->ring == NULL ? 0 : (uint64_t)1 << s->alloc_log2;
}

static uint64_t pow2_up(uint64_t n)
{
    uint64_t p = 2048;
    while (p < n)
        p *= 2;
    return p;
}

static void set_sizes(struct model *m, uint32_t limit, uint32_t hist)
{
    stream_set_limit(&m->s, limit);
    stream_set_hist(&m->s, hist);
    if (pow2_up((uint64_t)limit + hist) > m->n_ring_max)
        m->n_ring_max = pow2_up((uint64_t)limit + hist);
}

static struct model *model_create(uint64_t seed, uint64_t base)
{
    struct model *m = calloc(1, sizeof(*m));
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    m->mem = mem_create(0);
    rng_init(&m->rng, seed);
    stream_init(&m->s, 1);
    m->s.next = m->base = m->next = m->read = m->head = m->top = base;
    return m;
}

static void model_free(struct model *m)
{
    stream_fini(&m->s, m->mem);
    EXPECT_EQ(stream_next(&m->s), m->next);
    EXPECT_EQ(stream_read(&m->s), m->read);
    EXPECT_EQ(stream_runs(&m->s, NULL, 0), 0);
    EXPECT_EQ(mem_in_use(m->mem), 0);
    mem_destroy(m->mem);
    free(m);
}

/* The runs of the model; their number. */
static unsigned model_runs(const struct model *m, struct range *runs)
{
    unsigned n = 0;
    uint64_t last = m->top;
    for (uint64_t off = m->head; off < last;) {
        const uint8_t *p = memchr(&m->stored[off - m->base], 1, last - off);
        if (p == NULL)
            break;
        runs[n].start = m->base + (uint64_t)(p - m->stored);
        p = memchr(p, 0, last - runs[n].start);
        off = p == NULL ? last : m->base + (uint64_t)(p - m->stored);
        runs[n++].end = off;
    }
    return n;
}

/* Every edge, every run and every byte are as in the model. */
static void check_all(struct model *m)
{
    struct range want[RANGES_MAX + 2], got[RANGES_MAX + 2];
    unsigned n = model_runs(m, want);
    CU_ASSERT_FATAL(stream_next(&m->s) == m->next && stream_read(&m->s) == m->read);
    CU_ASSERT_FATAL(stream_head(&m->s) == m->head);
    CU_ASSERT_FATAL(stream_runs(&m->s, got, RANGES_MAX + 2) == n);
    CU_ASSERT_FATAL(stream_end(&m->s) ==
                    (n == 0 || want[n - 1].end < m->next ? m->next : want[n - 1].end));
    for (unsigned i = 0; i < n; i++) {
        CU_ASSERT_FATAL(got[i].start == want[i].start && got[i].end == want[i].end);
        uint32_t len = (uint32_t)(want[i].end - want[i].start);
        CU_ASSERT_FATAL(stream_copy(&m->s, want[i].start, m->copy, SPAN) == len);
        CU_ASSERT_FATAL(memcmp(m->copy, val_at(m, want[i].start), len) == 0);
    }
    CU_ASSERT_FATAL(mem_in_use(m->mem) == stream_mem(&m->s));
    CU_ASSERT_FATAL(ring_bytes(&m->s) <= m->n_ring_max);
}

/* Memory changed hands: remember what was seen. */
static void note_ring(const struct model *m, uint64_t before)
{
    uint64_t after = ring_bytes(&m->s);
    met.n_grown += before != 0 && after > before;
    met.n_shrunk += after != 0 && after < before;
    met.n_freed += after == 0 && before != 0;
    met.n_wrapped += after != 0 && (m->head & (after - 1)) > ((m->next - 1) & (after - 1));
}

/* The head may move only as announced, for want of room, and not into what is to be kept. */
static void check_head(struct model *m, uint64_t announced, uint64_t end, uint64_t ring)
{
    uint64_t head = stream_head(&m->s);
    uint64_t wanted = m->read - m->base < m->s.hist ? m->base : m->read - m->s.hist;
    CU_ASSERT_FATAL(head == announced);
    if (head == m->head)
        return;
    CU_ASSERT_FATAL(end - m->head > ring); /* there was no room */
    CU_ASSERT_FATAL(head > m->head && head <= wanted);
    m->head = head;
    met.n_head_moved++;
}

/* Fills m->data with the true bytes of [off, off + len), some spoiled. */
static void make_data(struct model *m, uint64_t off, uint32_t len)
{
    bool spoil = rng_below(&m->rng, 4) == 0;
    for (uint32_t i = 0; i < len; i++) {
        m->data[i] = (uint8_t)((off + i) * 2654435761u >> 13);
        if (spoil && rng_below(&m->rng, 64) == 0)
            m->data[i] ^= 0x55;
    }
}

/* What stream_insert must say about [off, end), whose bytes are in m->data. */
static struct stream_insert expected(struct model *m, uint64_t off, uint64_t end)
{
    struct stream_insert want = {m->next, m->next, 0, false};
    for (uint64_t o = off; o < end; o++) {
        if (is_stored(m, o))
            want.inconsistent |= *val_at(m, o) != m->data[o - off];
        else if (o >= m->next)
            want.n_stored++;
    }
    return want;
}

static void model_store(struct model *m, uint64_t off, uint64_t end)
{
    for (uint64_t o = off > m->next ? off : m->next; o < end; o++) {
        if (!is_stored(m, o) || m->s.policy == STREAM_LAST)
            *val_at(m, o) = m->data[o - off];
        m->stored[o - m->base] = 1;
    }
    if (end > m->top)
        m->top = end;
    while (is_stored(m, m->next))
        m->next++;
}

/* Would [off, end) make more ranges than a stream may have? */
static bool is_too_much(struct model *m, uint64_t off, uint64_t end)
{
    struct range runs[RANGES_MAX + 2];
    unsigned n = model_runs(m, runs);
    unsigned n_ooo = n - (n > 0 && runs[0].start < m->next);
    if (off <= m->next || n_ooo < RANGES_MAX)
        return false;
    for (unsigned i = n - n_ooo; i < n; i++)
        if (runs[i].start <= end && off <= runs[i].end)
            return false;
    return true;
}

static void insert(struct model *m, uint64_t off, uint32_t len, bool withhold)
{
    struct stream_insert what;
    uint64_t edge = stream_edge(&m->s), ring = ring_bytes(&m->s);
    if (edge < m->next)
        edge = m->next;
    uint64_t end = off + len < edge ? off + len : edge;
    make_data(m, off, len);
    struct stream_insert want = expected(m, off, end);
    bool full = end > off && is_too_much(m, off, end);
    uint64_t announced = end > off ? stream_head_after(&m->s, end) : m->head;
    int rc = stream_insert(&m->s, m->mem, off, m->data, len, &what);
    met.n_clipped += end < off + len && end > off;
    met.n_enospc += rc == -ENOSPC;
    met.n_enomem += rc == -ENOMEM;
    if (rc == -ENOMEM)
        CU_ASSERT_FATAL(withhold);
    if (rc != 0) {
        CU_ASSERT_FATAL(what.n_stored == 0 && what.new_from == m->next && what.new_to == m->next);
        CU_ASSERT_FATAL(rc == -ENOMEM || full);
        return;
    }
    CU_ASSERT_FATAL(!full);
    check_head(m, announced, end, ring);
    model_store(m, off, end);
    CU_ASSERT_FATAL(what.inconsistent == want.inconsistent && what.n_stored == want.n_stored);
    CU_ASSERT_FATAL(what.new_from == want.new_from && what.new_to == m->next);
    met.n_inconsistent += what.inconsistent;
    met.n_hole_filled += m->next > end;
    note_ring(m, ring);
}

static uint32_t random_len(struct model *m)
{
    return 1 + rng_below(&m->rng, 1 + rng_below(&m->rng, m->seg_max));
}

static void insert_somewhere(struct model *m, bool withhold)
{
    uint64_t edge = stream_edge(&m->s), room = edge > m->next ? edge - m->next : 0;
    uint64_t back = m->next - m->base < 3000 ? m->next - m->base : 3000;
    uint64_t off = m->next - rng_below(&m->rng, (uint32_t)back + 1);
    if (rng_below(&m->rng, 4) != 0)
        off = m->next + rng_below(&m->rng, 1 + (uint32_t)room);
    insert(m, off, random_len(m), withhold);
}

static void append(struct model *m, bool withhold)
{
    if (stream_end(&m->s) != m->next)
        return;
    uint32_t len = random_len(m);
    uint64_t room = stream_edge(&m->s) > m->next ? stream_edge(&m->s) - m->next : 0;
    uint64_t n_want = len < room ? len : room, ring = ring_bytes(&m->s);
    uint64_t announced = stream_head_after(&m->s, m->next + n_want);
    make_data(m, m->next, len);
    int64_t n = stream_append(&m->s, m->mem, m->data, len);
    met.n_enomem += n == -ENOMEM;
    if (n == -ENOMEM) {
        CU_ASSERT_FATAL(withhold && n_want > 0);
        return;
    }
    CU_ASSERT_FATAL(n >= 0 && n <= (int64_t)n_want && (n == (int64_t)n_want || withhold));
    if ((uint64_t)n < n_want) {
        CU_ASSERT_FATAL(ring_bytes(&m->s) == ring || ring == 0);
        announced = ring == 0 ? m->head : stream_head(&m->s);
        met.n_partial++;
    }
    check_head(m, announced, m->next + (uint64_t)n, ring);
    model_store(m, m->next, m->next + (uint64_t)n);
    note_ring(m, ring);
}

static void consume(struct model *m)
{
    uint64_t n = m->next - m->read;
    if (n > 0 && rng_below(&m->rng, 3) != 0)
        n = rng_below(&m->rng, (uint32_t)n + 1);
    stream_consume(&m->s, n);
    m->read += n;
}

static void release(struct model *m)
{
    uint64_t announced = stream_head_released(&m->s), ring = ring_bytes(&m->s);
    bool done = m->read == m->next && stream_end(&m->s) == m->next && m->s.hist == 0;
    uint64_t wanted = m->read - m->base < m->s.hist ? m->base : m->read - m->s.hist;
    stream_release(&m->s, m->mem);
    uint64_t head = stream_head(&m->s);
    if (done)
        CU_ASSERT_FATAL(m->s.ring == NULL && head == m->next);
    if (ring_bytes(&m->s) == ring) { /* kept, or no memory for a smaller one */
        CU_ASSERT_FATAL(head == m->head);
    } else {
        CU_ASSERT_FATAL(head == announced);
        CU_ASSERT_FATAL(head == m->head || (head > m->head && head <= wanted));
    }
    m->head = head;
    note_ring(m, ring);
}

static void drop_ooo(struct model *m)
{
    stream_drop_ooo(&m->s, m->mem);
    memset(&m->stored[m->next - m->base], 0, m->top - m->next);
    m->top = m->next;
}

/* The same question to both, at a random place. */
static void ask(struct model *m)
{
    uint64_t back = m->next - m->base < 9000 ? m->next - m->base : 9000;
    uint64_t off = m->next - back + rng_below(&m->rng, 18000);
    uint32_t len = 1 + rng_below(&m->rng, 3000), n = 0, n_known = 0;
    for (uint32_t i = 0; i < len; i++)
        n_known += off + i < m->next || is_stored(m, off + i);
    while (n < len && is_stored(m, off + n))
        n++;
    struct iovec iov[2];
    unsigned n_iov = stream_span(&m->s, off, len, iov);
    size_t n_span = 0;
    for (unsigned i = 0; i < n_iov; i++) {
        CU_ASSERT_FATAL(memcmp(iov[i].iov_base, val_at(m, off + n_span), iov[i].iov_len) == 0);
        n_span += iov[i].iov_len;
    }
    CU_ASSERT_FATAL(n_span == n);
    CU_ASSERT_FATAL(stream_has_all(&m->s, off, off + len) == (n_known == len));
    CU_ASSERT_FATAL(stream_has_any(&m->s, off, off + len) == (n_known > 0));
}

static void random_sizes(struct model *m)
{
    uint32_t limit = 1 + rng_below(&m->rng, 1u << (4 + rng_below(&m->rng, 13)));
    uint32_t hist = rng_below(&m->rng, 2) ? rng_below(&m->rng, 1u << rng_below(&m->rng, 15)) : 0;
    set_sizes(m, limit, hist);
}

static void step(struct model *m)
{
    bool withhold = rng_below(&m->rng, 10) == 0;
    uint64_t n_failed = mem_n_failed(m->mem);
    if (withhold) /* all of it, or all but a ring of some size */
        mem_set_limit(m->mem, mem_in_use(m->mem) + (1u << rng_below(&m->rng, 17)));
    switch (rng_below(&m->rng, 100)) {
    case 0 ... 39:
        m->is_send_side ? append(m, withhold) : insert_somewhere(m, withhold);
        break;
    case 40 ... 59:
        m->is_send_side ? append(m, withhold) : insert(m, m->next, random_len(m), withhold);
        break;
    case 60 ... 69:
        append(m, withhold);
        break;
    case 70 ... 84:
        consume(m);
        break;
    case 85 ... 92:
        release(m);
        break;
    case 93:
        drop_ooo(m);
        break;
    case 94:
        random_sizes(m);
        break;
    default:
        ask(m);
    }
    CU_ASSERT_FATAL(withhold || mem_n_failed(m->mem) == n_failed);
    mem_set_limit(m->mem, 0);
}

static void one_run(unsigned round)
{
    static const uint64_t bases[] = {0, ((uint64_t)1 << 32) - 60000, (uint64_t)1 << 40,
                                     ((uint64_t)7 << 32) - 1};
    struct model *m = model_create(test_seed() + round, bases[round % 4]);
    static const uint32_t seg_max[] = {3, 40, 1460, SEG};
    m->seg_max = seg_max[rng_below(&m->rng, 4)];
    m->s.policy = round & 1;
    m->is_send_side = round % 5 == 0;
    random_sizes(m);
    for (unsigned i = 0; i < 800 && m->next - m->base < SPAN - MARGIN; i++) {
        step(m);
        check_all(m);
    }
    model_free(m);
}

static void random_use_matches_a_flat_array(void)
{
    memset(&met, 0, sizeof(met));
    for (unsigned round = 0; round < 120; round++)
        one_run(round);
    CU_ASSERT(met.n_grown > 0);
    CU_ASSERT(met.n_shrunk > 0);
    CU_ASSERT(met.n_freed > 0);
    CU_ASSERT(met.n_wrapped > 0);
    CU_ASSERT(met.n_head_moved > 0);
    CU_ASSERT(met.n_enospc > 0);
    CU_ASSERT(met.n_enomem > 0);
    CU_ASSERT(met.n_inconsistent > 0);
    CU_ASSERT(met.n_partial > 0);
    CU_ASSERT(met.n_clipped > 0);
    CU_ASSERT(met.n_hole_filled > 0);
}

/* ---- each rule by itself --------------------------------------------------------------------- */

struct rig {
    struct mem *mem;
    struct stream s;
    struct stream_insert what;
};

static void rig_init(struct rig *r, uint32_t limit, enum stream_policy policy)
{
    r->mem = mem_create(0);
    stream_init(&r->s, limit);
    r->s.policy = policy == STREAM_LAST;
}

static void rig_fini(struct rig *r)
{
    stream_fini(&r->s, r->mem);
    EXPECT_EQ(mem_in_use(r->mem), 0);
    mem_destroy(r->mem);
}

static int put(struct rig *r, uint64_t off, const char *text)
{
    return stream_insert(&r->s, r->mem, off, text, (uint32_t)strlen(text), &r->what);
}

static void expect_bytes(const struct rig *r, uint64_t off, const char *want)
{
    char buf[64] = {0};
    uint32_t n = stream_copy(&r->s, off, buf, (uint32_t)strlen(want));
    EXPECT_EQ(n, strlen(want));
    CU_ASSERT_STRING_EQUAL(buf, want);
}

static void in_order_bytes_are_there(void)
{
    struct rig r;
    rig_init(&r, 1000, STREAM_FIRST);
    EXPECT_EQ(put(&r, 0, "hello "), 0);
    EXPECT_EQ(put(&r, 6, "world"), 0);
    EXPECT_EQ(r.what.new_from, 6);
    EXPECT_EQ(r.what.new_to, 11);
    EXPECT_EQ(r.what.n_stored, 5);
    CU_ASSERT_FALSE(r.what.inconsistent);
    expect_bytes(&r, 0, "hello world");
    expect_bytes(&r, 4, "o wo");
    EXPECT_EQ(stream_edge(&r.s), 1000);
    stream_consume(&r.s, 6);
    EXPECT_EQ(stream_read(&r.s), 6);
    EXPECT_EQ(stream_edge(&r.s), 1006);
    expect_bytes(&r, 0, "hello world"); /* consumed, but still there */
    rig_fini(&r);
}

static void the_first_copy_wins(void)
{
    struct rig r;
    rig_init(&r, 1000, STREAM_FIRST);
    EXPECT_EQ(put(&r, 10, "KLMN"), 0);
    EXPECT_EQ(put(&r, 8, "ijklmnop"), 0);
    CU_ASSERT_TRUE(r.what.inconsistent);
    EXPECT_EQ(r.what.n_stored, 4);
    expect_bytes(&r, 8, "ijKLMNop");
    EXPECT_EQ(put(&r, 0, "abcdefghijk"), 0); /* fills the hole */
    EXPECT_EQ(r.what.new_to, 16);
    expect_bytes(&r, 0, "abcdefghijKLMNop");
    rig_fini(&r);
}

static void the_last_copy_wins_only_beyond_next(void)
{
    struct rig r;
    rig_init(&r, 1000, STREAM_LAST);
    EXPECT_EQ(put(&r, 0, "abcd"), 0);
    EXPECT_EQ(put(&r, 6, "GHIJ"), 0);
    EXPECT_EQ(put(&r, 2, "XXefghXX"), 0);
    CU_ASSERT_TRUE(r.what.inconsistent);
    EXPECT_EQ(r.what.n_stored, 2);
    expect_bytes(&r, 0, "abcdefghXX"); /* in-order bytes stay, the others are rewritten */
    EXPECT_EQ(r.what.new_from, 4);
    EXPECT_EQ(r.what.new_to, 10);
    rig_fini(&r);
}

static void a_differing_copy_is_noticed_while_stored(void)
{
    struct rig r;
    rig_init(&r, 2048, STREAM_FIRST);
    EXPECT_EQ(put(&r, 0, "abcdef"), 0);
    EXPECT_EQ(put(&r, 0, "abcdef"), 0);
    CU_ASSERT_FALSE(r.what.inconsistent);
    EXPECT_EQ(put(&r, 2, "cdeX"), 0);
    CU_ASSERT_TRUE(r.what.inconsistent);
    EXPECT_EQ(r.what.new_from, r.what.new_to);
    stream_consume(&r.s, 6);
    EXPECT_EQ(put(&r, 0, "X"), 0); /* consumed, still stored */
    CU_ASSERT_TRUE(r.what.inconsistent);
    stream_release(&r.s, r.mem);
    EXPECT_EQ(put(&r, 0, "XXXXXX"), 0); /* gone: nothing to compare with */
    CU_ASSERT_FALSE(r.what.inconsistent);
    EXPECT_EQ(put(&r, 4, "XXgh"), 0);
    CU_ASSERT_FALSE(r.what.inconsistent);
    expect_bytes(&r, 6, "gh");
    EXPECT_EQ(stream_head(&r.s), 6);
    rig_fini(&r);
}

/* Bytes that this very insert pushes out are compared before they go. */
static void a_differing_copy_is_noticed_before_head_moves(void)
{
    static char data[2148];
    struct rig r;
    rig_init(&r, 2048, STREAM_FIRST);
    EXPECT_EQ(stream_insert(&r.s, r.mem, 0, data, 2048, &r.what), 0);
    stream_consume(&r.s, 2048);
    data[0] = 1;
    EXPECT_EQ(stream_insert(&r.s, r.mem, 0, data, 2148, &r.what), 0);
    CU_ASSERT_TRUE(r.what.inconsistent);
    EXPECT_EQ(stream_head(&r.s), 100);
    EXPECT_EQ(r.what.n_stored, 100);
    rig_fini(&r);
}

static void says_what_it_has(void)
{
    struct rig r;
    rig_init(&r, 2048, STREAM_FIRST);
    EXPECT_EQ(put(&r, 0, "0123456789"), 0);
    EXPECT_EQ(put(&r, 20, "abcde"), 0);
    stream_consume(&r.s, 5);
    CU_ASSERT_TRUE(stream_has_any(&r.s, 9, 10));
    CU_ASSERT_FALSE(stream_has_any(&r.s, 10, 20));
    CU_ASSERT_TRUE(stream_has_any(&r.s, 10, 21));
    CU_ASSERT_FALSE(stream_has_any(&r.s, 25, 100));
    CU_ASSERT_FALSE(stream_has_any(&r.s, 5, 5)); /* nothing asked for */
    CU_ASSERT_TRUE(stream_has_all(&r.s, 15, 15));
    CU_ASSERT_TRUE(stream_has_all(&r.s, 0, 10));
    CU_ASSERT_FALSE(stream_has_all(&r.s, 0, 11));
    CU_ASSERT_TRUE(stream_has_all(&r.s, 20, 25));
    CU_ASSERT_FALSE(stream_has_all(&r.s, 20, 26));
    rig_fini(&r);
}

static void nothing_is_stored_beyond_the_edge(void)
{
    struct rig r;
    rig_init(&r, 8, STREAM_FIRST);
    EXPECT_EQ(put(&r, 0, "0123456789"), 0);
    EXPECT_EQ(r.what.n_stored, 8);
    EXPECT_EQ(put(&r, 8, "89"), 0);
    EXPECT_EQ(put(&r, 20, "xyz"), 0);
    EXPECT_EQ(r.what.n_stored, 0);
    EXPECT_EQ(stream_end(&r.s), 8);
    stream_consume(&r.s, 3);
    EXPECT_EQ(put(&r, 8, "89abcdef"), 0);
    EXPECT_EQ(stream_next(&r.s), 11);
    stream_set_limit(&r.s, 4); /* stored bytes stay, new ones wait */
    expect_bytes(&r, 3, "3456789a");
    EXPECT_EQ(put(&r, 11, "b"), 0);
    EXPECT_EQ(stream_append(&r.s, r.mem, "b", 1), 0);
    EXPECT_EQ(stream_next(&r.s), 11);
    rig_fini(&r);
}

/* Bytes of a pattern that tells every offset apart. */
static void fill(uint8_t *buf, uint64_t off, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        buf[i] = (uint8_t)((off + i) % 251);
}

static void insert_pattern(struct rig *r, uint64_t off, uint32_t len)
{
    static uint8_t buf[1 << 20];
    fill(buf, off, len);
    EXPECT_EQ(stream_insert(&r->s, r->mem, off, buf, len, &r->what), 0);
}

static bool has_pattern(const struct rig *r, uint64_t off, uint32_t len)
{
    static uint8_t buf[1 << 20], want[1 << 20];
    fill(want, off, len);
    return stream_copy(&r->s, off, buf, len) == len && memcmp(buf, want, len) == 0;
}

static void growth_moves_every_run(void)
{
    struct rig r;
    rig_init(&r, 1 << 20, STREAM_FIRST);
    insert_pattern(&r, 0, 1500);
    stream_consume(&r.s, 1000);
    insert_pattern(&r, 1900, 300); /* wraps in the first ring of 2048 */
    insert_pattern(&r, 3000, 10);
    size_t before = stream_mem(&r.s);
    insert_pattern(&r, 900000, 1000);
    CU_ASSERT(stream_mem(&r.s) > before);
    CU_ASSERT(has_pattern(&r, 1000, 500));
    CU_ASSERT(has_pattern(&r, 1900, 300));
    CU_ASSERT(has_pattern(&r, 3000, 10));
    CU_ASSERT(has_pattern(&r, 900000, 1000));
    insert_pattern(&r, 1500, 898500);
    EXPECT_EQ(stream_next(&r.s), 901000);
    CU_ASSERT(has_pattern(&r, 1000, 900000));
    rig_fini(&r);
}

static void memory_goes_when_all_is_consumed(void)
{
    struct rig r;
    rig_init(&r, 1 << 16, STREAM_FIRST);
    EXPECT_EQ(stream_mem(&r.s), 0);
    insert_pattern(&r, 0, 10000);
    stream_release(&r.s, r.mem);
    CU_ASSERT(stream_mem(&r.s) > 0); /* unread */
    stream_consume(&r.s, 10000);
    insert_pattern(&r, 10010, 5);
    stream_release(&r.s, r.mem);
    CU_ASSERT(stream_mem(&r.s) > 0); /* out of order */
    stream_drop_ooo(&r.s, r.mem);
    EXPECT_EQ(stream_head_released(&r.s), 10000);
    stream_release(&r.s, r.mem);
    EXPECT_EQ(stream_mem(&r.s), 0);
    EXPECT_EQ(mem_in_use(r.mem), 0);
    EXPECT_EQ(stream_next(&r.s), 10000);
    EXPECT_EQ(stream_head(&r.s), 10000);
    insert_pattern(&r, 10000, 10);
    CU_ASSERT(has_pattern(&r, 10000, 10));
    rig_fini(&r);
}

static void history_stays_and_nothing_else(void)
{
    struct rig r;
    rig_init(&r, 4096, STREAM_FIRST);
    stream_set_hist(&r.s, 1000);
    for (uint64_t off = 0; off < 100000; off += 500) {
        insert_pattern(&r, off, 500);
        stream_consume(&r.s, 500);
        stream_release(&r.s, r.mem);
        uint32_t n = off + 500 < 1000 ? (uint32_t)off + 500 : 1000;
        CU_ASSERT(has_pattern(&r, off + 500 - n, n));
        CU_ASSERT(stream_mem(&r.s) <= 8192); /* roundup(limit + hist) */
    }
    stream_set_hist(&r.s, 0);
    stream_release(&r.s, r.mem);
    EXPECT_EQ(stream_mem(&r.s), 0);
    rig_fini(&r);
}

static void an_oversized_ring_shrinks(void)
{
    struct rig r;
    rig_init(&r, 1 << 20, STREAM_FIRST);
    insert_pattern(&r, 0, 1 << 20);
    stream_consume(&r.s, (1 << 20) - 5000);
    insert_pattern(&r, (1 << 20) + 100, 100);
    stream_release(&r.s, r.mem);
    CU_ASSERT(stream_mem(&r.s) < 20000);
    CU_ASSERT(has_pattern(&r, (1 << 20) - 5000, 5000));
    CU_ASSERT(has_pattern(&r, (1 << 20) + 100, 100));
    rig_fini(&r);
}

/* The next turn begins with the ring that this one needed. */
static void the_ring_remembers_its_size(void)
{
    struct rig r;
    rig_init(&r, 1 << 20, STREAM_FIRST);
    for (uint64_t off = 0; off < 20000; off += 1000)
        insert_pattern(&r, off, 1000);
    stream_consume(&r.s, 20000);
    stream_release(&r.s, r.mem);
    insert_pattern(&r, 20000, 1);
    EXPECT_EQ(stream_mem(&r.s), 32768);
    stream_consume(&r.s, 1);
    stream_release(&r.s, r.mem);
    insert_pattern(&r, 20001, 1);
    EXPECT_EQ(stream_mem(&r.s), 2048);
    insert_pattern(&r, 20002, 30000);
    stream_consume(&r.s, 30001);
    stream_release(&r.s, r.mem);
    mem_set_limit(r.mem, 4096); /* too little for that: then a small one */
    insert_pattern(&r, 50002, 1);
    EXPECT_EQ(stream_mem(&r.s), 2048);
    rig_fini(&r);
}

static void too_many_ranges_are_refused(void)
{
    struct rig r;
    rig_init(&r, 4096, STREAM_FIRST);
    for (unsigned i = 0; i < RANGES_MAX; i++)
        EXPECT_EQ(put(&r, 10 + 4 * i, "ab"), 0);
    EXPECT_EQ(put(&r, 1000, "zz"), -ENOSPC);
    EXPECT_EQ(r.what.n_stored, 0);
    CU_ASSERT_FALSE(stream_has_any(&r.s, 1000, 1002));
    EXPECT_EQ(stream_runs(&r.s, NULL, 0), RANGES_MAX);
    EXPECT_EQ(put(&r, 0, "0123456789"), 0); /* in order always fits */
    EXPECT_EQ(stream_next(&r.s), 12);
    rig_fini(&r);
}

/* A refused piece must not have pushed history out. */
static void a_refused_piece_moves_nothing(void)
{
    struct rig r;
    rig_init(&r, 2048, STREAM_FIRST);
    insert_pattern(&r, 0, 1000);
    stream_consume(&r.s, 1000);
    for (unsigned i = 0; i < RANGES_MAX; i++)
        insert_pattern(&r, 1002 + 2 * i, 1);
    EXPECT_EQ(put(&r, 2500, "zz"), -ENOSPC);
    EXPECT_EQ(stream_head(&r.s), 0);
    CU_ASSERT(has_pattern(&r, 0, 1000));
    rig_fini(&r);
}

static void without_memory_nothing_is_stored(void)
{
    static uint8_t data[9000];
    struct rig r;
    rig_init(&r, 1 << 16, STREAM_FIRST);
    mem_set_limit(r.mem, 1);
    EXPECT_EQ(put(&r, 0, "abc"), -ENOMEM);
    EXPECT_EQ(stream_append(&r.s, r.mem, "abc", 3), -ENOMEM);
    EXPECT_EQ(stream_next(&r.s), 0);
    mem_set_limit(r.mem, 2048);
    EXPECT_EQ(put(&r, 0, "abc"), 0);
    EXPECT_EQ(put(&r, 10, "klm"), -ENOMEM); /* no memory for the range */
    EXPECT_EQ(put(&r, 3000, "klm"), -ENOMEM);
    EXPECT_EQ(stream_append(&r.s, r.mem, data, 9000), 2045); /* what the ring takes */
    EXPECT_EQ(stream_append(&r.s, r.mem, data, 1), -ENOMEM);
    CU_ASSERT_FALSE(stream_append_blank(&r.s, r.mem, 1));
    EXPECT_EQ(stream_next(&r.s), 2048);
    stream_consume(&r.s, 48);
    EXPECT_EQ(stream_append(&r.s, r.mem, data, 9000), 48);
    EXPECT_EQ(stream_head(&r.s), 48);
    mem_set_limit(r.mem, 0);
    EXPECT_EQ(stream_append(&r.s, r.mem, data, 9000), 9000);
    rig_fini(&r);
}

/* The monitor is told what goes before it goes, also when the ring will grow. */
static void head_after_foretells(void)
{
    struct rig r;
    rig_init(&r, 2048, STREAM_FIRST);
    EXPECT_EQ(stream_head_after(&r.s, 100), 0);
    insert_pattern(&r, 0, 2000);
    stream_consume(&r.s, 2000);
    EXPECT_EQ(stream_head_after(&r.s, 2048), 0);
    EXPECT_EQ(stream_head_after(&r.s, 2049), 1);
    EXPECT_EQ(stream_head_after(&r.s, 4048), 2000);
    stream_set_hist(&r.s, 500);
    EXPECT_EQ(stream_head_after(&r.s, 3548), 1500);
    EXPECT_EQ(stream_head_after(&r.s, 3549), 0); /* the ring grows instead */
    stream_set_limit(&r.s, 4000);
    EXPECT_EQ(stream_head_after(&r.s, 6000), 0);
    insert_pattern(&r, 2000, 4000);
    EXPECT_EQ(stream_head(&r.s), 0);
    rig_fini(&r);
}

static void spans_split_at_the_end_of_the_ring(void)
{
    struct rig r;
    struct iovec iov[2];
    rig_init(&r, 2048, STREAM_FIRST);
    insert_pattern(&r, 0, 2000);
    stream_consume(&r.s, 2000);
    insert_pattern(&r, 2000, 100);
    EXPECT_EQ(stream_span(&r.s, 2000, 48, iov), 1);
    EXPECT_EQ(stream_span(&r.s, 2000, 999, iov), 2);
    EXPECT_EQ(iov[0].iov_len, 48);
    EXPECT_EQ(iov[1].iov_len, 52);
    EXPECT_EQ(stream_span(&r.s, 2048, 999, iov), 1);
    EXPECT_EQ(stream_span(&r.s, 2100, 1, iov), 0);
    EXPECT_EQ(stream_span(&r.s, 2000, 0, iov), 0);
    EXPECT_EQ(stream_span(&r.s, 10, 1, iov), 0); /* gone */
    rig_fini(&r);
}

static void the_largest_limits_are_kept_to(void)
{
    struct rig r;
    rig_init(&r, UINT32_MAX, STREAM_FIRST);
    stream_set_hist(&r.s, UINT32_MAX);
    EXPECT_EQ(r.s.limit, STREAM_LIMIT_MAX);
    EXPECT_EQ(r.s.hist, STREAM_LIMIT_MAX);
    mem_set_limit(r.mem, 1 << 20);
    EXPECT_EQ(put(&r, STREAM_LIMIT_MAX - 1, "a"), -ENOMEM);
    EXPECT_EQ(stream_head_after(&r.s, STREAM_LIMIT_MAX), 0);
    EXPECT_EQ(put(&r, 0, "a"), 0);
    rig_fini(&r);
}

/* ---- bytes that never come ------------------------------------------------------------------- */

static void a_hole_is_skipped(void)
{
    struct rig r;
    char buf[8];
    rig_init(&r, 8192, STREAM_FIRST);
    stream_set_hist(&r.s, 100);
    EXPECT_EQ(put(&r, 0, "ab"), 0);
    EXPECT_EQ(put(&r, 5, "fgh"), 0);
    EXPECT_EQ(put(&r, 10, "kl"), 0);
    stream_consume(&r.s, 2);
    stream_skip(&r.s, r.mem, 2); /* nothing is missing before that */
    EXPECT_EQ(stream_head(&r.s), 0);
    stream_skip(&r.s, r.mem, 5);
    EXPECT_EQ(stream_head(&r.s), 5);
    EXPECT_EQ(stream_read(&r.s), 5);
    EXPECT_EQ(stream_next(&r.s), 8);
    EXPECT_EQ(stream_end(&r.s), 12);
    EXPECT_EQ(stream_copy(&r.s, 5, buf, 8), 3);
    EXPECT_EQ(memcmp(buf, "fgh", 3), 0);
    EXPECT_EQ(stream_copy(&r.s, 1, buf, 8), 0);
    stream_consume(&r.s, 3);
    stream_skip(&r.s, r.mem, 11); /* into a run: what is stored before goes along */
    EXPECT_EQ(stream_head(&r.s), 10);
    EXPECT_EQ(stream_next(&r.s), 12);
    stream_consume(&r.s, 2);
    const uint64_t far = 5000000000;
    stream_skip(&r.s, r.mem, far); /* beyond all: nothing is stored */
    EXPECT_EQ(stream_head(&r.s), far);
    EXPECT_EQ(stream_next(&r.s), far);
    EXPECT_EQ(put(&r, far, "on"), 0);
    EXPECT_EQ(stream_copy(&r.s, far, buf, 8), 2);
    EXPECT_EQ(memcmp(buf, "on", 2), 0);
    rig_fini(&r);
}

/* A write that is larger than what memory allows is taken in part. */
static void the_first_ring_is_what_memory_allows(void)
{
    static char data[65536];
    struct mem *mem = mem_create(8192);
    struct stream s;
    stream_init(&s, sizeof(data));
    EXPECT_EQ(stream_append(&s, mem, data, sizeof(data)), 8192);
    EXPECT_EQ(stream_append(&s, mem, data, 1), -ENOMEM);
    stream_fini(&s, mem);
    mem_destroy(mem);
}

/* A place is kept for bytes that come later, or never. */
static void blanks_are_filled_later(void)
{
    struct rig r;
    uint8_t buf[10];
    rig_init(&r, 5000, STREAM_FIRST);
    EXPECT_EQ(stream_append(&r.s, r.mem, "ab", 2), 2);
    CU_ASSERT(stream_append_blank(&r.s, r.mem, 4000));
    EXPECT_EQ(stream_append(&r.s, r.mem, "yz", 2), 2);
    EXPECT_EQ(stream_next(&r.s), 4004);
    EXPECT_EQ(stream_mem(&r.s), 8192); /* at once what limit asks for */
    stream_fill(&r.s, 4000, "wx", 2);
    EXPECT_EQ(stream_copy(&r.s, 4000, buf, 10), 4);
    EXPECT_EQ(memcmp(buf, "wxyz", 4), 0);
    EXPECT_EQ(stream_copy(&r.s, 0, buf, 2), 2);
    EXPECT_EQ(memcmp(buf, "ab", 2), 0);
    mem_set_limit(r.mem, stream_mem(&r.s) + 2048);
    stream_consume(&r.s, 4004);
    stream_release(&r.s, r.mem);
    CU_ASSERT(stream_append_blank(&r.s, r.mem, 100)); /* only so much: better than nothing */
    rig_fini(&r);
}

TEST_SUITE(stream, TEST_CASE(blanks_are_filled_later), TEST_CASE(a_hole_is_skipped),
           TEST_CASE(random_use_matches_a_flat_array), TEST_CASE(in_order_bytes_are_there),
           TEST_CASE(the_first_copy_wins), TEST_CASE(the_last_copy_wins_only_beyond_next),
           TEST_CASE(a_differing_copy_is_noticed_while_stored),
           TEST_CASE(a_differing_copy_is_noticed_before_head_moves), TEST_CASE(says_what_it_has),
           TEST_CASE(nothing_is_stored_beyond_the_edge), TEST_CASE(growth_moves_every_run),
           TEST_CASE(memory_goes_when_all_is_consumed), TEST_CASE(history_stays_and_nothing_else),
           TEST_CASE(an_oversized_ring_shrinks), TEST_CASE(the_ring_remembers_its_size),
           TEST_CASE(too_many_ranges_are_refused), TEST_CASE(a_refused_piece_moves_nothing),
           TEST_CASE(without_memory_nothing_is_stored), TEST_CASE(head_after_foretells),
           TEST_CASE(spans_split_at_the_end_of_the_ring),
           TEST_CASE(the_first_ring_is_what_memory_allows),
           TEST_CASE(the_largest_limits_are_kept_to));
