#include "apps/epclient/args.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONCURRENCY_MAX 1000000
#define TIMEOUT_MAX     3600
#define RPC_MAX         (1u << 30)

static const char usage[] =
    "usage: epclient URL total [-c concurrency] [-f mos.conf] [-k] [-t seconds]\n"
    "       epclient --rpc req:resp host:port total  [the same options, without -k]\n"
    "\n"
    "  URL             http://ADDRESS[:PORT]/PATH; ADDRESS is an IPv4 address or an IPv6 one in "
    "[]\n"
    "  total           how many requests\n"
    "  -c concurrency  connections at a time (default 1)\n"
    "  -f file         configuration of the stack (mos.conf(5))\n"
    "  -k              keep connections for several requests\n"
    "  -t seconds      give a request up after so long (default 10)\n"
    "  --rpc req:resp  send req bytes, wait for resp bytes (epserver --rpc)\n"
    "  -h, --help      this\n"
    "\n"
    "Exit status: 0 all requests succeeded, 1 not all, 2 the command line is wrong.\n";

static bool number_read(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *value >= min &&
           *value <= max;
}

/* A number, or one line on stderr and false. */
static bool number_of(const char *what, const char *text, uint64_t max, uint64_t *value)
{
    if (number_read(text, 1, max, value))
        return true;
    fprintf(stderr, "epclient: %s takes a number from 1 to %llu, not '%s'\n", what,
            (unsigned long long)max, text);
    return false;
}

static bool rpc_read(struct args *a, const char *text)
{
    char req[16];
    uint64_t n_req, n_resp;
    const char *colon = strchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : 0;

    a->is_rpc = true;
    if (len > 0 && len < sizeof(req)) {
        memcpy(req, text, len);
        req[len] = '\0';
        if (number_read(req, 1, RPC_MAX, &n_req) && number_read(colon + 1, 1, RPC_MAX, &n_resp)) {
            a->rpc_req = (uint32_t)n_req;
            a->rpc_resp = (uint32_t)n_resp;
            return true;
        }
    }
    fprintf(stderr, "epclient: --rpc takes two sizes in bytes such as 1:1, not '%s'\n", text);
    return false;
}

static bool option_read(struct args *a, int option)
{
    uint64_t n = 0;
    bool ok = true;

    switch (option) {
    case 'c':
        ok = number_of("-c", optarg, CONCURRENCY_MAX, &n);
        a->concurrency = (int)n;
        break;
    case 'f':
        a->conf_file = optarg;
        break;
    case 'k':
        a->keep_alive = true;
        break;
    case 't':
        ok = number_of("-t", optarg, TIMEOUT_MAX, &n);
        a->timeout_s = (uint32_t)n;
        break;
    case 'r':
        ok = rpc_read(a, optarg);
        break;
    default: /* getopt has printed what is wrong */
        ok = false;
    }
    return ok;
}

/* The two words that are no options: where, and how often. */
static bool words_read(struct args *a, int argc, char **argv)
{
    if (argc - optind != 2) {
        fprintf(stderr,
                "epclient: it takes a URL and a number of requests; epclient -h says more\n");
        return false;
    }
    if (!url_parse(&a->url, argv[optind])) {
        fprintf(stderr,
                "epclient: '%s' is not http://ADDRESS[:PORT]/PATH with an IPv4 address or an IPv6 "
                "one in brackets\n",
                argv[optind]);
        return false;
    }
    return number_of("total", argv[optind + 1], UINT64_MAX >> 1, &a->total);
}

enum args_result args_read(struct args *a, int argc, char **argv)
{
    static const struct option longs[] = {
        {"rpc", required_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    *a = (struct args){.concurrency = 1, .timeout_s = 10};
    while ((option = getopt_long(argc, argv, "c:f:kt:h", longs, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return ARGS_HELP;
        }
        if (!option_read(a, option))
            return ARGS_WRONG;
    }
    return words_read(a, argc, argv) ? ARGS_RUN : ARGS_WRONG;
}
