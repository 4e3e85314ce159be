/*
 * What plugins have in common: a passive socket with callbacks per context and `monitor` section,
 * found again when the context ends; and args, which are words "key=value" and bare words,
 * separated by spaces.
 */
#ifndef APPS_COMMON_PLUGIN_H
#define APPS_COMMON_PLUGIN_H

#include <mtcp_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The beginning of what a plugin keeps per context and section: the context pointer of its passive
 * socket. */
struct plugin {
    struct plugin *next;
    mctx_t mctx;
    int sock;
};

struct plugin_call {
    event_t event;
    int hook;
    callback_t call;
};

/* A passive socket with n callbacks. Of mos_monitor_init. False and errno: there is none. */
bool plugin_begin(struct plugin *p, mctx_t mctx, const struct plugin_call *calls, size_t n);

/* A plugin, for its mos_monitor_init and mos_monitor_fini. */
struct plugin_kind {
    const char *name; /* in front of what is said on stderr */
    size_t size;      /* of what it keeps per context and section: a struct plugin, and more */
    /* All zeros so far: reads args and calls plugin_begin(). False: err says why, or while it is ""
     * errno does. */
    bool (*begin)(struct plugin *p, mctx_t mctx, const char *args, char *err, size_t err_len);
    /* Frees what it holds, after a begin that failed too (then mctx may be NULL). */
    void (*end)(struct plugin *p);
};

/* What mos_monitor_init and mos_monitor_fini do. */
int plugin_init(const struct plugin_kind *k, mctx_t mctx, const char *args);
void plugin_fini(const struct plugin_kind *k, mctx_t mctx);

/* Of an active socket: what plugin_begin() was given. */
struct plugin *plugin_of(mctx_t mctx, int sock);

/* Options of a monitor's socket; -1 and 0 when they can't be had. */
int plugin_option(mctx_t mctx, int sock, int option);
uint64_t plugin_option_u64(mctx_t mctx, int sock, int option);

/* One host of a connection. */
struct plugin_host {
    int family;       /* AF_INET, AF_INET6 */
    uint8_t addr[16]; /* IPv4: the first four, zeros behind them */
    uint16_t port;
};

/* By side; false: it is not known, and *h is all zeros. */
bool plugin_host_of(mctx_t mctx, int sock, int side, struct plugin_host *h);

/* When the connection was active last, in microseconds since 1970. */
uint64_t plugin_active_us(mctx_t mctx, int sock);

/* A time of the stack's clock (MOS_TIMESTAMP) in microseconds since 1970. */
uint64_t plugin_epoch_us(uint64_t at_us);

/* No further event of this connection. Free its context pointer first. */
void plugin_stop(mctx_t mctx, int sock);

#define PLUGIN_VALUE_MAX 256

/* One word that a plugin knows. */
struct plugin_arg {
    const char *key;
    const char *what; /* "key=VALUE": what it is, for the error ("PATH"); NULL: the bare word */
    void *to;         /* of a bare word a bool, which it sets; of a text `room` bytes */
    size_t room;
    bool (*read)(void *to, const char *value); /* of another value; false: it is none. Else NULL */
};

/*
 * Reads args. What is not named stays as it is; a word that comes twice counts the last time.
 *
 *   known    n of them
 *   err      on failure: what is wrong, in one line
 *   returns  false: a word that is not known, or a value that is none, empty or longer than `room`
 * or PLUGIN_VALUE_MAX
 */
bool plugin_args_read(const char *args, const struct plugin_arg *known, size_t n, char *err,
                      size_t err_len);

/* A decimal number of at most 18 digits within [min, max]; false: it is none. */
bool plugin_arg_number(const char *text, uint64_t min, uint64_t max, uint64_t *to);

#endif
