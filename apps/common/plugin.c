#include "apps/common/plugin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* mos_monitor_fini is told the context and nothing of the plugin's. */
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct plugin *all;

/* ---- sockets --------------------------------------------------------------------------------- */

bool plugin_begin(struct plugin *p, mctx_t mctx, const struct plugin_call *calls, size_t n)
{
    int sock = mtcp_socket(mctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);

    if (sock < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (mtcp_register_callback(mctx, sock, calls[i].event, calls[i].hook, calls[i].call) < 0) {
            int why = errno;
            mtcp_close(mctx, sock);
            errno = why;
            return false;
        }
    mtcp_set_uctx(mctx, sock, p);
    pthread_mutex_lock(&all_lock);
    *p = (struct plugin){all, mctx, sock};
    all = p;
    pthread_mutex_unlock(&all_lock);
    return true;
}

/* Closes the socket of one plugin of a context, and forgets it. NULL: there was none. */
static struct plugin *plugin_end(mctx_t mctx)
{
    pthread_mutex_lock(&all_lock);
    struct plugin **at = &all, *p;
    while ((p = *at) != NULL && p->mctx != mctx)
        at = &p->next;
    if (p != NULL)
        *at = p->next;
    pthread_mutex_unlock(&all_lock);
    if (p == NULL)
        return NULL;
    (void)mtcp_canceltimer(mctx, p->sock); /* it may have none */
    mtcp_close(mctx, p->sock);
    return p;
}

int plugin_init(const struct plugin_kind *k, mctx_t mctx, const char *args)
{
    struct plugin *p = calloc(1, k->size);
    char err[800] = "";

    if (p == NULL)
        return -1;
    if (k->begin(p, mctx, args, err, sizeof(err)))
        return 0; /* cppcheck-suppress memleak ; plugin_begin() keeps it */
    fprintf(stderr, "%s: %s\n", k->name, err[0] != '\0' ? err : strerror(errno));
    k->end(p);
    free(p);
    errno = EINVAL;
    return -1;
}

void plugin_fini(const struct plugin_kind *k, mctx_t mctx)
{
    struct plugin *p = plugin_end(mctx);

    if (p == NULL)
        return;
    k->end(p);
    free(p);
}

struct plugin *plugin_of(mctx_t mctx, int sock)
{
    return mtcp_get_uctx(mctx, mtcp_get_passive(mctx, sock));
}

int plugin_option(mctx_t mctx, int sock, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);

    return mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, option, &value, &len) < 0 ? -1 : value;
}

uint64_t plugin_option_u64(mctx_t mctx, int sock, int option)
{
    uint64_t value = 0;
    socklen_t len = sizeof(value);

    return mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, option, &value, &len) < 0 ? 0 : value;
}

bool plugin_host_of(mctx_t mctx, int sock, int side, struct plugin_host *h)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof(a);
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a;

    *h = (struct plugin_host){0};
    if (mtcp_getpeername(mctx, sock, (struct sockaddr *)&a, &len, side) < 0)
        return false;
    h->family = a.ss_family;
    h->port = ntohs(h->family == AF_INET ? v4->sin_port : v6->sin6_port);
    if (h->family == AF_INET)
        memcpy(h->addr, &v4->sin_addr, 4);
    else
        memcpy(h->addr, &v6->sin6_addr, 16);
    return true;
}

static uint64_t clock_us(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* The clock is the host's monotonic one; over a capture it is that of the packets, which counts
 * since 1970: no host has been up for so long. */
uint64_t plugin_epoch_us(uint64_t at_us)
{
    uint64_t up_us = clock_us(CLOCK_MONOTONIC);

    return at_us > 2 * up_us + 86400000000 ? at_us : clock_us(CLOCK_REALTIME) - up_us + at_us;
}

uint64_t plugin_active_us(mctx_t mctx, int sock)
{
    return plugin_epoch_us(plugin_option_u64(mctx, sock, MOS_TIMESTAMP));
}

void plugin_stop(mctx_t mctx, int sock)
{
    int both = MOS_SIDE_BOTH;

    mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof(both));
}

/* ---- args ------------------------------------------------------------------------------------ */

static bool value_take(const struct plugin_arg *a, const char *value, size_t len)
{
    char text[PLUGIN_VALUE_MAX];
    bool is_read = a->read != NULL;

    if (len == 0 || len >= (is_read ? sizeof(text) : a->room))
        return false;
    char *to = is_read ? text : a->to;
    memcpy(to, value, len);
    to[len] = '\0';
    return !is_read || a->read(a->to, text);
}

static bool word_take(const struct plugin_arg *a, const char *word, size_t len)
{
    size_t n = strlen(a->key);

    if (len < n || memcmp(word, a->key, n) != 0)
        return false;
    if (a->what == NULL)
        return len == n && (*(bool *)a->to = true);
    return len > n && word[n] == '=' && value_take(a, word + n + 1, len - n - 1);
}

/* "'x' is none of rules=PATH, file=PATH, log" */
static void complain(const struct plugin_arg *known, size_t n, const char *word, size_t len,
                     char *err, size_t err_len)
{
    size_t at = (size_t)snprintf(err, err_len, "'%.*s' is none of", (int)len, word);

    for (size_t i = 0; i < n && at < err_len; i++)
        at += (size_t)snprintf(err + at, err_len - at, "%s %s%s%s", i > 0 ? "," : "", known[i].key,
                               known[i].what != NULL ? "=" : "",
                               known[i].what != NULL ? known[i].what : "");
}

bool plugin_args_read(const char *args, const struct plugin_arg *known, size_t n, char *err,
                      size_t err_len)
{
    for (const char *at = args + strspn(args, " "); *at != '\0';) {
        size_t len = strcspn(at, " "), i = 0;
        while (i < n && !word_take(&known[i], at, len))
            i++;
        if (i == n) {
            complain(known, n, at, len, err, err_len);
            return false;
        }
        at += len;
        at += strspn(at, " ");
    }
    return true;
}

bool plugin_arg_number(const char *text, uint64_t min, uint64_t max, uint64_t *to)
{
    uint64_t n = 0;

    if (*text == '\0' || strlen(text) > 18)
        return false;
    for (; *text >= '0' && *text <= '9'; text++)
        n = n * 10 + (uint64_t)(*text - '0');
    *to = n;
    return *text == '\0' && n >= min && n <= max;
}
