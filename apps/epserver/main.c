/*
 * epserver - a web server on the stack; also an echo and an RPC server. (docs/man/epserver.1)
 *
 * One thread per core, each with its own context and connections (worker.c). This thread only waits
 * for the signal that ends them.
 */
#include "apps/epserver/worker.h"
#include "apps/std_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

struct server {
    struct args args;
    int root_fd, log_fd, stop_fd, signal_fd;
    struct worker *workers;
    int n_workers, n_started;
};

/* Every failure is one line. */
static bool fails(const char *what, int err)
{
    fprintf(stderr, "epserver: %s: %s\n", what, strerror(err));
    return false;
}

/* The signals that end the server arrive on a descriptor; all threads inherit the mask. */
static bool signals_take(struct server *s)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (s->args.log_file != NULL)
        sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return (s->signal_fd >= 0 && s->stop_fd >= 0) || fails("signals", errno);
}

static bool root_open(struct server *s)
{
    if (s->args.mode != MODE_HTTP)
        return true;
    s->root_fd = files_root_open(s->args.dir);
    if (s->root_fd == -ENOSYS)
        return fails("openat2: Linux 5.6 or newer is needed", ENOSYS);
    return s->root_fd >= 0 || fails(s->args.dir, -s->root_fd);
}

static bool log_open(struct server *s)
{
    if (s->args.log_file == NULL)
        return true;
    s->log_fd = accesslog_open(s->args.log_file);
    return s->log_fd >= 0 || fails(s->args.log_file, -s->log_fd);
}

/* SIGHUP: the file may have been renamed. The workers' descriptor becomes that of the new one. */
static void log_reopen(const struct server *s)
{
    int fd = accesslog_open(s->args.log_file);

    if (fd < 0 || dup3(fd, s->log_fd, O_CLOEXEC) < 0)
        fails(s->args.log_file, fd < 0 ? -fd : errno);
    if (fd >= 0)
        close(fd);
}

/* -N goes before the file's num_cores. */
static bool cores_set(struct server *s)
{
    struct mtcp_conf conf;

    if (mtcp_getconf(&conf) < 0)
        return fails("configuration", errno);
    if (s->args.n_cores > 0 && s->args.n_cores != conf.num_cores) {
        conf.num_cores = s->args.n_cores;
        if (mtcp_setconf(&conf) < 0)
            return fails("-N: not so many cores here", errno);
    }
    s->n_workers = conf.num_cores;
    s->workers = calloc((size_t)s->n_workers, sizeof(*s->workers));
    return s->workers != NULL || fails("workers", ENOMEM);
}

static bool workers_start(struct server *s)
{
    for (int i = 0; i < s->n_workers; i++) {
        struct worker *w = &s->workers[i];
        w->args = &s->args;
        w->core = i;
        w->root_fd = s->root_fd;
        w->log_fd = s->log_fd;
        w->stop_fd = s->stop_fd;
        if (!worker_start(w))
            return false;
        s->n_started++;
    }
    return true;
}

/* Until a signal, or until a worker ends by itself: false. */
static bool signal_wait(const struct server *s)
{
    struct pollfd fds[2] = {{.fd = s->signal_fd, .events = POLLIN},
                            {.fd = s->stop_fd, .events = POLLIN}};
    struct signalfd_siginfo info;

    for (;;) {
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[0].revents == 0)
            return false;
        if (read(s->signal_fd, &info, sizeof(info)) != sizeof(info) || info.ssi_signo != SIGHUP)
            return true;
        log_reopen(s);
    }
}

static void workers_stop(struct server *s)
{
    const uint64_t one = 1;

    if (write(s->stop_fd, &one, sizeof(one)) < 0)
        fails("eventfd", errno);
    for (int i = 0; i < s->n_started; i++)
        worker_join(&s->workers[i]);
}

static void say_ready(const struct server *s)
{
    static const char *const what[] = {"HTTP", "echo", "RPC"};

    printf("epserver: %s on port %u, %d core%s\n", what[s->args.mode], s->args.port, s->n_workers,
           s->n_workers == 1 ? "" : "s");
    fflush(stdout);
}

static bool serve(struct server *s)
{
    bool ok = cores_set(s) && workers_start(s);

    if (ok) {
        say_ready(s);
        ok = signal_wait(s);
    }
    workers_stop(s);
    free(s->workers);
    return mtcp_destroy() == 0 && ok;
}

int main(int argc, char **argv)
{
    struct server s = {.root_fd = -1, .log_fd = -1};

    if (!std_fds_hold())
        return EXIT_FAILURE;
    switch (args_read(&s.args, argc, argv)) {
    case ARGS_HELP:
        return EXIT_SUCCESS;
    case ARGS_WRONG:
        return EXIT_USAGE;
    case ARGS_RUN:
        break;
    }
    if (!signals_take(&s) || !root_open(&s) || !log_open(&s))
        return EXIT_FAILURE;
    if (mtcp_init(s.args.conf_file) < 0)
        return EXIT_FAILURE; /* it has said why */
    return serve(&s) ? EXIT_SUCCESS : EXIT_FAILURE;
}
