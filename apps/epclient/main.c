/*
 * epclient - makes requests over the stack, and says how many, how fast, and what went wrong.
 * (docs/man/epclient.1)
 *
 * One thread per core, each with its own context, connections and share of the requests (worker.c).
 * This thread waits for their ends or for a signal, shows how far they are, and adds up.
 */
#include "apps/epclient/progress.h"
#include "apps/epclient/report.h"
#include "apps/epclient/worker.h"
#include "apps/std_fds.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define LINE_MS 1000 /* how often the progress is shown */

struct client {
    struct args args;
    int signal_fd, stop_fd, done_fd;
    struct worker *workers;
    int n_workers, n_started;
    int signal; /* that has ended it; 0: none */
    uint64_t begun_us;
    struct progress_at at;
    bool has_line; /* of progress, on the terminal */
    struct results results;
};

static bool fails(const char *what, int err)
{
    fprintf(stderr, "epclient: %s: %s\n", what, strerror(err));
    return false;
}

/* SIGINT and SIGTERM arrive on a descriptor: the results so far are printed. All threads inherit
 * the mask. */
static bool descriptors_open(struct client *cl)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    cl->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    cl->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    cl->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return (cl->signal_fd >= 0 && cl->stop_fd >= 0 && cl->done_fd >= 0) || fails("signals", errno);
}

/* What the command line asks for goes before the file: cores, and ids for all connections, with as
 * many again for those that have just been closed. */
static bool conf_set(struct client *cl)
{
    struct mtcp_conf conf;

    if (mtcp_getconf(&conf) < 0)
        return fails("configuration", errno);
    if (cl->args.n_cores > 0)
        conf.num_cores = (int)cl->args.n_cores;
    if ((uint64_t)conf.num_cores > cl->args.concurrency)
        conf.num_cores = (int)cl->args.concurrency;
    int n_ids = (int)(2 * cl->args.concurrency / (uint64_t)conf.num_cores) + 16;
    if (conf.max_concurrency < n_ids)
        conf.max_concurrency = n_ids;
    if (mtcp_setconf(&conf) < 0)
        return fails("-N, -c: not so many cores or connections here", errno);
    cl->n_workers = conf.num_cores;
    cl->workers = calloc((size_t)cl->n_workers, sizeof(*cl->workers));
    return cl->workers != NULL || fails("workers", ENOMEM);
}

/* The i-th of n shares. */
static uint32_t share(uint64_t all, int i, int n)
{
    return (uint32_t)(all / (uint64_t)n + ((uint64_t)i < all % (uint64_t)n));
}

static bool workers_start(struct client *cl)
{
    for (int i = 0; i < cl->n_workers; i++) {
        struct worker *w = &cl->workers[i];
        w->args = &cl->args;
        w->core = i;
        w->stop_fd = cl->stop_fd;
        w->done_fd = cl->done_fd;
        w->n_conns = share(cl->args.concurrency, i, cl->n_workers);
        results_init(&w->results);
        if (!worker_start(w))
            return false;
        cl->n_started++;
    }
    return true;
}

/* All begin at the same time. */
static void workers_go(struct client *cl)
{
    const struct args *a = &cl->args;

    cl->begun_us = clock_us();
    for (int i = 0; i < cl->n_started; i++) {
        struct worker *w = &cl->workers[i];
        w->results.begun_us = cl->begun_us;
        w->schedule = (struct schedule){
            .rate = a->rate,
            .begun_us = cl->begun_us,
            .end_us = a->duration_s > 0 ? cl->begun_us + a->duration_s * 1000000 : SCHEDULE_NEVER,
            .n_total = a->total > 0 ? a->total : SCHEDULE_NEVER,
            .next = (uint64_t)i,
            .step = (uint64_t)cl->n_workers,
        };
        sem_post(&w->go);
    }
}

static void workers_stop(const struct client *cl)
{
    const uint64_t one = 1;

    if (write(cl->stop_fd, &one, sizeof(one)) < 0)
        fails("eventfd", errno);
}

/* ---- the progress, on a terminal ---- */

static void line_show(struct client *cl)
{
    char line[160];

    cl->at.last_done = cl->at.n_done;
    cl->at.last_us = cl->at.elapsed_us;
    cl->at.n_done = cl->at.n_failed = 0;
    for (int i = 0; i < cl->n_started; i++) {
        cl->at.n_done += atomic_load_explicit(&cl->workers[i].n_done, memory_order_relaxed);
        cl->at.n_failed += atomic_load_explicit(&cl->workers[i].n_failed, memory_order_relaxed);
    }
    cl->at.elapsed_us = clock_us() - cl->begun_us;
    progress_line(line, sizeof(line), &cl->args, &cl->at);
    fprintf(stderr, "\r%s\033[K", line);
    cl->has_line = true;
}

static void line_remove(const struct client *cl)
{
    if (cl->has_line)
        fprintf(stderr, "\r\033[K");
}

/* ---- until the end ---- */

static void signal_take(struct client *cl)
{
    struct signalfd_siginfo info;

    if (read(cl->signal_fd, &info, sizeof(info)) != sizeof(info))
        return;
    cl->signal = (int)info.ssi_signo;
    workers_stop(cl);
}

/* Until all workers have ended. */
static void workers_wait(struct client *cl)
{
    struct pollfd fds[2] = {{.fd = cl->done_fd, .events = POLLIN},
                            {.fd = cl->signal_fd, .events = POLLIN}};
    int timeout_ms = isatty(STDERR_FILENO) ? LINE_MS : -1;
    uint64_t n_ended = 0, n;

    while (n_ended < (uint64_t)cl->n_started) {
        int rc = poll(fds, 2, timeout_ms);
        if (rc == 0)
            line_show(cl);
        if (rc <= 0)
            continue;
        if (fds[0].revents != 0 && read(cl->done_fd, &n, sizeof(n)) == sizeof(n))
            n_ended += n;
        if (fds[1].revents != 0)
            signal_take(cl);
    }
    line_remove(cl);
}

static bool workers_join(struct client *cl)
{
    bool ok = true;

    results_init(&cl->results);
    for (int i = 0; i < cl->n_started; i++) {
        worker_join(&cl->workers[i]);
        results_merge(&cl->results, &cl->workers[i].results, &cl->args);
        ok = ok && !cl->workers[i].failed;
    }
    return ok;
}

/* Results that nobody gets are a failure: a full disk, a closed descriptor. */
static bool is_written(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    return fails("the results can't be written", errno);
}

/* The exit status. */
static int run(struct client *cl)
{
    bool ok = descriptors_open(cl) && conf_set(cl) && workers_start(cl);

    if (!ok && cl->n_started > 0)
        workers_stop(cl);
    workers_go(cl);
    workers_wait(cl);
    ok = workers_join(cl) && ok;
    free(cl->workers);
    if (mtcp_destroy() < 0 || !ok)
        return STATUS_CANT_RUN;
    report_print(stdout, &cl->results, &cl->args, cl->signal != 0);
    return is_written() ? results_status(&cl->results, &cl->args, cl->signal) : STATUS_CANT_RUN;
}

static bool name_resolve(struct args *a)
{
    int rc = url_resolve(&a->url, a->family);

    if (rc != 0)
        fprintf(stderr, "epclient: %s: %s\n", a->url.host,
                rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
    return rc == 0;
}

int main(int argc, char **argv)
{
    static struct client cl;

    if (!std_fds_hold())
        return STATUS_CANT_RUN;
    switch (args_read(&cl.args, argc, argv)) {
    case ARGS_HELP:
        return STATUS_DONE;
    case ARGS_WRONG:
        return STATUS_USAGE;
    case ARGS_RUN:
        break;
    }
    if (!name_resolve(&cl.args))
        return STATUS_NO_NAME;
    if (mtcp_init(cl.args.conf_file) < 0)
        return STATUS_CANT_RUN; /* it has said why */
    return run(&cl);
}
