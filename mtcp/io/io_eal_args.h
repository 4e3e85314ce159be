/*
 * EAL's argument list and the memory it asks for: EAL accepts any amount of memory and answers an
 * argument that it does not know with its usage, so both are settled here. No DPDK in here.
 */
#ifndef MTCP_IO_IO_EAL_ARGS_H
#define MTCP_IO_IO_EAL_ARGS_H

#include "mtcp/base/bug.h"
#include "mtcp/base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EAL_NAME_LEN 64

#define EAL_ARGS_MAX 96
#define EAL_PCI_MAX  16

struct eal_conf {
    uint64_t mem_mb;
    bool hugepages;
    int n_cpus_max;               /* CPUs with a number below it are told to EAL */
    const char *pci[EAL_PCI_MAX]; /* devices to be probed at start */
    unsigned n_pci;
    const char *extra_args; /* or NULL */
    const struct log *log;  /* or NULL */
};

struct eal_args {
    char *v[EAL_ARGS_MAX + 1];
    int n;
    char text[4096]; /* what v points into */
    size_t used;
    bool overflow;
};

/* 0, or -EINVAL with a line in err (an extra argument that EAL would refuse). */
MUST_CHECK int eal_args_make(struct eal_args *a, const struct eal_conf *conf, char *err,
                             size_t err_len);

/* The name of this process's runtime directory: no other living process has it, not even one of
 * another PID namespace that sees the same files. */
void eal_dir_name(char name[EAL_NAME_LEN]);

/* The name of a runtime directory whose process was one of this PID namespace, and is gone? */
bool eal_dir_is_left(const char *name);

/* Is there that much memory? 0, or -ENOMEM with a line in err. */
MUST_CHECK int eal_mem_check(uint64_t mem_mb, char *err, size_t err_len);

#endif
