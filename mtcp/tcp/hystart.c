/* HyStart++ (RFC 9406 section 4). */
#include "mtcp/tcp/hystart.h"

#include "mtcp/tcp/cc.h"
#include "mtcp/tcp/flight.h"

enum {
    MIN_RTT_THRESH_US = 4000,
    MAX_RTT_THRESH_US = 16000,
    RTT_DIVISOR = 8,
    N_RTT_SAMPLE = 8,
    CSS_GROWTH_DIVISOR = 4,
    CSS_ROUNDS = 5,
    CSS_OVER = 0xff, /* n_css: its rounds are over */
};

static void round_begin(struct tcp_conn *c)
{
    c->cc.hystart.round_end = (uint32_t)c->snd_max;
    c->cc.hystart.min_us = UINT32_MAX;
    c->cc.hystart.n_samples = 0;
}

void hystart_init(struct tcp_conn *c)
{
    round_begin(c);
    c->cc.hystart.last_min_us = UINT32_MAX;
    c->cc.hystart.n_css = 0;
}

bool hystart_is_over(const struct tcp_conn *c)
{
    return c->cc.hystart.n_css == CSS_OVER;
}

static void round_end(struct tcp_conn *c)
{
    if (c->cc.hystart.n_css == 0)
        c->cc.hystart.last_min_us = c->cc.hystart.min_us;
    else if (--c->cc.hystart.n_css == 0)
        c->cc.hystart.n_css = CSS_OVER;
    round_begin(c);
}

static uint32_t threshold_us(uint32_t min_us)
{
    uint32_t t = min_us / RTT_DIVISOR;
    if (t < MIN_RTT_THRESH_US)
        return MIN_RTT_THRESH_US;
    return t < MAX_RTT_THRESH_US ? t : MAX_RTT_THRESH_US;
}

/* Has the round trip grown: then grow carefully. Was that a false alarm: then as before. */
static void judge(struct tcp_conn *c)
{
    uint32_t last = c->cc.hystart.last_min_us, now = c->cc.hystart.min_us;
    if (c->cc.hystart.n_samples < N_RTT_SAMPLE || last == UINT32_MAX)
        return;
    if (c->cc.hystart.n_css == 0) {
        if (now < last + threshold_us(last))
            return;
        c->cc.hystart.n_css = CSS_ROUNDS;
        c->cc.hystart.last_min_us = now; /* the baseline */
    } else if (now < last) {
        c->cc.hystart.n_css = 0;
    }
}

uint32_t hystart_acked(struct tcp_conn *c, uint32_t acked_bytes, uint32_t rtt_us)
{
    if (!off_lt((uint32_t)c->snd_una, c->cc.hystart.round_end))
        round_end(c);
    if (rtt_us != 0) {
        if (rtt_us < c->cc.hystart.min_us)
            c->cc.hystart.min_us = rtt_us;
        if (c->cc.hystart.n_samples < UINT8_MAX)
            c->cc.hystart.n_samples++;
        judge(c);
    }
    uint32_t n = acked_bytes < CC_ABC_LIMIT ? acked_bytes : CC_ABC_LIMIT;
    return c->cc.hystart.n_css == 0 ? n : n / CSS_GROWTH_DIVISOR;
}
