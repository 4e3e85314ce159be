/*
 * firewall - a monitor that judges each connection on its first SYN by a list of rules (rules.h):
 * what is dropped never reaches the endpoint, nor the network when this host began it.
 *
 *     monitor "firewall" { plugin = "firewall.so" args = "rules=rules.conf" }      in mos.conf
 *
 *     rules=PATH   the rules
 *     file=PATH    where the counts are written, at the end, and the log; without it stdout
 *     every=N      the counts also every N seconds
 *     log          a line for each SYN that is dropped
 *
 * A connection that is accepted is not looked at again. A SYN that is sent again because nobody
 * answered is judged and counted again. Of a SYN that was answered with a SYN cookie the monitor
 * hears when the cookie comes back: the client has had a SYN-ACK then, and gets nothing more.
 */
#include "apps/common/out.h"
#include "apps/common/plugin.h"
#include "apps/firewall/rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct firewall {
    struct plugin plugin;
    struct fw_rules rules;
    bool logs;
    uint64_t every_s;          /* counts are written; 0: at the end only */
    char path[256], file[256]; /* of the rules, of the output */
    struct out out;
};

/* ---- the verdict ----------------------------------------------------------------------------- */

static bool flow_take(struct fw_flow *f, mctx_t mctx, int sock)
{
    struct plugin_host client, server;

    if (!plugin_host_of(mctx, sock, MOS_SIDE_CLI, &client) ||
        !plugin_host_of(mctx, sock, MOS_SIDE_SVR, &server))
        return false;
    *f = (struct fw_flow){.family = client.family, .sport = client.port, .dport = server.port};
    memcpy(f->client, client.addr, sizeof(f->client));
    memcpy(f->server, server.addr, sizeof(f->server));
    return true;
}

static void drop_log(struct firewall *fw, int sock, const struct fw_rule *rule)
{
    mctx_t mctx = fw->plugin.mctx;
    char *at = out_line(&fw->out);

    at = put_us(at, plugin_active_us(mctx, sock));
    at = put_text(at, " ");
    at = put_addr(at, mctx, sock, MOS_SIDE_CLI);
    at = put_text(at, " > ");
    at = put_addr(at, mctx, sock, MOS_SIDE_SVR);
    at = put_text(at, " dropped by ");
    at = put_text(at, fw->path);
    at = put_text(at, ":");
    out_line_end(&fw->out, put_u64(at, rule->line));
    out_flush(&fw->out);
}

/* The first packet of a connection, and the only one we look at: it is its SYN. */
static void on_syn(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct firewall *fw = (struct firewall *)plugin_of(mctx, sock);
    const struct fw_rule *rule = NULL;
    struct fw_flow f;

    (void)event, (void)arg;
    if (flow_take(&f, mctx, sock))
        rule = fw_rules_judge(&fw->rules, &f);
    if (rule == NULL || !rule->is_drop) {
        plugin_stop(mctx, sock);
        return;
    }
    if (fw->logs)
        drop_log(fw, sock, rule);
    mtcp_setlastpkt(mctx, sock, side, 0, NULL, 0, MOS_DROP);
}

/* ---- start and end --------------------------------------------------------------------------- */

static void count_print(struct firewall *fw, uint64_t n_syns, unsigned line, const char *text)
{
    char *at = out_line(&fw->out);

    out_line_end(&fw->out, at + sprintf(at, "%10llu  %4u  %.*s", (unsigned long long)n_syns, line,
                                        OUT_LINE_MAX - 40, text));
}

static void counts_print(struct firewall *fw)
{
    char *at = out_line(&fw->out);

    at += sprintf(at, "firewall: %s, core %d", fw->path, fw->plugin.mctx->cpu);
    out_line_end(&fw->out, at);
    out_line_end(&fw->out, put_text(out_line(&fw->out), "      SYNs  line  rule"));
    for (size_t i = 0; i < fw->rules.n; i++)
        count_print(fw, fw->rules.list[i].n_syns, fw->rules.list[i].line, fw->rules.list[i].text);
    count_print(fw, fw->rules.n_unmatched, 0, "none: accepted");
}

static void every_start(struct firewall *fw);

static void on_every(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct firewall *fw = mtcp_get_uctx(mctx, sock); /* the timer has the passive socket's id */

    (void)side, (void)event, (void)arg;
    counts_print(fw);
    out_flush(&fw->out);
    every_start(fw);
}

static void every_start(struct firewall *fw)
{
    struct timeval tv = {.tv_sec = (time_t)fw->every_s};

    if (fw->every_s > 0)
        mtcp_settimer(fw->plugin.mctx, fw->plugin.sock, &tv, on_every);
}

static bool every_read(void *to, const char *value)
{
    return plugin_arg_number(value, 0, 1000000, to);
}

static bool args_read(struct firewall *fw, const char *args, char *err, size_t err_len)
{
    const struct plugin_arg known[] = {
        {"rules", "PATH", fw->path, sizeof(fw->path), NULL},
        {"file", "PATH", fw->file, sizeof(fw->file), NULL},
        {"every", "0..1000000", &fw->every_s, 0, every_read},
        {"log", NULL, &fw->logs, 0, NULL},
    };

    if (!plugin_args_read(args, known, sizeof(known) / sizeof(known[0]), err, err_len))
        return false;
    snprintf(err, err_len, "no rules: write args = \"rules=PATH\"");
    return fw->path[0] != '\0';
}

static bool firewall_begin(struct plugin *p, mctx_t mctx, const char *args, char *err,
                           size_t err_len)
{
    struct firewall *fw = (struct firewall *)p;
    static const struct plugin_call call = {MOS_ON_PKT_IN, MOS_HK_SND, on_syn};

    if (!args_read(fw, args, err, err_len) || !fw_rules_read(&fw->rules, fw->path, err, err_len))
        return false;
    if (!out_open(&fw->out, "firewall", fw->file)) {
        snprintf(err, err_len, "%s: %s", fw->file, strerror(errno));
        return false;
    }
    err[0] = '\0';
    if (!plugin_begin(p, mctx, &call, 1))
        return false;
    every_start(fw);
    return true;
}

static void firewall_end(struct plugin *p)
{
    struct firewall *fw = (struct firewall *)p;

    if (p->mctx != NULL)
        counts_print(fw);
    out_close(&fw->out);
    fw_rules_free(&fw->rules);
}

static const struct plugin_kind kind = {"firewall", sizeof(struct firewall), firewall_begin,
                                        firewall_end};

int mos_monitor_init(mctx_t mctx, const char *args)
{
    return plugin_init(&kind, mctx, args);
}

void mos_monitor_fini(mctx_t mctx)
{
    plugin_fini(&kind, mctx);
}
