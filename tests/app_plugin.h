/*
 * The plugins of apps/, as they were built beside this program, in the server of a duo; and a
 * directory for what they read and write.
 *
 *     app_begin();
 *     app_file("rules", "DROP any any\n");
 *     duo_open_srv(&d, app_conf("firewall", "rules=%s/rules file=%s/out", app_dir, app_dir));
 *     ...
 *     duo_close(&d);
 *     app_text("out")                          what was written
 *     app_end();
 */
#ifndef TESTS_APP_PLUGIN_H
#define TESTS_APP_PLUGIN_H

#include "tests/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char app_dir[32];

static inline void app_begin(void)
{
    strcpy(app_dir, "/tmp/mtcp_app_XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(app_dir));
}

static inline const char *app_path(const char *name)
{
    static char path[4][320];
    static unsigned at;
    char *p = path[at++ % 4];
    snprintf(p, sizeof(path[0]), "%s/%s", app_dir, name);
    return p;
}

static inline void app_end(void)
{
    DIR *dir = opendir(app_dir);
    CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        if (e->d_name[0] != '.')
            unlink(app_path(e->d_name));
    closedir(dir);
    rmdir(app_dir);
}

static inline void app_file(const char *name, const char *text)
{
    FILE *f = fopen(app_path(name), "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs(text, f);
    EXPECT_EQ(fclose(f), 0);
}

/* The text of a file; "" when there is none. Until the next call. */
static inline const char *app_text(const char *name)
{
    static char text[65536];
    FILE *f = fopen(app_path(name), "r");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = '\0';
    return text;
}

/* What stderr gets between begin and end. */
static int saved_stderr;

static inline void stderr_begin(void)
{
    int fd = open(app_path("err"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    fflush(stderr);
    saved_stderr = dup(STDERR_FILENO);
    dup2(fd, STDERR_FILENO);
    close(fd);
}

static inline const char *stderr_end(void)
{
    fflush(stderr);
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    return app_text("err");
}

/* A monitor section. */
__attribute__((format(printf, 2, 3))) static inline const char *app_conf(const char *plugin,
                                                                         const char *args, ...)
{
    static char conf[2048];
    char self[1024], text[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    CU_ASSERT_FATAL(n > 0);
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    va_list ap;
    va_start(ap, args);
    vsnprintf(text, sizeof(text), args, ap);
    va_end(ap);
    snprintf(conf, sizeof(conf), "monitor \"%s\" { plugin = \"%s/%s.so\" args = \"%s\" }\n", plugin,
             self, plugin, text);
    return conf;
}

#endif
