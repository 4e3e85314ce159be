/*
 * Device strings: syntax, what is known about each driver, and the questions asked of the system
 * before a device is opened.
 */
#include "mtcp/io/io_devstr.h"

#include "mtcp/base/bug.h"
#include "mtcp/io/tap_if.h"

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HOW_TO_BE_ROOT "run as root, or inside 'unshare -Urn'"

__attribute__((format(printf, 4, 5))) static int fail(int error, char *err, size_t err_len,
                                                      const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err, err_len, fmt, ap);
    va_end(ap);
    return error;
}

/* ---- the system ---------------------------------------------------------------------------- */

/* Makes the interface and lets it go again: the one question whose answer is the truth. */
static int try_tap(const char *iface, unsigned flags, char *err, size_t err_len)
{
    int fd = tap_if_open(iface, flags, err, err_len);

    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

/* With several queues, if it is made; an administrator may have made it with one. */
static int check_tap(const struct io_devstr *dev, char *err, size_t err_len)
{
    char iface[IO_DEV_STR_MAX];

    io_devstr_iface(dev, iface, sizeof(iface));
    int rc = try_tap(iface, TAP_IF_VNET | TAP_IF_MULTI, err, err_len);
    return rc == -EINVAL ? try_tap(iface, TAP_IF_VNET, err, err_len) : rc;
}

static int check_net_tap(const struct io_devstr *dev, char *err, size_t err_len)
{
    char iface[IO_DEV_STR_MAX] = "dtap%d";

    io_devstr_arg(dev, "iface", iface, sizeof(iface));
    return try_tap(iface, TAP_IF_MULTI, err, err_len);
}

static int check_iface_arg(const struct io_devstr *dev, char *err, size_t err_len)
{
    char iface[IO_DEV_STR_MAX];

    if (!io_devstr_arg(dev, "iface", iface, sizeof(iface)))
        return fail(-EINVAL, err, err_len, "iface= is missing: the kernel interface to use");
    if (if_nametoindex(iface) == 0)
        return fail(-ENODEV, err, err_len,
                    "there is no interface %s in this network namespace (see 'ip link')", iface);
    return 0;
}

static int check_af_packet(const struct io_devstr *dev, char *err, size_t err_len)
{
    int rc = check_iface_arg(dev, err, err_len);

    if (rc != 0)
        return rc;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(-errno, err, err_len, "can't open a packet socket (%s): %s", strerror(errno),
                    HOW_TO_BE_ROOT);
    close(fd);
    return 0;
}

/* Does anybody listen at a Unix socket? 0 yes, -EPROTOTYPE yes (and never heard of it, when it is
 * of another type), -ECONNREFUSED nobody, -ENOENT no such file, ... */
static int unix_socket_probe(const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(sa.sun_path))
        return -ENAMETOOLONG;
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int rc = connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0 ? 0 : -errno;
    close(fd);
    return rc;
}

/* The same for a name of the abstract kind, without a connection: 0 or -ENOENT. */
static int abstract_socket_probe(const char *name)
{
    FILE *f = fopen("/proc/net/unix", "re");
    char line[512];
    int rc = -ENOENT;

    if (f == NULL)
        return 0; /* can't tell */
    while (rc != 0 && fgets(line, sizeof(line), f) != NULL) {
        const char *at = strchr(line, '@');
        line[strcspn(line, "\n")] = '\0';
        if (at != NULL && strcmp(at + 1, name) == 0)
            rc = 0;
    }
    fclose(f);
    return rc;
}

/* The server's end makes the socket file; one that a killed process left behind is removed. */
static int check_socket_server(const char *path, char *err, size_t err_len)
{
    struct stat st;

    if (lstat(path, &st) != 0) {
        char dir[IO_DEV_STR_MAX];
        snprintf(dir, sizeof(dir), "%s", path);
        char *slash = strrchr(dir, '/');
        if (slash != NULL)
            slash[slash == dir ? 1 : 0] = '\0';
        if (access(slash != NULL ? dir : ".", W_OK | X_OK) != 0)
            return fail(-errno, err, err_len, "can't make the socket %s: %s", path,
                        strerror(errno));
        return 0;
    }
    if (!S_ISSOCK(st.st_mode))
        return fail(-EEXIST, err, err_len, "%s exists and is not a socket: choose another path",
                    path);
    if (unix_socket_probe(path) != -ECONNREFUSED)
        return fail(-EADDRINUSE, err, err_len, "another process serves %s: choose another path",
                    path);
    if (unlink(path) != 0)
        return fail(-errno, err, err_len, "can't remove the stale socket %s: %s", path,
                    strerror(errno));
    return 0;
}

static int check_socket_client(const char *path, char *err, size_t err_len)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return fail(-errno, err, err_len,
                    "nothing at %s (%s): start the process with the other end first", path,
                    strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return 0; /* a vhost-net or vDPA device */
    int rc = unix_socket_probe(path);
    if (rc == -ECONNREFUSED)
        return fail(rc, err, err_len,
                    "nobody serves %s: start the process with the other end first", path);
    if (rc != 0)
        return fail(rc, err, err_len, "can't connect to %s: %s", path, strerror(-rc));
    return 0;
}

static bool arg_is_set(const struct io_devstr *dev, const char *key)
{
    char value[8];

    return io_devstr_arg(dev, key, value, sizeof(value)) && strcmp(value, "0") != 0;
}

static int check_vhost(const struct io_devstr *dev, char *err, size_t err_len)
{
    char path[IO_DEV_STR_MAX];

    if (!io_devstr_arg(dev, "iface", path, sizeof(path)))
        return fail(-EINVAL, err, err_len, "iface= is missing: the path of the vhost-user socket");
    if (arg_is_set(dev, "client"))
        return 0; /* connects when the peer appears */
    return check_socket_server(path, err, err_len);
}

static int check_virtio_user(const struct io_devstr *dev, char *err, size_t err_len)
{
    char path[IO_DEV_STR_MAX];

    if (!io_devstr_arg(dev, "path", path, sizeof(path)))
        return fail(-EINVAL, err, err_len, "path= is missing: the path of the vhost-user socket");
    if (arg_is_set(dev, "server"))
        return check_socket_server(path, err, err_len);
    return check_socket_client(path, err, err_len);
}

/* A client looks for its server once, when it is opened. memif's sockets are SOCK_SEQPACKET, so our
 * question never reaches the server: one that a client leaves at once ends its process. */
static int check_memif(const struct io_devstr *dev, char *err, size_t err_len)
{
    char role[16] = "client", abstract[8] = "yes", path[IO_DEV_STR_MAX] = "/run/memif.sock";

    io_devstr_arg(dev, "role", role, sizeof(role));
    io_devstr_arg(dev, "socket-abstract", abstract, sizeof(abstract));
    io_devstr_arg(dev, "socket", path, sizeof(path));
    bool is_abstract = strcmp(abstract, "no") != 0;
    if (strcmp(role, "server") == 0 || strcmp(role, "master") == 0)
        return is_abstract ? 0 : check_socket_server(path, err, err_len);
    if (strcmp(role, "client") != 0 && strcmp(role, "slave") != 0)
        return 0; /* the driver says so */
    int rc = is_abstract ? abstract_socket_probe(path) : unix_socket_probe(path);
    if (rc != -ECONNREFUSED && rc != -ENOENT)
        return 0;
    return fail(rc, err, err_len,
                "nobody serves the socket %s: start the end with role=server first", path);
}

static int check_pcap(const struct io_devstr *dev, char *err, size_t err_len)
{
    char path[IO_DEV_STR_MAX];

    if (io_devstr_arg(dev, "rx_pcap", path, sizeof(path)) && access(path, R_OK) != 0)
        return fail(-errno, err, err_len, "can't read the capture %s: %s", path, strerror(errno));
    if (io_devstr_arg(dev, "iface", path, sizeof(path)))
        return check_iface_arg(dev, err, err_len);
    return 0;
}

static int check_pci(const struct io_devstr *dev, char *err, size_t err_len)
{
    char path[128], link[256];

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", dev->name);
    if (access(path, F_OK) != 0)
        return fail(-ENODEV, err, err_len, "there is no such PCI device (see 'lspci -D')");
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", dev->name);
    ssize_t n = readlink(path, link, sizeof(link) - 1);
    if (n < 0)
        return fail(-ENODEV, err, err_len,
                    "no driver is bound to it: dpdk-devbind.py -b vfio-pci %s", dev->name);
    return 0;
}

/* ---- drivers ------------------------------------------------------------------------------- */

#define VIRTIO_USER                                                                                \
    .keys = "queues cq mac path queue_size iface server mrg_rxbuf in_order packed_vq speed "       \
            "vectorized",                                                                          \
    .wake = IO_WAKE_INTR, .tso_one_piece = true, .check = check_virtio_user

static const struct io_driver drivers[] = {
    {.name = "tap", .keys = "iface", .is_own = true, .check = check_tap},
    {.name = "net_tap",
     .keys = "iface mac remote persist",
     .wake = IO_WAKE_INTR,
     .n_rxd = 4, /* it reads a frame at a time: more would only hold buffers */
     .soft_csum = true,
     .kernel_side = true,
     .async_signal = true,
     .check = check_net_tap},
    {.name = "net_af_packet",
     .keys = "iface qpairs blocksz framesz framecnt qdisc_bypass",
     .wake = IO_WAKE_SOCKET,
     .wake_family = AF_PACKET,
     .kernel_iface = true,
     .mtu_free = true,
     .q_arg = "qpairs",
     .check = check_af_packet},
    {.name = "net_af_xdp",
     .keys = "iface start_queue queue_count shared_umem xdp_prog busy_budget force_copy",
     .wake = IO_WAKE_SOCKET,
     .wake_family = AF_XDP,
     .kernel_iface = true,
     .check = check_iface_arg},
    {.name = "net_vhost",
     .keys = "iface queues client iommu-support postcopy-support tso linear-buffer ext-buffer "
             "legacy-ol-flags",
     .wake = IO_WAKE_INTR,
     .check = check_vhost},
    {.name = "net_virtio_user", VIRTIO_USER},
    {.name = "virtio_user", VIRTIO_USER},
    {.name = "net_memif",
     .keys = "id role bsize rsize socket socket-abstract mac zero-copy secret",
     .wake = IO_WAKE_NONE,
     .mtu_free = true,
     .check = check_memif},
    {.name = "net_pcap",
     .keys = "rx_pcap tx_pcap rx_iface rx_iface_in tx_iface iface phy_mac infinite_rx",
     .wake = IO_WAKE_NONE,
     .mtu_free = true,
     .check = check_pcap},
    {.name = "net_ring", .wake = IO_WAKE_NONE, .mtu_free = true},
    {.name = "net_null", .keys = "size copy no-rx", .wake = IO_WAKE_NONE, .mtu_free = true},
    {.name = "net_bonding", .wake = IO_WAKE_NONE},
    {.name = "net_failsafe", .wake = IO_WAKE_NONE},
};
static const struct io_driver driver_pci = {
    .name = "pci", .wake = IO_WAKE_INTR, .check = check_pci};

#define DRIVER_NAMES                                                                               \
    "tap, net_tap, net_af_packet, net_af_xdp, net_memif, net_vhost, net_virtio_user, net_pcap, "   \
    "net_ring, net_null"

static const struct io_driver *driver_find(const char *name)
{
    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
        size_t n = strlen(drivers[i].name);
        if (strncmp(name, drivers[i].name, n) == 0 &&
            (name[n] == '\0' || isdigit((unsigned char)name[n]) || name[n] == '_'))
            return &drivers[i];
    }
    return NULL;
}

/* ---- syntax -------------------------------------------------------------------------------- */

/* "bb:dd.f" or "dddd:bb:dd.f" to the long form. */
static bool pci_parse(const char *text, char *out, size_t out_len)
{
    unsigned domain = 0, bus, slot, fn;
    int used = 0;

    if (sscanf(text, "%4x:%2x:%2x.%1u%n", &domain, &bus, &slot, &fn, &used) != 4 ||
        text[used] != '\0') {
        domain = 0;
        used = 0;
        if (sscanf(text, "%2x:%2x.%1u%n", &bus, &slot, &fn, &used) != 3 || text[used] != '\0')
            return false;
    }
    snprintf(out, out_len, "%04x:%02x:%02x.%u", domain, bus, slot, fn);
    return slot < 32 && fn < 8;
}

/* Length of the argument at `a`: up to a comma outside brackets. */
static size_t arg_len(const char *a)
{
    size_t n = 0;

    for (int depth = 0; a[n] != '\0' && (a[n] != ',' || depth > 0); n++)
        depth += (a[n] == '[') - (a[n] == ']');
    return n;
}

/* Is the word of n characters in a list separated by blanks? */
static bool key_known(const char *list, const char *word, size_t n)
{
    for (const char *p = list; *p != '\0';) {
        size_t len = strcspn(p, " ");
        if (len == n && memcmp(p, word, n) == 0)
            return true;
        p += len + (p[len] == ' ');
    }
    return false;
}

static int args_parse(const char *args, const struct io_driver *drv, char *err, size_t err_len)
{
    while (*args != '\0') {
        size_t n = arg_len(args);
        const char *eq = memchr(args, '=', n);
        if (n == 0 || eq == args)
            return fail(-EINVAL, err, err_len,
                        "an argument is empty: expected name,key=value,key=value");
        if (eq == NULL)
            return fail(-EINVAL, err, err_len, "argument '%.*s' has no value: expected %.*s=value",
                        (int)n, args, (int)n, args);
        size_t key_len = (size_t)(eq - args);
        if (drv->keys != NULL && !key_known(drv->keys, args, key_len))
            return fail(-EINVAL, err, err_len, "%s has no argument '%.*s'; it takes: %s", drv->name,
                        (int)key_len, args, drv->keys);
        args += n + (args[n] == ',');
    }
    return 0;
}

static int text_check(const char *text, char *err, size_t err_len)
{
    if (text == NULL || *text == '\0')
        return fail(-EINVAL, err, err_len,
                    "no device given: a PCI address, or a virtual device such as "
                    "net_tap0,iface=dtap0");
    if (strlen(text) >= IO_DEV_STR_MAX)
        return fail(-EINVAL, err, err_len, "longer than %d characters", IO_DEV_STR_MAX - 1);
    for (const char *c = text; *c != '\0'; c++)
        if (!isgraph((unsigned char)*c))
            return fail(-EINVAL, err, err_len, "blanks and control characters are not allowed");
    return 0;
}

int io_devstr_parse(struct io_devstr *dev, const char *text, char *err, size_t err_len)
{
    int rc = text_check(text, err, err_len);

    if (rc != 0)
        return rc;
    size_t n = strcspn(text, ",");
    if (n == 0 || n >= sizeof(dev->name))
        return fail(-EINVAL, err, err_len, "the name must have 1 to %zu characters",
                    sizeof(dev->name) - 1);
    memset(dev, 0, sizeof(*dev));
    char name[IO_DEV_NAME_MAX];
    memcpy(name, text, n);
    name[n] = '\0';
    dev->is_pci = pci_parse(name, dev->name, sizeof(dev->name));
    if (!dev->is_pci)
        memcpy(dev->name, name, n + 1);
    dev->drv = dev->is_pci ? &driver_pci : driver_find(dev->name);
    if (dev->drv == NULL)
        return fail(-EINVAL, err, err_len,
                    "neither a PCI address (0000:03:00.0) nor a known driver and a number (%s)",
                    DRIVER_NAMES);
    int len = snprintf(dev->text, sizeof(dev->text), "%s%s", dev->name, text + n);
    if (len < 0 || (size_t)len >= sizeof(dev->text))
        return fail(-EINVAL, err, err_len, "longer than %d characters", IO_DEV_STR_MAX - 1);
    if (text[strlen(text) - 1] == ',')
        return fail(-EINVAL, err, err_len, "there is a comma at the end");
    return args_parse(io_devstr_args(dev), dev->drv, err, err_len);
}

const char *io_devstr_args(const struct io_devstr *dev)
{
    const char *a = dev->text + strlen(dev->name);

    return *a == ',' ? a + 1 : a;
}

int io_devstr_check(const struct io_devstr *dev, char *err, size_t err_len)
{
    return dev->drv->check != NULL ? dev->drv->check(dev, err, err_len) : 0;
}

bool io_devstr_arg(const struct io_devstr *dev, const char *key, char *value, size_t value_len)
{
    size_t key_len = strlen(key);

    for (const char *a = io_devstr_args(dev); *a != '\0';) {
        size_t n = arg_len(a);
        if (n > key_len && strncmp(a, key, key_len) == 0 && a[key_len] == '=') {
            size_t len = n - key_len - 1;
            if (len == 0 || len >= value_len)
                return false;
            memcpy(value, a + key_len + 1, len);
            value[len] = '\0';
            return true;
        }
        a += n + (a[n] == ',');
    }
    return false;
}

uint32_t io_devstr_number(const struct io_devstr *dev, const char *key)
{
    char value[16], *end;

    if (!io_devstr_arg(dev, key, value, sizeof(value)))
        return 0;
    unsigned long n = strtoul(value, &end, 10);
    return *end == '\0' && n <= UINT32_MAX ? (uint32_t)n : 0;
}

int io_devstr_add(struct io_devstr *dev, const char *key, uint32_t value)
{
    char old[IO_DEV_STR_MAX];
    size_t used = strlen(dev->text);

    if (io_devstr_arg(dev, key, old, sizeof(old)))
        return 0;
    int n = snprintf(dev->text + used, sizeof(dev->text) - used, ",%s=%u", key, value);
    if (n < 0 || (size_t)n >= sizeof(dev->text) - used) {
        dev->text[used] = '\0';
        return -ENAMETOOLONG;
    }
    return 0;
}

void io_devstr_iface(const struct io_devstr *dev, char *iface, size_t len)
{
    if (!io_devstr_arg(dev, "iface", iface, len))
        snprintf(iface, len, "%s", dev->name);
}

uint32_t io_devstr_kernel_mtu(const struct io_devstr *dev)
{
    char iface[IFNAMSIZ];

    if (!dev->drv->kernel_iface || !io_devstr_arg(dev, "iface", iface, sizeof(iface)))
        return 0;
    return tap_if_mtu(iface);
}

/* A slot of the packet ring holds a frame and some 100 bytes before it. One slot per block, so that
 * slots lie side by side; few of them, as the ring is locked memory, of which a user has 8 MB. */
static int add_frame_size(struct io_devstr *dev, uint32_t mtu)
{
    uint32_t size = (mtu + 128 + 4095) / 4096 * 4096;
    int rc = io_devstr_add(dev, "framesz", size);

    if (rc == 0)
        rc = io_devstr_add(dev, "blocksz", size);
    return rc == 0 ? io_devstr_add(dev, "framecnt", 128) : rc;
}

int io_devstr_complete(struct io_devstr *dev, unsigned n_queues, uint32_t mtu)
{
    int rc = 0;

    if (dev->drv->q_arg != NULL && n_queues > 1)
        rc = io_devstr_add(dev, dev->drv->q_arg, n_queues);
    if (rc == 0 && dev->drv->wake_family == AF_PACKET && mtu > 1500)
        rc = add_frame_size(dev, mtu);
    if (rc == 0 && dev->drv->wake_family == AF_XDP)
        rc = io_devstr_add(dev, "busy_budget", 0); /* busy polling and sleep exclude each other */
    return rc;
}
