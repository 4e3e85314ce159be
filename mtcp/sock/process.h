/* What there is once per process: the configuration that mtcp_init read. */
#ifndef MTCP_SOCK_PROCESS_H
#define MTCP_SOCK_PROCESS_H

#include "mtcp/core/config.h"
#include "mtcp/io/io.h"

#include <pthread.h>
#include <stdbool.h>

struct steer;

struct process {
    pthread_mutex_t lock; /* held while the rest changes; recursive: plugins start under it */
    bool is_init;         /* between mtcp_init and mtcp_destroy */
    bool is_started;      /* the devices are */
    bool minds_forks;     /* process_mind_forks() was called */
    struct config conf;   /* changes only before the first context */
    struct steer *steer;  /* between several cores; NULL: there is one, or none yet */
    uint8_t rss_key[IO_RSS_KEY]; /* of devices and steer, while they run */
};
extern struct process the_process;

/* With the lock. From now on a child of fork() knows that devices which run are its parent's: for
 * the child mtcp_init was not called. Where none runs yet the child may start its own. */
void process_mind_forks(void);

/* CPUs that the calling thread may run on. */
int process_n_cpus(void);

#endif
