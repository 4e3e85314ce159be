/* EAL's arguments: what is always there, what may be added, what memory may be asked for. */
#include "tests/test.h"

#include "mtcp/io/io_eal_args.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

static void names_are_one_process_of_one_pid_namespace(void)
{
    char name[EAL_NAME_LEN], other[EAL_NAME_LEN + 8], want[EAL_NAME_LEN + 32];
    struct stat st;
    eal_dir_name(name);
    EXPECT_EQ(stat("/proc/self/ns/pid", &st), 0);
    snprintf(want, sizeof(want), "mtcp%llu-%ld", (unsigned long long)st.st_ino, (long)getpid());
    CU_ASSERT_STRING_EQUAL(name, want);
    CU_ASSERT_FALSE(eal_dir_is_left(name));

    pid_t gone = fork();
    if (gone == 0)
        _exit(0);
    EXPECT_EQ(waitpid(gone, NULL, 0), gone);
    unsigned long long ns = (unsigned long long)st.st_ino;
    snprintf(other, sizeof(other), "mtcp%llu-%ld", ns, (long)gone);
    CU_ASSERT_TRUE(eal_dir_is_left(other));
    strcat(other, "x");
    CU_ASSERT_FALSE(eal_dir_is_left(other));
    snprintf(other, sizeof(other), "mtcp%llu-%ld", ns + 1, (long)gone); /* may live elsewhere */
    CU_ASSERT_FALSE(eal_dir_is_left(other));
    snprintf(other, sizeof(other), "mtcp0-%ld", (long)gone); /* of no known namespace */
    CU_ASSERT_FALSE(eal_dir_is_left(other));
    CU_ASSERT_FALSE(eal_dir_is_left("rte"));
}

static void checks_memory(void)
{
    EXPECT_EQ(eal_mem_check(1, err, sizeof(err)), 0);
    EXPECT_EQ(eal_mem_check(1ull << 30, err, sizeof(err)), -ENOMEM);
    CU_ASSERT_PTR_NOT_NULL(strstr(err, "1073741824 MB asked for"));
}

TEST_SUITE(io_eal_args, TEST_CASE(needs_no_hugepages_and_no_pci),
           TEST_CASE(allows_only_the_pci_devices_named), TEST_CASE(takes_known_extras),
           TEST_CASE(refuses_what_eal_would_refuse), TEST_CASE(checks_memory),
           TEST_CASE(names_are_one_process_of_one_pid_namespace));
