/*
 * Device strings: syntax, what is known about each driver, and the questions asked of the system
 * before a device is opened.
 */
#include "mtcp/io/io_devstr.h"

#include "mtcp/base/bug.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
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

/* ---- the system -------------------------------------------------------------------------------
 */

/* Makes the interface and lets it go again: the one question whose answer is the truth. */
static int tap_try(int fd, const char *iface, char *err, size_t err_len)
{
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_MULTI_QUEUE};

    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", iface);
    if (ioctl(fd, TUNSETIFF, &ifr) == 0)
        return 0;
    int e = errno;
    if (e == EPERM || e == EACCES)
        return fail(-EPERM, err, err_len, "no permission to make the interface %s: %s", iface,
                    HOW_TO_BE_ROOT);
    if (e == EBUSY)
        return fail(-EBUSY, err, err_len,
                    "the interface %s is in use: choose another iface=", iface);
    if (e == EINVAL)
        return fail(-EINVAL, err, err_len,
                    "%s is not a name for a TAP interface, or exists as something else", iface);
    return fail(-e, err, err_len, "can't make the interface %s: %s", iface, strerror(e));
}

static int check_tap(const struct io_devstr *dev, char *err, size_t err_len)
{
    char iface[IFNAMSIZ] = "dtap%d";
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
        return fail(-ENODEV, err, err_len,
                    "/dev/net/tun is missing: load the kernel module 'tun', or give the container "
                    "this device");
    if (fd < 0)
        return fail(-errno, err, err_len, "can't open /dev/net/tun (%s): %s", strerror(errno),
                    HOW_TO_BE_ROOT);
    io_devstr_arg(dev, "iface", iface, sizeof(iface));
    int rc = tap_try(fd, iface, err, err_len);
    close(fd);
    return rc;
}

static int check_iface_arg(const struct io_devstr *dev, char *err, size_t err_len)
{
    char iface[IFNAMSIZ];

    if (!io_devstr_arg(dev, "iface", iface, sizeof(iface)))
        return fail(-EINVAL, err, err_len,
                    "iface= is missing or longer than %d characters: name the kernel interface "
                    "to use",
                    IFNAMSIZ - 1);
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

/* Does anybody listen at a Unix socket? 0 yes, -ECONNREFUSED nobody, -ENOENT no such file, ... */
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

static int check_pcap(const struct io_devstr *dev, char *err, size_t err_len)
{
    char path[IO_DEV_STR_MAX];

    if (io_devstr_arg(dev, "rx_pcap", path, sizeof(path)) && access(path, R_OK) != 0)
        return fail(-errno, err, err_len, "can't read the capture %s: %s", path, strerror(errno));
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

/* ---- drivers ----------------------------------------------------------------------------------
 */

static const struct io_driver drivers[] = {
    {.name = "net_tap",
     .wake = IO_WAKE_INTR,
     .n_rxd = 4, /* a frame per read: more would only hold buffers */
     .soft_csum = true,
     .kernel_side = true,
     .async_signal = true,
     .check = check_tap},
    {.name = "net_af_packet",
     .wake = IO_WAKE_SOCKET,
     .kernel_iface = true,
     .q_arg = "qpairs",
     .check = check_af_packet},
    {.name = "net_af_xdp", .wake = IO_WAKE_SOCKET, .kernel_iface = true, .check = check_iface_arg},
    {.name = "net_vhost", .wake = IO_WAKE_INTR, .check = check_vhost},
    {.name = "net_virtio_user", .wake = IO_WAKE_INTR, .check = check_virtio_user},
    {.name = "virtio_user", .wake = IO_WAKE_INTR, .check = check_virtio_user},
    {.name = "net_memif", .wake = IO_WAKE_NONE},
    {.name = "net_pcap", .wake = IO_WAKE_NONE, .check = check_pcap},
    {.name = "net_ring", .wake = IO_WAKE_NONE},
    {.name = "net_null", .wake = IO_WAKE_NONE},
    {.name = "net_bonding", .wake = IO_WAKE_NONE},
    {.name = "net_failsafe", .wake = IO_WAKE_NONE},
};
static const struct io_driver driver_pci = {
    .name = "pci", .wake = IO_WAKE_INTR, .check = check_pci};

#define DRIVER_NAMES                                                                               \
    "net_tap, net_af_packet, net_af_xdp, net_memif, net_vhost, net_virtio_user, net_pcap, "        \
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

/* ---- syntax -----------------------------------------------------------------------------------
 */

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

static int args_parse(const char *args, char *err, size_t err_len)
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
    if (dev->text[len - 1] == ',')
        return fail(-EINVAL, err, err_len, "there is a comma at the end");
    return args_parse(io_devstr_args(dev), err, err_len);
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
