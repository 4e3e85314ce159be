/* Device strings: syntax, arguments, what the system is asked. */
#include "tests/test.h"

#include "mtcp/io/io_devstr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct io_devstr dev;
static char err[256];

static int parse(const char *text)
{
    err[0] = '\0';
    return io_devstr_parse(&dev, text, err, sizeof(err));
}

static void takes_virtual_devices(void)
{
    EXPECT_EQ(parse("net_tap0,iface=dtap0"), 0);
    CU_ASSERT_STRING_EQUAL(dev.name, "net_tap0");
    CU_ASSERT_STRING_EQUAL(io_devstr_args(&dev), "iface=dtap0");
    CU_ASSERT_STRING_EQUAL(dev.drv->name, "net_tap");
    CU_ASSERT_FALSE(dev.is_pci);
    EXPECT_EQ(parse("net_null0"), 0);
    CU_ASSERT_STRING_EQUAL(io_devstr_args(&dev), "");
    EXPECT_EQ(parse("net_virtio_user1,path=/tmp/s,queues=2"), 0);
    EXPECT_EQ(dev.drv->wake, IO_WAKE_INTR);
}

/* Its interface is called as it is, or as is said. */
static void takes_taps_of_our_own(void)
{
    char iface[IO_DEV_STR_MAX];
    EXPECT_EQ(parse("tap0"), 0);
    CU_ASSERT_TRUE(dev.drv->is_own);
    io_devstr_iface(&dev, iface, sizeof(iface));
    CU_ASSERT_STRING_EQUAL(iface, "tap0");
    EXPECT_EQ(parse("tap_lan,iface=lan0"), 0);
    io_devstr_iface(&dev, iface, sizeof(iface));
    CU_ASSERT_STRING_EQUAL(iface, "lan0");
    EXPECT_EQ(parse("net_tap0"), 0);
    CU_ASSERT_FALSE(dev.drv->is_own);
}

static void takes_pci_addresses(void)
{
    EXPECT_EQ(parse("0000:03:00.1"), 0);
    CU_ASSERT_TRUE(dev.is_pci);
    EXPECT_EQ(parse("3:1f.0,arg=1"), 0);
    CU_ASSERT_STRING_EQUAL(dev.name, "0000:03:1f.0");
    CU_ASSERT_STRING_EQUAL(dev.text, "0000:03:1f.0,arg=1");
    CU_ASSERT_STRING_EQUAL(io_devstr_args(&dev), "arg=1");
    EXPECT_EQ(parse("0000:03:00.0,representor=[0,1],x=y"), 0);
    EXPECT_EQ(parse("03:20.0"), -EINVAL);
    EXPECT_EQ(parse("03:00.8"), -EINVAL);
    EXPECT_EQ(parse("03:00.0x"), -EINVAL);
}

static void says_what_is_wrong(void)
{
    static const struct {
        const char *text, *words;
    } bad[] = {
        {NULL, "no device given"},
        {"", "no device given"},
        {"eth0", "neither a PCI address"},
        {"net_tapper0", "neither a PCI address"},
        {"tapper0", "neither a PCI address"},
        {"tap0,queues=2", "tap has no argument 'queues'; it takes: iface"},
        {"net_tap0 iface=x", "blanks"},
        {"net_tap0\n", "blanks"},
        {"net_tap0,", "comma at the end"},
        {"net_tap0,iface", "has no value"},
        {"net_tap0,=x", "is empty"},
        {"net_tap0,,iface=x", "is empty"},
        {",iface=x", "the name must have"},
        {"net_tap0,ifacy=x", "no argument 'ifacy'; it takes: iface mac remote persist"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        EXPECT_EQ(parse(bad[i].text), -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(err, bad[i].words));
    }
    char text[1000] = "net_tap0,iface=";
    memset(text + strlen(text), 'x', sizeof(text) - strlen(text) - 1);
    EXPECT_EQ(parse(text), -EINVAL);
}

static void finds_arguments(void)
{
    char v[8];
    EXPECT_EQ(parse("net_ring0,xiface=a,iface=eth0,blocksz=4096,long=123456789"), 0);
    CU_ASSERT_TRUE(io_devstr_arg(&dev, "iface", v, sizeof(v)));
    CU_ASSERT_STRING_EQUAL(v, "eth0");
    CU_ASSERT_TRUE(io_devstr_arg(&dev, "blocksz", v, sizeof(v)));
    CU_ASSERT_STRING_EQUAL(v, "4096");
    CU_ASSERT_FALSE(io_devstr_arg(&dev, "long", v, sizeof(v)));
    CU_ASSERT_FALSE(io_devstr_arg(&dev, "block", v, sizeof(v)));
    EXPECT_EQ(io_devstr_number(&dev, "blocksz"), 4096);
    EXPECT_EQ(io_devstr_number(&dev, "iface"), 0);
    EXPECT_EQ(io_devstr_number(&dev, "nosuch"), 0);
}

static void adds_arguments_once(void)
{
    EXPECT_EQ(parse("net_af_packet0,iface=eth0"), 0);
    EXPECT_EQ(io_devstr_add(&dev, "qpairs", 2), 0);
    EXPECT_EQ(io_devstr_add(&dev, "qpairs", 4), 0);
    CU_ASSERT_STRING_EQUAL(dev.text, "net_af_packet0,iface=eth0,qpairs=2");
    EXPECT_EQ(parse("net_null0"), 0);
    EXPECT_EQ(io_devstr_add(&dev, "size", 64), 0);
    CU_ASSERT_STRING_EQUAL(io_devstr_args(&dev), "size=64");
}

static void completes_what_is_missing(void)
{
    EXPECT_EQ(parse("net_af_packet0,iface=eth0"), 0);
    EXPECT_EQ(io_devstr_complete(&dev, 1, 1500), 0);
    CU_ASSERT_STRING_EQUAL(dev.text, "net_af_packet0,iface=eth0");
    EXPECT_EQ(io_devstr_complete(&dev, 2, 9000), 0);
    CU_ASSERT_STRING_EQUAL(dev.text,
                           "net_af_packet0,iface=eth0,qpairs=2,framesz=12288,blocksz=12288,"
                           "framecnt=128");
    EXPECT_EQ(parse("net_af_xdp0,iface=eth0"), 0);
    EXPECT_EQ(io_devstr_complete(&dev, 1, 0), 0);
    CU_ASSERT_STRING_EQUAL(dev.text, "net_af_xdp0,iface=eth0,busy_budget=0");
    EXPECT_EQ(parse("net_tap0"), 0);
    EXPECT_EQ(io_devstr_complete(&dev, 4, 0), 0);
    CU_ASSERT_STRING_EQUAL(dev.text, "net_tap0");
}

static void asks_the_kernel_for_the_mtu(void)
{
    EXPECT_EQ(parse("net_af_packet0,iface=lo"), 0);
    CU_ASSERT_TRUE(io_devstr_kernel_mtu(&dev) >= 1500);
    EXPECT_EQ(parse("net_tap0,iface=lo"), 0);
    EXPECT_EQ(io_devstr_kernel_mtu(&dev), 0);
}

static void misses_an_interface(void)
{
    EXPECT_EQ(parse("net_af_packet0,iface=nosuch0"), 0);
    EXPECT_EQ(io_devstr_check(&dev, err, sizeof(err)), -ENODEV);
    CU_ASSERT_PTR_NOT_NULL(strstr(err, "nosuch0"));
    EXPECT_EQ(parse("net_af_packet0"), 0);
    EXPECT_EQ(io_devstr_check(&dev, err, sizeof(err)), -EINVAL);
    EXPECT_EQ(parse("ffff:ff:1f.7"), 0);
    EXPECT_EQ(io_devstr_check(&dev, err, sizeof(err)), -ENODEV);
}

static int socket_at(const char *path, bool listening)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
    CU_ASSERT_FATAL(fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
    CU_ASSERT_FATAL(!listening || listen(fd, 1) == 0);
    return fd;
}

/* A served socket is left alone, a stale one is cleared away for the server only. */
static void tells_stale_sockets_from_served_ones(void)
{
    char dir[] = "/tmp/t_io_devstr-XXXXXX", server[96], client[96];
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    snprintf(server, sizeof(server), "net_vhost0,iface=%s/s", dir);
    snprintf(client, sizeof(client), "net_virtio_user0,path=%s/s", dir);
    const char *path = server + strlen("net_vhost0,iface=");
    struct io_devstr s, c;
    EXPECT_EQ(io_devstr_parse(&s, server, err, sizeof(err)), 0);
    EXPECT_EQ(io_devstr_parse(&c, client, err, sizeof(err)), 0);

    EXPECT_EQ(io_devstr_check(&s, err, sizeof(err)), 0);
    EXPECT_EQ(io_devstr_check(&c, err, sizeof(err)), -ENOENT);
    int fd = socket_at(path, true);
    EXPECT_EQ(io_devstr_check(&s, err, sizeof(err)), -EADDRINUSE);
    EXPECT_EQ(io_devstr_check(&c, err, sizeof(err)), 0);
    close(fd);
    EXPECT_EQ(io_devstr_check(&c, err, sizeof(err)), -ECONNREFUSED);
    EXPECT_EQ(access(path, F_OK), 0);
    EXPECT_EQ(io_devstr_check(&s, err, sizeof(err)), 0);
    EXPECT_EQ(access(path, F_OK), -1);
    rmdir(dir);
}

TEST_SUITE(io_devstr, TEST_CASE(takes_virtual_devices), TEST_CASE(takes_taps_of_our_own),
           TEST_CASE(takes_pci_addresses), TEST_CASE(says_what_is_wrong),
           TEST_CASE(finds_arguments), TEST_CASE(adds_arguments_once),
           TEST_CASE(completes_what_is_missing), TEST_CASE(asks_the_kernel_for_the_mtu),
           TEST_CASE(misses_an_interface), TEST_CASE(tells_stale_sockets_from_served_ones));
