/* Writes the seed corpus of fuzz_parse into the folder given: one small file per kind of frame. */
#include "tests/wire_model.h"

#include "mtcp/wire/build.h"
#include "mtcp/wire/hdr.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define BY_ETHERNET 0
#define BY_IP       1
#define VERIFY      2

static const char *folder;
static int n_failed;

static void seed(const char *name, uint8_t mode, const uint8_t *b, uint32_t len)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fputc(mode, f) == EOF || fwrite(b, 1, len, f) != len) {
        perror(path);
        n_failed++;
    }
    if (f && fclose(f) != 0)
        n_failed++;
}

static const struct build_l2 l2 = {.src = {{2, 0, 0, 0, 0, 1}}, .dst = {{2, 0, 0, 0, 0, 2}}};

static struct seg seg_of(bool is_v6)
{
    struct seg s = {.tuple = {.local = ip_addr_v4(be32_make(0x0a000001)),
                              .remote = ip_addr_v4(be32_make(0x0a000002)),
                              .local_port = 40000,
                              .remote_port = 80},
                    .seq = {0xffffff00},
                    .ack = {1},
                    .wnd = 64240,
                    .flags = TCP_ACK,
                    .ttl = 64};
    if (is_v6) {
        s.tuple.local = (struct ip_addr){.b = {0xfd, [15] = 1}};
        s.tuple.remote = (struct ip_addr){.b = {0xfd, [15] = 2}};
    }
    return s;
}

static void seed_seg(const char *name, uint8_t mode, const struct seg *s)
{
    uint8_t b[BUILD_HDR_MAX + 64];
    struct build_lens lens = build_tcp(b, mode & BY_IP ? NULL : &l2, s, 1);
    uint32_t hdr_len = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    memset(b + hdr_len, 'x', s->len);
    build_tcp_csum(b, lens, s->len, (struct build_offload){0});
    seed(name, mode, b, hdr_len + s->len);
}

static void seed_tcp(void)
{
    for (unsigned v6 = 0; v6 < 2; v6++) {
        struct seg s = seg_of(v6);
        s.len = 20;
        s.opt = (struct tcp_opts){.has_ts = true, .ts_val = 1, .ts_ecr = 2};
        seed_seg(v6 ? "tcp6_data" : "tcp4_data", BY_ETHERNET, &s);
        seed_seg(v6 ? "tcp6_sums" : "tcp4_sums", BY_ETHERNET | VERIFY, &s);
        seed_seg(v6 ? "tcp6_raw" : "tcp4_raw", BY_IP, &s);
        s.len = 0;
        s.opt.n_sack = 3;
        seed_seg(v6 ? "tcp6_sack" : "tcp4_sack", BY_ETHERNET, &s);
        s.flags = TCP_SYN;
        s.opt = (struct tcp_opts){.has_mss = true,
                                  .mss = 1460,
                                  .sack_permitted = true,
                                  .has_ts = true,
                                  .has_wscale = true,
                                  .wscale = 7};
        seed_seg(v6 ? "tcp6_syn" : "tcp4_syn", BY_ETHERNET, &s);
    }
}

static void seed_icmp(void)
{
    uint8_t data[4 + BUILD_HDR_MAX] = {0, 0, 0x05, 0x14}, b[256];
    struct seg s = seg_of(false);
    build_tcp(data + 4, NULL, &s, 1);
    struct build_icmp i = {.l2 = l2,
                           .src = ip_addr_v4(be32_make(0x0a000003)),
                           .dst = s.tuple.local,
                           .type = 8,
                           .ttl = 64,
                           .data = data,
                           .len = 12};
    seed("icmp_echo", VERIFY, b, build_icmp(b, &i));
    i.type = 3;
    i.code = 4;
    i.len = 4 + IPV4_HDR_LEN + 8;
    seed("icmp_frag_needed", BY_ETHERNET, b, build_icmp(b, &i));
    i.type = 11;
    i.code = 0;
    seed("icmp_time_exceeded", VERIFY, b, build_icmp(b, &i));
    b[ETH_HDR_LEN + 6] = 0x20;
    seed("fragment", BY_ETHERNET, b, 80);
}

/* IPv6 with `n` bytes behind its header: extension headers, or an ICMPv6 message. */
static void seed_ip6(const char *name, uint8_t next_hdr, const uint8_t *payload, uint32_t n)
{
    uint8_t b[256];
    struct model_ip6 m = {.src = {.b = {0xfe, 0x80, [15] = 1}},
                          .dst = {.b = {0xff, 2, [15] = 1}},
                          .next_hdr = next_hdr,
                          .hop_limit = 255};
    uint32_t len = next_hdr == IP_PROTO_ICMPV6 ? model_icmp6_frame(b, &l2, &m, payload, n)
                                               : model_ip6_frame(b, &l2, &m, payload, n);
    seed(name, BY_ETHERNET, b, len);
}

#define SEED_IP6(name, next_hdr, ...)                                                              \
    seed_ip6(name, next_hdr, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void seed_ipv6_chains(void)
{
    SEED_IP6("chain_hop_by_hop", 0, 59, 0, 5, 2, 0, 0, 1, 0);
    SEED_IP6("chain_options", 60, 43, 0, 0, 0x1e, 1, 9, 0, 0, 59, 0, 0, 0, 0, 0, 0, 0);
    SEED_IP6("chain_problem", 60, 59, 0, 0x9e, 1, 9, 0, 0, 0);
    SEED_IP6("chain_routing_left", 43, 59, 0, 0, 1, 0, 0, 0, 0);
    SEED_IP6("chain_fragment", 44, 6, 0, 0, 9, 1, 2, 3, 4, 1, 2, 3, 4);
    SEED_IP6("chain_atomic", 44, 60, 0, 0, 0, 1, 2, 3, 4, 59, 0, 1, 4, 0, 0, 0, 0);
    SEED_IP6("chain_misplaced", 60, 0, 0, 1, 4, 0, 0, 0, 0, 59, 0, 1, 4, 0, 0, 0, 0);
}

static void seed_icmp6(void)
{
    SEED_IP6("icmp6_echo", 58, 128, 0, 0, 0, 0, 1, 0, 2, 'p', 'i', 'n', 'g');
    SEED_IP6("icmp6_too_big", 58, 2, 0, 0, 0, 0, 0, 5, 0, 0x60, 0, 0, 0, 0, 16, 60, 64,    /* */
             0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 1, 0, 0, 0, 0, 0, 0, /* */
             0, 0, 0, 0, 0, 0, 0, 2, 6, 0, 1, 4, 0, 0, 0, 0, 0, 80, 0, 81, 1, 2, 3, 4);
    SEED_IP6("ndp_solicit", 58, 135, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, /* */
             0, 0, 0, 0, 0, 0, 0, 2, 1, 1, 2, 0, 0, 0, 0, 1);
    SEED_IP6("ndp_advert", 58, 136, 0, 0, 0, 0xa0, 0, 0, 0, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, /* */
             0, 0, 0, 0, 0, 0, 0, 1, 2, 1, 2, 0, 0, 0, 0, 1);
    SEED_IP6("ndp_router_solicit", 58, 133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1);
    SEED_IP6("ndp_router_advert", 58, 134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0,    /* */
             5, 1, 0, 0, 0, 0, 5, 20, 3, 4, 64, 0xc0, 0, 0, 14, 16, 0, 0, 7, 8, 0, 0, 0, 0, /* */
             0x20, 1, 13, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    SEED_IP6("ndp_option_zero", 58, 133, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 1);
    SEED_IP6("icmp6_report", 58, 143, 0, 0, 0, 0, 0, 0, 0);
}

static void seed_arp(void)
{
    uint8_t b[60] = {0};
    struct build_arp a = {.sender_mac = l2.src,
                          .sender_ip = be32_make(0x0a000001),
                          .target_ip = be32_make(0x0a000002)};
    seed("arp_request", BY_ETHERNET, b, build_arp(b, &a));
    a.is_reply = true;
    a.target_mac = l2.dst;
    build_arp(b, &a);
    seed("arp_reply_padded", BY_ETHERNET, b, sizeof(b));
}

/* Frames that are refused or of no kind of ours: a good one with one byte changed, or cut. */
enum base { TCP4, TCP6, QUOTE, ARP };
struct odd {
    const char *name;
    enum base base;
    uint8_t mode;
    uint8_t at, value;
    uint8_t cut; /* keep so many bytes; 0: all */
};
static const struct odd odds[] = {
    {"odd_raw_version", TCP4, BY_IP, 0, 0x95, 0},
    {"odd_eth_type", TCP4, BY_ETHERNET, 12, 0x88, 0},
    {"odd_ip4_version", TCP4, BY_ETHERNET, 14, 0x55, 0},
    {"odd_ip4_ihl", TCP4, BY_ETHERNET, 14, 0x44, 0},
    {"odd_ip4_sum", TCP4, VERIFY, 22, 1, 0},
    {"odd_ip4_udp", TCP4, BY_ETHERNET, 23, 17, 0},
    {"odd_ip4_cut", TCP4, BY_ETHERNET, 0, 2, 30},
    {"odd_tcp_cut", TCP4, BY_ETHERNET, 17, 30, 0},
    {"odd_tcp_doff", TCP4, BY_ETHERNET, 46, 0x40, 0},
    {"odd_tcp_sum", TCP4, VERIFY, 50, 1, 0},
    {"odd_opt_zero", TCP4, BY_ETHERNET, 57, 0, 0},
    {"odd_opt_unknown", TCP4, BY_ETHERNET, 56, 99, 0},
    {"odd_opt_mss", TCP4, BY_ETHERNET, 56, 2, 0},
    {"odd_opt_wscale", TCP4, BY_ETHERNET, 56, 3, 0},
    {"odd_opt_ts_size", TCP4, BY_ETHERNET, 57, 9, 0},
    {"odd_opt_sack", TCP4, BY_ETHERNET, 56, 5, 0},
    {"odd_opt_overrun", TCP4, BY_ETHERNET, 57, 40, 0},
    {"odd_ip6_version", TCP6, BY_ETHERNET, 14, 0x40, 0},
    {"odd_ip6_cut", TCP6, BY_ETHERNET, 0, 2, 50},
    {"odd_ip6_fragment_header", TCP6, BY_ETHERNET, 20, 44, 0},
    {"odd_icmp_cut", QUOTE, BY_ETHERNET, 17, 27, 0},
    {"odd_icmp_sum", QUOTE, VERIFY, 35, 9, 0},
    {"odd_icmp_redirect", QUOTE, BY_ETHERNET, 34, 5, 0},
    {"odd_icmp_quench", QUOTE, BY_ETHERNET, 34, 4, 0},
    {"odd_icmp_quotes_little", QUOTE, BY_ETHERNET, 17, 40, 0},
    {"odd_icmp_quotes_udp", QUOTE, BY_ETHERNET, 51, 17, 0},
    {"odd_icmp_quotes_options", QUOTE, BY_ETHERNET, 42, 0x4f, 0},
    {"odd_arp_hardware", ARP, BY_ETHERNET, 15, 6, 0},
    {"odd_arp_cut", ARP, BY_ETHERNET, 0, 2, 41},
    {"odd_runt", ARP, BY_ETHERNET, 0, 2, 13},
};

static uint32_t base_make(enum base base, uint8_t *b)
{
    struct seg s = seg_of(base == TCP6);
    s.opt = (struct tcp_opts){.has_ts = true, .ts_val = 1, .ts_ecr = 2};
    uint8_t data[4 + BUILD_HDR_MAX] = {0};
    struct build_icmp i = {.l2 = l2, .src = s.tuple.remote, .dst = s.tuple.local, .type = 3};
    struct build_arp a = {.sender_mac = l2.src};
    struct build_lens lens;
    switch (base) {
    case QUOTE:
        build_tcp(data + 4, NULL, &s, 1);
        i.data = data;
        i.len = 4 + IPV4_HDR_LEN + 8;
        return build_icmp(b, &i);
    case ARP:
        return build_arp(b, &a);
    default:
        lens = build_tcp(b, &l2, &s, 1);
        build_tcp_csum(b, lens, 0, (struct build_offload){0});
        return (uint32_t)lens.l2 + lens.l3 + lens.l4;
    }
}

static void seed_odd(void)
{
    for (unsigned i = 0; i < sizeof(odds) / sizeof(odds[0]); i++) {
        const struct odd *o = &odds[i];
        uint8_t b[256];
        uint32_t len = base_make(o->base, b);
        b[o->at] = o->value;
        seed(o->name, o->mode, b, o->cut ? o->cut : len);
    }
    static const uint8_t mapped[] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
    uint8_t b[256];
    uint32_t len = base_make(TCP6, b);
    memcpy(b + ETH_HDR_LEN + 8, mapped, sizeof(mapped));
    seed("odd_ip6_mapped", BY_ETHERNET, b, len);
    seed("odd_empty", BY_IP, b, 0);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: seed_parse FOLDER\n");
        return 2;
    }
    folder = argv[1];
    seed_tcp();
    seed_icmp();
    seed_ipv6_chains();
    seed_icmp6();
    seed_arp();
    seed_odd();
    return n_failed ? 1 : 0;
}
