/* Sysctls become keys of mos.conf(5), and these the parameters of new connections (settings.h). */
#include "tests/packetdrill/settings.h"

#include "tests/packetdrill/device.h"

#include "mtcp/core/config.h"
#include "mtcp/core/ctx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How a sysctl's value is written as a key's. */
enum form {
    AS_IS,
    SECOND,   /* the middle one of "min default max" */
    THIRD,    /* the last one */
    BOOL,     /* 0 or not */
    LOW_BITS, /* of a number that may be hexadecimal: the twelve that have a meaning */
    QUOTED,
    CC_NAME, /* of a congestion control */
};

static const struct {
    const char *file, *key;
    enum form form;
} settings[] = {
    {"tcp_rmem", "rmem_size", SECOND},
    {"tcp_rmem", "rmem_max", THIRD},
    {"tcp_wmem", "wmem_size", SECOND},
    {"tcp_wmem", "wmem_max", THIRD},
    {"tcp_timestamps", "tcp_timestamps", BOOL},
    {"tcp_min_tso_segs", "tcp_min_tso_segs", AS_IS},
    {"tcp_slow_start_after_idle", "tcp_slow_start_after_idle", BOOL},
    {"tcp_sack", "tcp_sack", BOOL},
    {"tcp_window_scaling", "tcp_window_scaling", BOOL},
    {"tcp_syn_retries", "tcp_syn_retries", AS_IS},
    {"tcp_synack_retries", "tcp_synack_retries", AS_IS},
    {"tcp_retries2", "tcp_retries", AS_IS},
    {"tcp_fin_timeout", "tcp_fin_timeout", AS_IS},
    {"route_initcwnd", "tcp_init_cwnd", AS_IS},
    {"tcp_ecn", "tcp_ecn", AS_IS},
    {"tcp_fastopen", "tcp_fastopen", LOW_BITS},
    {"tcp_fastopen_key", "tcp_fastopen_key", QUOTED},
    {"tcp_fastopen_blackhole_timeout_sec", "tcp_fastopen_blackhole_timeout_sec", AS_IS},
    {"tcp_syncookies", "tcp_syncookies", AS_IS},
    {"tcp_congestion_control", "tcp_congestion", CC_NAME},
};

static bool file_read(const char *folder, const char *name, char *out, size_t room)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    size_t n = fread(out, 1, room - 1, f);
    fclose(f);
    out[n] = '\0';
    return n > 0;
}

static const char *word(const char *text, unsigned which, char *out, size_t room)
{
    out[0] = '\0';
    for (;; which--) {
        text += strspn(text, " \t\n");
        size_t n = strcspn(text, " \t\n");
        if (which == 0) {
            snprintf(out, room, "%.*s", (int)n, text);
            return out;
        }
        text += n;
    }
}

static const char *value_of(enum form form, const char *text, char *out, size_t room)
{
    switch (form) {
    case SECOND:
        return word(text, 1, out, room);
    case THIRD:
        return word(text, 2, out, room);
    case BOOL:
        word(text, 0, out, room);
        return strcmp(out, "0") == 0 ? "0" : "1";
    case LOW_BITS:
        snprintf(out, room, "%lu", strtoul(text, NULL, 0) & 0xfff);
        return out;
    case QUOTED:
        text += strspn(text, " \t\n");
        snprintf(out, room, "\"%.*s\"", (int)strcspn(text, " \t\n"), text);
        return out;
    case CC_NAME:
        word(text, 0, out, room);
        return strcmp(out, "reno") == 0 ? "\"newreno\"" : "\"cubic\"";
    default:
        return word(text, 0, out, room);
    }
}

void settings_text(const char *folder, char *text, size_t room)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; folder && i < sizeof(settings) / sizeof(settings[0]) && at < room; i++) {
        char raw[256], value[96];
        if (!file_read(folder, settings[i].file, raw, sizeof(raw)))
            continue;
        int n = snprintf(text + at, room - at, "%s = %s\n", settings[i].key,
                         value_of(settings[i].form, raw, value, sizeof(value)));
        at += n > 0 ? (size_t)n : 0;
    }
}

static struct config conf;

/* What of the configuration a running context looks at. */
static void params_set(struct net *n)
{
    n->env.params = conf.tcp;
    n->conf.fastopen = conf.net.fastopen;
    n->conf.fastopen_keys = conf.net.fastopen_keys;
    n->conf.syn_cookies = conf.net.syn_cookies;
}

/* ip tcp_metrics flush: one more line each time. */
static void metrics_flush(struct net *n, const char *folder)
{
    static size_t n_flushed;
    char lines[256] = "";
    (void)file_read(folder, "metrics_flushed", lines, sizeof(lines));
    if (strlen(lines) != n_flushed)
        memset(n->fastopen_peers, 0, sizeof(n->fastopen_peers));
    n_flushed = strlen(lines);
}

void settings_report(mctx_t mctx, const char *folder)
{
    static uint64_t last;
    uint64_t now = ctx_of(mctx)->net.stats.icmp_out_of_window;
    char path[512];
    if (now == last)
        return;
    last = now;
    snprintf(path, sizeof(path), "%s/counters", folder);
    FILE *f = fopen(path, "w");
    if (!f)
        return;
    fprintf(f, "TcpExtOutOfWindowIcmps %llu 0.0\n", (unsigned long long)now);
    fclose(f);
}

void settings_apply(mctx_t mctx, const char *folder)
{
    static char last[2048];
    char now[sizeof(last)], text[sizeof(last) + 16], err[256], tso[8] = "on";
    metrics_flush(&ctx_of(mctx)->net, folder);
    (void)file_read(folder, "device_tso", tso, sizeof(tso));
    device_set_cutting(strncmp(tso, "off", 3) == 0);
    settings_text(folder, now, sizeof(now));
    if (strcmp(now, last) == 0)
        return;
    strcpy(last, now);
    snprintf(text, sizeof(text), "mos {\n%s}", now);
    if (config_load_text(&conf, text, err, sizeof(err)) < 0)
        fprintf(stderr, "packetdrill: %s\n", err);
    else
        params_set(&ctx_of(mctx)->net);
}
