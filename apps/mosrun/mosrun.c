/*
 * Runs monitors without an endpoint: those of the configuration's monitor sections, over its
 * devices, until it is interrupted, or captures end.
 *
 *     mosrun [-f mos.conf]
 */
#include "apps/std_fds.h"

#include <mtcp_api.h>

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: mosrun [-f FILE]\n"
    "  -f FILE  configuration (default mos.conf): devices, and monitor \"NAME\""
    " { plugin = \"FILE.so\" }\n";

static atomic_bool reader_is_gone;

/* mtcp_register_signal() wants one; that it interrupts is all that is needed, but for the reader of
 * what monitors print: then it is in vain. */
static void on_signal(int sig)
{
    if (sig == SIGPIPE)
        reader_is_gone = true;
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
    mtcp_register_signal(SIGPIPE, on_signal);
    mctx_t mctx = mtcp_create_context(0);
    if (!mctx) {
        mtcp_destroy();
        return fail("mtcp_create_context");
    }
    mtcp_app_join(mctx);
    mtcp_destroy();
    if (reader_is_gone)
        errno = EPIPE;
    return !reader_is_gone && fflush(stdout) == 0 ? 0 : fail("standard output");
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
