/* Changes of a frame (mos/edit.c): each place and action, and any of them against a model. */
#include "mos/edit.h"
#include "mtcp/base/rng.h"
#include "mtcp/wire/build.h"
#include "mtcp/wire/hdr.h"
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 70000u
#define BOTH (MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM)

static uint8_t room[ROOM];
static struct edit_frame f;
static struct packet p;

/* A segment with timestamps and that payload. */
static void frame_make(bool is_v6, bool has_eth, const char *payload, uint32_t len)
{
    struct seg s = {.seq = seq_make(1000), .ack = seq_make(2000), .wnd = 500, .ttl = 64};
    struct build_l2 l2 = {.src = {{2, 0, 0, 0, 0, 1}}, .dst = {{2, 0, 0, 0, 0, 2}}};
    CU_ASSERT_EQUAL_FATAL(ip_addr_parse(is_v6 ? "fd00::1" : "10.0.0.1", &s.tuple.local), 0);
    CU_ASSERT_EQUAL_FATAL(ip_addr_parse(is_v6 ? "fd00::2" : "10.0.0.2", &s.tuple.remote), 0);
    s.tuple.local_port = 4000;
    s.tuple.remote_port = 80;
    s.flags = TCP_ACK;
    s.opt.has_ts = true;
    s.opt.ts_val = 7;
    s.len = len;
    memset(room, 0xaa, sizeof(room));
    struct build_lens lens = build_tcp(room, has_eth ? &l2 : NULL, &s, 1);
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    memcpy(room + hdrs, payload, len);
    build_tcp_csum(room, lens, len, (struct build_offload){0});
    int rc = has_eth ? packet_parse(&p, room, hdrs + len, PACKET_CSUM_UNKNOWN)
                     : packet_parse_ip(&p, room, hdrs + len, PACKET_CSUM_UNKNOWN);
    CU_ASSERT_EQUAL_FATAL(rc, 0);
    CU_ASSERT_EQUAL_FATAL(p.kind, PACKET_TCP);
    f = edit_frame_of(&p, room, ROOM);
}

static int change(int option, int64_t offset, const void *data, uint32_t len)
{
    struct edit e = {.option = option, .offset = offset, .data = data, .len = len};
    int rc = edit_apply(&f, &e);
    if (rc == 0)
        edit_checksums(&f, option);
    return rc;
}

/* What a receiver makes of it, checksums verified: 0 or as packet_parse(). */
static int parse(void)
{
    int rc = f.l3 > 0 ? packet_parse(&p, room, f.len, PACKET_CSUM_UNKNOWN)
                      : packet_parse_ip(&p, room, f.len, PACKET_CSUM_UNKNOWN);
    if (rc == 0)
        EXPECT_EQ(p.frame_len, f.len);
    return rc;
}

static bool payload_is(const char *want)
{
    return p.seg.len == strlen(want) && memcmp(p.seg.payload, want, p.seg.len) == 0;
}

/* ---- places and actions --------------------------------------------------------------------- */

static void each_family(void (*test)(bool is_v6))
{
    test(false);
    test(true);
}

static void payload_of(bool is_v6)
{
    frame_make(is_v6, true, "hello world", 11);
    EXPECT_EQ(change(MOS_OVERWRITE | MOS_TCP_PAYLOAD | BOTH, 6, "there", 5), 0);
    EXPECT_EQ(parse(), 0);
    CU_ASSERT(payload_is("hello there"));
    EXPECT_EQ(change(MOS_CHOMP | MOS_TCP_PAYLOAD | BOTH, 0, NULL, 6), 0);
    EXPECT_EQ(parse(), 0);
    CU_ASSERT(payload_is("there"));
    EXPECT_EQ(change(MOS_INSERT | MOS_TCP_PAYLOAD | BOTH, 5, "fore", 4), 0);
    EXPECT_EQ(parse(), 0);
    CU_ASSERT(payload_is("therefore"));
    EXPECT_EQ(change(MOS_INSERT | MOS_TCP_PAYLOAD | BOTH, 0, "so ", 3), 0);
    EXPECT_EQ(parse(), 0);
    CU_ASSERT(payload_is("so therefore"));
    EXPECT_EQ(change(MOS_CHOMP | MOS_TCP_PAYLOAD | BOTH, 0, NULL, 12), 0);
    EXPECT_EQ(parse(), 0);
    EXPECT_EQ(p.seg.len, 0);
    CU_ASSERT(p.seg.opt.has_ts && p.seg.opt.ts_val == 7);
}

static void payload_is_overwritten_chomped_and_inserted(void)
{
    each_family(payload_of);
}

static void tcp_header_of(bool is_v6)
{
    static const uint8_t mss[] = {2, 4, 5, 0xb4}, wnd[] = {0x12, 0x34}, nop4[] = {1, 1, 1, 1};
    frame_make(is_v6, true, "abc", 3);
    EXPECT_EQ(change(MOS_OVERWRITE | MOS_TCP_HDR | BOTH, 14, wnd, 2), 0);
    EXPECT_EQ(change(MOS_INSERT | MOS_TCP_HDR | BOTH, 20, mss, 4), 0);
    EXPECT_EQ(parse(), 0);
    EXPECT_EQ(p.seg.wnd, 0x1234);
    EXPECT_EQ(p.seg.opt.mss, 0x5b4);
    CU_ASSERT(p.seg.opt.has_ts && payload_is("abc"));
    EXPECT_EQ(change(MOS_INSERT | MOS_TCP_HDR | BOTH, 36, nop4, 4), 0); /* at its end */
    EXPECT_EQ(change(MOS_CHOMP | MOS_TCP_HDR | BOTH, 20, NULL, 20), 0);
    EXPECT_EQ(parse(), 0);
    CU_ASSERT(!p.seg.opt.has_ts && !p.seg.opt.has_mss && payload_is("abc"));
    EXPECT_EQ(p.seg.seq.v, 1000);
}

static void tcp_options_come_and_go(void)
{
    each_family(tcp_header_of);
}

static void ip_header_of(bool is_v6)
{
    static const uint8_t options[] = {1, 1, 1, 0}, dst_opts[] = {6, 0, 1, 4, 0, 0, 0, 0};
    uint8_t ttl = 9, next = 60;
    frame_make(is_v6, true, "abc", 3);
    EXPECT_EQ(change(MOS_OVERWRITE | MOS_IP_HDR | BOTH, is_v6 ? 7 : 8, &ttl, 1), 0);
    EXPECT_EQ(parse(), 0);
    EXPECT_EQ(p.seg.ttl, 9);
    if (is_v6) {
        EXPECT_EQ(change(MOS_OVERWRITE | MOS_IP_HDR, 6, &next, 1), 0);
        EXPECT_EQ(change(MOS_INSERT | MOS_IP_HDR | BOTH, 40, dst_opts, 8), 0);
    } else {
        EXPECT_EQ(change(MOS_INSERT | MOS_IP_HDR | BOTH, 20, options, 4), 0);
    }
    EXPECT_EQ(parse(), 0);
    EXPECT_EQ(p.l4_off - p.l3_off, is_v6 ? 48 : 24);
    CU_ASSERT(payload_is("abc"));
    if (is_v6) {
        next = 6;
        EXPECT_EQ(change(MOS_OVERWRITE | MOS_IP_HDR, 6, &next, 1), 0);
    }
    EXPECT_EQ(change(MOS_CHOMP | MOS_IP_HDR | BOTH, is_v6 ? 40 : 20, NULL, is_v6 ? 8 : 4), 0);
    EXPECT_EQ(parse(), 0);
    CU_ASSERT(payload_is("abc"));
}

static void ip_options_and_extension_headers_come_and_go(void)
{
    each_family(ip_header_of);
}

static void an_ethernet_tag_comes_and_goes(void)
{
    static const uint8_t tag[] = {0x81, 0, 0, 5};
    uint8_t mac[] = {2, 9, 9, 9, 9, 9};
    frame_make(false, true, "abc", 3);
    uint32_t len = f.len;
    EXPECT_EQ(change(MOS_OVERWRITE | MOS_ETH_HDR, 0, mac, 6), 0);
    EXPECT_EQ(change(MOS_INSERT | MOS_ETH_HDR, 12, tag, 4), 0);
    EXPECT_EQ(f.len, len + 4);
    EXPECT_EQ(memcmp(room + 12, tag, 4), 0);
    EXPECT_EQ(room[16], 8); /* the type, behind it */
    EXPECT_EQ(change(MOS_OVERWRITE | MOS_TCP_PAYLOAD | BOTH, 0, "xyz", 3), 0);
    EXPECT_EQ(change(MOS_CHOMP | MOS_ETH_HDR, 15, NULL, 4), -EINVAL);
    EXPECT_EQ(change(MOS_CHOMP | MOS_ETH_HDR, 12, NULL, 4), 0);
    EXPECT_EQ(parse(), 0);
    CU_ASSERT(payload_is("xyz"));
    EXPECT_EQ(p.eth_dst.b[1], 9);
}

static void without_ethernet_there_is_none_to_change(void)
{
    uint8_t mac[] = {2, 9, 9, 9, 9, 9};
    frame_make(false, false, "abc", 3);
    EXPECT_EQ(change(MOS_OVERWRITE | MOS_ETH_HDR, 0, mac, 6), -EINVAL);
    EXPECT_EQ(change(MOS_INSERT | MOS_ETH_HDR, 0, mac, 4), -EINVAL);
    EXPECT_EQ(change(MOS_OVERWRITE | MOS_TCP_PAYLOAD | BOTH, 0, "xyz", 3), 0);
    EXPECT_EQ(parse(), 0);
    CU_ASSERT(payload_is("xyz"));
}

/* ---- what is refused ------------------------------------------------------------------------ */

/* Refused, and nothing has changed. */
static void refuses(int option, int64_t offset, uint32_t len)
{
    static uint8_t data[ROOM], before[ROOM];
    const struct edit_frame was = f;
    memcpy(before, room, ROOM);
    EXPECT_EQ(change(option, offset, data, len), -EINVAL);
    EXPECT_EQ(memcmp(before, room, ROOM), 0);
    CU_ASSERT(f.at == was.at && f.is_v6 == was.is_v6);
    EXPECT_EQ(f.len, was.len);
    EXPECT_EQ(f.room, was.room);
    EXPECT_EQ(f.l3, was.l3);
    EXPECT_EQ(f.l4, was.l4);
    EXPECT_EQ(f.payload, was.payload);
}

static void bounds_of(bool is_v6)
{
    uint32_t ip = is_v6 ? 40 : 20;
    frame_make(is_v6, true, "0123456789", 10);
    refuses(MOS_OVERWRITE | MOS_ETH_HDR, 14, 1);
    refuses(MOS_OVERWRITE | MOS_IP_HDR, 0, ip + 1);
    refuses(MOS_OVERWRITE | MOS_TCP_HDR, 30, 3); /* into the payload */
    refuses(MOS_OVERWRITE | MOS_TCP_PAYLOAD, 5, 6);
    refuses(MOS_OVERWRITE | MOS_TCP_PAYLOAD, 11, 0);
    refuses(MOS_OVERWRITE | MOS_TCP_PAYLOAD, -1, 2);
    refuses(MOS_OVERWRITE | MOS_TCP_PAYLOAD, INT64_MAX, 1);
    refuses(MOS_OVERWRITE | MOS_TCP_PAYLOAD, (int64_t)1 << 32, 1);
    refuses(MOS_CHOMP | MOS_TCP_PAYLOAD, 0, 11);
    refuses(MOS_CHOMP | MOS_TCP_PAYLOAD, 8, 3);
    refuses(MOS_INSERT | MOS_TCP_PAYLOAD, 11, 1);
    refuses(MOS_INSERT | MOS_TCP_PAYLOAD, -1, 1);
    EXPECT_EQ(change(MOS_OVERWRITE | MOS_TCP_PAYLOAD, 10, NULL, 0), 0);
}

static void bytes_beyond_the_place_are_refused(void)
{
    each_family(bounds_of);
}

static void shapes_of(bool is_v6)
{
    int64_t ip = is_v6 ? 40 : 20;
    frame_make(is_v6, true, "0123456789", 10);
    refuses(MOS_CHOMP | MOS_ETH_HDR, 0, 4);
    refuses(MOS_INSERT | MOS_ETH_HDR, 0, 4);
    refuses(MOS_INSERT | MOS_ETH_HDR, 12, 2);
    refuses(MOS_INSERT | MOS_ETH_HDR, 12, 12); /* a third tag */
    refuses(MOS_CHOMP | MOS_IP_HDR, ip - 4, 4);
    refuses(MOS_INSERT | MOS_IP_HDR, ip - 1, 8);
    refuses(MOS_INSERT | MOS_IP_HDR, ip, 2);
    refuses(MOS_CHOMP | MOS_TCP_HDR, 16, 4);
    refuses(MOS_CHOMP | MOS_TCP_HDR, 20, 3);
    refuses(MOS_INSERT | MOS_TCP_HDR, 19, 4);
    refuses(MOS_INSERT | MOS_TCP_HDR, 20, 32); /* the data offset says 15 words at most */
    if (!is_v6)
        refuses(MOS_INSERT | MOS_IP_HDR, ip, 44);
}

static void headers_keep_a_possible_shape(void)
{
    each_family(shapes_of);
}

static void limit_of(bool is_v6)
{
    static char big[65536];
    uint32_t hdrs = (is_v6 ? 40u : 20u) + 32;
    frame_make(is_v6, true, big, 65535 - hdrs - 1);
    refuses(MOS_INSERT | MOS_TCP_PAYLOAD, 3, 2);
    EXPECT_EQ(change(MOS_INSERT | MOS_TCP_PAYLOAD | BOTH, 3, "x", 1), 0);
    EXPECT_EQ(parse(), 0);
    EXPECT_EQ(p.seg.len, 65535 - hdrs);
    refuses(MOS_INSERT | MOS_TCP_PAYLOAD, 3, 1);
    refuses(MOS_INSERT | MOS_TCP_HDR, 20, 4);
    EXPECT_EQ(change(MOS_INSERT | MOS_ETH_HDR, 12, "\x81\0\0\5", 4), 0); /* no byte of IP */
    frame_make(is_v6, true, "abc", 3);
    f.room = f.len + 2;
    refuses(MOS_INSERT | MOS_TCP_PAYLOAD, 3, 3);
    EXPECT_EQ(change(MOS_INSERT | MOS_TCP_PAYLOAD, 3, "de", 2), 0);
}

static void frames_have_a_limit(void)
{
    each_family(limit_of);
}

static void options_have_one_action_and_one_place(void)
{
    static const int actions[] = {MOS_OVERWRITE, MOS_CHOMP, MOS_INSERT};
    static const int places[] = {MOS_ETH_HDR, MOS_IP_HDR, MOS_TCP_HDR, MOS_TCP_PAYLOAD};
    for (unsigned i = 0; i < 3; i++) {
        CU_ASSERT(!edit_option_is_valid(actions[i]));
        CU_ASSERT(!edit_option_is_valid(actions[i] | MOS_DROP | places[0]));
        for (unsigned k = 0; k < 4; k++) {
            CU_ASSERT(edit_option_is_valid(actions[i] | places[k]));
            CU_ASSERT(edit_option_is_valid(actions[i] | places[k] | BOTH));
            CU_ASSERT(!edit_option_is_valid(actions[i] | places[k] | places[(k + 1) % 4]));
            CU_ASSERT(!edit_option_is_valid(actions[i] | actions[(i + 1) % 3] | places[k]));
        }
    }
    CU_ASSERT(edit_option_is_valid(MOS_DROP) && edit_option_is_valid(MOS_DROP | BOTH));
    CU_ASSERT(!edit_option_is_valid(MOS_DROP | MOS_IP_HDR));
    CU_ASSERT(!edit_option_is_valid(0) && !edit_option_is_valid(MOS_TCP_PAYLOAD));
    CU_ASSERT(!edit_option_is_valid(MOS_DROP | 1 << 10) && !edit_option_is_valid(-1));
}

/* Sums are left as they are unless asked for: each by its own bit. */
static void checksums_are_computed_when_asked(void)
{
    uint8_t tos = 0x20;
    frame_make(false, true, "abc", 3);
    EXPECT_EQ(change(MOS_OVERWRITE | MOS_TCP_PAYLOAD, 0, "xyz", 3), 0);
    EXPECT_EQ(parse(), -EILSEQ);
    EXPECT_EQ(change(MOS_OVERWRITE | MOS_TCP_PAYLOAD | MOS_UPDATE_TCP_CHKSUM, 0, "", 0), 0);
    EXPECT_EQ(parse(), 0);
    EXPECT_EQ(change(MOS_OVERWRITE | MOS_IP_HDR | MOS_UPDATE_TCP_CHKSUM, 1, &tos, 1), 0);
    EXPECT_EQ(parse(), -EILSEQ);
    EXPECT_EQ(change(MOS_OVERWRITE | MOS_IP_HDR | MOS_UPDATE_IP_CHKSUM, 1, &tos, 1), 0);
    EXPECT_EQ(parse(), 0);
    EXPECT_EQ(p.seg.tos, 0x20);
}

/* ---- any change, against a model ------------------------------------------------------------ */

/* A frame as four strings. */
struct model {
    uint8_t part[4][ROOM];
    uint32_t len[4];
    bool is_v6;
};

static struct model m;

static void model_of_frame(void)
{
    const uint32_t at[] = {0, f.l3, f.l4, f.payload, f.len};
    m.is_v6 = f.is_v6;
    for (unsigned i = 0; i < 4; i++) {
        m.len[i] = at[i + 1] - at[i];
        memcpy(m.part[i], room + at[i], m.len[i]);
    }
}

static bool model_bears(unsigned i, uint32_t len)
{
    switch (i) {
    case 0:
        return len == 14 || len == 18 || len == 22;
    case 1:
        return m.is_v6 ? len >= 40 && len % 8 == 0 : len >= 20 && len <= 60 && len % 4 == 0;
    case 2:
        return len >= 20 && len <= 60 && len % 4 == 0;
    default:
        return true;
    }
}

static uint32_t model_ip_len(void)
{
    return m.len[1] + m.len[2] + m.len[3];
}

/* The lengths that the headers say: where the frame says others, the edit has to set them. */
static void model_write_lengths(void)
{
    uint32_t ip = model_ip_len() - (m.is_v6 ? 40 : 0);
    uint8_t *l3 = m.part[1];
    if (!m.is_v6)
        l3[0] = (uint8_t)((l3[0] & 0xf0) | m.len[1] / 4);
    l3[m.is_v6 ? 4 : 2] = (uint8_t)(ip >> 8);
    l3[m.is_v6 ? 5 : 3] = (uint8_t)ip;
    m.part[2][12] = (uint8_t)((m.part[2][12] & 0x0f) | m.len[2] / 4 << 4);
}

static bool model_change(int action, unsigned i, int64_t off, const uint8_t *data, uint32_t len)
{
    static const uint32_t fixed4[] = {12, 20, 20, 0}, fixed6[] = {12, 40, 20, 0};
    static uint8_t next[2 * ROOM];
    uint32_t fixed = (m.is_v6 ? fixed6 : fixed4)[i], n = m.len[i];
    if (off < 0 || off > n)
        return false;
    if (action == MOS_OVERWRITE) {
        if (off + len > n)
            return false;
        memcpy(m.part[i] + off, data, len);
        return true;
    }
    uint32_t tail = action == MOS_CHOMP ? (uint32_t)off + len : (uint32_t)off;
    uint32_t put = action == MOS_CHOMP ? 0 : len;
    if (tail > n || off < fixed || !model_bears(i, (uint32_t)off + put + n - tail))
        return false;
    if (i > 0 && model_ip_len() - n + (uint32_t)off + put + n - tail > 65535 && put > 0)
        return false;
    memcpy(next, m.part[i], (size_t)off);
    memcpy(next + off, data, put);
    memcpy(next + off + put, m.part[i] + tail, n - tail);
    m.len[i] = (uint32_t)off + put + n - tail;
    memcpy(m.part[i], next, m.len[i]);
    model_write_lengths();
    return true;
}

static bool frame_is_model(void)
{
    uint32_t at = 0;
    for (unsigned i = 0; i < 4; at += m.len[i++])
        if (memcmp(room + at, m.part[i], m.len[i]) != 0)
            return false;
    return at == f.len;
}

/* Mostly lengths and offsets near what there is, so that about half of the changes are possible. */
static uint32_t pick(struct rng *r, uint32_t n)
{
    uint32_t kind = rng_below(r, 8);
    if (kind == 0)
        return rng_below(r, 65536);
    if (kind < 4)
        return rng_below(r, n / 4 + 2) * 4;
    return rng_below(r, n + 2);
}

static void any_change_is_as_the_model_says(void)
{
    static const int actions[] = {MOS_OVERWRITE, MOS_CHOMP, MOS_INSERT};
    static uint8_t data[65536];
    struct rng r;
    unsigned n_done = 0;
    rng_init(&r, test_seed());
    for (unsigned i = 0; i < 20000; i++) {
        if (i % 20 == 0) {
            static char payload[3000];
            frame_make(rng_below(&r, 2), true, payload, rng_below(&r, 3000));
            model_of_frame();
        }
        unsigned part = rng_below(&r, 4);
        int action = actions[rng_below(&r, 3)];
        int64_t off = (int64_t)pick(&r, m.len[part]) - (rng_below(&r, 16) == 0);
        uint32_t len = pick(&r, action == MOS_INSERT ? 40 : m.len[part]);
        for (unsigned k = 0; k < len && k < 64; k++)
            data[k] = (uint8_t)rng_u32(&r);
        bool want = model_change(action, part, off, data, len);
        int rc = change(action | 1 << part, off, data, len);
        if ((rc == 0) != want || !frame_is_model()) {
            EXPECT_EQ(rc, want ? 0 : -EINVAL);
            printf("change %u: action %x part %u off %lld len %u\n", i, (unsigned)action, part,
                   (long long)off, len);
            CU_FAIL_FATAL("the frame is not the model's");
        }
        n_done += want;
    }
    CU_ASSERT(n_done > 3000);
}

/* Changes of payload and options with their sums: any receiver takes what comes of them. */
static void changed_frames_are_whole(void)
{
    static uint8_t data[3000];
    static char payload[2000];
    struct rng r;
    rng_init(&r, test_seed());
    memset(data, 1, sizeof(data)); /* as options: NOPs */
    for (unsigned i = 0; i < 5000; i++) {
        if (i % 10 == 0)
            frame_make(rng_below(&r, 2), rng_below(&r, 2), payload, rng_below(&r, 2000));
        bool is_option = rng_below(&r, 2);
        int action = rng_below(&r, 2) ? MOS_CHOMP : MOS_INSERT;
        uint32_t off = is_option ? 20 : rng_below(&r, 2000), len = rng_below(&r, 600);
        (void)!change(action | (is_option ? MOS_TCP_HDR : MOS_TCP_PAYLOAD) | BOTH, off, data,
                      is_option ? len % 10 * 4 : len);
        EXPECT_EQ(parse(), 0);
        EXPECT_EQ(p.frame_len - p.seg.len, f.payload);
        EXPECT_EQ(p.l4_off, f.l4);
    }
}

TEST_SUITE(mos_edit, TEST_CASE(payload_is_overwritten_chomped_and_inserted),
           TEST_CASE(tcp_options_come_and_go),
           TEST_CASE(ip_options_and_extension_headers_come_and_go),
           TEST_CASE(an_ethernet_tag_comes_and_goes),
           TEST_CASE(without_ethernet_there_is_none_to_change),
           TEST_CASE(bytes_beyond_the_place_are_refused), TEST_CASE(headers_keep_a_possible_shape),
           TEST_CASE(frames_have_a_limit), TEST_CASE(options_have_one_action_and_one_place),
           TEST_CASE(checksums_are_computed_when_asked), TEST_CASE(any_change_is_as_the_model_says),
           TEST_CASE(changed_frames_are_whole));
