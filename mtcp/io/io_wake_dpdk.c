/*
 * What an idle queue waits on: a descriptor of the driver (its receive interrupt, or a socket of
 * its own found among the process's descriptors), held edge-triggered by an epoll of ours, beside
 * an eventfd that tells of a change of the link: a vhost-user peer that comes or goes.
 */
#include "mtcp/io/io_port.h"

#include <rte_ethdev.h>

#include <dirent.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- sockets of the process ---------------------------------------------------------------- */

static bool socket_is(int fd, int family)
{
    int domain;
    socklen_t len = sizeof(domain);

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == family;
}

static int fd_order(const void *a, const void *b)
{
    const int *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

void io_wake_sockets(struct io_sockets *s, int family)
{
    DIR *d = opendir("/proc/self/fd");
    struct dirent *e;

    s->n = 0;
    if (d == NULL)
        return;
    while ((e = readdir(d)) != NULL && s->n < IO_SOCKETS_MAX) {
        int fd = (int)strtol(e->d_name, NULL, 10);
        if (e->d_name[0] != '.' && socket_is(fd, family))
            s->fd[s->n++] = fd;
    }
    closedir(d);
    qsort(s->fd, s->n, sizeof(s->fd[0]), fd_order);
}

/* Takes away from s what is in `old`. */
static void sockets_new(struct io_sockets *s, const struct io_sockets *old)
{
    unsigned k = 0;

    for (unsigned i = 0, j = 0; i < s->n; i++) {
        while (j < old->n && old->fd[j] < s->fd[i])
            j++;
        if (j == old->n || old->fd[j] != s->fd[i])
            s->fd[k++] = s->fd[i];
    }
    s->n = k;
}

/* ---- link changes -------------------------------------------------------------------------- */

/* Called by a thread of DPDK. */
static int link_changed(uint16_t port, enum rte_eth_event_type type, void *arg, void *ret)
{
    const struct io_port *p = arg;
    const uint64_t one = 1;

    (void)port, (void)type, (void)ret;
    for (unsigned i = 0; i < p->n_queues; i++) {
        ssize_t n = write(p->queues[i].event_fd, &one, sizeof(one));
        (void)n; /* non-blocking: a full counter wakes as well */
    }
    return 0;
}

static void callbacks_register(struct io_port *p)
{
    rte_eth_dev_callback_register(p->id, RTE_ETH_EVENT_INTR_LSC, link_changed, p);
    rte_eth_dev_callback_register(p->id, RTE_ETH_EVENT_QUEUE_STATE, link_changed, p);
    p->has_callback = true;
}

static void callbacks_unregister(struct io_port *p)
{
    if (!p->has_callback)
        return;
    rte_eth_dev_callback_unregister(p->id, RTE_ETH_EVENT_INTR_LSC, link_changed, p);
    rte_eth_dev_callback_unregister(p->id, RTE_ETH_EVENT_QUEUE_STATE, link_changed, p);
    p->has_callback = false;
}

/* ---- queues -------------------------------------------------------------------------------- */

static int epoll_hold(int epoll_fd, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.fd = fd};

    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

static void queue_close(struct io_queue *q)
{
    if (q->wake_fd >= 0)
        close(q->wake_fd);
    if (q->event_fd >= 0)
        close(q->event_fd);
    q->wake_fd = q->event_fd = -1;
}

static void queue_open(struct io_queue *q, int driver_fd)
{
    q->wake_fd = epoll_create1(EPOLL_CLOEXEC);
    q->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    q->driver_fd = driver_fd;
    if (q->wake_fd < 0 || q->event_fd < 0 || epoll_hold(q->wake_fd, q->event_fd) != 0)
        queue_close(q);
}

bool io_wake_hold(struct io_queue *q)
{
    if (q->driver_fd >= 0 && epoll_hold(q->wake_fd, q->driver_fd) != 0)
        return false;
    q->driver_fd = -1;
    return true;
}

void io_wake_open(struct io_port *p, bool interrupts, const struct io_sockets *before)
{
    struct io_sockets own = {.n = 0};
    bool by_socket = p->dev.drv->wake == IO_WAKE_SOCKET;

    if (by_socket) {
        io_wake_sockets(&own, p->dev.drv->wake_family);
        sockets_new(&own, before);
    }
    for (unsigned i = 0; i < p->n_queues; i++) {
        struct io_queue *q = &p->queues[i];
        int fd = -1;
        if (interrupts)
            fd = rte_eth_dev_rx_intr_ctl_q_get_fd(p->id, (uint16_t)i);
        else if (by_socket && own.n == p->n_queues) /* one each, in the order of their making */
            fd = own.fd[i];
        q->intr = interrupts && fd >= 0;
        if (fd >= 0)
            queue_open(q, fd);
    }
    callbacks_register(p);
}

void io_wake_close(struct io_port *p)
{
    callbacks_unregister(p);
    for (unsigned i = 0; i < p->n_queues; i++)
        queue_close(&p->queues[i]);
}
