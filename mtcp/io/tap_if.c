/* The kernel's side of a TAP: /dev/net/tun and what can be asked of an interface. */
#include "mtcp/io/tap_if.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOW_TO_BE_ROOT "run as root, or inside 'unshare -Urn'"

/* Where the line for people goes. */
struct words {
    char *err;
    size_t err_len;
};

__attribute__((format(printf, 3, 4))) static int fail(struct words w, int error, const char *fmt,
                                                      ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(w.err, w.err_len, fmt, ap);
    va_end(ap);
    return error;
}

/* ---- the interface ------------------------------------------------------------------------- */

/* One question or order; the answer is in *ifr. */
static int if_ioctl(unsigned long what, const char *iface, struct ifreq *ifr)
{
    size_t n = strlen(iface);

    if (n >= IFNAMSIZ)
        return -EINVAL;
    memcpy(ifr->ifr_name, iface, n + 1);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int rc = ioctl(fd, what, ifr) == 0 ? 0 : -errno;
    close(fd);
    return rc;
}

int tap_if_up(const char *iface)
{
    struct ifreq ifr = {0};
    int rc = if_ioctl(SIOCGIFFLAGS, iface, &ifr);

    if (rc != 0 || (ifr.ifr_flags & IFF_UP))
        return rc;
    ifr.ifr_flags |= IFF_UP;
    return if_ioctl(SIOCSIFFLAGS, iface, &ifr);
}

int tap_if_mac(const char *iface, uint8_t mac[6])
{
    struct ifreq ifr = {0};
    int rc = if_ioctl(SIOCGIFHWADDR, iface, &ifr);

    if (rc == 0)
        memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
    return rc;
}

uint32_t tap_if_mtu(const char *iface)
{
    struct ifreq ifr = {0};

    return if_ioctl(SIOCGIFMTU, iface, &ifr) == 0 && ifr.ifr_mtu > 0 ? (uint32_t)ifr.ifr_mtu : 0;
}

int tap_if_set_mtu(const char *iface, unsigned mtu)
{
    struct ifreq ifr = {.ifr_mtu = (int)mtu};

    return tap_if_mtu(iface) == mtu ? 0 : if_ioctl(SIOCSIFMTU, iface, &ifr);
}

/* ---- is somebody else at it? --------------------------------------------------------------- */

/* A TAP has a carrier while a process has it open; one that is down tells nothing. */
static bool has_carrier(const char *iface)
{
    struct ethtool_value link = {.cmd = ETHTOOL_GLINK};
    struct ifreq ifr = {.ifr_data = (void *)&link};

    return if_ioctl(SIOCETHTOOL, iface, &ifr) == 0 && link.data != 0;
}

/* An interface that was there before and goes with its last user has one: with several queues the
 * kernel lets anybody join, and spreads the packets over all of them. */
static bool is_shared(int fd)
{
    struct ifreq ifr = {0};

    return ioctl(fd, TUNGETIFF, &ifr) == 0 && !(ifr.ifr_flags & IFF_PERSIST);
}

/* ---- opening ------------------------------------------------------------------------------- */

static int tun_open(struct words w)
{
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd >= 0)
        return fd;
    if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
        return fail(w, -ENODEV,
                    "/dev/net/tun is missing: load the kernel module 'tun', or give the container "
                    "this device");
    return fail(w, -errno, "can't open /dev/net/tun (%s): %s", strerror(errno), HOW_TO_BE_ROOT);
}

/* What went wrong with `iface`. */
static int attach_fail(const char *iface, int e, struct words w)
{
    if (e == EPERM || e == EACCES)
        return fail(w, -EPERM, "no permission to make a network interface: %s", HOW_TO_BE_ROOT);
    if (e == EBUSY)
        return fail(w, -EBUSY, "the interface %s is in use: choose another iface=", iface);
    if (e == EINVAL)
        return fail(w, -EINVAL, "%s is not a name for a TAP interface, or exists as something else",
                    iface);
    return fail(w, -e, "can't make the interface %s: %s", iface, strerror(e));
}

/* 0 or an errno. */
static int attach(int fd, const char *iface, unsigned flags)
{
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    bool is_new = (flags & TAP_IF_JOIN) || if_nametoindex(iface) == 0;
    bool is_used = !is_new && has_carrier(iface);

    if (flags & TAP_IF_MULTI)
        ifr.ifr_flags |= IFF_MULTI_QUEUE;
    if (flags & TAP_IF_VNET)
        ifr.ifr_flags |= IFF_VNET_HDR;
    memcpy(ifr.ifr_name, iface, strlen(iface) + 1);
    if (ioctl(fd, TUNSETIFF, &ifr) != 0)
        return errno;
    return is_used || (!is_new && is_shared(fd)) ? EBUSY : 0;
}

int tap_if_open(const char *iface, unsigned flags, char *err, size_t err_len)
{
    struct words w = {err, err_len};

    if (strlen(iface) >= IFNAMSIZ)
        return fail(w, -EINVAL, "the interface name %s is longer than %d characters", iface,
                    IFNAMSIZ - 1);
    int fd = tun_open(w);
    if (fd < 0)
        return fd;
    int e = attach(fd, iface, flags);
    if (e == 0)
        return fd;
    close(fd);
    return attach_fail(iface, e, w);
}
