/* The configuration: every key arrives, everything wrong is named with its line and what to write.
 */
#include "mtcp/core/config.h"
#include "mtcp/core/config_keys.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct config conf;
static char err[512];

static int load(const char *text)
{
    err[0] = '\0';
    return config_load_text(&conf, text, err, sizeof(err));
}

static bool addr_is(const struct ip_addr *a, const char *text)
{
    struct ip_addr b;
    return ip_addr_parse(text, &b) == 0 && ip_addr_eq(a, &b);
}

/* ---- what is taken --------------------------------------------------------------------------- */

static void nothing_gives_the_defaults(void)
{
    struct config want;
    static const char *const empty[] = {
        NULL, "", "mos { }", "# only this", "mos{}\n/* x */ // y", "mos # x\n{ // y\n}"};
    config_default(&want);
    for (unsigned i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
        EXPECT_EQ(load(empty[i]), 0);
        CU_ASSERT(memcmp(&conf, &want, sizeof(conf)) == 0);
    }
    EXPECT_EQ(config_load_file(&conf, NULL, err, sizeof(err)), 0);
    CU_ASSERT(memcmp(&conf, &want, sizeof(conf)) == 0);
    CU_ASSERT(want.tcp.cc == &tcp_cc_cubic);
}

static void the_default_device_is_a_tap(void)
{
    config_default(&conf);
    config_default_netdev(&conf);
    EXPECT_EQ(conf.n_netdevs, 1);
    CU_ASSERT_STRING_EQUAL(conf.netdev[0].name, "tap0");
    CU_ASSERT_STRING_EQUAL(conf.netdev[0].device, "tap0,iface=dtap0");
    CU_ASSERT(addr_is(&conf.netdev[0].addr[0].ip, "10.9.0.2"));
}

static void every_key_arrives(void)
{
    EXPECT_EQ(
        load("mos {\n"
             "max_concurrency = 4096 max_monitor_socks=77 max_num_buffers = 9\n"
             "max_connections = 5 max_time_wait = 6 max_monitored_time_wait = 7\n"
             "max_half_open = 8 rst_per_sec = 0 port_range = \"1024-2048\"\n"
             "num_cores = 2 cpu_mask = 0x5 rmem_size = 8192 wmem_size = 1M wmem_max = 2M\n"
             "tcp_tw_interval = 30 tcp_timeout = 45 tcp_fin_timeout = 10\n"
             "tcp_min_rto_ms = 20 tcp_max_rto_ms = 3000 tcp_init_rto_ms = 500\n"
             "tcp_delack_ms = 10 tcp_syn_retries = 2 tcp_synack_retries = 3\n"
             "tcp_retries = 4 tcp_orphan_retries = 5 tcp_init_cwnd = 20\n"
             "tcp_slow_start_after_idle = 0 tcp_min_tso_segs = 9\n"
             "tcp_timestamps = 0 tcp_sack = no tcp_window_scaling = off\n"
             "tcp_congestion = newreno mem_limit = 2G packet_mem_mb = 64\n"
             "packet_buffers = 2048 hugepages = yes idle = spin spin_us = 7\n"
             "close_wait_ms = 250 stat_print = 1 log_level = \"debug\"\n"
             "mos_log = '/tmp/x.log' eal_args = \"-n 4\"\n"
             "tcp_fastopen_key = \"00000001-2-3-ffffffff,A0bf63f7-ed803d81-cd641d30-cebc4a90\"\n"
             "}"),
        0);
    CU_ASSERT_STRING_EQUAL(err, "");
    EXPECT_EQ(conf.max_concurrency, 4096);
    EXPECT_EQ(conf.max_monitor_socks, 77);
    EXPECT_EQ(conf.max_num_buffers, 9);
    EXPECT_EQ(conf.net.max_conns, 5);
    EXPECT_EQ(conf.net.max_time_wait, 6);
    EXPECT_EQ(conf.net.max_mon_time_wait, 7);
    EXPECT_EQ(conf.net.max_half_open, 8);
    EXPECT_EQ(conf.net.rst_per_sec, 0);
    EXPECT_EQ(conf.net.port_min, 1024);
    EXPECT_EQ(conf.net.port_max, 2048);
    EXPECT_EQ(conf.num_cores, 2);
    EXPECT_EQ(conf.cpu_mask, 5);
    EXPECT_EQ(conf.tcp.rcvbuf, 8192);
    EXPECT_EQ(conf.tcp.sndbuf, 1 << 20);
    EXPECT_EQ(conf.tcp.rcvbuf_max, 8192); /* a size alone is fixed */
    EXPECT_EQ(conf.tcp.sndbuf_max, 2 << 20);
    EXPECT_EQ(conf.tcp.tw_us, 30000000);
    EXPECT_EQ(conf.tcp.idle_timeout_us, 45000000);
    EXPECT_EQ(conf.tcp.fin_wait2_us, 10000000);
    EXPECT_EQ(conf.tcp.min_rto_us, 20000);
    EXPECT_EQ(conf.tcp.max_rto_us, 3000000);
    EXPECT_EQ(conf.tcp.init_rto_us, 500000);
    EXPECT_EQ(conf.tcp.delack_us, 10000);
    EXPECT_EQ(conf.tcp.syn_retries, 2);
    EXPECT_EQ(conf.tcp.synack_retries, 3);
    EXPECT_EQ(conf.tcp.data_retries, 4);
    EXPECT_EQ(conf.tcp.orphan_retries, 5);
    EXPECT_EQ(conf.tcp.init_cwnd, 20);
    EXPECT_EQ(conf.tcp.min_tso_segs, 9);
    CU_ASSERT(!conf.tcp.idle_restart);
    CU_ASSERT(!conf.tcp.timestamps && !conf.tcp.sack && !conf.tcp.wscale);
    CU_ASSERT(conf.tcp.cc == &tcp_cc_newreno);
    EXPECT_EQ(conf.net.fastopen_keys.n, 2);
    CU_ASSERT(conf.net.fastopen_keys.key[0].k0 == 0x200000001);
    CU_ASSERT(conf.net.fastopen_keys.key[0].k1 == 0xffffffff00000003);
    CU_ASSERT(conf.net.fastopen_keys.key[1].k0 == 0xed803d81a0bf63f7);
    EXPECT_EQ(conf.mem_limit_bytes, 2ll << 30);
    EXPECT_EQ(conf.packet_mem_mb, 64);
    EXPECT_EQ(conf.n_pkts, 2048);
    CU_ASSERT(conf.hugepages && conf.stat_print);
    EXPECT_EQ(conf.idle, CONFIG_IDLE_SPIN);
    EXPECT_EQ(conf.spin_us, 7);
    EXPECT_EQ(conf.close_wait_us, 250000);
    EXPECT_EQ(conf.log_level, LOG_DEBUG);
    CU_ASSERT_STRING_EQUAL(conf.log_file, "/tmp/x.log");
    CU_ASSERT_STRING_EQUAL(conf.eal_args, "-n 4");
}

static void sections_arrive(void)
{
    EXPECT_EQ(load("mos {\n"
                   "netdev \"a\" { device = \"0000:03:00.0\" address = {\"10.1.2.3/16\"}\n"
                   "  mtu = 9000 rx_descriptors = 512 tx_descriptors = 256\n"
                   "  mac = \"02:00:00:0a:0B:0c\" }\n"
                   "netdev b { address = 2001:db8::1/64 }\n"
                   "route default { gateway = \"10.1.0.1\" netdev = \"a\" }\n"
                   "route \"192.168.0.0/24\" { netdev = b }\n"
                   "arp 10.1.0.9 { mac = 02:11:22:33:44:55 netdev = a }\n"
                   "monitor \"m\" { plugin = \"./m.so\" args = \"x \\\"y\\\" \\\\\" }\n"
                   "}"),
              0);
    CU_ASSERT_STRING_EQUAL(err, "");
    EXPECT_EQ(conf.n_netdevs, 2);
    CU_ASSERT_STRING_EQUAL(conf.netdev[0].name, "a");
    CU_ASSERT_STRING_EQUAL(conf.netdev[0].device, "0000:03:00.0");
    CU_ASSERT(addr_is(&conf.netdev[0].addr[0].ip, "10.1.2.3"));
    EXPECT_EQ(conf.netdev[0].addr[0].prefix_len, 16);
    EXPECT_EQ(conf.netdev[0].mtu, 9000);
    EXPECT_EQ(conf.netdev[0].n_rxd, 512);
    EXPECT_EQ(conf.netdev[0].n_txd, 256);
    CU_ASSERT(conf.netdev[0].has_mac);
    CU_ASSERT(memcmp(conf.netdev[0].mac, "\x02\0\0\x0a\x0b\x0c", 6) == 0);
    CU_ASSERT_STRING_EQUAL(conf.netdev[1].device, "tap1,iface=dtap1");
    EXPECT_EQ(conf.netdev[1].addr[0].prefix_len, 64);
    EXPECT_EQ(conf.n_routes, 2);
    EXPECT_EQ(conf.route[0].route.prefix_len, 0);
    CU_ASSERT(addr_is(&conf.route[0].route.gateway, "10.1.0.1"));
    EXPECT_EQ(conf.route[0].route.netif, 0);
    EXPECT_EQ(conf.route[1].route.netif, 1);
    EXPECT_EQ(conf.route[1].route.prefix_len, 24);
    EXPECT_EQ(conf.n_arps, 1);
    CU_ASSERT(addr_is(&conf.arp[0].ip, "10.1.0.9"));
    EXPECT_EQ(conf.arp[0].mac.b[5], 0x55);
    EXPECT_EQ(conf.n_monitors, 1);
    CU_ASSERT_STRING_EQUAL(conf.monitor[0].plugin, "./m.so");
    CU_ASSERT_STRING_EQUAL(conf.monitor[0].args, "x \"y\" \\");
}

static void both_families_at_one_netdev(void)
{
    EXPECT_EQ(load("mos { ipv6_dad_probes = 3\n"
                   "netdev a { address = {\"10.1.2.3/16\", \"fd00::1/64\" , fe80::1/64} }\n"
                   "netdev b { autoconf = 1 address = fe80::1/64 }\n"
                   "route default { gateway = fe80::9 netdev = a }\n"
                   "route ::/1 { gateway = fd00::9 netdev = a }\n"
                   "arp fd00::5 { mac = 02:11:22:33:44:55 netdev = a } }"),
              0);
    CU_ASSERT_STRING_EQUAL(err, "");
    EXPECT_EQ(conf.net.dad_probes, 3);
    EXPECT_EQ(conf.netdev[0].n_addrs, 3);
    CU_ASSERT(addr_is(&conf.netdev[0].addr[1].ip, "fd00::1"));
    EXPECT_EQ(conf.netdev[0].addr[1].prefix_len, 64);
    CU_ASSERT(!conf.netdev[0].autoconf && conf.netdev[1].autoconf);
    CU_ASSERT(addr_is(&conf.route[0].route.dst, "::") && !ip_addr_is_v4(&conf.route[0].route.dst));
    EXPECT_EQ(conf.route[0].route.prefix_len, 0);
    CU_ASSERT(addr_is(&conf.arp[0].ip, "fd00::5"));
    static const char *const bad[] = {
        "mos { netdev a { address = {fd00::1/64, fd00::1/64} } }",
        "mos { netdev a { address = fd00::1/64 } netdev b { address = {fd00::2/64, fd00::1/64} } }",
        "mos { netdev a { address = {1.0.0.1/8, 1.0.0.2/8, 1.0.0.3/8, 1.0.0.4/8, 1.0.0.5/8} } }",
        "mos { netdev a { address = ff02::1/64 } }",
        "mos { netdev a { address = fe80:1::1/64 } }",
    };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        EXPECT_EQ(load(bad[i]), -EINVAL);
}

static void idle_connections_may_live_for_ever(void)
{
    EXPECT_EQ(load("mos { tcp_timeout = -1 }"), 0);
    EXPECT_EQ(conf.tcp.idle_timeout_us, 0);
    EXPECT_EQ(load("mos { tcp_timeout = 0 }"), 0);
    EXPECT_EQ(conf.tcp.idle_timeout_us, 0);
}

static void the_only_netdev_needs_no_name(void)
{
    EXPECT_EQ(load("mos { netdev x { } route default { } arp 1.2.3.4 { mac = 02:0:0:0:0:1 } }"), 0);
    CU_ASSERT_STRING_EQUAL(conf.route[0].netdev, "x");
    CU_ASSERT_STRING_EQUAL(conf.arp[0].netdev, "x");
}

static void buffers_bound_memory(void)
{
    EXPECT_EQ(load("mos { mem_limit = 1M }"), 0);
    EXPECT_EQ(config_mem_limit(&conf), 1 << 20);
    EXPECT_EQ(load("mos { max_concurrency = 1024 max_num_buffers = 10 rmem_size = 4K\n"
                   "wmem_size = 4K }"),
              0);
    EXPECT_EQ(config_mem_limit(&conf), 10 * 8192 + 1024 * 1024);
    EXPECT_EQ(load("mos { max_concurrency = 1024 max_num_buffers = 1024 }"), 0);
    EXPECT_EQ(config_mem_limit(&conf), 0);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static const struct {
    const char *text, *says; /* says: what the line begins with; '*' in it: then goes on with */
} refused[] = {
    {"mos {\n\n max_concurency = 5 }",
     "config:3: max_concurency: unknown; did you mean max_concurrency?"},
    {"mos {\n zzz = 5 }", "config:2: zzz: unknown; mos.conf(5) lists"},
    {"mos { max_concurrency = 0 }",
     "config:1: max_concurrency: \"0\" is not possible here; write a number from 16 to"},
    {"mos { max_concurrency = 16777217 }", "config:1: max_concurrency:"},
    {"mos { max_concurrency = -1 }", "config:1: max_concurrency:"},
    {"mos { max_concurrency = 1x }", "config:1: max_concurrency:"},
    {"mos { max_concurrency = 1K }", "config:1: max_concurrency:"},
    {"mos { max_concurrency = \"\" }", "config:1: max_concurrency:"},
    {"mos { max_concurrency = 99999999999999999999 }", "config:1: max_concurrency:"},
    {"mos { mem_limit = 99999999999999G }", "config:1: mem_limit:"},
    {"mos {\n stat_print = dpdk0\n}",
     "config:2: stat_print: \"dpdk0\" is not possible here; write 1 or 0"},
    {"mos { idle = sleepy }",
     "config:1: idle: \"sleepy\" is not possible here; write \"adaptive\" or"},
    {"mos { tcp_congestion = bbr9 }", "config:1: tcp_congestion:"},
    {"mos { log_level = loud }", "config:1: log_level:"},
    {"mos { tcp_fastopen_key = \"1-2-3\" }", "config:1: tcp_fastopen_key:"},
    {"mos { tcp_fastopen_key = \"1-2-3-4x\" }", "config:1: tcp_fastopen_key:"},
    {"mos { tcp_fastopen_key = \"1-2-3-4,\" }", "config:1: tcp_fastopen_key:"},
    {"mos { tcp_fastopen_key = \"1-2-3-4,1-2-3-4,1-2-3-4\" }", "config:1: tcp_fastopen_key:"},
    {"mos { tcp_fastopen_key = \"1--2-3-4\" }", "config:1: tcp_fastopen_key:"},
    {"mos { port_range = \"5000\" }", "config:1: port_range:"},
    {"mos { port_range = \"0-5\" }", "config:1: port_range:"},
    {"mos { port_range = \"9-5\" }", "config:1: port_range:"},
    {"mos { port_range = \"1-70000\" }", "config:1: port_range:"},
    {"mos { tcp_timeout = -2 }", "config:1: tcp_timeout:"},
    {"mos { tcp_timeout = 1s }", "config:1: tcp_timeout:"},
    {"mos { num_cores = 3 cpu_mask = 3 }", "config:1: num_cores: cpu_mask allows 2 cores"},
    {"mos { tcp_min_rto_ms = 5000\n tcp_max_rto_ms = 1000 }",
     "config:1: tcp_min_rto_ms: above tcp_max_rto_ms"},
    {"mos {\n num_cores = 1\n num_cores = 2 }",
     "config:3: num_cores: already set in line 2; remove one"},
    {"mos { netdev a { mtu = 1500\n mtu = 1400 } }", "config:2: mtu: already set in line 1"},
    {"mos { }\nmos { }", "config:2: mos: there is one already"},
    {"mos { netdev a { }\n netdev a { } }", "config:2: netdev: there is a netdev \"a\" already"},
    {"mos {\n num_cores = 1", "config:1: mos: its closing } is missing"},
    {"mos {\n netdev a {\n mtu = 1500\n", "config:2: netdev: its closing } is missing"},
    {"mos { }\n }", "config:2: }: closes nothing"},
    {"mos { num_cores 1 }", "config:1: num_cores: = is missing; write num_cores = VALUE"},
    {"mos { num_cores += 1 }", "config:1: num_cores: = is missing"},
    {"mos { num_cores = }", "config:1: }: a name or value is expected here"},
    {"mos { num_cores = ", "config:1: end of file: a name or value is missing"},
    {"mos { num_cores = 1, }", "config:1: ,: a name or value is expected here"},
    {"mos { rmem_size = 4K\n rmem_max = 2K }", "config:2: rmem_max: below the size to begin with"},
    {"mos { wmem_max = 4K }",
     "config:1: wmem_max: below the size to begin with; write at least 262144"},
    {"mos = 5", "config:1: mos: is a section; write mos {"},
    {"mos \"x\" { }", "config:1: mos: has no title"},
    {"mos", "config:1: end of file: a name or value is missing"},
    {"mos x", "config:1: mos: has no title"},
    {"mos { mos_log = \"a${HOME}b\" }", "config:1: ${: variables are not expanded"},
    {"mos { mos_log = /tmp/x }", "config:1: /: put text that begins with it"},
    {"mos { num_cores = 1// x\n }", "config:1: /: put text that begins with it"},
    {"mos { netdev a { }\n route def#ult\n{ } }",
     "config:2: #: put a space before it, or the whole in double quotes"},
    {"mos { idle = spin'num_cores' = 1 }", "config:1: ': put a space before it"},
    {"mos { idle = spin\"num_cores\" = 1 }", "config:1: \": put a space before it"},
    {"mos { mos_log = \"abc\n\" }", "config:1: text: the closing \" is missing on this line"},
    {"mos { mos_log = 'abc", "config:1: text: the closing ' is missing"},
    {"mos { mos_log = \"a\\nb\" }", "config:1: \\: only"},
    {"mos {\n/* no end\n\n", "config:2: /*: this comment has no end"},
    {"mos { netdev a { address = \"10.0.0.1\" } }",
     "config:1: address: \"10.0.0.1\" is not possible here; write an address with its prefix"},
    {"mos { netdev a { address = \"10.0.0.1/33\" } }", "config:1: address:"},
    {"mos { netdev a { address = \"0.0.0.0/0\" } }", "config:1: address:"},
    {"mos { netdev a {\n address = {\"10.0.0.1/8\" \"10.0.0.2/8\"} } }",
     "config:2: address: is not separated"},
    {"mos { netdev a { address = {} } }", "config:1: }: a name or value"},
    {"mos { netdev a { mac = \"01:00:00:00:00:01\" } }", "config:1: mac:"},
    {"mos { netdev a { mac = \"02:00:00:00:01\" } }", "config:1: mac:"},
    {"mos { netdev a { mac = \"02:00:00:00:00:01:02\" } }", "config:1: mac:"},
    {"mos { netdev a { address = 10.0.0.1/8 }\n netdev b { address = 10.0.0.1/8 } }",
     "config:2: netdev: has the address of netdev \"a\""},
    {"mos { netdev a123456789a123456789a123456789ab { } }",
     "config:1: netdev: its name must have at most 31"},
    {"mos { netdev a { }\n route x { } }", "config:2: route: \"x\" is no network"},
    {"mos { netdev a { }\n route default {\n netdev = b } }",
     "config:3: netdev: there is no netdev \"b\""},
    {"mos { netdev a { } netdev b { }\n route default { } }",
     "config:2: netdev: there is no netdev \"\""},
    {"mos { netdev a { } route 10.0.0.0/8 { gateway = 2001:db8::1 } }",
     "config:1: route: network and gateway must be of one family"},
    {"mos { netdev a { } route default { gateway = nobody } }", "config:1: gateway:"},
    {"mos { netdev a { } arp 10.0.0.9 { } }", "config:1: arp: mac is missing"},
    {"mos { netdev a { } arp ten { mac = 02:00:00:00:00:01 } }",
     "config:1: arp: \"ten\" is no address"},
    {"mos { monitor m { } }", "config:1: monitor: plugin is missing"},
    {"mos { monitor m { plugin = \"\" } }", "config:1: monitor: plugin is missing"},
    {"mos { monitor m { plugin = \"x.so\"\n arg = 5 } }",
     "config:2: arg: unknown; did you mean args?"},
    /* the forerunners' files */
    {"io = dpdk\nnum_cores = 1", "config:1: io: not in this format; write instead:"},
    {"num_cores = 8\nport = dpdk0",
     "config:1: num_cores: not in this format; write instead: the same inside mos { }"},
    {"mos {\n forward = 1 }", "config:2: forward: joins two devices"},
    {"mos {\n forward = 1\n netdev a { }\n netdev b { address = \"10.0.0.1/24\" } }",
     "config:2: forward: joins two devices"},
    {"mos {\n num_cores = 2\n netdev a { } }", "config:2: num_cores: without an address"},
    {"mos {\n netdev {\n dpdk0 0x000F\n} }",
     "config:2: netdev: not in this format; write instead: netdev \"NAME\" {"},
    {"mos { arp_table {\n10.0.0.1 00:11:22:33:44:55 } }",
     "config:1: arp_table: not in this format; write instead: arp \"ADDR\""},
    {"mos { route_table { 10.0.0.0/24 dpdk0 } }", "config:1: route_table: not in this format"},
    {"mos { nic_forward_table { dpdk0 dpdk1 } }", "config:1: nic_forward_table:"},
    {"mos { nb_mem_channels = 4 }", "config:1: nb_mem_channels: not in this format"},
    {"application {\n type = end }", "config:1: application: not in this format"},
    {"ARP_ENTRY 2\n10.0.0.1/32 00:11:22:33:44:55", "config:1: ARP_ENTRY: not in this format"},
    {"ROUTES 1\n10.0.0.0/24 dpdk0", "config:1: ROUTES: not in this format"},
    {"rcvbuf = 8192", "config:1: rcvbuf: not in this format; write instead: rmem_size"},
    {"tcp_timewait = 0",
     "config:1: tcp_timewait: not in this format; write instead: tcp_tw_interval"},
};

static void what_is_wrong_is_named(void)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        int e = load(refused[i].text);
        bool ok = e == -EINVAL && strncmp(err, refused[i].says, strlen(refused[i].says)) == 0 &&
                  strchr(err, '\n') == NULL;
        if (!ok)
            fprintf(stderr, "\n%s\n  gave %d \"%s\"\n  not    \"%s\"\n", refused[i].text, e, err,
                    refused[i].says);
        CU_ASSERT(ok);
    }
}

static void long_texts_are_refused(void)
{
    char text[3000] = "mos { mos_log = \"";
    size_t n = strlen(text);
    memset(text + n, 'x', 255);
    strcpy(text + n + 255, "\" }");
    EXPECT_EQ(load(text), 0);
    memset(text + n, 'x', 256);
    strcpy(text + n + 256, "\" }");
    EXPECT_EQ(load(text), -EINVAL);
    CU_ASSERT(strstr(err, "config:1: mos_log:") == err && strstr(err, "at most 255 bytes"));
    memset(text + n, 'x', 1500);
    strcpy(text + n + 1500, "\" }");
    EXPECT_EQ(load(text), -EINVAL);
    CU_ASSERT(strstr(err, "longer than 1023 bytes") != NULL);
}

static void too_many_sections_are_refused(void)
{
    char text[20000] = "mos {\n";
    for (unsigned i = 0; i < NET_IF_MAX + 1; i++)
        sprintf(text + strlen(text), "netdev n%u { }\n", i);
    strcat(text, "}");
    EXPECT_EQ(load(text), -EINVAL);
    CU_ASSERT_STRING_EQUAL(err, "config:18: netdev: at most 16 of these");
}

/* ---- the file -------------------------------------------------------------------------------- */

static char dir[64];

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static int load_bytes(const void *bytes, size_t len)
{
    const char *path = path_of("mos.conf");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CU_ASSERT_EQUAL_FATAL(write(fd, bytes, len), (ssize_t)len);
    close(fd);
    int e = config_load_file(&conf, path, err, sizeof(err));
    unlink(path);
    return e;
}

static void files_are_read(void)
{
    static char big[1024 * 1024 + 1];
    strcpy(dir, "/tmp/t_config_XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    EXPECT_EQ(load_bytes("mos { num_cores = 1 }", 21), 0);
    EXPECT_EQ(load_bytes("\nmos { num_cores = 0 }", 22), -EINVAL);
    CU_ASSERT(strstr(err, "/mos.conf:2: num_cores: ") != NULL);
    EXPECT_EQ(load_bytes("mos { }\0", 8), -EINVAL);
    memset(big, ' ', sizeof(big));
    EXPECT_EQ(load_bytes(big, sizeof(big) - 1), 0);
    EXPECT_EQ(load_bytes(big, sizeof(big)), -EINVAL);
    EXPECT_EQ(config_load_file(&conf, dir, err, sizeof(err)), -EISDIR);
    EXPECT_EQ(config_load_file(&conf, path_of("none"), err, sizeof(err)), -ENOENT);
    CU_ASSERT(strstr(err, "/none: No such file") != NULL);
    mkfifo(path_of("fifo"), 0600);
    EXPECT_EQ(config_load_file(&conf, path_of("fifo"), err, sizeof(err)), -EINVAL);
    unlink(path_of("fifo"));
    EXPECT_EQ(config_load_file(&conf, "/dev/zero", err, sizeof(err)), -EINVAL);
    rmdir(dir);
}

/* ---- nothing crashes ------------------------------------------------------------------------- */

/* A good text with bytes changed, cut off, doubled: taken or refused with one line. */
static void damaged_texts_are_harmless(void)
{
    static const char good[] =
        "mos { num_cores = 1 # c\n netdev \"a\" { address = {\"10.0.0.1/8\"} "
        "mac = '02:00:00:00:00:01' }\n route default { } /* x */ idle = spin }";
    static const char odd[] = "{}\"'=\\#/*${,+ \n\t\x01\xff";
    struct rng r;
    rng_init(&r, test_seed());
    for (unsigned i = 0; i < 5000; i++) {
        char text[sizeof(good)];
        memcpy(text, good, sizeof(good));
        for (unsigned k = rng_below(&r, 4); k-- > 0;)
            text[rng_below(&r, sizeof(good) - 1)] = odd[rng_below(&r, sizeof(odd) - 1)];
        if (rng_below(&r, 3) == 0)
            text[rng_below(&r, sizeof(good))] = '\0';
        int e = load(text);
        if ((e != 0 && e != -EINVAL) || (e != 0) != (err[0] != '\0'))
            fprintf(stderr, "\n%s\n gave %d %s\n", text, e, err);
        CU_ASSERT((e == 0 || e == -EINVAL) && (e != 0) == (err[0] != '\0'));
        if (strstr(err, "can't be parsed"))
            fprintf(stderr, "\nlibconfuse refuses: %s\n", text);
        CU_ASSERT(strstr(err, "can't be parsed") == NULL);
    }
}

static void comments_may_stand_between_any_two_words(void)
{
    EXPECT_EQ(load("/* a */mos /* b\n */{ num_cores // c\n = # d = 7\n 2 /**/ /*\n*/netdev # e\n"
                   "// {\na /* f */ { address = /* g */ { # h\n 10.0.0.1/8 /* } */ } # i\n}\n}"),
              0);
    CU_ASSERT_STRING_EQUAL(err, "");
    EXPECT_EQ(conf.num_cores, 2);
    CU_ASSERT(conf.n_netdevs == 1 && addr_is(&conf.netdev[0].addr[0].ip, "10.0.0.1"));
}

/* ---- the page -------------------------------------------------------------------------------- */

static void the_page_names_every_key(void)
{
    static char page[65536];
    int fd = open("docs/man/mos.conf.5", O_RDONLY);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT(read(fd, page, sizeof(page) - 1) > 0);
    close(fd);
    for (unsigned s = SEC_MOS; s < SEC_N; s++)
        for (const struct config_key *k = config_sec_keys((enum config_sec)s); k->name; k++) {
            char bold[64];
            snprintf(bold, sizeof(bold), "\\fB%s\\fP", k->name);
            if (!strstr(page, bold))
                fprintf(stderr, "\nmos.conf.5 lacks %s\n", k->name);
            CU_ASSERT(strstr(page, bold) != NULL);
        }
}

TEST_SUITE(config, TEST_CASE(nothing_gives_the_defaults), TEST_CASE(the_default_device_is_a_tap),
           TEST_CASE(every_key_arrives), TEST_CASE(sections_arrive),
           TEST_CASE(both_families_at_one_netdev), TEST_CASE(idle_connections_may_live_for_ever),
           TEST_CASE(the_only_netdev_needs_no_name), TEST_CASE(buffers_bound_memory),
           TEST_CASE(what_is_wrong_is_named), TEST_CASE(long_texts_are_refused),
           TEST_CASE(too_many_sections_are_refused), TEST_CASE(files_are_read),
           TEST_CASE(comments_may_stand_between_any_two_words),
           TEST_CASE(damaged_texts_are_harmless), TEST_CASE(the_page_names_every_key));
