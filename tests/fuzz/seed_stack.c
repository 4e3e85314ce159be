/*
 * Writes the seed corpus of fuzz_stack into the folder given: one program per case that broke a
 * well-known stack, per state a segment can meet, and per thing that applications and monitors do.
 */
#include "mtcp/wire/seg.h"
#include "tests/fuzz/stack_prog.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ALL_OPTS (OPT_TS | OPT_MSS | OPT_WSCALE | OPT_SACK_OK)
#define MSS_1460 12u
#define WIN      65535u
#define A        TCP_ACK

static const char *folder;
static int n_failed;
static unsigned n_saved;

/* The program that is being written. */
static struct prog_head head;
static struct step prog[PROG_STEPS_MAX];
static unsigned n_steps;

static struct step *step(uint8_t op)
{
    struct step *s = &prog[n_steps < PROG_STEPS_MAX - 1 ? n_steps++ : n_steps];
    *s = (struct step){.op = op};
    return s;
}

/* Writes it down, and begins the next one: everything is as usual, three monitors. */
static void save(const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(&head, sizeof(head), 1, f) != 1 ||
        fwrite(prog, STEP_BYTES, n_steps, f) != n_steps) {
        perror(path);
        n_failed++;
    }
    if (f && fclose(f) != 0)
        n_failed++;
    static const uint8_t isns[] = {ISN_WRAP32 | ISN_WRAP32 << 4, ISN_WRAP31 | ISN_WRAP31 << 4,
                                   ISN_ANY, ISN_ZERO | ISN_WRAP32 << 4};
    n_steps = 0;
    n_saved++;
    head = (struct prog_head){.isns = isns[n_saved % 4], .monitors = 3, .lazy = 20};
}

/* ---- words ----------------------------------------------------------------------------------- */

static struct step *seg(uint8_t flags, uint16_t len)
{
    struct step *s = step(OP_SEG);
    s->flags = flags;
    s->len = len;
    s->wnd = WIN;
    s->opts = OPT_TS;
    return s;
}

/* Data at an offset from what is expected. */
static struct step *data_at(int16_t off, uint16_t len)
{
    struct step *s = seg(A | TCP_PSH, len);
    s->seq = off;
    return s;
}

static struct step *syn(uint8_t opts)
{
    struct step *s = seg(TCP_SYN, 0);
    s->base = SEQ_ISN;
    s->opts = opts;
    s->arg = MSS_1460 | 7 << 4;
    return s;
}

static struct step *open_slot(uint8_t slot)
{
    struct step *s = step(OP_OPEN);
    s->slot = slot;
    s->opts = ALL_OPTS;
    s->arg = MSS_1460 | 7 << 4;
    s->wnd = WIN;
    return s;
}

static void app(uint8_t call, uint16_t len)
{
    struct step *s = step(OP_APP);
    s->flags = call;
    s->len = len;
}

static void app_option(uint8_t which, uint16_t value, uint8_t more)
{
    app(APP_OPTION, value);
    prog[n_steps - 1].arg = which;
    prog[n_steps - 1].arg2 = more;
}

static void shut(uint8_t how)
{
    app(APP_SHUT, 0);
    prog[n_steps - 1].arg = how;
}

static void ms(uint16_t n)
{
    struct step *s = step(OP_TIME);
    s->len = n;
    s->arg = 10; /* times 1.024 */
}

static void minutes(uint8_t n)
{
    while (n-- > 0)
        ms(60000);
}

/* Bytes in the place of steps. */
static void bytes(const void *b, size_t n)
{
    for (size_t at = 0; at < n; at += STEP_BYTES)
        memcpy(step(0), (const uint8_t *)b + at, n - at < STEP_BYTES ? n - at : STEP_BYTES);
}

static void options(uint8_t flags, const void *b, uint8_t n)
{
    struct step *s = seg(flags, 10);
    s->op = OP_SEG_OPTS;
    s->base = (flags & TCP_SYN) ? SEQ_ISN : SEQ_NEXT;
    s->arg2 = n;
    bytes(b, n);
}

static struct step *arm(uint8_t what, uint16_t events)
{
    struct step *s = step(OP_ARM);
    s->flags = what;
    s->wnd = events;
    return s;
}

static struct step *mon(uint8_t what)
{
    struct step *s = step(OP_MON);
    s->flags = what;
    return s;
}

static void starve(uint8_t what, uint8_t n, uint16_t len)
{
    struct step *s = step(OP_STARVE);
    s->flags = what;
    s->arg = n;
    s->len = len;
}

/* ---- headers --------------------------------------------------------------------------------- */

static void seed_options(void)
{
    static const uint8_t odd[][20] = {
        {3, 0, 0, 0},              /* length 0 */
        {2, 1, 5, 180},            /* length 1 */
        {8, 40, 1, 1, 1, 1, 1, 1}, /* beyond the header */
        {2, 3, 5, 1},              /* MSS, short */
        {3, 4, 7, 1},              /* window scale, long */
        {3, 3, 200, 0},            /* too large a scale */
        {8, 9, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1},
        {5, 9, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1},    /* half a SACK block */
        {5, 2, 1, 1},                            /* none */
        {1, 1, 1, 1, 1, 1, 1, 0, 2, 4, 5, 180},  /* the end, and then more */
        {99, 6, 1, 2, 3, 4, 2, 4, 5, 180, 0, 2}, /* unknown */
        {1, 1, 1, 2},                            /* a kind without a length */
        {8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0}, /* twice */
    };
    char name[64];
    for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        options(TCP_SYN, odd[i], 20);
        seg(A, 100);
        app(APP_WRITE, 500);
        options(A, odd[i], i % 2 ? 20 : 4);
        seg(A, 0);
        snprintf(name, sizeof(name), "options_%02u", i);
        save(name);
    }
}

/* One byte of the headers lies: at, value; from the start of the IP header. */
static void seed_headers(void)
{
    static const uint8_t lies[][2] = {
        {0, 0x44},  {0, 0x4f},  {0, 0x65}, {2, 0xff},  {3, 19}, {3, 39}, {3, 41},
        {6, 0x20},  {6, 0x3f},  {8, 0},    {9, 17},    {9, 1},  {12, 0}, {12, 224},
        {12, 127},  {15, 1},    {16, 224}, {19, 255},  {20, 0}, {22, 0}, {32, 0},
        {32, 0x40}, {32, 0xf0}, {33, 0},   {33, 0xff},
    };
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        if (i % 5 == 0)
            open_slot(0);
        struct step *s = seg(A | TCP_PSH, i % 3 ? 100 : 0);
        s->op = OP_SEG_PATCH;
        s->arg = lies[i][0];
        s->arg2 = lies[i][1];
        if (i % 5 == 4) {
            char name[64];
            seg(A, 100)->slot = STEP_BAD_SUM;
            seg(A, 100)->slot = STEP_CSUM_OK;
            snprintf(name, sizeof(name), "headers_%u", i / 5);
            save(name);
        }
    }
    static const uint8_t frame[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 8, 0, 0x45, 0, 0, 40};
    for (unsigned n = 0; n < 4; n++) {
        struct step *s = step(OP_RAW);
        s->len = (uint16_t)(n * 6);
        s->flags = (uint8_t)n;
        bytes(frame, s->len);
    }
    save("frames");
}

/* ---- handshakes ------------------------------------------------------------------------------ */

static void seed_mss(void)
{
    char name[64];
    for (uint8_t i = 0; i < 16; i = (uint8_t)(i + (i < 4 ? 1 : 3))) {
        struct step *s = open_slot(0);
        s->arg = i;
        s->opts = i % 2 ? OPT_MSS : OPT_MSS | OPT_TS | OPT_SACK_OK;
        app(APP_WRITE, 3000);
        seg(A, 0);
        ms(300);
        seg(A, 0);
        snprintf(name, sizeof(name), "mss_%u", i);
        save(name);
    }
    open_slot(0)->opts = 0;
    app(APP_WRITE, 3000);
    seg(A, 1000)->opts = 0;
    save("mss_missing");
}

static void seed_syns(void)
{
    syn(ALL_OPTS)->len = 100; /* data beside the SYN */
    syn(ALL_OPTS);
    syn(ALL_OPTS)->seq = 5;
    seg(A, 10)->ack = 1;
    seg(TCP_RST, 0)->seq = 1;
    seg(A, 10);
    save("syn_again");
    syn(ALL_OPTS);
    seg(TCP_RST, 0);
    syn(OPT_MSS)->flags = TCP_SYN | TCP_ECE | TCP_CWR;
    seg(A, 0);
    syn(ALL_OPTS); /* in ESTABLISHED */
    syn(ALL_OPTS)->base = SEQ_NEXT;
    syn(ALL_OPTS)->flags = TCP_SYN | A;
    save("syn_rst");
    syn(ALL_OPTS)->flags = TCP_SYN | TCP_FIN;
    syn(ALL_OPTS)->flags = TCP_SYN | TCP_RST;
    syn(ALL_OPTS)->flags = TCP_SYN | A;
    syn(ALL_OPTS)->flags = 0;
    syn(ALL_OPTS)->flags = 0xff;
    save("syn_odd_flags");
    syn(ALL_OPTS);
    minutes(3); /* SYN-ACKs go unanswered */
    seg(A, 0);
    save("syn_ack_lost");
    head.conf = CONF_BACKLOG_1;
    app(APP_PAUSE_ACCEPT, 0);
    for (uint8_t i = 0; i < 4; i++)
        open_slot(i);
    ms(2000);
    app(APP_RELISTEN, 0);
    prog[n_steps - 1].arg = 1;
    open_slot(1);
    save("backlog");
    syn(ALL_OPTS);
    seg(A | TCP_FIN, 100);
    save("data_and_fin_with_ack");
    head.conf = CONF_LARGE;
    open_slot(0)->arg = MSS_1460 | 14 << 4;
    for (int16_t i = 0; i < 60; i++)
        data_at(0, 1400);
    app(APP_READ_ALL, 0);
    save("scaled");
}

static void connect_to(void)
{
    struct step *s = step(OP_APP);
    s->flags = APP_CONNECT;
    s->slot = SLOTS_PASSIVE;
}

static struct step *active(struct step *s)
{
    s->slot |= SLOTS_PASSIVE;
    return s;
}

static void seed_active(void)
{
    open_slot(SLOTS_PASSIVE)->len = 100;
    active(data_at(0, 500));
    struct step *s = step(OP_APP);
    s->slot = SLOTS_PASSIVE;
    s->flags = APP_WRITE;
    s->len = 5000;
    active(seg(A, 0));
    active(seg(A | TCP_FIN, 0));
    save("active");
    connect_to();
    active(seg(TCP_RST | A, 0))->base = SEQ_ISN;
    connect_to();
    active(seg(TCP_RST, 0));
    active(syn(ALL_OPTS))->flags = TCP_SYN | A;
    prog[n_steps - 1].ack = 7; /* acknowledges what was not sent: RST */
    active(seg(A, 0))->ack = -3;
    active(syn(ALL_OPTS))->flags = TCP_SYN | A | TCP_FIN;
    save("active_refused");
    connect_to();
    active(syn(ALL_OPTS)); /* both at once */
    active(syn(ALL_OPTS))->flags = TCP_SYN | A;
    active(data_at(0, 100));
    active(seg(A | TCP_FIN, 0));
    save("simultaneous_open");
    connect_to();
    active(syn(ALL_OPTS))->len = 50;
    ms(1500);
    active(seg(A, 10));
    save("simultaneous_open_data");
    connect_to();
    minutes(4);
    save("active_timeout");
    connect_to();
    s = step(OP_ICMP);
    s->slot = SLOTS_PASSIVE;
    s->opts = 3;
    s->base = ACK_ISS << 4;
    save("active_unreachable");
    connect_to();
    s = active(syn(ALL_OPTS));
    s->flags = TCP_SYN | A;
    s->len = 700; /* data beside the SYN-ACK */
    s = step(OP_APP);
    s->slot = SLOTS_PASSIVE;
    s->flags = APP_CLOSE;
    save("active_syn_ack_data");
}

/* ---- data ------------------------------------------------------------------------------------ */

static void seed_data(void)
{
    open_slot(0);
    for (unsigned i = 0; i < 10; i++)
        data_at(0, 1000);
    app(APP_READ, 3000);
    app(APP_PEEK, 3000);
    app(APP_READV, 3001);
    app(APP_READ_ALL, 0);
    save("in_order");
    open_slot(0);
    for (int16_t i = 90; i > 0; i--) /* one byte each, descending, with holes: too many ranges */
        data_at((int16_t)(2 * i), 1)->slot = i % 8 ? STEP_BURST : 0;
    data_at(0, 200);
    app(APP_READ_ALL, 0);
    save("bytes_descending");
    open_slot(0);
    data_at(1000, 500);
    data_at(3000, 500);
    data_at(800, 2500)->arg = 1; /* covers both, and differs */
    data_at(-200, 700)->arg = 2;
    data_at(0, 1000)->arg = 3;
    data_at(-1000, 1400)->arg = 4;
    app(APP_READ_ALL, 0);
    save("overlaps_first");
    head.monitors |= MON_LAST_SVR;
    open_slot(0);
    data_at(1000, 500);
    data_at(3000, 500);
    data_at(800, 2500)->arg = 1;
    data_at(900, 100)->arg = 5;
    data_at(0, 1000)->arg = 3;
    data_at(-1000, 1400)->arg = 4;
    app(APP_READ_ALL, 0);
    save("overlaps_last");
    open_slot(0);
    data_at(500, 100);
    struct step *s = mon(ACT_POLICY);
    s->arg = 3;
    data_at(400, 300)->arg = 1;
    mon(ACT_POLICY)->arg = 1;
    data_at(300, 500)->arg = 2;
    data_at(0, 350);
    app(APP_READ_ALL, 0);
    save("overlaps_policy_changes");
    head.conf = CONF_TINY;
    head.history = 10;
    open_slot(0);
    for (unsigned i = 0; i < 12; i++) {
        data_at(0, 1000);
        if (i % 3 == 2)
            app(APP_READ, 2500);
    }
    s = seg(A, 100);
    s->base = SEQ_EDGE;
    s->seq = -50;
    seg(A, 1)->base = SEQ_EDGE; /* a probe of the zero window */
    app(APP_READ_ALL, 0);
    save("window_full");
    open_slot(0);
    data_at(100, 100);
    seg(A, 100)->opts = OPT_TS | OPT_TS_OLD;
    prog[n_steps - 1].arg2 = 9;
    seg(A, 100)->opts = 0; /* no timestamp after they were agreed */
    seg(A, 100)->opts = OPT_TS | OPT_URG;
    seg(A | TCP_URG | TCP_ECE | TCP_CWR, 100);
    seg(A, 100)->opts = OPT_TS | OPT_TS_ECR;
    save("timestamps_urgent");
}

static void seed_sack(void)
{
    char name[64];
    for (uint8_t kind = 0; kind <= SACK_DSACK; kind++) {
        open_slot(0);
        app(APP_WRITE, 8192);
        app(APP_WRITE, 8192);
        for (uint8_t i = 0; i < 4; i++) {
            struct step *s = seg(A, 0);
            s->base = (uint8_t)(SEQ_NEXT | (i == 3 ? ACK_HALF : ACK_UNA) << 4);
            s->opts = OPT_SACK | (kind % 2 ? OPT_TS : 0);
            s->arg2 = (uint8_t)(i % 4 | kind << 2 | (i % 2 ? 4 : 3) << 5);
        }
        ms(20);
        ms(500);
        struct step *s = seg(A, 0); /* reneged: no block any more */
        s->base = SEQ_NEXT | ACK_UNA << 4;
        ms(1000);
        seg(A, 0);
        snprintf(name, sizeof(name), "sack_%u", kind);
        save(name);
    }
}

static void seed_acks(void)
{
    open_slot(0);
    app(APP_WRITE_MUCH, 0);
    minutes(3);
    save("never_acked");
    open_slot(0);
    app(APP_WRITE, 3000);
    for (int16_t i = 1; i < 20; i++) {
        struct step *s = seg(A, 0);
        s->base = SEQ_NEXT | ACK_UNA << 4;
        s->ack = 1;
    }
    save("acked_by_bytes");
    open_slot(0);
    for (unsigned i = 0; i < 12; i++) {
        app(APP_WRITE, 4000);
        seg(A, 0);
        step(OP_AGAIN);
    }
    save("acked_twice");
    head.conf = CONF_NO_SACK | CONF_NO_TS | CONF_NEWRENO;
    open_slot(0)->opts = OPT_MSS;
    for (unsigned i = 0; i < 3; i++) {
        app(APP_WRITE, 8192);
        for (unsigned k = 0; k < 4; k++)
            seg(A, 0)->base = SEQ_NEXT | ACK_UNA << 4;
        seg(A, 0)->base = SEQ_NEXT | ACK_HALF << 4;
    }
    ms(3000);
    save("newreno");
    open_slot(0);
    app(APP_WRITE, 8192);
    seg(A, 0)->ack = 100; /* not sent yet */
    seg(A, 0)->ack = -30000;
    seg(A, 0)->base = SEQ_NEXT | ACK_ZERO << 4;
    seg(A, 10)->base = SEQ_ZERO | ACK_ZERO << 4;
    seg(A, 10)->seq = 30000;
    seg(A, 10)->seq = -30000;
    seg(0, 10);
    save("acks_outside");
    open_slot(0);
    app(APP_WRITE, 8192);
    struct step *s = seg(A, 0); /* shrunk below what was sent */
    s->base = SEQ_NEXT | ACK_HALF << 4;
    s->wnd = 0;
    ms(2000);
    seg(A, 0)->wnd = 1;
    ms(2000);
    seg(A, 0)->wnd = 0;
    minutes(3);
    seg(A, 0);
    save("window_shrinks");
    open_slot(0)->wnd = 0;
    app(APP_WRITE, 5000);
    minutes(2); /* the update is lost */
    seg(A, 0)->wnd = 10;
    ms(5000);
    seg(A, 0);
    save("window_zero");
    open_slot(0);
    for (unsigned i = 0; i < 20; i++) {
        app(APP_WRITE_MUCH, 0);
        seg(A, 0);
        ms(20);
    }
    save("many_acks");
}

/* ---- the end --------------------------------------------------------------------------------- */

static void seed_resets(void)
{
    static const int16_t at[] = {0, 1, 500, -1, 32000};
    for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        char name[64];
        open_slot(0);
        data_at(0, 100);
        seg(TCP_RST, 0)->seq = at[i];
        seg(TCP_RST | A, 100)->seq = at[i];
        ms(600);
        seg(TCP_RST, 0)->seq = at[i];
        app(APP_READ_ALL, 0);
        snprintf(name, sizeof(name), "reset_%u", i);
        save(name);
    }
    app(APP_PAUSE_ACCEPT, 0);
    open_slot(0);
    data_at(0, 100);
    seg(TCP_RST, 0);
    app(APP_PAUSE_ACCEPT, 0);
    prog[n_steps - 1].arg = 1;
    ms(1);
    app(APP_READ_ALL, 0);
    save("reset_before_accept");
}

static void seed_fins(void)
{
    open_slot(0);
    seg(A | TCP_FIN, 100)->seq = 300; /* out of order */
    data_at(0, 200);
    seg(A | TCP_FIN, 50)->seq = 200; /* contradicts */
    data_at(0, 500);
    data_at(0, 100); /* beyond the FIN */
    app(APP_READ_ALL, 0);
    app(APP_CLOSE, 0);
    save("fin_out_of_order");
    open_slot(0);
    app(APP_WRITE, 5000);
    shut(1);
    seg(A, 0)->base = SEQ_NEXT | ACK_HALF << 4;
    data_at(0, 1000); /* half closed: data goes on */
    seg(A, 1000);
    app(APP_READ_ALL, 0);
    seg(A | TCP_FIN, 0);
    seg(A | TCP_FIN, 0)->base = SEQ_LAST; /* in TIME_WAIT */
    app(APP_CLOSE, 0);
    seg(A | TCP_FIN, 0)->base = SEQ_LAST;
    seg(TCP_RST, 0);
    data_at(0, 10);
    minutes(2);
    save("half_close");
    open_slot(0);
    seg(A | TCP_FIN, 100);
    app(APP_WRITE, 3000); /* CLOSE_WAIT */
    app(APP_READ_ALL, 0);
    app(APP_CLOSE, 0);
    ms(1000); /* the FIN is lost */
    seg(A, 0)->base = SEQ_NEXT | ACK_HALF << 4;
    ms(3000);
    seg(A, 0);
    save("close_wait_last_ack");
    open_slot(0);
    app(APP_CLOSE, 0);
    seg(A | TCP_FIN, 0)->base = SEQ_NEXT | ACK_UNA << 4; /* both at once */
    ms(700);
    seg(A | TCP_FIN, 0)->base = SEQ_LAST | ACK_UNA << 4;
    seg(A, 0);
    seg(A | TCP_FIN, 0)->base = SEQ_LAST;
    save("simultaneous_close");
    open_slot(0);
    data_at(0, 100);
    app(APP_CLOSE, 0); /* with unread data: RST */
    seg(A, 0);
    open_slot(1);
    prog[n_steps] = (struct step){.op = OP_APP, .slot = 1, .flags = APP_CLOSE};
    n_steps++;
    seg(A, 0)->slot = 1;
    data_at(0, 100)->slot = 1; /* for nobody */
    open_slot(2);
    prog[n_steps] = (struct step){.op = OP_APP, .slot = 2, .flags = APP_ABORT};
    n_steps++;
    save("closed_with_data");
    open_slot(0);
    app(APP_CLOSE, 0);
    seg(A, 0);
    minutes(2); /* FIN_WAIT_2 ends by itself */
    save("fin_wait_2");
    open_slot(0);
    app_option(3, 2, 3); /* SO_LINGER, 2 s */
    app(APP_WRITE, 3000);
    app(APP_CLOSE, 0);
    open_slot(0);
    app_option(3, 0, 1); /* 0 s: RST */
    app(APP_CLOSE, 0);
    save("linger");
    open_slot(0);
    shut(0);
    data_at(0, 500);
    seg(A | TCP_FIN, 10);
    app(APP_READ_ALL, 0);
    save("shut_rd");
}

static void to_time_wait(uint8_t opts)
{
    open_slot(0)->opts = opts;
    app(APP_CLOSE, 0);
    seg(A, 0)->opts = opts & OPT_TS;
    seg(A | TCP_FIN, 0)->opts = opts & OPT_TS;
}

static void seed_time_wait(void)
{
    for (unsigned mons = 0; mons < 4; mons += 3) {
        char name[64];
        head.monitors = (uint8_t)mons;
        to_time_wait(ALL_OPTS);
        ms(1500);
        syn(ALL_OPTS); /* reuses the tuple by its timestamp */
        seg(A, 100);
        app(APP_READ_ALL, 0);
        snprintf(name, sizeof(name), "time_wait_syn_%u", mons);
        save(name);
        head.monitors = (uint8_t)mons;
        to_time_wait(OPT_MSS);
        syn(OPT_MSS);                   /* not newer: no */
        syn(OPT_MSS)->base = SEQ_AFTER; /* newer by its number */
        prog[n_steps - 1].seq = 1000;
        seg(A, 100)->opts = 0;
        snprintf(name, sizeof(name), "time_wait_syn_number_%u", mons);
        save(name);
        head.monitors = (uint8_t)mons;
        to_time_wait(ALL_OPTS);
        seg(TCP_RST, 0);
        seg(A, 100);
        seg(A | TCP_FIN, 0)->base = SEQ_LAST;
        seg(A, 0)->seq = 30000;
        syn(ALL_OPTS)->opts |= OPT_TS_OLD;
        minutes(2);
        seg(A, 0);
        snprintf(name, sizeof(name), "time_wait_segments_%u", mons);
        save(name);
    }
    open_slot(SLOTS_PASSIVE);
    struct step *s = step(OP_APP);
    *s = (struct step){.op = OP_APP, .slot = SLOTS_PASSIVE, .flags = APP_CLOSE};
    active(seg(A, 0));
    active(seg(A | TCP_FIN, 0));
    ms(2000);
    open_slot(SLOTS_PASSIVE);
    save("time_wait_active");
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void seed_icmp(void)
{
    open_slot(0);
    app(APP_WRITE, 8000);
    for (uint8_t code = 0; code < 16; code++) {
        struct step *s = step(OP_ICMP);
        s->opts = code;
        s->wnd = code % 2 ? 1000 : 68;
        s->base = ACK_UNA << 4;
        s->ack = code % 3 ? 0 : 20000;
        s->arg = code % 5 == 4;
    }
    step(OP_ICMP)->arg = 4; /* echo */
    ms(1000);
    for (uint8_t i = 0; i < 4; i++) {
        struct step *s = step(OP_ARP);
        s->flags = (uint8_t)(i | (i << 4));
        s->arg = i;
        s->arg2 = i;
    }
    seg(A, 0);
    step(OP_AGAIN)->flags = 128; /* its own frame comes back */
    save("icmp_arp");
}

static void seed_limits(void)
{
    open_slot(0);
    starve(STARVE_PKTS, 3, 0);
    data_at(0, 100);
    app(APP_WRITE, 4000);
    ms(500);
    starve(STARVE_TX, 5, 0);
    app(APP_WRITE, 4000);
    ms(500);
    starve(STARVE_MEM, 0, 100);
    data_at(0, 1000);
    app(APP_WRITE, 4000);
    open_slot(1);
    connect_to();
    ms(100);
    starve(STARVE_END, 0, 0);
    ms(1000);
    data_at(0, 1000);
    app(APP_READ_ALL, 0);
    save("shortages");
    open_slot(0);
    app_option(2, 1, 0);
    app_option(8, 1, 0);
    app_option(9, 1, 0);
    app_option(10, 3, 0);
    ms(1500);
    seg(A, 0);
    ms(20000); /* keepalive ends it */
    save("keepalive");
    open_slot(0);
    app_option(11, 2000, 0);
    app(APP_WRITE, 4000);
    ms(30000); /* user timeout */
    save("user_timeout");
    for (uint8_t i = 0; i < 15; i++) {
        if (i == 0)
            open_slot(0);
        app_option(i, 3000, 1);
        app(APP_WRITE, 700);
        app_option(i, 0, 0);
        data_at(0, 300);
    }
    app(APP_INFO, 0);
    app(APP_READ_ALL, 0);
    save("socket_options");
    open_slot(0);
    open_slot(1);
    open_slot(2);
    for (uint8_t i = 0; i < 12; i++)
        data_at(i % 2 ? 0 : 300, 300)->slot = i % 3;
    step(OP_JUMP)->arg = 20;
    save("three_connections");
}

/* Every act of a monitor, inside callbacks of each kind, and outside. */
static void seed_acts(void)
{
    static const uint16_t events[] = {0x1, 0x4, 0x80, 0x10, 0x20, 0x200, 0x400};
    for (uint8_t what = 0; what < ACT_N; what++) {
        char name[64];
        for (uint8_t i = 0; i < 7; i++) {
            struct step *s = arm(what, events[i]);
            s->arg = (uint8_t)(i + what);
            s->arg2 = i;
            s->len = (uint16_t)(i * 100);
            s->seq = (int16_t)(i * 50);
            s->slot = i % 3;
            open_slot(i % 3);
            data_at(200, 100)->slot = i % 3;
            data_at(0, 300)->slot = i % 3;
            prog[n_steps] =
                (struct step){.op = OP_APP, .slot = i % 3, .flags = APP_WRITE, .len = 900};
            n_steps++;
            data_at(-100, 200)->slot = i % 3;
            *mon(what) = (struct step){.op = OP_MON,
                                       .slot = i % 3,
                                       .flags = what,
                                       .arg = i,
                                       .arg2 = i,
                                       .len = i,
                                       .wnd = (i == 6 ? 5 : 0)};
            if (i % 2)
                seg(A | TCP_FIN, 0)->slot = i % 3;
            prog[n_steps] = (struct step){.op = OP_APP, .slot = i % 3, .flags = APP_CLOSE};
            n_steps++;
            seg(TCP_RST, 0)->slot = i % 3;
        }
        snprintf(name, sizeof(name), "act_%02u", what);
        save(name);
    }
}

/* ---- IPv6, fragments, ECN, SYN cookies ------------------------------------------------------- */

/* Both families side by side: slots 1 and 5 speak IPv6. */
static void v6_begin(void)
{
    head.conf2 = CONF2_V6;
    open_slot(0);
    open_slot(1);
}

static struct step *in_slot(struct step *s, uint8_t slot)
{
    s->slot = slot;
    return s;
}

static void seed_v6(void)
{
    v6_begin();
    in_slot(data_at(0, 1000), 1);
    in_slot(data_at(500, 300), 1);
    in_slot(data_at(0, 500), 1);
    prog[n_steps++] = (struct step){.op = OP_APP, .slot = 1, .flags = APP_WRITE, .len = 4000};
    in_slot(step(OP_ICMP), 1)->wnd = 1280; /* packet too big */
    in_slot(seg(A | TCP_FIN, 0), 1);
    save("v6_data");
    head.conf2 = CONF2_V6;
    open_slot(5);
    in_slot(data_at(0, 1000), 5);
    in_slot(seg(A | TCP_FIN, 0), 5);
    save("v6_active");
    for (uint8_t type = 0; type < 4; type++) {
        v6_begin();
        struct step *s = step(OP_ARP);
        s->opts = 1;
        s->arg = (uint8_t)(type << 4 | 14);
        s->len = 60;
        if (type == 1) { /* a router's: hop limit, lifetime, times; a prefix */
            static const uint8_t advert[48] = {64, 0, 7, 8, [12] = 3, 4, 64,          0xc0, 0, 0,
                                               2,  0, 0, 0, 1,        0, [28] = 0xfd, 0,    0, 7};
            memcpy(&prog[n_steps], advert, sizeof(advert));
            n_steps += sizeof(advert) / STEP_BYTES;
        }
        in_slot(data_at(0, 1000), 1);
        minutes(1);
        in_slot(data_at(0, 1000), 1);
        char name[32];
        snprintf(name, sizeof(name), "v6_ndp_%u", type);
        save(name);
    }
}

static void seed_fragments(void)
{
    for (uint8_t kind = 0; kind < 8; kind++) {
        char name[32];
        v6_begin();
        for (uint8_t i = 0; i < 4; i++) {
            struct step *s = in_slot(data_at(0, 700), i & 1);
            s->op = OP_SEG_FRAG;
            s->arg = i / 2;
            s->arg2 = (uint8_t)(kind << 5 | i * 7);
        }
        minutes(2);
        in_slot(data_at(0, 700), 1);
        snprintf(name, sizeof(name), "fragments_%u", kind);
        save(name);
    }
}

static void seed_marks(void)
{
    head.conf2 = CONF2_ECN;
    syn(ALL_OPTS)->flags = TCP_SYN | TCP_ECE | TCP_CWR;
    seg(A, 0);
    data_at(0, 1000)->slot = STEP_CE;
    app(APP_WRITE, 4000);
    seg(A | TCP_ECE, 0);
    data_at(0, 1000)->flags = A | TCP_CWR;
    save("ecn");
    for (uint8_t i = 0; i < 3; i++) {
        char name[32];
        head.conf2 = (uint8_t[]){CONF2_COOKIES, CONF2_COOKIES | CONF2_V6, CONF2_FEW_HALF_OPEN}[i];
        for (uint8_t slot = 0; slot < SLOTS_PASSIVE; slot++)
            in_slot(syn(slot & 1 ? ALL_OPTS : OPT_MSS), slot);
        for (uint8_t slot = 0; slot < SLOTS_PASSIVE; slot++)
            in_slot(data_at(0, 500), slot);
        in_slot(seg(A | TCP_FIN, 0), 3);
        snprintf(name, sizeof(name), "cookies_%u", i);
        save(name);
    }
}

static void seed_fastopen(void)
{
    head.conf2 = CONF2_FASTOPEN;
    syn(ALL_OPTS)->len = 500;
    app(APP_READ_ALL, 0);
    app(APP_WRITE, 3000);
    seg(A, 0);
    data_at(0, 500);
    seg(A | TCP_FIN, 0);
    save("fastopen_passive");
    head.conf2 = CONF2_FASTOPEN;
    prog[n_steps++] = (struct step){.op = OP_APP, .slot = 4, .flags = APP_CONNECT};
    prog[n_steps++] = (struct step){.op = OP_APP, .slot = 4, .flags = APP_WRITE, .len = 400};
    struct step *s = in_slot(syn(ALL_OPTS), 4);
    s->flags = TCP_SYN | A;
    in_slot(data_at(0, 500), 4);
    prog[n_steps++] = (struct step){.op = OP_APP, .slot = 4, .flags = APP_WRITE, .len = 4000};
    in_slot(seg(A, 0), 4);
    save("fastopen_active");
}

/* A connection that has carried something and dozes. */
static void doze(void)
{
    head.monitors = 0;
    head.conf2 = CONF2_DOZE;
    open_slot(0);
    data_at(0, 100);
    app(APP_READ_ALL, 0);
    app(APP_WRITE, 100);
    seg(A, 0);
    ms(300);
}

static void seed_doze(void)
{
    static const uint8_t calls[] = {APP_READ, APP_WRITE, APP_PEEK, APP_CLOSE, APP_ABORT, APP_INFO};
    char name[32];
    for (uint8_t i = 0; i < sizeof(calls); i++) {
        doze();
        app(calls[i], 100);
        ms(300);
        data_at(0, 100);
        app(APP_READ_ALL, 0);
        ms(300);
        seg(A | TCP_FIN, 0);
        snprintf(name, sizeof(name), "doze_call_%u", i);
        save(name);
        doze();
        starve(STARVE_MEM, 0, 0);
        app(calls[i], 100);
        data_at(0, 100);
        ms(300);
        starve(STARVE_END, 0, 0);
        data_at(0, 100);
        snprintf(name, sizeof(name), "doze_poor_%u", i);
        save(name);
    }
    doze();
    shut(1);
    ms(300);
    seg(A | TCP_FIN, 0);
    save("doze_shut");
    doze();
    app_option(2, 1, 0);
    minutes(240);
    data_at(0, 100);
    save("doze_keepalive");
    doze();
    data_at(-50, 100);
    ms(300);
    data_at(1000, 100);
    ms(300);
    seg(A | TCP_RST, 0);
    save("doze_odd_segments");
    doze();
    step(OP_ICMP)->wnd = 68;
    syn(ALL_OPTS);
    ms(300);
    app(APP_WRITE, 8000);
    save("doze_icmp");
}

/* What is lent goes out, is acknowledged in parts, sent again, or dropped with its connection. */
static void seed_lend(void)
{
    static const uint8_t ends[] = {APP_CLOSE, APP_ABORT, APP_INFO};
    char name[32];
    for (uint8_t i = 0; i < sizeof(ends); i++) {
        head.monitors = 0;
        head.conf = CONF_LARGE;
        open_slot(0);
        app(APP_LEND, 20000);
        app(APP_WRITE, 300);
        app(APP_LEND, 60000);
        seg(A, 0);
        ms(3000);
        seg(A, 0);
        app(APP_LEND, 17000);
        app(ends[i], 0);
        ms(1000);
        seg(A, 0);
        if (i == 2)
            seg(A | TCP_RST, 0);
        snprintf(name, sizeof(name), "lend_%u", i);
        save(name);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: seed_stack FOLDER\n");
        return 2;
    }
    folder = argv[1];
    head.monitors = 3;
    seed_options();
    seed_headers();
    seed_mss();
    seed_syns();
    seed_active();
    seed_data();
    seed_sack();
    seed_acks();
    seed_resets();
    seed_fins();
    seed_time_wait();
    seed_icmp();
    seed_limits();
    seed_acts();
    seed_v6();
    seed_fragments();
    seed_marks();
    seed_fastopen();
    seed_doze();
    seed_lend();
    return n_failed ? 1 : 0;
}
