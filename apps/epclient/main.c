/*
 * epclient - makes requests over the stack, and says how many, how fast, and what went wrong.
 * (docs/man/epclient.1)
 */
#include "apps/epclient/client.h"
#include "apps/std_fds.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

enum { EXIT_USAGE = 2 };

/* SIGINT and SIGTERM arrive on a descriptor: the results so far are printed. */
static int signals_take(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static bool run(const struct args *a)
{
    struct client *cl = calloc(1, sizeof(*cl));

    if (cl == NULL)
        return false;
    cl->args = a;
    cl->signal_fd = signals_take();
    if (cl->signal_fd < 0)
        fprintf(stderr, "epclient: signals: %s\n", strerror(errno));
    bool ok = cl->signal_fd >= 0 && client_run(cl) && report_print(cl);
    free(cl);
    return ok;
}

int main(int argc, char **argv)
{
    struct args a;

    if (!std_fds_hold())
        return EXIT_FAILURE;
    switch (args_read(&a, argc, argv)) {
    case ARGS_HELP:
        return EXIT_SUCCESS;
    case ARGS_WRONG:
        return EXIT_USAGE;
    case ARGS_RUN:
        break;
    }
    if (mtcp_init(a.conf_file) < 0)
        return EXIT_FAILURE; /* it has said why */
    bool ok = run(&a);
    return mtcp_destroy() == 0 && ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
