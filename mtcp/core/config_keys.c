/*
 * The keys of mos.conf: name, type, place, bounds. A new key is one line here and one paragraph in
 * docs/man/mos.conf.5.
 */
#include "mtcp/core/config_keys.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- values with a form of their own --------------------------------------------------------- */

static int number_of(const char *text, long min, long max, long *out)
{
    char *end;
    errno = 0;
    *out = strtol(text, &end, 10);
    return errno || end == text || *end || *out < min || *out > max ? -EINVAL : 0;
}

int config_parse_prefix(struct ip_addr *addr, uint8_t *prefix_len, const char *text)
{
    char copy[IP_ADDR_STRLEN + 8];
    if (strlen(text) >= sizeof(copy))
        return -EINVAL;
    strcpy(copy, text);
    char *slash = strchr(copy, '/');
    if (!slash)
        return -EINVAL;
    *slash = '\0';
    if (ip_addr_parse(copy, addr) < 0)
        return -EINVAL;
    long len;
    if (number_of(slash + 1, 0, ip_addr_is_v4(addr) ? 32 : 128, &len) < 0)
        return -EINVAL;
    *prefix_len = (uint8_t)len;
    return 0;
}

int config_parse_mac(struct mac_addr *mac, const char *text)
{
    unsigned b[6];
    int end = 0;
    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) !=
            6 ||
        end == 0 || text[end] != '\0' || strspn(text, "0123456789abcdefABCDEF:") != strlen(text))
        return -EINVAL;
    for (unsigned i = 0; i < 6; i++)
        mac->b[i] = (uint8_t)b[i];
    return 0;
}

static int parse_address(void *field, const char *text)
{
    struct config_netdev *d = field;
    struct config_addr a;
    if (config_parse_prefix(&a.ip, &a.prefix_len, text) < 0 || ip_addr_is_any(&a.ip) ||
        ip_addr_is_multicast(&a.ip) || d->n_addrs == CONFIG_MAX_ADDRS)
        return -EINVAL;
    d->addr[d->n_addrs++] = a;
    return 0;
}

static int parse_netdev_mac(void *field, const char *text)
{
    struct config_netdev *d = field;
    struct mac_addr mac;
    if (config_parse_mac(&mac, text) < 0 || (mac.b[0] & 1))
        return -EINVAL; /* a group address is nobody's own */
    memcpy(d->mac, mac.b, sizeof(d->mac));
    d->has_mac = true;
    return 0;
}

static int parse_mac(void *field, const char *text)
{
    return config_parse_mac(field, text);
}

static int parse_ip(void *field, const char *text)
{
    return ip_addr_parse(text, field);
}

static int parse_timeout(void *field, const char *text)
{
    long seconds;
    if (number_of(text, -1, INT32_MAX, &seconds) < 0)
        return -EINVAL;
    *(uint64_t *)field = seconds <= 0 ? 0 : (uint64_t)seconds * 1000000u;
    return 0;
}

static int parse_congestion(void *field, const char *text)
{
    const struct tcp_cc_ops *cc = tcp_cc_find(text);
    if (!cc)
        return -EINVAL;
    *(const struct tcp_cc_ops **)field = cc;
    return 0;
}

static int parse_idle(void *field, const char *text)
{
    enum config_idle *idle = field;
    if (strcmp(text, "adaptive") == 0)
        *idle = CONFIG_IDLE_ADAPTIVE;
    else if (strcmp(text, "spin") == 0)
        *idle = CONFIG_IDLE_SPIN;
    else
        return -EINVAL;
    return 0;
}

static int parse_log_level(void *field, const char *text)
{
    for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
        if (strcmp(text, log_level_name((enum log_level)level)) != 0)
            continue;
        *(enum log_level *)field = (enum log_level)level;
        return 0;
    }
    return -EINVAL;
}

static int parse_ports(void *field, const char *text)
{
    struct net_conf *net = field;
    unsigned min, max;
    int end = 0;
    if (sscanf(text, "%5u - %5u%n", &min, &max, &end) != 2 || end == 0 || text[end] != '\0' ||
        min < 1 || max > UINT16_MAX || min > max)
        return -EINVAL;
    net->port_min = (uint16_t)min;
    net->port_max = (uint16_t)max;
    return 0;
}

/* Linux's four words of a key; what follows them, or NULL. */
static const char *parse_key(struct hash_key *key, const char *text)
{
    uint32_t words[4];
    for (unsigned i = 0; i < 4; i++) {
        if (i > 0 && *text++ != '-')
            return NULL;
        size_t n = strspn(text, "0123456789abcdefABCDEF");
        if (n == 0 || n > 2 * sizeof(words[i]))
            return NULL;
        words[i] = htole32((uint32_t)strtoul(text, NULL, 16));
        text += n;
    }
    *key = fastopen_key_of(words);
    return text;
}

static int parse_fastopen_key(void *field, const char *text)
{
    struct fastopen_keys *k = field;
    k->n = 0;
    do {
        if (k->n == FASTOPEN_KEYS_MAX)
            return -EINVAL;
        text = parse_key(&k->key[k->n++], text);
    } while (text && *text == ',' && text++);
    return text && *text == '\0' ? 0 : -EINVAL;
}

/* ---- the tables ------------------------------------------------------------------------------ */

#define FIELD(type, member) (uint16_t) offsetof(type, member), (uint16_t)sizeof(((type *)0)->member)

#define NUM(key, type, member, lo, hi, times)                                                      \
    {                                                                                              \
        key, KEY_NUM, FIELD(type, member), times, lo, hi, NULL, NULL                               \
    }
#define BYTES(key, type, member, lo, hi)                                                           \
    {                                                                                              \
        key, KEY_BYTES, FIELD(type, member), 1, lo, hi, NULL, NULL                                 \
    }
#define BOOL(key, type, member)                                                                    \
    {                                                                                              \
        key, KEY_BOOL, FIELD(type, member), 1, 0, 1, NULL, NULL                                    \
    }
#define TEXT(key, type, member)                                                                    \
    {                                                                                              \
        key, KEY_TEXT, FIELD(type, member), 1, 0, 0, NULL, NULL                                    \
    }
#define OWN(key, type, member, fn, what)                                                           \
    {                                                                                              \
        key, KEY_OWN, FIELD(type, member), 1, 0, 0, fn, what                                       \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, KEY_NUM, 0, 0, 0, 0, 0, NULL, NULL                                                   \
    }

static const struct config_key top_keys[] = {END};

static const struct config_key mos_keys[] = {
    NUM("max_concurrency", struct config, max_concurrency, 16, 1u << 24, 1),
    NUM("max_monitor_socks", struct config, max_monitor_socks, 1, 1u << 24, 1),
    NUM("max_num_buffers", struct config, max_num_buffers, 0, INT32_MAX, 1),
    NUM("max_connections", struct config, net.max_conns, 0, UINT32_MAX, 1),
    NUM("max_time_wait", struct config, net.max_time_wait, 0, UINT32_MAX, 1),
    NUM("max_monitored_time_wait", struct config, net.max_mon_time_wait, 0, UINT32_MAX, 1),
    NUM("max_half_open", struct config, net.max_half_open, 1, UINT32_MAX, 1),
    NUM("rst_per_sec", struct config, net.rst_per_sec, 0, UINT32_MAX, 1),
    OWN("port_range", struct config, net, parse_ports, "\"32768-60999\", first port to last"),
    NUM("num_cores", struct config, num_cores, 1, 1024, 1),
    NUM("cpu_mask", struct config, cpu_mask, 0, UINT64_MAX, 1),
    BYTES("rmem_size", struct config, tcp.rcvbuf, 2048, 1u << 30),
    BYTES("wmem_size", struct config, tcp.sndbuf, 2048, 1u << 30),
    BYTES("rmem_max", struct config, tcp.rcvbuf_max, 2048, 1u << 30),
    BYTES("wmem_max", struct config, tcp.sndbuf_max, 2048, 1u << 30),
    NUM("tcp_tw_interval", struct config, tcp.tw_us, 0, 3600, 1000000),
    OWN("tcp_timeout", struct config, tcp.idle_timeout_us, parse_timeout,
        "seconds, or -1 to let idle connections live for ever"),
    NUM("tcp_fin_timeout", struct config, tcp.fin_wait2_us, 1, 3600, 1000000),
    NUM("tcp_min_rto_ms", struct config, tcp.min_rto_us, 1, 120000, 1000),
    NUM("tcp_max_rto_ms", struct config, tcp.max_rto_us, 1000, 600000, 1000),
    NUM("tcp_init_rto_ms", struct config, tcp.init_rto_us, 1, 120000, 1000),
    NUM("tcp_delack_ms", struct config, tcp.delack_us, 1, 500, 1000),
    NUM("tcp_syn_retries", struct config, tcp.syn_retries, 1, 127, 1),
    NUM("tcp_synack_retries", struct config, tcp.synack_retries, 1, 127, 1),
    NUM("tcp_retries", struct config, tcp.data_retries, 1, 255, 1),
    NUM("tcp_orphan_retries", struct config, tcp.orphan_retries, 1, 255, 1),
    NUM("tcp_max_orphans", struct config, tcp.max_orphans, 0, UINT32_MAX, 1),
    NUM("tcp_init_cwnd", struct config, tcp.init_cwnd, 1, 255, 1),
    NUM("tcp_min_tso_segs", struct config, tcp.min_tso_segs, 1, 255, 1),
    BOOL("tcp_slow_start_after_idle", struct config, tcp.idle_restart),
    BOOL("tcp_timestamps", struct config, tcp.timestamps),
    BOOL("tcp_sack", struct config, tcp.sack),
    BOOL("tcp_window_scaling", struct config, tcp.wscale),
    BYTES("max_fragment_bytes", struct config, net.max_fragment_bytes, 0, UINT64_MAX >> 1),
    NUM("tcp_fastopen", struct config, net.fastopen, 0, 0xfff, 1),
    NUM("tcp_fastopen_blackhole_timeout_sec", struct config, tcp.fastopen_pause_us, 0, 86400,
        1000000),
    OWN("tcp_fastopen_key", struct config, net.fastopen_keys, parse_fastopen_key,
        "one or two keys, as \"a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4,...\""),
    NUM("tcp_syncookies", struct config, net.syn_cookies, 0, 2, 1),
    NUM("ipv6_dad_probes", struct config, net.dad_probes, 0, 10, 1),
    BOOL("tcp_mtu_probing", struct config, net.pmtu_black_holes),
    NUM("mtu_expires", struct config, net.pmtu_expires_s, 1, 86400, 1),
    NUM("tcp_ecn", struct config, tcp.ecn, 0, 2, 1),
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the member is a pointer */
    OWN("tcp_congestion", struct config, tcp.cc, parse_congestion, "\"cubic\" or \"newreno\""),
    BYTES("mem_limit", struct config, mem_limit_bytes, 0, UINT64_MAX >> 1),
    NUM("packet_mem_mb", struct config, packet_mem_mb, 0, 1u << 20, 1),
    NUM("packet_buffers", struct config, n_pkts, 0, 1u << 24, 1),
    BOOL("hugepages", struct config, hugepages),
    OWN("idle", struct config, idle, parse_idle, "\"adaptive\" or \"spin\""),
    NUM("spin_us", struct config, spin_us, 0, 1000000, 1),
    NUM("close_wait_ms", struct config, close_wait_us, 0, 3600000, 1000),
    NUM("dormant_after_ms", struct config, dormant_after_us, 0, UINT32_MAX, 1000),
    BOOL("forward", struct config, forward),
    BOOL("trust_checksums", struct config, net.trust_csums),
    BOOL("stat_print", struct config, stat_print),
    OWN("log_level", struct config, log_level, parse_log_level,
        "\"error\", \"warning\", \"info\" or \"debug\""),
    TEXT("mos_log", struct config, log_file),
    TEXT("eal_args", struct config, eal_args),
    END,
};
_Static_assert(sizeof(mos_keys) / sizeof(mos_keys[0]) <= CONFIG_KEYS_MAX, "room for all keys");

static const struct config_key netdev_keys[] = {
    TEXT("device", struct config_netdev, device),
    {"address", KEY_OWN, 0, sizeof(struct config_netdev), 1, 0, 0, parse_address,
     "an address with its prefix length, as \"10.9.0.2/24\"; at most four of them"},
    BOOL("autoconf", struct config_netdev, autoconf),
    NUM("mtu", struct config_netdev, mtu, 576, 9216, 1),
    NUM("rx_descriptors", struct config_netdev, n_rxd, 0, 32768, 1),
    NUM("tx_descriptors", struct config_netdev, n_txd, 0, 32768, 1),
    {"mac", KEY_OWN, 0, sizeof(struct config_netdev), 1, 0, 0, parse_netdev_mac,
     "an address of one host, as \"02:00:00:00:00:01\""},
    END,
};

static const struct config_key route_keys[] = {
    TEXT("netdev", struct config_route, netdev),
    OWN("gateway", struct config_route, route.gateway, parse_ip, "an address, as \"10.9.0.1\""),
    END,
};

static const struct config_key arp_keys[] = {
    TEXT("netdev", struct config_arp, netdev),
    OWN("mac", struct config_arp, mac, parse_mac, "six bytes, as \"02:00:00:00:00:01\""),
    END,
};

static const struct config_key monitor_keys[] = {
    TEXT("plugin", struct config_monitor, plugin),
    TEXT("args", struct config_monitor, args),
    END,
};

static const struct {
    const char *name;
    enum config_sec in;
    const struct config_key *keys;
} secs[SEC_N] = {
    [SEC_TOP] = {"", SEC_N, top_keys},
    [SEC_MOS] = {"mos", SEC_TOP, mos_keys},
    [SEC_NETDEV] = {"netdev", SEC_MOS, netdev_keys},
    [SEC_ROUTE] = {"route", SEC_MOS, route_keys},
    [SEC_ARP] = {"arp", SEC_MOS, arp_keys},
    [SEC_MONITOR] = {"monitor", SEC_MOS, monitor_keys},
};

/* What mTCP's and mOS's files say, and what says it here. */
static const struct {
    const char *name, *write;
} replaced[] = {
    {"io", "remove it; the device of a netdev section decides (device = \"0000:03:00.0\")"},
    {"port", "netdev \"NAME\" { device = \"DEVICE\" address = \"ADDR/LEN\" } inside mos { }"},
    {"num_mem_ch", "remove it, or eal_args = \"-n N\""},
    {"nb_mem_channels", "remove it, or eal_args = \"-n N\""},
    {"onvm_inst", "remove it; OpenNetVM is not supported"},
    {"onvm_serv", "remove it; OpenNetVM is not supported"},
    {"onvm_dest", "remove it; OpenNetVM is not supported"},
    {"cc", "tcp_congestion = \"cubic\""},
    {"rcvbuf", "rmem_size = BYTES inside mos { }"},
    {"sndbuf", "wmem_size = BYTES inside mos { }"},
    {"tcp_timewait", "tcp_tw_interval = SECONDS inside mos { }"},
    {"multiprocess", "remove it; one process has all cores"},
    {"core_mask", "cpu_mask = MASK inside mos { }"},
    {"application", "remove the section; the program chooses its cores, mos { num_cores = N }"},
    {"arp_table", "arp \"ADDR\" { mac = \"MAC\" netdev = \"NAME\" } for each entry"},
    {"route_table", "route \"ADDR/LEN\" { netdev = \"NAME\" } for each entry"},
    {"nic_forward_table", "remove it; forward = 1 joins the two netdevs there are"},
    {"no_ring_buffers", "remove it; buffers exist while they hold bytes"},
    {"ARP_ENTRY", "mos { arp \"ADDR\" { mac = \"MAC\" netdev = \"NAME\" } } for each entry"},
    {"ROUTES", "mos { route \"ADDR/LEN\" { netdev = \"NAME\" } } for each entry"},
};

const char *config_sec_name(enum config_sec sec)
{
    return secs[sec].name;
}

const struct config_key *config_sec_keys(enum config_sec sec)
{
    return secs[sec].keys;
}

enum config_sec config_sec_find(enum config_sec in, const char *name)
{
    for (unsigned s = SEC_MOS; s < SEC_N; s++)
        if (secs[s].in == in && strcmp(secs[s].name, name) == 0)
            return (enum config_sec)s;
    return SEC_N;
}

const struct config_key *config_key_find(enum config_sec sec, const char *name)
{
    for (const struct config_key *k = secs[sec].keys; k->name; k++)
        if (strcmp(k->name, name) == 0)
            return k;
    return NULL;
}

const char *config_replacement(enum config_sec in, const char *name)
{
    for (size_t i = 0; i < sizeof(replaced) / sizeof(replaced[0]); i++)
        if (strcmp(replaced[i].name, name) == 0)
            return replaced[i].write;
    if (in == SEC_TOP &&
        (config_key_find(SEC_MOS, name) || config_sec_find(SEC_MOS, name) != SEC_N))
        return "the same inside mos { }";
    return NULL;
}

/* ---- misspelt names -------------------------------------------------------------------------- */

#define NAME_MAX_LEN 31

/* Edits from one name to another (Levenshtein), one row at a time. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[NAME_MAX_LEN + 1];
    size_t nb = strlen(b);
    if (strlen(a) > NAME_MAX_LEN || nb > NAME_MAX_LEN)
        return UINT32_MAX;
    for (unsigned j = 0; j <= nb; j++)
        row[j] = j;
    for (unsigned i = 1; *a; a++, i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= nb; j++) {
            unsigned best = diagonal + (*a != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[nb];
}

static void consider(const char *name, const char *candidate, unsigned *best, const char **found)
{
    unsigned d = distance(name, candidate);
    if (d < *best) {
        *best = d;
        *found = candidate;
    }
}

const char *config_nearest(enum config_sec in, const char *name)
{
    unsigned best = strlen(name) > 4 ? 4 : 2; /* edits below this count as a slip */
    const char *found = NULL;
    for (const struct config_key *k = secs[in].keys; k->name; k++)
        consider(name, k->name, &best, &found);
    for (unsigned s = SEC_MOS; s < SEC_N; s++)
        if (secs[s].in == in)
            consider(name, secs[s].name, &best, &found);
    return found;
}
