/*
 * Runs monitors without an endpoint: those of the configuration's monitor sections, over its
 * devices, until it is interrupted, or captures end.
 *
 *     mosrun [-f mos.conf]
 */
#include "apps/std_fds.h"

#include <mtcp_api.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: mosrun [-f FILE]\n"
    "  -f FILE  configuration (default mos.conf): devices, and monitor \"NAME\""
    " { plugin = \"FILE.so\" }\n";

/* mtcp_register_signal() wants one; that it interrupts is all that is needed. */
static void on_signal(int sig)
{
    (void)sig;
}

static int fail(const char *what)
{
    fprintf(stderr, "mosrun: ");
    perror(what);
    return 1;
}

static int run(const char *file)
{
    if (mtcp_init(file) < 0)
        return 1; /* it has said why */
    mtcp_register_signal(SIGINT, on_signal);
    mtcp_register_signal(SIGTERM, on_signal);
    mctx_t mctx = mtcp_create_context(0);
    if (!mctx) {
        mtcp_destroy();
        return fail("mtcp_create_context");
    }
    mtcp_app_join(mctx);
    mtcp_destroy();
    return fflush(stdout) == 0 ? 0 : fail("standard output");
}

int main(int argc, char **argv)
{
    const char *file = "mos.conf";
    int opt;
    if (!std_fds_hold())
        return 1;
    while ((opt = getopt(argc, argv, "f:h")) != -1) {
        if (opt == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (opt != 'f') {
            fputs(usage, stderr);
            return 2;
        }
        file = optarg;
    }
    if (optind < argc) {
        fputs(usage, stderr);
        return 2;
    }
    return run(file);
}
