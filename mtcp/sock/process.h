/* What there is once per process: the configuration that mtcp_init read. */
#ifndef MTCP_SOCK_PROCESS_H
#define MTCP_SOCK_PROCESS_H

#include "mtcp/core/config.h"

#include <pthread.h>
#include <stdbool.h>

struct process {
    pthread_mutex_t lock; /* held while the rest changes */
    bool is_init;         /* between mtcp_init and mtcp_destroy */
    bool is_started;      /* the devices are */
    struct config conf;   /* changes only before the first context */
};
extern struct process the_process;

/* CPUs that the calling thread may run on. */
int process_n_cpus(void);

#endif
