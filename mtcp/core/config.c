/*
 * The configuration: file to text, text through the checker (config_scan.c) and libconfuse into
 * struct config, then what only the whole can tell.
 *
 * libconfuse hands every value over as text and this file converts it, so that a complaint can name
 * the line, and booleans may be 1 and 0.
 */
#include "mtcp/core/config.h"

#include "mtcp/core/config_keys.h"
#include "mtcp/core/config_scan.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX (1024l * 1024)

void config_default(struct config *c)
{
    memset(c, 0, sizeof(*c));
    tcp_params_default(&c->tcp);
    c->net = (struct net_conf){
        .max_time_wait = 262144,
        .max_mon_time_wait = 65536,
        .max_half_open = 65536,
        .rst_per_sec = 10000,
        .port_min = 32768,
        .port_max = 60999,
        .pmtu_expires_s = 600,
        .pmtu_black_holes = true,
        .dad_probes = 1,
        .syn_cookies = 1,
        .fastopen = NET_FASTOPEN_CLIENT,
        .max_fragment_bytes = 4u << 20,
    };
    c->max_concurrency = 100000;
    c->max_monitor_socks = 1u << 20;
    c->num_cores = 1;
    c->idle = CONFIG_IDLE_ADAPTIVE;
    c->spin_us = 50;
    c->close_wait_us = 1000000;
    c->dormant_after_us = 1000000;
    c->log_level = LOG_INFO;
}

void config_default_netdev(struct config *c)
{
    struct config_netdev *d = &c->netdev[0];
    *d = (struct config_netdev){
        .name = "tap0",
        .device = "tap0,iface=dtap0",
        .addr = {{ip_addr_v4(be32_make(0x0a090002)), 24}}, /* 10.9.0.2/24 */
        .n_addrs = 1,
    };
    c->n_netdevs = 1;
}

uint64_t config_mem_limit(const struct config *c)
{
    if (c->max_num_buffers == 0 || c->max_num_buffers >= c->max_concurrency)
        return c->mem_limit_bytes;
    enum { BLOCKS_BYTES = 1024 }; /* of a connection without buffers, with room to spare */
    uint64_t limit = (uint64_t)c->max_num_buffers * (c->tcp.rcvbuf + c->tcp.sndbuf) +
                     (uint64_t)c->max_concurrency * BLOCKS_BYTES;
    return c->mem_limit_bytes && c->mem_limit_bytes < limit ? c->mem_limit_bytes : limit;
}

/* ---- one value ------------------------------------------------------------------------------- */

struct load {
    struct config *conf;
    struct config_scan *scan;
    struct config_err err;
};

static void store_number(void *field, size_t size, uint64_t v)
{
    switch (size) {
    case 1:
        *(uint8_t *)field = (uint8_t)v;
        break;
    case 2:
        *(uint16_t *)field = (uint16_t)v;
        break;
    case 4:
        *(uint32_t *)field = (uint32_t)v;
        break;
    default:
        *(uint64_t *)field = v;
    }
}

/* Digits with an optional K, M or G when has_unit. 0 or -EINVAL. */
static int parse_number(const char *text, bool has_unit, uint64_t *out)
{
    static const char units[] = "KMG";
    char *end;
    errno = 0;
    uint64_t v = strtoull(text, &end, strncasecmp(text, "0x", 2) == 0 ? 16 : 10);
    if (errno || end == text || text[0] == '-' || text[0] == '+')
        return -EINVAL;
    const char *unit = *end && has_unit ? strchr(units, *end & ~0x20) : NULL;
    if (unit && *unit) {
        unsigned shift = 10u * (unsigned)(unit - units + 1);
        if (v > UINT64_MAX >> shift)
            return -EINVAL;
        v <<= shift;
        end++;
    }
    *out = v;
    return *end ? -EINVAL : 0;
}

static int store_bool(void *field, const char *text)
{
    static const char *const yes[] = {"1", "true", "yes", "on"};
    static const char *const no[] = {"0", "false", "no", "off"};
    for (unsigned i = 0; i < 4; i++) {
        if (strcasecmp(text, yes[i]) != 0 && strcasecmp(text, no[i]) != 0)
            continue;
        *(bool *)field = strcasecmp(text, yes[i]) == 0;
        return 0;
    }
    return -EINVAL;
}

static int complain_value(const struct load *l, unsigned line, const struct config_key *k,
                          const char *text)
{
    char want[128];
    if (k->type == KEY_OWN)
        snprintf(want, sizeof(want), "%s", k->want);
    else if (k->type == KEY_BOOL)
        snprintf(want, sizeof(want), "1 or 0");
    else if (k->type == KEY_TEXT)
        snprintf(want, sizeof(want), "at most %u bytes", k->size - 1u);
    else
        snprintf(want, sizeof(want), "a number from %llu to %llu%s", (unsigned long long)k->min,
                 (unsigned long long)k->max, k->type == KEY_BYTES ? ", or with K, M or G" : "");
    return config_complain(&l->err, line, k->name, "\"%.64s\" is not possible here; write %s", text,
                           want);
}

static int store_value(const struct config_key *k, void *field, const char *text)
{
    uint64_t v;
    switch (k->type) {
    case KEY_BOOL:
        return store_bool(field, text);
    case KEY_TEXT:
        if (strlen(text) >= k->size)
            return -EINVAL;
        strcpy(field, text);
        return 0;
    case KEY_OWN:
        return k->parse(field, text);
    case KEY_NUM:
    case KEY_BYTES:
        if (parse_number(text, k->type == KEY_BYTES, &v) < 0 || v < k->min || v > k->max)
            return -EINVAL;
        store_number(field, k->size, v * k->scale);
        return 0;
    }
    return -EINVAL;
}

/* Every key that the section sets, into the struct at `base`. */
static int load_keys(const struct load *l, cfg_t *sec, enum config_sec kind, unsigned instance,
                     void *base)
{
    for (const struct config_key *k = config_sec_keys(kind); k->name; k++) {
        for (unsigned i = 0; i < cfg_size(sec, k->name); i++) { /* more than one: of a list */
            const char *text = cfg_getnstr(sec, k->name, i);
            if (!text || store_value(k, (char *)base + k->off, text) == 0)
                continue;
            return complain_value(l, config_scan_line(l->scan, kind, instance, k), k, text);
        }
    }
    return 0;
}

/* ---- sections -------------------------------------------------------------------------------- */

#define COMPLAIN_SEC(l, kind, i, ...)                                                              \
    config_complain(&(l)->err, config_scan_line((l)->scan, kind, i, NULL), config_sec_name(kind),  \
                    __VA_ARGS__)

static int load_netdev(const struct load *l, cfg_t *sec, unsigned i)
{
    struct config_netdev *d = &l->conf->netdev[i];
    snprintf(d->name, sizeof(d->name), "%s", cfg_title(sec));
    if (strlen(cfg_title(sec)) >= sizeof(d->name))
        return COMPLAIN_SEC(l, SEC_NETDEV, i, "its name must have at most %zu characters",
                            sizeof(d->name) - 1);
    snprintf(d->device, sizeof(d->device), "tap%u,iface=dtap%u", i, i);
    d->line = config_scan_line(l->scan, SEC_NETDEV, i, config_key_find(SEC_NETDEV, "device"));
    return load_keys(l, sec, SEC_NETDEV, i, d);
}

/* The index of a netdev by name; an empty name means the only one. -1: none. */
static int netdev_index(const struct config *c, const char *name)
{
    if (name[0] == '\0')
        return c->n_netdevs == 1 ? 0 : -1;
    for (unsigned i = 0; i < c->n_netdevs; i++)
        if (strcmp(c->netdev[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* Resolves the name in place, so that what is left is never empty. */
static int check_netdev(const struct load *l, enum config_sec kind, unsigned i, char name[32])
{
    int index = netdev_index(l->conf, name);
    if (index < 0)
        return config_complain(
            &l->err, config_scan_line(l->scan, kind, i, config_key_find(kind, "netdev")), "netdev",
            "there is no netdev \"%s\"; write the title of a netdev "
            "section",
            name);
    snprintf(name, 32, "%s", l->conf->netdev[index].name);
    return index;
}

static int load_route(const struct load *l, cfg_t *sec, unsigned i)
{
    struct config_route *r = &l->conf->route[i];
    bool is_default = strcmp(cfg_title(sec), "default") == 0;
    const char *title = is_default ? "0.0.0.0/0" : cfg_title(sec);
    if (config_parse_prefix(&r->route.dst, &r->route.prefix_len, title) < 0)
        return COMPLAIN_SEC(
            l, SEC_ROUTE, i,
            "\"%.64s\" is no network; write route \"ADDR/LEN\" or route \"default\"", title);
    int err = load_keys(l, sec, SEC_ROUTE, i, r);
    if (err < 0)
        return err;
    if (is_default && !ip_addr_is_v4(&r->route.gateway) && !ip_addr_is_any(&r->route.gateway))
        r->route.dst = (struct ip_addr){0}; /* the default of its family */
    if (!ip_addr_is_any(&r->route.gateway) &&
        ip_addr_is_v4(&r->route.gateway) != ip_addr_is_v4(&r->route.dst))
        return COMPLAIN_SEC(l, SEC_ROUTE, i, "network and gateway must be of one family");
    int index = check_netdev(l, SEC_ROUTE, i, r->netdev);
    if (index < 0)
        return index;
    r->route.netif = (uint8_t)index;
    return 0;
}

static int load_arp(const struct load *l, cfg_t *sec, unsigned i)
{
    struct config_arp *a = &l->conf->arp[i];
    if (ip_addr_parse(cfg_title(sec), &a->ip) < 0)
        return COMPLAIN_SEC(l, SEC_ARP, i, "\"%.64s\" is no address; write arp \"ADDR\" {",
                            cfg_title(sec));
    if (cfg_size(sec, "mac") == 0)
        return COMPLAIN_SEC(l, SEC_ARP, i, "mac is missing; write mac = \"02:00:00:00:00:01\"");
    int err = load_keys(l, sec, SEC_ARP, i, a);
    if (err < 0)
        return err;
    int index = check_netdev(l, SEC_ARP, i, a->netdev);
    return index < 0 ? index : 0;
}

static int load_monitor(const struct load *l, cfg_t *sec, unsigned i)
{
    struct config_monitor *m = &l->conf->monitor[i];
    if (strlen(cfg_title(sec)) >= sizeof(m->name))
        return COMPLAIN_SEC(l, SEC_MONITOR, i, "its name must have at most %zu characters",
                            sizeof(m->name) - 1);
    strcpy(m->name, cfg_title(sec));
    if (cfg_size(sec, "plugin") == 0 || *cfg_getstr(sec, "plugin") == '\0')
        return COMPLAIN_SEC(l, SEC_MONITOR, i, "plugin is missing; write plugin = \"PATH.so\"");
    return load_keys(l, sec, SEC_MONITOR, i, m);
}

static int load_all(const struct load *l, cfg_t *mos, enum config_sec kind, unsigned max,
                    int (*load_one)(const struct load *, cfg_t *, unsigned))
{
    unsigned n = cfg_size(mos, config_sec_name(kind));
    if (n > max)
        return COMPLAIN_SEC(l, kind, max, "at most %u of these", max);
    for (unsigned i = 0; i < n; i++) {
        int err = load_one(l, cfg_getnsec(mos, config_sec_name(kind), i), i);
        if (err < 0)
            return err;
    }
    return (int)n;
}

static int load_sections(const struct load *l, cfg_t *mos)
{
    struct config *c = l->conf;
    struct {
        enum config_sec kind;
        unsigned max, *count;
        int (*load_one)(const struct load *, cfg_t *, unsigned);
    } kinds[] = {
        {SEC_NETDEV, NET_IF_MAX, &c->n_netdevs, load_netdev},
        {SEC_ROUTE, CONFIG_MAX_ROUTES, &c->n_routes, load_route},
        {SEC_ARP, CONFIG_MAX_ARP, &c->n_arps, load_arp},
        {SEC_MONITOR, CONFIG_MAX_MONITORS, &c->n_monitors, load_monitor},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        int n = load_all(l, mos, kinds[i].kind, kinds[i].max, kinds[i].load_one);
        if (n < 0)
            return n;
        *kinds[i].count = (unsigned)n;
    }
    return 0;
}

static bool netdev_has(const struct config_netdev *d, const struct ip_addr *ip, unsigned n_addrs)
{
    for (unsigned i = 0; i < n_addrs; i++)
        if (ip_addr_eq(&d->addr[i].ip, ip))
            return true;
    return false;
}

/* Every address once. Link-local ones are one per link. */
static int check_addresses(const struct load *l)
{
    const struct config *c = l->conf;
    for (unsigned i = 0; i < c->n_netdevs; i++)
        for (unsigned a = 0; a < c->netdev[i].n_addrs; a++)
            for (unsigned j = 0; j <= i; j++) {
                const struct ip_addr *ip = &c->netdev[i].addr[a].ip;
                unsigned n = j == i ? a : c->netdev[j].n_addrs;
                if (netdev_has(&c->netdev[j], ip, n) && (j == i || !ip_addr_is_link_local(ip)))
                    return COMPLAIN_SEC(l, SEC_NETDEV, i, "has the address of netdev \"%s\"",
                                        c->netdev[j].name);
            }
    return 0;
}

bool config_is_wire(const struct config *c)
{
    for (unsigned i = 0; i < c->n_netdevs; i++)
        if (c->netdev[i].n_addrs > 0 || c->netdev[i].autoconf)
            return false;
    return true;
}

/* A wire has no endpoint, two ends, and one core, which sees both directions. */
static int check_wire(const struct load *l)
{
    const struct config *c = l->conf;
    unsigned line = config_scan_line(l->scan, SEC_MOS, 0, config_key_find(SEC_MOS, "forward"));
    if (c->forward && (c->n_netdevs != 2 || !config_is_wire(c)))
        return config_complain(&l->err, line, "forward",
                               "joins two devices; write two netdev sections without addresses");
    line = config_scan_line(l->scan, SEC_MOS, 0, config_key_find(SEC_MOS, "num_cores"));
    if (c->n_netdevs > 0 && config_is_wire(c) && c->num_cores > 1)
        return config_complain(&l->err, line, "num_cores",
                               "without an address on any netdev there is no endpoint, and what "
                               "only looks runs on one core; write 1, or an address");
    return 0;
}

/* What no key can tell alone. */
static int check_whole(const struct load *l)
{
    struct config *c = l->conf;
    unsigned line = config_scan_line(l->scan, SEC_MOS, 0, config_key_find(SEC_MOS, "num_cores"));
    if (c->cpu_mask && (unsigned)__builtin_popcountll(c->cpu_mask) < c->num_cores)
        return config_complain(&l->err, line, "num_cores",
                               "cpu_mask allows %d cores; write at most that",
                               __builtin_popcountll(c->cpu_mask));
    line = config_scan_line(l->scan, SEC_MOS, 0, config_key_find(SEC_MOS, "tcp_min_rto_ms"));
    if (c->tcp.min_rto_us > c->tcp.max_rto_us)
        return config_complain(&l->err, line, "tcp_min_rto_ms",
                               "above tcp_max_rto_ms; write at most %u", c->tcp.max_rto_us / 1000);
    const struct {
        const char *name;
        uint32_t size, max;
    } bufs[] = {{"rmem_max", c->tcp.rcvbuf, c->tcp.rcvbuf_max},
                {"wmem_max", c->tcp.sndbuf, c->tcp.sndbuf_max}};
    for (unsigned i = 0; i < 2; i++)
        if (bufs[i].max < bufs[i].size)
            return config_complain(
                &l->err,
                config_scan_line(l->scan, SEC_MOS, 0, config_key_find(SEC_MOS, bufs[i].name)),
                bufs[i].name, "below the size to begin with; write at least %u", bufs[i].size);
    int err = check_wire(l);
    return err ? err : check_addresses(l);
}

/* ---- libconfuse ------------------------------------------------------------------------------ */

/* The checker has said all there is to say. */
static void say_nothing(cfg_t *cfg, const char *fmt, va_list ap)
{
    (void)cfg;
    (void)fmt;
    (void)ap;
}

/* All keys of a section as texts. `opts` has room for one more than it holds. */
static unsigned opts_of(enum config_sec sec, cfg_opt_t *opts)
{
    unsigned n = 0;
    for (const struct config_key *k = config_sec_keys(sec); k->name; k++) {
        cfg_opt_t text = CFG_STR(k->name, NULL, CFGF_NODEFAULT);
        cfg_opt_t list = CFG_STR_LIST(k->name, NULL, CFGF_NODEFAULT);
        opts[n++] = strcmp(k->name, "address") == 0 ? list : text;
    }
    return n;
}

static void end_opts(cfg_opt_t *at)
{
    cfg_opt_t end = CFG_END();
    *at = end;
}

/* Parses into a tree; NULL when libconfuse refuses what the checker took. */
static cfg_t *parse_tree(const char *text)
{
    cfg_opt_t sub[SEC_N][CONFIG_KEYS_MAX];
    cfg_opt_t mos[CONFIG_KEYS_MAX + SEC_N];
    unsigned n = opts_of(SEC_MOS, mos);
    for (unsigned s = SEC_NETDEV; s < SEC_N; s++) {
        end_opts(&sub[s][opts_of((enum config_sec)s, sub[s])]);
        cfg_opt_t sec =
            CFG_SEC(config_sec_name((enum config_sec)s), sub[s], CFGF_MULTI | CFGF_TITLE);
        mos[n++] = sec;
    }
    end_opts(&mos[n]);
    cfg_opt_t top[] = {CFG_SEC("mos", mos, CFGF_NONE), CFG_END()};
    cfg_t *cfg = cfg_init(top, CFGF_NONE);
    if (!cfg)
        return NULL;
    cfg_set_error_function(cfg, say_nothing);
    if (cfg_parse_buf(cfg, text) == CFG_SUCCESS)
        return cfg;
    cfg_free(cfg);
    return NULL;
}

/* A size without a maximum is fixed. */
static void fix_buffers(struct config *c, cfg_t *mos)
{
    if (cfg_size(mos, "rmem_size") && !cfg_size(mos, "rmem_max"))
        c->tcp.rcvbuf_max = c->tcp.rcvbuf;
    if (cfg_size(mos, "wmem_size") && !cfg_size(mos, "wmem_max"))
        c->tcp.sndbuf_max = c->tcp.sndbuf;
}

static int load_scanned(const struct load *l, const char *text)
{
    cfg_t *cfg = parse_tree(text);
    if (!cfg)
        return config_complain(&l->err, 1, "text", "can't be parsed");
    cfg_t *mos = cfg_getsec(cfg, "mos");
    int err = mos ? load_keys(l, mos, SEC_MOS, 0, l->conf) : 0;
    if (err == 0 && mos) {
        fix_buffers(l->conf, mos);
        err = load_sections(l, mos);
    }
    if (err == 0)
        err = check_whole(l);
    cfg_free(cfg);
    return err;
}

static int load_named(struct config *c, const char *text, const struct config_err *err)
{
    struct config_scan *scan = calloc(1, sizeof(*scan));
    char *copy = strdup(text);
    struct load l = {c, scan, *err};
    config_default(c);
    int e = scan && copy ? config_scan(scan, copy, err) : -ENOMEM;
    if (e == 0)
        e = load_scanned(&l, copy);
    if (e == -ENOMEM)
        snprintf(err->text, err->len, "%s: no memory to read it", err->file);
    if (scan)
        config_scan_free(scan);
    free(scan);
    free(copy);
    return e;
}

int config_load_text(struct config *c, const char *text, char *err, size_t err_len)
{
    if (text && strlen(text) > FILE_BYTES_MAX) {
        snprintf(err, err_len, "config: longer than 1 MB");
        return -EINVAL;
    }
    return load_named(c, text ? text : "", &(struct config_err){err, err_len, "config"});
}

/* ---- the file -------------------------------------------------------------------------------- */

/* Reads an open file to its end; malloc'd, with a terminator. NULL with errno. */
static char *read_all(int fd, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        return NULL;
    size_t n = 0;
    while (n < size) {
        ssize_t got = read(fd, text + n, size - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            free(text);
            return NULL;
        }
        if (got == 0)
            break;
        n += (size_t)got;
    }
    text[n] = '\0';
    if (memchr(text, '\0', n) == NULL)
        return text;
    free(text);
    errno = EINVAL;
    return NULL;
}

/* The text of a regular file of at most 1 MB. NULL with errno. */
static char *read_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    struct stat st;
    char *text = NULL;
    int err = 0;
    if (fstat(fd, &st) < 0)
        err = errno;
    else if (S_ISDIR(st.st_mode))
        err = EISDIR;
    else if (!S_ISREG(st.st_mode) || st.st_size > FILE_BYTES_MAX)
        err = EINVAL;
    else if (!(text = read_all(fd, (size_t)st.st_size)))
        err = errno;
    close(fd);
    errno = err;
    return text;
}

int config_load_file(struct config *c, const char *path, char *err, size_t err_len)
{
    if (!path)
        return config_load_text(c, NULL, err, err_len);
    char *text = read_file(path);
    if (!text) {
        int e = errno ? errno : EINVAL;
        snprintf(err, err_len, "%s: %s; name a readable text file of at most 1 MB", path,
                 e == EINVAL ? "not such a file" : strerror(e));
        return -e;
    }
    int e = load_named(c, text, &(struct config_err){err, err_len, path});
    free(text);
    return e;
}
