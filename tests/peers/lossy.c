/*
 * lossy - a bad link between the kernel and a device: what comes out of one end goes into the
 * other, late, out of order, or not at all.
 *
 *   lossy IFACE TAP SEED [LOSS [REORDER [DELAY_MS [RATE_MBIT]]]]
 *
 * One end is the interface IFACE (by a packet socket; it should have no address, and ARP off) or,
 * when there is none, a TAP device as the other, which are made here and go with this program. LOSS
 * and REORDER are frames in 1000 of each direction (default 20 and 20), DELAY_MS holds for each
 * direction (default 20); a reordered frame takes up to as long again, with a rate up to half of it.
 * Without RATE_MBIT the rate is not limited; with it there is a queue of 20 ms. The seed decides
 * which frames they are. Says "lossy: ready", and at SIGTERM or SIGINT what it did.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX  2048
#define FRAMES_MAX 8192 /* under way in one direction; more are lost */
#define BURST      256

struct frame {
    int64_t due_us;
    uint64_t order; /* of arrival: frames that are due at the same time keep theirs */
    size_t len;
    uint8_t *bytes;
};

struct direction {
    int from, to;
    struct frame heap[FRAMES_MAX]; /* the one that is due first lies at 0 */
    size_t n;
    int64_t free_at_ns; /* the transmitter is busy until then */
    uint64_t n_in, n_lost, n_late, n_full, n_refused;
};

struct link {
    struct direction dirs[2];
    uint64_t rng;
    unsigned loss, reorder;
    int64_t delay_us;
    int64_t ns_per_byte; /* 0: no limit of rate */
    int signals;
};

static int64_t now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* xorshift64*: a number below n. */
static uint64_t random_below(struct link *l, uint64_t n)
{
    l->rng ^= l->rng >> 12;
    l->rng ^= l->rng << 25;
    l->rng ^= l->rng >> 27;
    return (l->rng * UINT64_C(2685821657736338717) >> 16) % n;
}

/* ---- the frames under way: a heap by time --------------------------------------------------- */

static bool is_before(const struct frame *a, const struct frame *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void heap_put(struct direction *d, struct frame f)
{
    size_t i = d->n++;

    for (; i > 0 && is_before(&f, &d->heap[(i - 1) / 2]); i = (i - 1) / 2)
        d->heap[i] = d->heap[(i - 1) / 2];
    d->heap[i] = f;
}

static struct frame heap_take(struct direction *d)
{
    struct frame first = d->heap[0], last = d->heap[--d->n];
    size_t i = 0, child;

    for (; (child = 2 * i + 1) < d->n; i = child) {
        if (child + 1 < d->n && is_before(&d->heap[child + 1], &d->heap[child]))
            child++;
        if (!is_before(&d->heap[child], &last))
            break;
        d->heap[i] = d->heap[child];
    }
    d->heap[i] = last;
    return first;
}

/* ---- the link -------------------------------------------------------------------------------- */

enum { QUEUE_NS = 20000000 };

/* When the last bit of the frame has left, in us; -1: the queue is full. */
static int64_t transmitted_at(const struct link *l, struct direction *d, size_t len)
{
    int64_t now = now_us() * 1000;

    if (d->free_at_ns < now)
        d->free_at_ns = now;
    if (d->free_at_ns - now > QUEUE_NS)
        return -1;
    d->free_at_ns += (int64_t)len * l->ns_per_byte;
    return d->free_at_ns / 1000;
}

/* The most that a reordered frame is late. */
static uint64_t late_max_us(const struct link *l)
{
    return (uint64_t)(l->ns_per_byte ? l->delay_us / 2 + 1 : l->delay_us + 1000);
}

static void frame_arrives(struct link *l, struct direction *d, const uint8_t *bytes, size_t len)
{
    int64_t out_us = transmitted_at(l, d, len);
    struct frame f = {.due_us = out_us + l->delay_us, .order = d->n_in++, .len = len};

    if (out_us < 0) {
        d->n_full++;
        return;
    }
    if (random_below(l, 1000) < l->loss) {
        d->n_lost++;
        return;
    }
    if (random_below(l, 1000) < l->reorder) {
        d->n_late++;
        f.due_us += (int64_t)random_below(l, late_max_us(l));
    }
    f.bytes = d->n < FRAMES_MAX ? malloc(len) : NULL;
    if (f.bytes == NULL) {
        d->n_full++;
        return;
    }
    memcpy(f.bytes, bytes, len);
    heap_put(d, f);
}

static void frames_receive(struct link *l, struct direction *d)
{
    uint8_t bytes[FRAME_MAX];

    for (int i = 0; i < BURST; i++) {
        ssize_t len = read(d->from, bytes, sizeof(bytes));
        if (len <= 0)
            return;
        frame_arrives(l, d, bytes, (size_t)len);
    }
}

static void frames_send(struct direction *d)
{
    int64_t now = now_us();

    while (d->n > 0 && d->heap[0].due_us <= now) {
        struct frame f = heap_take(d);
        if (write(d->to, f.bytes, f.len) != (ssize_t)f.len)
            d->n_refused++; /* the queue of the device is full, or it is down */
        free(f.bytes);
    }
}

static struct timespec next_due(const struct link *l)
{
    int64_t left = 1000000, now = now_us();

    for (int i = 0; i < 2; i++) {
        const struct direction *d = &l->dirs[i];
        if (d->n > 0 && d->heap[0].due_us - now < left)
            left = d->heap[0].due_us > now ? d->heap[0].due_us - now : 0;
    }
    return (struct timespec){.tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000};
}

static void link_run(struct link *l)
{
    for (;;) {
        struct pollfd fds[3] = {{.fd = l->dirs[0].from, .events = POLLIN},
                                {.fd = l->dirs[1].from, .events = POLLIN},
                                {.fd = l->signals, .events = POLLIN}};
        struct timespec timeout = next_due(l);
        if (ppoll(fds, 3, &timeout, NULL) < 0 && errno != EINTR)
            return;
        if (fds[2].revents != 0)
            return;
        for (int i = 0; i < 2; i++) {
            frames_receive(l, &l->dirs[i]);
            frames_send(&l->dirs[i]);
        }
    }
}

/* ---- its two ends ---------------------------------------------------------------------------- */

static int iface_open(const char *name)
{
    struct sockaddr_ll addr = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    const int on = 1, room = 8 << 20;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    addr.sll_ifindex = (int)if_nametoindex(name);
    if (fd < 0 || addr.sll_ifindex == 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0 ||
        bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)); /* as much as is allowed */
    return fd;
}

static int tap_open(const char *name)
{
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    strncpy(ifr.ifr_name, name, sizeof(ifr.ifr_name) - 1);
    return fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) == 0 ? fd : -1;
}

static int signals_open(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static bool link_open(struct link *l, const char *iface, const char *tap)
{
    int a = if_nametoindex(iface) ? iface_open(iface) : tap_open(iface), b = tap_open(tap);

    l->dirs[0].from = l->dirs[1].to = a;
    l->dirs[1].from = l->dirs[0].to = b;
    l->signals = signals_open();
    if (a >= 0 && b >= 0 && l->signals >= 0)
        return true;
    fprintf(stderr, "lossy: %s: %s\n", a < 0 ? iface : tap, strerror(errno));
    return false;
}

static void direction_report(const struct direction *d, const char *name)
{
    printf("lossy: %s frames=%lu lost=%lu late=%lu full=%lu refused=%lu\n", name, d->n_in,
           d->n_lost, d->n_late, d->n_full, d->n_refused);
}

int main(int argc, char **argv)
{
    static struct link l;

    if (argc < 4) {
        fprintf(stderr, "usage: lossy IFACE TAP SEED [LOSS [REORDER [DELAY_MS [RATE_MBIT]]]]\n");
        return 2;
    }
    l.rng = strtoull(argv[3], NULL, 0) * 2 + 1; /* never 0 */
    l.loss = argc > 4 ? (unsigned)atoi(argv[4]) : 20;
    l.reorder = argc > 5 ? (unsigned)atoi(argv[5]) : 20;
    l.delay_us = (int64_t)((argc > 6 ? atof(argv[6]) : 20) * 1000);
    l.ns_per_byte = argc > 7 && atoi(argv[7]) > 0 ? 8000 / atoi(argv[7]) : 0;
    if (!link_open(&l, argv[1], argv[2]))
        return 1;
    printf("lossy: ready\n");
    fflush(stdout);
    link_run(&l);
    direction_report(&l.dirs[0], "from-stack");
    direction_report(&l.dirs[1], "to-stack");
    return 0;
}
