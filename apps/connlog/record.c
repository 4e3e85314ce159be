#include "apps/connlog/record.h"

#include <string.h>

/* A SYN or RST so far from what its host sent before does not count for the bytes. */
#define JUMP_MAX (1 << 20)

enum letter {
    LETTER_SYN = 1 << 0, /* S and H */
    LETTER_FIN = 1 << 1,
    LETTER_RST = 1 << 2,
    LETTER_ACK = 1 << 3,
    LETTER_DATA = 1 << 4,
    LETTER_FIN_RST = 1 << 5, /* I */
    LETTER_MULTI = 1 << 6,   /* Q */
};

/* A segment and those whom it concerns. */
struct step {
    struct record *r;
    const struct segment *s;
    struct record_host *from, *peer;
    bool is_orig;
};

void record_init(struct record *r, uint32_t now_us)
{
    memset(r, 0, sizeof(*r));
    r->last_us = now_us;
}

void record_free(struct record *r)
{
    seen_free(&r->host[ORIGINATOR].seen);
    seen_free(&r->host[RESPONDER].seen);
}

/* ---- history ---- */

static void history_add(const struct step *t, char letter)
{
    struct record *r = t->r;

    if (r->n_history < HISTORY_MAX)
        r->history[r->n_history++] = (char)(t->is_orig ? letter : letter - 'A' + 'a');
}

static void history_add_once(const struct step *t, enum letter bit, char letter)
{
    if (!(t->from->letters & bit))
        history_add(t, letter);
    t->from->letters |= (uint8_t)bit;
}

static void history_add_new(const struct step *t, enum letter bit, char letter, uint32_t seq,
                            uint32_t *last)
{
    if (!(t->from->letters & bit) || seq != *last)
        history_add(t, letter);
    t->from->letters |= (uint8_t)bit;
    *last = seq;
}

static void history_add_scaled(const struct step *t, struct record_count *c, char letter)
{
    if (c->next == 0)
        c->next = 1;
    if (++c->n != c->next)
        return;
    history_add(t, letter);
    if (c->next <= UINT32_MAX / 10)
        c->next *= 10;
    else
        c->n = 0;
}

static void history_of_flags(const struct step *t)
{
    const struct segment *s = t->s;
    struct record_host *h = t->from;

    switch (s->flags & (SEG_SYN | SEG_FIN | SEG_RST)) {
    case SEG_SYN:
        history_add_new(t, LETTER_SYN, s->flags & SEG_ACK ? 'H' : 'S', s->seq, &h->last_syn);
        break;
    case SEG_FIN:
        history_add_new(t, LETTER_FIN, 'F', s->seq + s->len, &h->last_fin);
        break;
    case SEG_RST:
        history_add_new(t, LETTER_RST, 'R', s->seq, &h->last_rst);
        break;
    case 0:
        if (s->len > 0)
            history_add_once(t, LETTER_DATA, 'D');
        else if (s->flags & SEG_ACK)
            history_add_once(t, LETTER_ACK, 'A');
        break;
    default:
        if (s->flags & SEG_FIN && s->flags & SEG_RST)
            history_add_once(t, LETTER_FIN_RST, 'I');
        else
            history_add_once(t, LETTER_MULTI, 'Q');
    }
}

/* A window means nothing in a RST or after one, nor when the peer has nothing more to send. */
static void history_of_window(const struct step *t)
{
    if (t->s->wnd == 0 && !(t->s->flags & SEG_RST) && t->peer->state != HOST_CLOSED &&
        t->from->state != HOST_RESET)
        history_add_scaled(t, &t->from->zero_window, 'W');
}

/* ---- numbers ---- */

static void numbers_begin(struct record_host *h, uint32_t base)
{
    seen_free(&h->seen);
    seen_init(&h->seen, base);
    h->end = h->acked = 0;
    h->has_begun = true;
}

/* A SYN says where the numbers begin; without one, as if it had come just before. */
static void numbers_of_sender(const struct step *t)
{
    struct record_host *h = t->from;
    bool is_syn = t->s->flags & SEG_SYN;

    if (is_syn && h->has_begun && h->seen.base == t->s->seq + 1)
        return;
    if (is_syn &&
        (h->state < HOST_CLOSED || (h->state == HOST_RESET && h->before == HOST_INACTIVE)))
        numbers_begin(h, t->s->seq + 1);
    else if (!h->has_begun || h->state == HOST_INACTIVE)
        numbers_begin(h, t->s->seq);
}

static void numbers_of_ack(const struct step *t)
{
    struct record_host *h = t->peer;

    if (!(t->s->flags & SEG_ACK))
        return;
    if (!h->has_begun) {
        numbers_begin(h, t->s->ack);
        return;
    }
    int64_t acked = seen_off(&h->seen, t->s->ack);
    if (!(t->s->flags & SEG_RST) && acked > h->acked)
        h->acked = acked;
}

/* Where the segment ends in sequence space. Of a connection of which nothing but SYN and FIN was
 * captured, the FIN may be up to 4 GB away. */
static int64_t end_of_segment(const struct step *t)
{
    const struct record_host *h = t->from;
    uint32_t end = t->s->seq + segment_seq_len(t->s);

    if (t->s->flags & SEG_FIN && h->end == 0 && h->seen.end == 0)
        return end - h->seen.base;
    return seen_off(&h->seen, end);
}

static void end_advance(const struct step *t)
{
    struct record_host *h = t->from;
    int64_t end = end_of_segment(t), ahead = end - h->end;

    if (t->s->flags & (SEG_SYN | SEG_RST) && (ahead > JUMP_MAX || ahead < -JUMP_MAX))
        return;
    if (h->state == HOST_RESET)
        return;
    if (ahead > 0)
        h->end = end;
    else if (t->s->len > 0)
        history_add_scaled(t, &h->again, 'T');
}

/* ---- states of the hosts ---- */

static void host_move(struct record_host *h, enum host_state to)
{
    if (h->state == to)
        return;
    h->before = h->state;
    h->state = (uint8_t)to;
}

static void host_close(struct record_host *h, enum host_state to)
{
    host_move(h, to);
    h->is_done = true;
}

static void first_syn(const struct step *t)
{
    if (t->is_orig) {
        host_move(t->from, t->s->flags & SEG_ACK ? HOST_SYN_ACK_SENT : HOST_SYN_SENT);
        return;
    }
    if (t->peer->state == HOST_SYN_SENT)
        host_move(t->peer, HOST_ESTABLISHED);
    host_move(t->from, HOST_ESTABLISHED);
}

/* Neither SYN, FIN nor RST. An ACK that is the server's first word, before its SYN-ACK, makes no
 * connection; one that answers a SYN-ACK makes one whose SYN was missed. */
static void first_other(const struct step *t)
{
    if (!t->is_orig && t->s->len == 0 && t->peer->state == HOST_SYN_SENT)
        return;
    if (t->s->flags & SEG_ACK && t->peer->state == HOST_ESTABLISHED)
        host_move(t->from, HOST_ESTABLISHED);
    else
        host_move(t->from, HOST_PARTIAL);
}

static void move_inactive(const struct step *t)
{
    uint8_t flags = t->s->flags;

    if (flags & SEG_SYN)
        first_syn(t);
    if (flags & SEG_FIN)
        host_close(t->from, HOST_CLOSED);
    if (flags & SEG_RST)
        host_close(t->from, HOST_RESET);
    if (t->from->state == HOST_INACTIVE)
        first_other(t);
}

static void move_syn_sent(const struct step *t)
{
    if (t->s->flags & SEG_FIN)
        host_close(t->from, HOST_CLOSED);
    if (t->s->flags & SEG_RST)
        host_close(t->from, HOST_RESET);
}

static void move_established(const struct step *t)
{
    uint8_t flags = t->s->flags;

    if (flags & SEG_RST) {
        host_close(t->from, HOST_RESET);
        return;
    }
    if (flags & SEG_SYN && !(flags & SEG_ACK) && t->from->state == HOST_PARTIAL &&
        t->peer->state == HOST_INACTIVE)
        host_move(t->from, HOST_SYN_SENT);
    if (!(flags & SEG_FIN))
        return;
    host_close(t->from, HOST_CLOSED);
    if (t->peer->state == HOST_RESET && t->peer->before == HOST_CLOSED)
        host_move(t->peer, HOST_CLOSED); /* a RST after its FIN: an end like another */
}

/* After the FINs of both, a RST changes nothing. */
static void move_closed(const struct step *t)
{
    if (t->s->flags & SEG_RST && t->peer->state != HOST_CLOSED)
        host_close(t->from, HOST_RESET);
}

static void move(const struct step *t)
{
    switch ((enum host_state)t->from->state) {
    case HOST_INACTIVE:
        move_inactive(t);
        break;
    case HOST_SYN_SENT:
    case HOST_SYN_ACK_SENT:
        move_syn_sent(t);
        break;
    case HOST_PARTIAL:
    case HOST_ESTABLISHED:
        move_established(t);
        break;
    case HOST_CLOSED:
        move_closed(t);
        break;
    case HOST_RESET:
        break;
    }
}

/* ---- gaps ---- */

static bool is_clean(const struct record_host *h)
{
    return h->state == HOST_ESTABLISHED ||
           (h->state == HOST_CLOSED && h->before == HOST_ESTABLISHED);
}

/* What `of` sent was acknowledged up to here. That nothing but the end was captured is no gap. */
static void gap_find(const struct step *t)
{
    struct record_host *of = t->peer;
    const struct step gap = {.r = t->r, .from = of, .is_orig = !t->is_orig};
    bool is_over = of->has_fin || of->has_rst || t->from->has_fin || t->from->has_rst;

    if (!(t->s->flags & SEG_ACK) || t->s->flags & SEG_RST || !is_clean(of) || !is_clean(t->from))
        return;
    if (is_over && of->seen.end == 0)
        return;
    uint64_t n = seen_give_up(&of->seen, of->acked - (of->has_fin && of->acked == of->end));
    if (n == 0)
        return;
    t->r->missed += n;
    history_add_scaled(&gap, &of->gap, 'G');
}

static void payload_note(const struct step *t)
{
    const struct segment *s = t->s;
    struct record_host *h = t->from;

    if (s->len > 0 && !(s->flags & SEG_RST))
        seen_add(&h->seen, seen_off(&h->seen, s->seq + (s->flags & SEG_SYN ? 1u : 0)), s->len);
}

/* ---- most segments ---- */

/* Bytes in sequence, or none: the numbers of an ACK may lie beyond what was captured. */
static void plain_payload(struct record_host *h, const struct record_plain *p)
{
    uint64_t n = p->bytes - h->n_plain_bytes;

    if (p->packets == h->n_plain)
        return;
    h->n_plain_bytes = p->bytes;
    seen_add(&h->seen, seen_off(&h->seen, p->next_seq - (uint32_t)n), n);
    int64_t end = seen_off(&h->seen, p->next_seq);
    if (end > h->end)
        h->end = end;
}

static void plain_ack(struct record_host *of, const struct record_plain *by)
{
    int64_t acked = seen_off(&of->seen, by->ack);

    if (acked > of->acked)
        of->acked = acked;
}

void record_plain(struct record *r, const struct record_plain plain[2], uint32_t at_us)
{
    for (int who = 0; who < 2; who++)
        plain_payload(&r->host[who], &plain[who]);
    for (int who = 0; who < 2; who++) {
        struct record_host *h = &r->host[who];
        if (plain[who].packets == h->n_plain)
            continue;
        h->n_plain = plain[who].packets;
        plain_ack(&r->host[!who], &plain[who]);
        r->last_us = at_us;
    }
}

/* ---- a segment ---- */

void record_segment(struct record *r, enum record_who from, const struct segment *s)
{
    const struct step t = {
        .r = r,
        .s = s,
        .from = &r->host[from],
        .peer = &r->host[from == ORIGINATOR ? RESPONDER : ORIGINATOR],
        .is_orig = from == ORIGINATOR,
    };

    t.from->n_pkts++;
    t.from->n_ip_bytes += s->ip_len;
    if (!t.from->is_done || !t.peer->is_done)
        r->last_us = s->at_us;
    numbers_of_sender(&t);
    history_of_flags(&t);
    history_of_window(&t);
    numbers_of_ack(&t);
    end_advance(&t);
    t.from->has_fin |= (s->flags & SEG_FIN) != 0;
    t.from->has_rst |= (s->flags & SEG_RST) != 0;
    move(&t);
    payload_note(&t);
    gap_find(&t);
}

/* ---- what it comes to ---- */

uint64_t record_bytes(const struct record *r, enum record_who of)
{
    const struct record_host *h = &r->host[of], *peer = &r->host[!of];
    int64_t n = h->end > h->acked ? h->end : h->acked;

    /* A half-open connection that was found out: the numbers are not this one's. */
    if (h->before == HOST_SYN_SENT && h->state == HOST_RESET && peer->state == HOST_INACTIVE &&
        h->acked > 0)
        return 0;
    if (n > 0 && h->has_fin)
        n--;
    return n > 0 ? (uint64_t)n : 0;
}

static bool is_silent(const struct record_host *h)
{
    return h->state == HOST_INACTIVE || h->state == HOST_PARTIAL;
}

/* A SYN and a RST of the originator's, and nothing of consequence between. */
static bool is_syn_then_rst(const struct record *r)
{
    size_t n = strcspn(r->history, "HAFGIQR");

    return r->history[0] == 'S' && r->history[n] == 'R';
}

static const char *state_of_reset(const struct record *r)
{
    const struct record_host *o = &r->host[ORIGINATOR], *p = &r->host[RESPONDER];

    if (p->state != HOST_RESET)
        return !is_silent(p) ? "RSTO" : is_syn_then_rst(r) ? "RSTOS0" : "OTH";
    if (o->state == HOST_SYN_SENT || o->state == HOST_SYN_ACK_SENT)
        return "REJ";
    if (o->state == HOST_RESET && record_bytes(r, ORIGINATOR) == 0 &&
        record_bytes(r, RESPONDER) == 0)
        return "REJ";
    return is_silent(o) ? "RSTRH" : "RSTR";
}

const char *record_state(const struct record *r)
{
    const struct record_host *o = &r->host[ORIGINATOR], *p = &r->host[RESPONDER];

    if (o->state == HOST_RESET || p->state == HOST_RESET)
        return state_of_reset(r);
    if (o->state == HOST_CLOSED && p->state == HOST_CLOSED)
        return "SF";
    if (o->state == HOST_CLOSED)
        return is_silent(p) ? "SH" : "S2";
    if (p->state == HOST_CLOSED)
        return is_silent(o) ? "SHR" : "S3";
    if (o->state == HOST_SYN_SENT && p->state == HOST_INACTIVE)
        return "S0";
    return o->state == HOST_ESTABLISHED && p->state == HOST_ESTABLISHED ? "S1" : "OTH";
}
