/* Monitors in shared objects; they are built here with the compiler of the tests. */
#include "tests/mos_world.h"
#include "tests/plugin.h"

#include <dlfcn.h>

static char err[256];

static int load(const char *args)
{
    err[0] = 0;
    errno = 0;
    return hook_monitor.plugin_load(w.m, plugin_path, args, err, sizeof(err));
}

static bool is_one_line(const char *s)
{
    return *s && !strchr(s, '\n');
}

static void starts_with_its_arguments_and_is_stopped(void)
{
    w_begin(false);
    if (plugin_build("#include <string.h>\n"
                     "int started, stopped; void *ctx; char args[32];\n"
                     "int mos_monitor_init(void *c, const char *a)"
                     "{ started++; ctx = c; strcpy(args, a ? a : \"NULL\"); return 0; }\n"
                     "void mos_monitor_fini(void *c) { stopped += c == ctx; }\n")) {
        EXPECT_EQ(load("some args"), 0);
        void *lib = dlopen(plugin_path, RTLD_NOW);
        CU_ASSERT_PTR_NOT_NULL_FATAL(lib);
        EXPECT_EQ(*(int *)dlsym(lib, "started"), 1);
        CU_ASSERT_PTR_EQUAL(*(void **)dlsym(lib, "ctx"), &w.ctx);
        CU_ASSERT_STRING_EQUAL((char *)dlsym(lib, "args"), "some args");
        EXPECT_EQ(load(NULL), 0);
        CU_ASSERT_STRING_EQUAL((char *)dlsym(lib, "args"), "");
        EXPECT_EQ(*(int *)dlsym(lib, "stopped"), 0);
        w_end();
        EXPECT_EQ(*(int *)dlsym(lib, "stopped"), 2);
        dlclose(lib);
    } else {
        w_end();
    }
    plugin_clean();
}

static void fini_is_optional(void)
{
    w_begin(false);
    if (plugin_build("int mos_monitor_init(void *c, const char *a) { return !c || !a; }\n"))
        EXPECT_EQ(load(""), 0);
    w_end();
    plugin_clean();
}

static void start_that_fails(void)
{
    w_begin(false);
    if (plugin_build("#include <errno.h>\n"
                     "int stopped;\n"
                     "int mos_monitor_init(void *c, const char *a)"
                     "{ if (*a) errno = ENOSPC; return 7; }\n"
                     "void mos_monitor_fini(void *c) { __builtin_trap(); }\n")) {
        EXPECT_EQ(load("x"), -1);
        EXPECT_EQ(errno, ENOSPC);
        CU_ASSERT_TRUE(is_one_line(err));
        CU_ASSERT_PTR_NOT_NULL(strstr(err, plugin_path));
        CU_ASSERT_PTR_NOT_NULL(strstr(err, "returned 7"));
        EXPECT_EQ(load(""), -1);
        EXPECT_EQ(errno, EINVAL);
    }
    w_end();
    plugin_clean();
}

static void object_that_is_no_plugin(void)
{
    w_begin(false);
    if (plugin_build("int x;\n")) {
        EXPECT_EQ(load(""), -1);
        EXPECT_EQ(errno, EINVAL);
        CU_ASSERT_TRUE(is_one_line(err));
        CU_ASSERT_PTR_NOT_NULL(strstr(err, "mos_monitor_init"));
    }
    w_end();
    plugin_clean();
}

static void no_such_file(void)
{
    w_begin(false);
    snprintf(plugin_path, sizeof(plugin_path), "/nonexistent/x.so");
    EXPECT_EQ(load(""), -1);
    EXPECT_EQ(errno, EINVAL);
    CU_ASSERT_TRUE(is_one_line(err));
    CU_ASSERT_PTR_NOT_NULL(strstr(err, plugin_path));
    mem_set_limit(w.mem, 1);
    EXPECT_EQ(load(""), -1);
    EXPECT_EQ(errno, ENOMEM);
    CU_ASSERT_TRUE(is_one_line(err));
    w_end();
}

TEST_SUITE(mos_plugin, TEST_CASE(starts_with_its_arguments_and_is_stopped),
           TEST_CASE(fini_is_optional), TEST_CASE(start_that_fails),
           TEST_CASE(object_that_is_no_plugin), TEST_CASE(no_such_file));
