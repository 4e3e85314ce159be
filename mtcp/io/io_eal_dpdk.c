/*
 * DPDK's environment layer (EAL): its arguments, memory, log and runtime directory, and its end.
 * EAL is one per process by its own design and can't be started twice; so is the state in here.
 */
#include "mtcp/io/io_eal_args.h"
#include "mtcp/io/io_port.h"

#include <rte_config.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    bool started; /* rte_eal_init was called: never again in this process */
    bool running;
    struct log log; /* messages go here while running */
    FILE *stream;   /* what DPDK logs to */
    char line[256]; /* of it, being put together */
    size_t line_len;
    char last[256]; /* the last complete one, a driver's if there was one */
    bool last_is_eal;
    char own_dir[64]; /* a runtime directory's parent made by us; "" when not */
} eal;

/* ---- log ----------------------------------------------------------------------------------- */

static void log_end_line(void)
{
    eal.line[eal.line_len] = '\0';
    eal.line_len = 0;
    if (eal.line[0] == '\0')
        return;
    bool is_eal = strncmp(eal.line, "EAL: ", 5) == 0;
    if (!is_eal || eal.last_is_eal) {
        memcpy(eal.last, eal.line, sizeof(eal.line));
        eal.last_is_eal = is_eal;
    }
    log_line(&eal.log, LOG_DEBUG, "dpdk: %s", eal.line);
}

/* Called by whichever thread logs, the stream's lock held. */
static ssize_t log_write(void *cookie, const char *buf, size_t len)
{
    (void)cookie;
    for (size_t i = 0; i < len; i++) {
        if (buf[i] == '\n')
            log_end_line();
        else if (eal.line_len < sizeof(eal.line) - 1)
            eal.line[eal.line_len++] = buf[i];
    }
    return (ssize_t)len;
}

static int log_start(const struct log *log)
{
    eal.log = log != NULL ? *log : (struct log){.sink = NULL};
    if (eal.stream != NULL)
        return 0;
    eal.stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = log_write});
    if (eal.stream == NULL)
        return -ENOMEM;
    return rte_openlog_stream(eal.stream);
}

static void log_mute(void)
{
    flockfile(eal.stream);
    eal.log = (struct log){.sink = NULL};
    funlockfile(eal.stream);
}

void io_eal_last_words(char *line, size_t len)
{
    flockfile(eal.stream);
    snprintf(line, len, "%s", eal.last);
    eal.last[0] = '\0';
    eal.last_is_eal = true;
    funlockfile(eal.stream);
}

/* AF_XDP's libraries write to stderr unless told not to. They are there when its driver is. */
static void bpf_mute(const char *library, const char *set_print)
{
    void *lib = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
    void *symbol = lib != NULL ? dlsym(lib, set_print) : NULL;
    void *(*set)(void *);

    if (symbol != NULL) {
        memcpy(&set, &symbol, sizeof(set));
        set(NULL);
    }
    if (lib != NULL)
        dlclose(lib);
}

/* ---- runtime directory --------------------------------------------------------------------- */

static void dir_remove(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;

    if (d == NULL)
        return;
    while ((e = readdir(d)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    rmdir(path);
}

/* Removes what killed processes of this library and PID namespace left in <base>/dpdk. */
static void dirs_sweep(const char *dpdk)
{
    DIR *d = opendir(dpdk);
    struct dirent *e;

    if (d == NULL)
        return;
    while ((e = readdir(d)) != NULL) {
        char path[512];
        if (!eal_dir_is_left(e->d_name))
            continue;
        snprintf(path, sizeof(path), "%s/%s", dpdk, e->d_name);
        dir_remove(path);
    }
    closedir(d);
}

/* Can EAL keep its files in <base>/dpdk? */
static bool dir_usable(const char *base)
{
    char path[256];
    struct stat st;

    if (base == NULL || (size_t)snprintf(path, sizeof(path), "%s/dpdk", base) >= sizeof(path))
        return false;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return false;
    if (stat(path, &st) != 0 || st.st_uid != geteuid() || access(path, W_OK | X_OK) != 0)
        return false;
    dirs_sweep(path);
    return true;
}

/* Where: as the environment says, else where root or a user keeps such files, else a new place. */
static const char *dir_choose(void)
{
    const char *xdg = getenv("XDG_RUNTIME_DIR");

    if (geteuid() == 0 && dir_usable("/var/run"))
        return "/var/run";
    if (dir_usable(xdg))
        return xdg;
    snprintf(eal.own_dir, sizeof(eal.own_dir), "/tmp/mtcp-XXXXXX");
    if (mkdtemp(eal.own_dir) == NULL)
        eal.own_dir[0] = '\0';
    return eal.own_dir;
}

static void own_dir_remove(void)
{
    char path[128];

    if (eal.own_dir[0] == '\0')
        return;
    snprintf(path, sizeof(path), "%s/dpdk", eal.own_dir);
    rmdir(path);
    rmdir(eal.own_dir);
}

/* ---- start and stop ------------------------------------------------------------------------ */

static int eal_init(struct eal_args *args)
{
    cpu_set_t cpus;
    bool pinned = pthread_getaffinity_np(pthread_self(), sizeof(cpus), &cpus) == 0;
    bool dir_given = getenv("RUNTIME_DIRECTORY") != NULL;

    if (!dir_given)
        setenv("RUNTIME_DIRECTORY", dir_choose(), 1);
    int rc = rte_eal_init(args->n, args->v) < 0 ? -rte_errno : 0;
    if (!dir_given)
        unsetenv("RUNTIME_DIRECTORY");
    if (pinned)
        pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
    return rc;
}

int io_eal_start(const struct eal_conf *conf, char *err, size_t err_len)
{
    struct eal_args args;
    char why[256];

    if (eal.started) {
        snprintf(err, err_len, "DPDK was started before in this process, and can be only once");
        return -EBUSY;
    }
    int rc = eal_mem_check(conf->mem_mb, err, err_len);
    if (rc == 0)
        rc = eal_args_make(&args, conf, err, err_len);
    if (rc != 0 || (rc = log_start(conf->log)) != 0)
        return rc;
    eal.started = true;
    rc = eal_init(&args);
    if (rc == 0) {
        bpf_mute("libbpf.so.1", "libbpf_set_print");
        bpf_mute("libxdp.so.1", "libxdp_set_print");
        eal.running = true;
        return 0;
    }
    io_eal_last_words(why, sizeof(why));
    bool is_told = why[0] != '\0'; /* early in its start DPDK writes to stderr by itself */
    snprintf(err, err_len, "DPDK does not start: %s%s%s%s", why, is_told ? " (" : "", strerror(-rc),
             is_told ? ")" : "");
    log_mute();
    own_dir_remove();
    return rc;
}

void io_eal_stop(void)
{
    char dir[256];

    if (!eal.running)
        return;
    eal.running = false;
    snprintf(dir, sizeof(dir), "%s", rte_eal_get_runtime_dir());
    rte_eal_cleanup();
    dir_remove(dir);
    own_dir_remove();
    log_mute();
}
