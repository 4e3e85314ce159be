#include "apps/epserver/args.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CORES_MAX   64
#define BACKLOG_MAX 65535
#define TIMEOUT_MAX 86400
#define RPC_MAX     (1u << 30)

static const char usage[] =
    "usage: epserver -p www_dir [-f mos.conf] [-N cores] [-b backlog] [-l file]\n"
    "                [-P port] [-t seconds]\n"
    "       epserver --echo | --rpc req:resp  [the same options, without -p and -l]\n"
    "\n"
    "  -p dir          serve the files of this directory over HTTP/1.1\n"
    "  -f file         configuration of the stack: devices, addresses, monitors (mos.conf(5))\n"
    "  -N cores        threads, one per core (default: num_cores of the configuration)\n"
    "  -b backlog      connections that may wait to be accepted (default 4096)\n"
    "  -l file         write the access log there, in the common log format\n"
    "  -P port         port to listen on (default 80)\n"
    "  -t seconds      close a connection on which nothing moved for so long (default 60)\n"
    "  --echo          send back what arrives\n"
    "  --rpc req:resp  answer every req bytes with resp bytes\n"
    "  -h, --help      this\n";

static bool number_read(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *value >= min &&
           *value <= max;
}

/* A number of an option, or one line on stderr and false. */
static bool option_number(const char *option, uint64_t min, uint64_t max, uint64_t *value)
{
    if (number_read(optarg, min, max, value))
        return true;
    fprintf(stderr, "epserver: %s takes a number from %llu to %llu, not '%s'\n", option,
            (unsigned long long)min, (unsigned long long)max, optarg);
    return false;
}

static bool rpc_read(struct args *a, const char *text)
{
    char req[16];
    uint64_t n_req, n_resp;
    const char *colon = strchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : 0;

    a->mode = MODE_RPC;
    if (len > 0 && len < sizeof(req)) {
        memcpy(req, text, len);
        req[len] = '\0';
        if (number_read(req, 1, RPC_MAX, &n_req) && number_read(colon + 1, 1, RPC_MAX, &n_resp)) {
            a->rpc_req = (uint32_t)n_req;
            a->rpc_resp = (uint32_t)n_resp;
            return true;
        }
    }
    fprintf(stderr, "epserver: --rpc takes two sizes in bytes such as 1:1, not '%s'\n", text);
    return false;
}

static bool option_read(struct args *a, int option)
{
    uint64_t n = 0;
    bool ok = true;

    switch (option) {
    case 'p':
        a->dir = optarg;
        break;
    case 'f':
        a->conf_file = optarg;
        break;
    case 'N':
        ok = option_number("-N", 1, CORES_MAX, &n);
        a->n_cores = (int)n;
        break;
    case 'b':
        ok = option_number("-b", 1, BACKLOG_MAX, &n);
        a->backlog = (int)n;
        break;
    case 'P':
        ok = option_number("-P", 1, UINT16_MAX, &n);
        a->port = (uint16_t)n;
        break;
    case 't':
        ok = option_number("-t", 1, TIMEOUT_MAX, &n);
        a->timeout_s = (uint32_t)n;
        break;
    case 'l':
        a->log_file = optarg;
        break;
    case 'e':
        a->mode = MODE_ECHO;
        break;
    case 'r':
        return rpc_read(a, optarg);
    default: /* getopt has printed what is wrong */
        return false;
    }
    return ok;
}

/* What only all options together tell. */
static bool args_check(const struct args *a, int argc, char **argv)
{
    if (optind < argc)
        fprintf(stderr, "epserver: '%s' is no option; epserver -h lists them\n", argv[optind]);
    else if (a->mode == MODE_HTTP && a->dir == NULL)
        fprintf(stderr, "epserver: -p is missing: which directory to serve (or --echo, --rpc)\n");
    else if (a->mode != MODE_HTTP && a->dir != NULL)
        fprintf(stderr, "epserver: -p does not go with --echo or --rpc: they serve no files\n");
    else if (a->mode != MODE_HTTP && a->log_file != NULL)
        fprintf(stderr, "epserver: -l does not go with --echo or --rpc: they have no requests\n");
    else
        return true;
    return false;
}

enum args_result args_read(struct args *a, int argc, char **argv)
{
    static const struct option longs[] = {
        {"echo", no_argument, NULL, 'e'},
        {"rpc", required_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    *a = (struct args){.mode = MODE_HTTP, .backlog = 4096, .port = 80, .timeout_s = 60};
    while ((option = getopt_long(argc, argv, "p:f:N:b:l:P:t:h", longs, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return ARGS_HELP;
        }
        if (!option_read(a, option))
            return ARGS_WRONG;
    }
    return args_check(a, argc, argv) ? ARGS_RUN : ARGS_WRONG;
}
