/* A monitor's shared object, built from its text with the compiler of the tests. */
#ifndef TESTS_PLUGIN_H
#define TESTS_PLUGIN_H

#include "tests/test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char plugin_dir[] = "/tmp/mos_plugin_XXXXXX";
static char plugin_path[64];

/* False when there is no compiler. plugin_clean() comes afterwards all the same. */
static inline bool plugin_build(const char *text)
{
    char command[256];
    strcpy(plugin_dir + sizeof(plugin_dir) - 7, "XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(plugin_dir));
    snprintf(plugin_path, sizeof(plugin_path), "%s/x.so", plugin_dir);
    snprintf(command, sizeof(command), "cc -shared -fPIC -x c - -o %s 2>/dev/null", plugin_path);
    FILE *cc = popen(command, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(cc);
    fputs(text, cc);
    bool ok = pclose(cc) == 0;
    if (!ok)
        printf("skipped: no compiler at run time\n");
    return ok;
}

static inline void plugin_clean(void)
{
    unlink(plugin_path);
    rmdir(plugin_dir);
}

#endif
