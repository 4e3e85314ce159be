/*
 * EAL's argument list and the memory it asks for, decided before EAL sees any of it.
 */
#include "mtcp/io/io_eal_args.h"

#include "mtcp/base/log.h"

#include <errno.h>
#include <mntent.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- memory -------------------------------------------------------------------------------- */

/* A number of /proc/meminfo, 0 when it is not there. */
static uint64_t meminfo(const char *key)
{
    FILE *f = fopen("/proc/meminfo", "re");
    char line[128];
    uint64_t value = 0;

    if (f == NULL)
        return 0;
    while (fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
            value = strtoull(line + strlen(key) + 1, NULL, 10);
    fclose(f);
    return value;
}

static bool hugetlbfs_writable(void)
{
    FILE *f = setmntent("/proc/mounts", "re");
    struct mntent *m;
    bool found = false;

    if (f == NULL)
        return false;
    while (!found && (m = getmntent(f)) != NULL)
        found = strcmp(m->mnt_type, "hugetlbfs") == 0 && access(m->mnt_dir, W_OK) == 0;
    endmntent(f);
    return found;
}

static bool hugepages_usable(uint64_t mem_mb)
{
    uint64_t free_mb = meminfo("HugePages_Free") * meminfo("Hugepagesize") / 1024;

    return free_mb >= mem_mb && hugetlbfs_writable();
}

int eal_mem_check(uint64_t mem_mb, char *err, size_t err_len)
{
    uint64_t available_mb = meminfo("MemAvailable") / 1024;

    if (available_mb == 0 || mem_mb < available_mb)
        return 0;
    snprintf(err, err_len,
             "packet memory: %llu MB asked for, %llu MB available: lower the number of packet "
             "buffers or queues, or the memory configured for packets",
             (unsigned long long)mem_mb, (unsigned long long)available_mb);
    return -ENOMEM;
}

/* ---- runtime directory --------------------------------------------------------------------- */

/* "mtcp<number of the PID namespace>-": a process id means nothing in any other. */
static void dir_prefix(char prefix[EAL_NAME_LEN])
{
    struct stat st;

    if (stat("/proc/self/ns/pid", &st) != 0)
        st.st_ino = 0;
    snprintf(prefix, EAL_NAME_LEN, "mtcp%llu-", (unsigned long long)st.st_ino);
}

void eal_dir_name(char name[EAL_NAME_LEN])
{
    dir_prefix(name);
    size_t n = strlen(name);
    snprintf(name + n, EAL_NAME_LEN - n, "%ld", (long)getpid());
}

bool eal_dir_is_left(const char *name)
{
    char prefix[EAL_NAME_LEN], *end;

    dir_prefix(prefix);
    size_t n = strlen(prefix);
    if (strcmp(prefix, "mtcp0-") == 0 || strncmp(name, prefix, n) != 0)
        return false;
    long pid = strtol(name + n, &end, 10);
    return pid > 0 && *end == '\0' && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

/* ---- arguments ----------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void args_add(struct eal_args *a, const char *fmt, ...)
{
    va_list ap;
    size_t room = sizeof(a->text) - a->used;

    va_start(ap, fmt);
    int len = vsnprintf(a->text + a->used, room, fmt, ap);
    va_end(ap);
    if (len < 0 || (size_t)len >= room || a->n == EAL_ARGS_MAX) {
        a->overflow = true;
        return;
    }
    a->v[a->n++] = a->text + a->used;
    a->used += (size_t)len + 1;
}

/* "0,1,2": the CPUs that the caller may use, as far as EAL can count. */
static void cpus_text(char *text, size_t len, int n_max)
{
    cpu_set_t set;
    size_t used = 0;

    text[0] = '\0';
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return;
    for (int cpu = 0; cpu < n_max && used + 8 < len; cpu++)
        if (CPU_ISSET((size_t)cpu, &set))
            used += (size_t)snprintf(text + used, len - used, "%s%d", used > 0 ? "," : "", cpu);
}

/* Options that may be added, each with the form of its value: EAL prints its usage and gives up on
 * any other. */
static const struct extra {
    const char *name;
    enum { NO_VALUE, NUMBER, TEXT, ONE_OF } form;
    const char *values; /* ONE_OF, separated by blanks */
} extras[] = {
    {"--log-level", TEXT, NULL},
    {"--iova-mode", ONE_OF, "pa va"},
    {"--huge-dir", TEXT, NULL},
    {"--no-telemetry", NO_VALUE, NULL},
    {"--telemetry", NO_VALUE, NULL},
    {"--force-max-simd-bitwidth", ONE_OF, "64 128 256 512"},
    {"--vfio-intr", ONE_OF, "legacy msi msix"},
    {"--no-hpet", NO_VALUE, NULL},
    {"--trace-bufsz", TEXT, NULL},
    {"--trace-dir", TEXT, NULL},
    {"--trace", TEXT, NULL},
    {"--base-virtaddr", NUMBER, NULL},
    {"-d", TEXT, NULL},
    {"-n", NUMBER, NULL},
    {"-r", NUMBER, NULL},
};

static bool word_in(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = list; n > 0 && (p = strstr(p, word)) != NULL; p += n)
        if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
            return true;
    return false;
}

static bool extra_value_ok(const struct extra *x, const char *value)
{
    char *end;

    if (x->form == NO_VALUE)
        return value == NULL;
    if (value == NULL || *value == '\0')
        return false;
    if (x->form == ONE_OF)
        return word_in(x->values, value);
    if (x->form == TEXT)
        return true;
    strtoull(value, &end, 0);
    return *end == '\0';
}

static const struct extra *extra_find(const char *name)
{
    for (size_t i = 0; i < sizeof(extras) / sizeof(extras[0]); i++)
        if (strcmp(extras[i].name, name) == 0)
            return &extras[i];
    return NULL;
}

/* One option of `rest` (cut at blanks by strtok_r), its value behind '=' or a blank. */
static int extra_add(struct eal_args *a, char *word, char **rest, char *err, size_t err_len)
{
    char *value = strncmp(word, "--", 2) == 0 ? strchr(word, '=') : NULL;

    if (value != NULL)
        *value++ = '\0';
    const struct extra *x = extra_find(word);
    if (x != NULL && x->form != NO_VALUE && value == NULL)
        value = strtok_r(NULL, " \t\n", rest);
    if (x == NULL || !extra_value_ok(x, value)) {
        snprintf(err, err_len, "DPDK argument '%s%s%s': %s", word, value != NULL ? "=" : "",
                 value != NULL ? value : "",
                 x == NULL ? "not one that may be added" : "its value is missing or wrong");
        return -EINVAL;
    }
    args_add(a, "%s", word);
    if (value != NULL)
        args_add(a, "%s", value);
    return 0;
}

static int extras_add(struct eal_args *a, const char *extra, char *err, size_t err_len)
{
    char copy[1024];
    char *rest = NULL;
    int rc = 0;

    if (extra == NULL)
        return 0;
    if ((size_t)snprintf(copy, sizeof(copy), "%s", extra) >= sizeof(copy)) {
        snprintf(err, err_len, "DPDK arguments: longer than %zu characters", sizeof(copy) - 1);
        return -EINVAL;
    }
    for (char *w = strtok_r(copy, " \t\n", &rest); w != NULL && rc == 0;
         w = strtok_r(NULL, " \t\n", &rest))
        rc = extra_add(a, w, &rest, err, err_len);
    return rc;
}

static void args_memory(struct eal_args *a, const struct eal_conf *conf)
{
    if (conf->hugepages && hugepages_usable(conf->mem_mb)) {
        args_add(a, "--huge-unlink=always");
    } else {
        if (conf->hugepages)
            log_line(conf->log, LOG_WARN,
                     "packet memory: %llu MB of hugepages are not to be had, using ordinary pages",
                     (unsigned long long)conf->mem_mb);
        args_add(a, "--no-huge");
    }
    args_add(a, "-m");
    args_add(a, "%llu", (unsigned long long)conf->mem_mb);
}

int eal_args_make(struct eal_args *a, const struct eal_conf *conf, char *err, size_t err_len)
{
    char cpus[1024], dir[EAL_NAME_LEN];

    memset(a, 0, sizeof(*a));
    args_add(a, "mtcp");
    args_memory(a, conf);
    args_add(a, "--no-shconf");
    eal_dir_name(dir);
    args_add(a, "--file-prefix=%s", dir);
    cpus_text(cpus, sizeof(cpus), conf->n_cpus_max);
    args_add(a, "--lcores=0@(%s)", cpus);
    if (conf->n_pci == 0)
        args_add(a, "--no-pci");
    for (unsigned i = 0; i < conf->n_pci; i++) {
        args_add(a, "-a");
        args_add(a, "%s", conf->pci[i]);
    }
    int rc = extras_add(a, conf->extra_args, err, err_len);
    if (rc == 0 && (a->overflow || cpus[0] == '\0')) {
        snprintf(err, err_len, "DPDK arguments: %s",
                 a->overflow ? "too long" : "no CPU with a number that DPDK can use");
        return -EINVAL;
    }
    return rc;
}
