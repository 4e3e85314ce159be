/* EAL's arguments: what is always there, what may be added, what memory may be asked for. */
#include "tests/test.h"

#include "mtcp/io/io_eal_args.h"

#include <errno.h>
#include <string.h>

static struct eal_args args;
static char err[256];

static bool has(const char *arg)
{
    for (int i = 0; i < args.n; i++)
        if (strcmp(args.v[i], arg) == 0)
            return true;
    return false;
}

static int with_extra(const char *extra)
{
    struct eal_conf c = {.mem_mb = 64, .n_cpus_max = 128, .extra_args = extra};
    err[0] = '\0';
    return eal_args_make(&args, &c, err, sizeof(err));
}

static void needs_no_hugepages_and_no_pci(void)
{
    EXPECT_EQ(with_extra(NULL), 0);
    CU_ASSERT_TRUE(has("--no-huge") && has("-m") && has("64"));
    CU_ASSERT_TRUE(has("--no-pci") && has("--no-shconf"));
    CU_ASSERT_PTR_NULL(args.v[args.n]);
}

static void allows_only_the_pci_devices_named(void)
{
    struct eal_conf c = {.mem_mb = 64, .n_cpus_max = 128, .pci = {"0000:03:00.0"}, .n_pci = 1};
    EXPECT_EQ(eal_args_make(&args, &c, err, sizeof(err)), 0);
    CU_ASSERT_TRUE(has("-a") && has("0000:03:00.0") && !has("--no-pci"));
}

static void takes_known_extras(void)
{
    EXPECT_EQ(with_extra(" --log-level=lib.eal:debug  --iova-mode va\t-n 4 --no-telemetry "), 0);
    CU_ASSERT_TRUE(has("--log-level") && has("lib.eal:debug") && has("va") && has("4"));
    EXPECT_EQ(with_extra(""), 0);
}

static void refuses_what_eal_would_refuse(void)
{
    static const char *const bad[] = {"--nonsense",   "--iova-mode=ab",
                                      "--iova-mode",  "-n four",
                                      "-n",           "--no-telemetry=1",
                                      "-h",           "--help",
                                      "--lcores=0",   "--vdev=net_null0",
                                      "word",         "--",
                                      "--log-level=", "-m 5"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        EXPECT_EQ(with_extra(bad[i]), -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(err, "DPDK argument"));
    }
    char lots[4000];
    memset(lots, 'x', sizeof(lots) - 1);
    lots[sizeof(lots) - 1] = '\0';
    EXPECT_EQ(with_extra(lots), -EINVAL);
}

static void checks_memory(void)
{
    EXPECT_EQ(eal_mem_check(1, err, sizeof(err)), 0);
    EXPECT_EQ(eal_mem_check(1ull << 30, err, sizeof(err)), -ENOMEM);
    CU_ASSERT_PTR_NOT_NULL(strstr(err, "1073741824 MB asked for"));
}

TEST_SUITE(io_eal_args, TEST_CASE(needs_no_hugepages_and_no_pci),
           TEST_CASE(allows_only_the_pci_devices_named), TEST_CASE(takes_known_extras),
           TEST_CASE(refuses_what_eal_would_refuse), TEST_CASE(checks_memory));
