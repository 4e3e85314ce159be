/* The configuration in force: mtcp_getconf and mtcp_setconf. */
#include "mtcp/sock/process.h"

#include "mtcp/sock/sock.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

struct process the_process = {.lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP};

static void child_begin(void)
{
    the_process.lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    if (the_process.is_started)
        the_process.is_init = the_process.is_started = false;
}

void process_mind_forks(void)
{
    if (!the_process.minds_forks)
        the_process.minds_forks = pthread_atfork(NULL, NULL, child_begin) == 0;
}

int process_n_cpus(void)
{
    cpu_set_t set;
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        n = CPU_COUNT(&set);
    return n > 0 ? (int)n : 1;
}

static int clamp_int(uint64_t v)
{
    return v > INT32_MAX ? INT32_MAX : (int)v;
}

int mtcp_getconf(struct mtcp_conf *conf)
{
    const struct config *c = &the_process.conf;
    if (!the_process.is_init)
        return (int)sock_result(-EACCES);
    if (!conf)
        return (int)sock_result(-EFAULT);
    uint64_t idle_s = c->tcp.idle_timeout_us / 1000000u;
    memset(conf, 0, sizeof(*conf));
    conf->num_cores = (int)c->num_cores;
    conf->max_concurrency = (int)c->max_concurrency;
    conf->cpu_mask = c->cpu_mask;
    conf->max_num_buffers = clamp_int(c->max_num_buffers ? c->max_num_buffers : c->max_concurrency);
    conf->rcvbuf_size = (int)c->tcp.rcvbuf;
    conf->sndbuf_size = (int)c->tcp.sndbuf;
    conf->tcp_timewait = (int)(c->tcp.tw_us / 1000000u);
    conf->tcp_timeout = idle_s ? clamp_int(idle_s) : -1;
    return 0;
}

static bool in_range(int v, int min, int max)
{
    return v >= min && v <= max;
}

static bool conf_is_valid(const struct mtcp_conf *n)
{
    enum { BUF_MIN = 2048, BUF_MAX = 1 << 30, SOCKS_MIN = 16, SOCKS_MAX = 1 << 24, TW_MAX = 3600 };
    if (!in_range(n->num_cores, 1, process_n_cpus()) ||
        (n->cpu_mask && __builtin_popcountll(n->cpu_mask) < n->num_cores))
        return false;
    return in_range(n->max_concurrency, SOCKS_MIN, SOCKS_MAX) &&
           in_range(n->max_num_buffers, 1, INT32_MAX) &&
           in_range(n->rcvbuf_size, BUF_MIN, BUF_MAX) &&
           in_range(n->sndbuf_size, BUF_MIN, BUF_MAX) && in_range(n->tcp_timewait, 0, TW_MAX) &&
           in_range(n->tcp_timeout, -1, INT32_MAX);
}

/* One that is set to another size is fixed at that. */
static void buf_change(uint32_t *size, uint32_t *max, int n)
{
    if (*size != (uint32_t)n)
        *size = *max = (uint32_t)n;
}

static int conf_change(const struct mtcp_conf *n)
{
    struct config *c = &the_process.conf;
    if (the_process.is_started || ctx_table_count() > 0)
        return -EBUSY;
    c->num_cores = (unsigned)n->num_cores;
    c->max_concurrency = (uint32_t)n->max_concurrency;
    c->cpu_mask = n->cpu_mask;
    c->max_num_buffers = (uint32_t)n->max_num_buffers;
    buf_change(&c->tcp.rcvbuf, &c->tcp.rcvbuf_max, n->rcvbuf_size);
    buf_change(&c->tcp.sndbuf, &c->tcp.sndbuf_max, n->sndbuf_size);
    c->tcp.tw_us = (uint32_t)n->tcp_timewait * 1000000u;
    c->tcp.idle_timeout_us = n->tcp_timeout > 0 ? (uint64_t)n->tcp_timeout * 1000000u : 0;
    return 0;
}

int mtcp_setconf(const struct mtcp_conf *conf)
{
    if (!the_process.is_init)
        return (int)sock_result(-EACCES);
    if (!conf)
        return (int)sock_result(-EFAULT);
    if (!conf_is_valid(conf))
        return (int)sock_result(-EINVAL);
    pthread_mutex_lock(&the_process.lock);
    int err = conf_change(conf);
    pthread_mutex_unlock(&the_process.lock);
    return (int)sock_result(err);
}
