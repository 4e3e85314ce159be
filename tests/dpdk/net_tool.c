/*
 * net_tool - the kernel's side of a test, without packages that may be missing.
 *
 *   net_tool ping [-i ms] ADDR COUNT [SIZE]   ICMP echo; every reply's bytes are compared
 *   net_tool udp ADDR COUNT SIZE              datagrams to the discard port, as fast as it goes
 *   net_tool offload-off IFACE                no checksum or segmentation offload: what a packet
 *                                             socket at the other end of a veth pair needs
 *   net_tool cpu PID                          CPU time used so far, in ticks of 10 ms
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SIZE_MAX_PING 65000

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- ping ---------------------------------------------------------------------------------- */

struct ping {
    int fd;
    struct sockaddr_in to;
    uint16_t id;
    size_t size;
    uint8_t out[SIZE_MAX_PING + 64], in[SIZE_MAX_PING + 64];
};

static uint16_t csum(const uint8_t *p, size_t n)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

static size_t echo_make(struct ping *p, unsigned seq)
{
    struct icmphdr h = {.type = ICMP_ECHO};
    size_t len = sizeof(h) + p->size;

    h.un.echo.id = htons(p->id);
    h.un.echo.sequence = htons((uint16_t)seq);
    for (size_t i = 0; i < p->size; i++)
        p->out[sizeof(h) + i] = (uint8_t)(i * 7 + seq);
    memcpy(p->out, &h, sizeof(h));
    h.checksum = csum(p->out, len);
    memcpy(p->out, &h, sizeof(h));
    return len;
}

static bool is_reply(const struct ping *p, ssize_t n, size_t len)
{
    struct icmphdr want, got;
    size_t ihl = n > 0 ? (size_t)(p->in[0] & 15) * 4 : 0;

    if (n < 0 || (size_t)n != ihl + len)
        return false;
    memcpy(&want, p->out, sizeof(want));
    memcpy(&got, p->in + ihl, sizeof(got));
    return got.type == ICMP_ECHOREPLY && got.un.echo.id == want.un.echo.id &&
           got.un.echo.sequence == want.un.echo.sequence && csum(p->in + ihl, len) == 0 &&
           memcmp(p->in + ihl + sizeof(got), p->out + sizeof(want), p->size) == 0;
}

static bool ping_one(struct ping *p, unsigned seq)
{
    size_t len = echo_make(p, seq);
    int64_t until = now_ms() + 1000;

    sendto(p->fd, p->out, len, 0, (const struct sockaddr *)&p->to, sizeof(p->to));
    for (int64_t left = 1000; left > 0; left = until - now_ms()) {
        struct pollfd pfd = {.fd = p->fd, .events = POLLIN};
        if (poll(&pfd, 1, (int)left) <= 0)
            continue;
        if (is_reply(p, recv(p->fd, p->in, sizeof(p->in), 0), len))
            return true;
    }
    return false;
}

static int ping(int argc, char **argv)
{
    static struct ping p;
    useconds_t gap_us = 0;
    unsigned ok = 0;

    if (argc > 2 && strcmp(argv[0], "-i") == 0) {
        gap_us = (useconds_t)atoi(argv[1]) * 1000;
        argc -= 2;
        argv += 2;
    }
    if (argc < 2)
        return 2;
    unsigned count = (unsigned)atoi(argv[1]);
    p.size = argc > 2 ? (size_t)atoi(argv[2]) : 56;
    p.id = (uint16_t)getpid();
    p.to.sin_family = AF_INET;
    p.fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    if (p.fd < 0 || p.size > SIZE_MAX_PING || inet_pton(AF_INET, argv[0], &p.to.sin_addr) != 1) {
        fprintf(stderr, "net_tool: ping %s: %s\n", argv[0], strerror(errno));
        return 2;
    }
    for (unsigned i = 0; i < count; i++) {
        ok += ping_one(&p, i);
        usleep(gap_us);
    }
    printf("ping: sent=%u received=%u size=%zu\n", count, ok, p.size);
    return ok == count ? 0 : 1;
}

static int udp(char **argv)
{
    static char data[SIZE_MAX_PING];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    unsigned count = (unsigned)atoi(argv[1]);
    size_t size = (size_t)atoi(argv[2]);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || size > sizeof(data) || inet_pton(AF_INET, argv[0], &to.sin_addr) != 1)
        return 2;
    for (unsigned i = 0; i < count; i++)
        sendto(fd, data, size, 0, (const struct sockaddr *)&to, sizeof(to));
    close(fd);
    return 0;
}

/* ---- offloads ------------------------------------------------------------------------------ */

static int offload_off(const char *iface)
{
    static const uint32_t cmds[] = {ETHTOOL_STXCSUM, ETHTOOL_SRXCSUM, ETHTOOL_SSG,
                                    ETHTOOL_STSO,    ETHTOOL_SGSO,    ETHTOOL_SGRO};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int failed = 0;

    for (size_t i = 0; i < sizeof(cmds) / sizeof(cmds[0]); i++) {
        struct ethtool_value v = {.cmd = cmds[i], .data = 0};
        struct ifreq ifr = {.ifr_data = (void *)&v};
        snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", iface);
        if (ioctl(fd, SIOCETHTOOL, &ifr) != 0 && errno != EOPNOTSUPP)
            failed = 1;
    }
    close(fd);
    return failed;
}

/* ---- cpu ----------------------------------------------------------------------------------- */

static int cpu(const char *pid)
{
    char path[64], line[1024];
    unsigned long user, sys;

    snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    FILE *f = fopen(path, "re");
    if (f == NULL || fgets(line, sizeof(line), f) == NULL)
        return 1;
    fclose(f);
    const char *p = strrchr(line, ')');
    if (p == NULL ||
        sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
        return 1;
    printf("%lu\n", user + sys);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 4 && strcmp(argv[1], "ping") == 0)
        return ping(argc - 2, argv + 2);
    if (argc == 5 && strcmp(argv[1], "udp") == 0)
        return udp(argv + 2);
    if (argc == 3 && strcmp(argv[1], "offload-off") == 0)
        return offload_off(argv[2]);
    if (argc == 3 && strcmp(argv[1], "cpu") == 0)
        return cpu(argv[2]);
    fprintf(stderr, "usage: net_tool ping [-i ms] ADDR COUNT [SIZE]\n"
                    "       net_tool udp ADDR COUNT SIZE\n"
                    "       net_tool offload-off IFACE\n"
                    "       net_tool cpu PID\n");
    return 2;
}
