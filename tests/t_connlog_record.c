/*
 * The states and histories of connections, each written as the segments of both hosts. Numbers
 * count payload bytes from 0; the initial sequence numbers lie just below 2^32.
 */
#include "tests/test.h"

#include "apps/connlog/record.h"

#include <stdio.h>
#include <string.h>

#define ISN_ORIG 0xfffffff0u
#define ISN_RESP 0xffffff00u

static struct record r;
static uint32_t now_us;

static void begin(void)
{
    record_free(&r);
    now_us = 0xfffffffeu;
    record_init(&r, now_us);
}

static uint8_t flags_of(const char *text)
{
    static const char letters[] = "FSR.A";
    uint8_t flags = 0;

    for (; *text; text++)
        flags |= (uint8_t)(1u << (strchr(letters, *text) - letters));
    return flags;
}

/* A segment: flags as letters, payload [off, off + len), acknowledging to `ack`; a SYN is at -1. */
static void step(enum record_who who, const char *flags, int64_t off, uint32_t len, int64_t ack,
                 uint16_t wnd)
{
    uint32_t isn[] = {ISN_ORIG, ISN_RESP};
    struct segment s = {.at_us = ++now_us,
                        .seq = isn[who] + 1 + (uint32_t)off,
                        .ack = isn[!who] + 1 + (uint32_t)ack,
                        .len = len,
                        .ip_len = 40 + len,
                        .wnd = wnd,
                        .flags = flags_of(flags)};
    record_segment(&r, who, &s);
}

static void orig(const char *flags, int64_t off, uint32_t len, int64_t ack)
{
    step(ORIGINATOR, flags, off, len, ack, 1000);
}

static void resp(const char *flags, int64_t off, uint32_t len, int64_t ack)
{
    step(RESPONDER, flags, off, len, ack, 1000);
}

static void handshake(void)
{
    begin();
    orig("S", -1, 0, 0);
    resp("SA", -1, 0, 0);
    orig("A", 0, 0, 0);
}

static void expect(const char *state, const char *history)
{
    CU_ASSERT_STRING_EQUAL(record_state(&r), state);
    CU_ASSERT_STRING_EQUAL(r.history, history);
    if (strcmp(record_state(&r), state) != 0 || strcmp(r.history, history) != 0)
        fprintf(stderr, "\n%s %s, expected %s %s\n", record_state(&r), r.history, state, history);
}

static void expect_bytes(uint64_t of_orig, uint64_t of_resp, uint64_t missed)
{
    EXPECT_EQ(record_bytes(&r, ORIGINATOR), of_orig);
    EXPECT_EQ(record_bytes(&r, RESPONDER), of_resp);
    EXPECT_EQ(r.missed, missed);
}

/* ---- states ---- */

static void sf(void)
{
    handshake();
    orig("A", 0, 100, 0);
    resp("A", 0, 5000, 100);
    orig("FA", 100, 0, 5000);
    resp("FA", 5000, 0, 101);
    uint32_t last = now_us;
    orig("A", 101, 0, 5001);
    expect("SF", "ShADdFf");
    expect_bytes(100, 5000, 0);
    EXPECT_EQ(r.last_us, last); /* the last ACK is not part of the duration */
    EXPECT_EQ(r.host[ORIGINATOR].n_pkts, 5);
    EXPECT_EQ(r.host[ORIGINATOR].n_ip_bytes, 5 * 40 + 100);
    EXPECT_EQ(r.host[RESPONDER].n_pkts, 3);
    EXPECT_EQ(r.host[RESPONDER].n_ip_bytes, 3 * 40 + 5000);
}

static void s0(void)
{
    begin();
    orig("S", -1, 0, 0);
    expect("S0", "S");
    orig("S", -1, 0, 0); /* again, with the number that it had */
    expect("S0", "S");
    EXPECT_EQ(r.host[ORIGINATOR].n_pkts, 2);
}

static void s1_s2_s3(void)
{
    handshake();
    expect("S1", "ShA");
    orig("FA", 0, 0, 0);
    expect("S2", "ShAF");
    handshake();
    resp("FA", 0, 10, 0); /* its payload is no D */
    expect("S3", "ShAf");
    expect_bytes(0, 10, 0);
}

static void rej(void)
{
    begin();
    orig("S", -1, 0, 0);
    resp("RA", 0, 0, 0);
    expect("REJ", "Sr");
    /* Both reset, and not a byte was sent. */
    handshake();
    orig("RA", 0, 0, 0);
    expect("RSTO", "ShAR");
    resp("R", 0, 0, 0);
    expect("REJ", "ShARr");
}

static void rsto_rstr(void)
{
    handshake();
    orig("A", 0, 10, 0);
    orig("R", 10, 0, 0);
    expect("RSTO", "ShADR");
    handshake();
    orig("A", 0, 10, 0);
    resp("RA", 0, 0, 10);
    expect("RSTR", "ShADr");
    expect_bytes(10, 0, 0);
}

/* A RST behind a FIN is not the end that the host wished for, unless the other had its FIN too. */
static void rst_after_fin(void)
{
    handshake();
    orig("FA", 0, 10, 0);
    orig("R", 11, 0, 0);
    expect("RSTO", "ShAFR");
    resp("FA", 0, 0, 11);
    expect("SF", "ShAFRf");
    handshake();
    orig("FA", 0, 10, 0);
    resp("FA", 0, 0, 11);
    orig("R", 11, 0, 0);
    expect("SF", "ShAFfR");
}

static void rstos0(void)
{
    begin();
    orig("S", -1, 0, 0);
    orig("R", 0, 0, 0);
    expect("RSTOS0", "SR");
    /* With an ACK between it is something else. */
    begin();
    orig("S", -1, 0, 0);
    orig("A", 0, 0, 0);
    orig("R", 0, 0, 0);
    expect("OTH", "SAR");
}

static void rstrh_sh_shr(void)
{
    begin();
    resp("SA", -1, 0, 0);
    resp("R", 0, 0, 0);
    expect("RSTRH", "hr");
    begin();
    orig("S", -1, 0, 0);
    orig("FA", 0, 0, 0);
    expect("SH", "SF");
    begin();
    resp("SA", -1, 0, 0);
    resp("FA", 0, 0, 0);
    expect("SHR", "hf");
}

static void oth(void)
{
    begin();
    orig("A", 1000, 10, 500);
    resp("A", 500, 10, 1010);
    expect("OTH", "Dd");
    expect_bytes(10, 10, 0);
    orig("FA", 1010, 0, 510);
    resp("FA", 510, 0, 1011);
    expect("SF", "DdFf");
}

/* The SYN was missed, the SYN-ACK not. */
static void without_the_syn(void)
{
    begin();
    resp("SA", -1, 0, 0);
    orig("A", 0, 0, 0);
    orig("A", 0, 10, 0);
    expect("S1", "hAD");
}

/* Some servers acknowledge a SYN before they answer it. */
static void ack_before_syn_ack(void)
{
    begin();
    orig("S", -1, 0, 0);
    resp("A", 0, 0, 0);
    expect("S0", "Sa");
    resp("SA", -1, 0, 0);
    orig("A", 0, 0, 0);
    expect("S1", "SahA");
}

static void simultaneous_open(void)
{
    begin();
    orig("S", -1, 0, 0);
    resp("S", -1, 0, 0);
    orig("SA", -1, 0, 0);
    resp("SA", -1, 0, 0);
    expect("S1", "Ss");
}

/* ---- history ---- */

static void new_numbers_are_written_again(void)
{
    begin();
    orig("S", -1, 0, 0);
    orig("S", 99, 0, 0);
    orig("S", 99, 0, 0);
    expect("S0", "SS");
    handshake();
    orig("FA", 0, 0, 0);
    orig("FA", 0, 0, 0);
    orig("FA", 0, 7, 0); /* its number is that of the FIN, after the payload */
    expect("S2", "ShAFF");
}

static void once_each(void)
{
    handshake();
    for (uint32_t i = 0; i < 3; i++) {
        orig("A", i, 1, i);
        resp("A", i, 1, i + 1);
        orig("A", i + 1, 0, i + 1);
        resp("A", i + 1, 0, i + 1);
    }
    expect("S1", "ShADda");
}

static void odd_flags(void)
{
    begin();
    orig("SF", -1, 0, 0);
    orig("SR", -1, 0, 0);
    orig("FR", 0, 0, 0);
    orig("FR", 0, 0, 0);
    CU_ASSERT_STRING_EQUAL(r.history, "QI");
}

static void tens_are_counted(void)
{
    handshake();
    orig("A", 0, 10, 0);
    for (int i = 1; i <= 100; i++) {
        resp("A", 0, 5, 10);
        if (i == 1)
            expect("S1", "ShADd");
        if (i == 2)
            expect("S1", "ShADdt");
        if (i == 10)
            expect("S1", "ShADdt");
        if (i == 11)
            expect("S1", "ShADdtt");
    }
    expect("S1", "ShADdtt");
    resp("A", 0, 5, 10);
    expect("S1", "ShADdttt");
}

static void zero_windows(void)
{
    handshake();
    step(RESPONDER, "A", 0, 0, 0, 0);
    step(RESPONDER, "A", 0, 0, 0, 0);
    expect("S1", "ShAaw");
    orig("FA", 0, 0, 0);
    for (int i = 0; i < 20; i++)
        step(RESPONDER, "A", 0, 0, 1, 0); /* it has nothing more to receive */
    step(RESPONDER, "RA", 0, 0, 1, 0);
    expect("RSTR", "ShAawFr");
}

static void a_history_has_an_end(void)
{
    handshake();
    for (uint32_t i = 1; i < 300; i++)
        orig("FA", i, 0, 0);
    EXPECT_EQ(strlen(r.history), HISTORY_MAX);
}

/* ---- bytes ---- */

static void gaps(void)
{
    handshake();
    orig("A", 0, 100, 0);
    orig("A", 300, 100, 0);
    resp("A", 0, 0, 100);
    expect_bytes(400, 0, 0);
    resp("A", 0, 0, 400);
    expect("S1", "ShADaG");
    expect_bytes(400, 0, 200);
}

static void no_gap(void)
{
    /* A hole that was filled, and a FIN acknowledged. */
    handshake();
    orig("A", 100, 100, 0);
    orig("A", 0, 100, 0);
    orig("FA", 200, 0, 0);
    resp("FA", 0, 0, 201);
    orig("A", 201, 0, 1);
    expect("SF", "ShADTFf");
    expect_bytes(200, 0, 0);
    /* Captured were SYN and FIN only. */
    handshake();
    orig("FA", 3000000000u, 0, 2000);
    resp("FA", 2000, 0, 3000000001u);
    orig("A", 3000000001u, 0, 2001);
    CU_ASSERT_STRING_EQUAL(record_state(&r), "SF");
    expect_bytes(3000000000u, 2000, 0);
    /* A RST's numbers are its own. */
    handshake();
    orig("A", 0, 10, 0);
    resp("RA", 0, 0, 5000);
    expect_bytes(10, 0, 0);
}

static void far_numbers_do_not_count(void)
{
    handshake();
    orig("R", 1 << 21, 0, 0);
    expect_bytes(0, 0, 0);
    handshake();
    orig("R", 5, 0, 0);
    expect_bytes(5, 0, 0);
    orig("A", 500, 10, 0); /* nor what comes after a RST */
    expect_bytes(5, 0, 0);
}

static void more_than_4_gb(void)
{
    handshake();
    for (uint64_t at = 0; at < 5000000000u; at += 50000000)
        orig("A", (int64_t)at, 50000000, 0);
    expect_bytes(5000000000u, 0, 0);
    resp("A", 0, 0, 5000000000);
    expect_bytes(5000000000u, 0, 0);
}

/* An ACK says where its sender is, also one that is not shown. */
static void plain_ack_beyond_a_gap(void)
{
    struct record_plain plain[2] = {
        [RESPONDER] = {.packets = 1, .next_seq = ISN_RESP + 1 + 1000, .ack = ISN_ORIG + 1}};
    handshake();
    resp("A", 0, 100, 0);
    resp("A", 100, 0, 0);
    orig("A", 0, 0, 1000); /* 900 bytes were not captured */
    record_plain(&r, plain, ++now_us);
    resp("A", 500, 100, 0); /* so these come again */
    expect("S1", "ShAdagt");
    expect_bytes(0, 1000, 900);
}

/* A SYN of an old connection is answered by an ACK, and that by a RST: no bytes. */
static void half_open_found_out(void)
{
    begin();
    orig("S", -1, 0, 0);
    resp("A", 7777, 0, 5000);
    orig("R", 5000, 0, 0);
    expect("RSTOS0", "SaR");
    expect_bytes(0, 0, 0);
    record_free(&r);
}

TEST_SUITE(connlog_record, TEST_CASE(sf), TEST_CASE(s0), TEST_CASE(s1_s2_s3), TEST_CASE(rej),
           TEST_CASE(rsto_rstr), TEST_CASE(rst_after_fin), TEST_CASE(rstos0),
           TEST_CASE(rstrh_sh_shr), TEST_CASE(oth), TEST_CASE(without_the_syn),
           TEST_CASE(ack_before_syn_ack), TEST_CASE(simultaneous_open),
           TEST_CASE(new_numbers_are_written_again), TEST_CASE(once_each), TEST_CASE(odd_flags),
           TEST_CASE(tens_are_counted), TEST_CASE(zero_windows), TEST_CASE(a_history_has_an_end),
           TEST_CASE(gaps), TEST_CASE(no_gap), TEST_CASE(far_numbers_do_not_count),
           TEST_CASE(more_than_4_gb), TEST_CASE(plain_ack_beyond_a_gap), TEST_CASE(half_open_found_out));
