#include "apps/epclient/args.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RPC_MAX (1u << 30)

/* Options that have no letter. */
enum { OPT_RPC = 256, OPT_PIPELINE, OPT_UPLOAD, OPT_DOWNLOAD, OPT_HASH, OPT_JSON };

static const char usage[] =
    "usage: epclient URL total [options]\n"
    "       epclient --rpc req:resp HOST:PORT total [options]\n"
    "\n"
    "  URL              http://HOST[:PORT]/PATH; HOST is a name, an IPv4 address or an IPv6 one in "
    "[]\n"
    "  total            how many requests; 0: no limit but -d and Ctrl-C\n"
    "  -c concurrency   connections at a time (default 1)\n"
    "  -d seconds       begin no request after so long\n"
    "  -f file          configuration of the stack (mos.conf(5))\n"
    "  -k               keep connections for several requests\n"
    "  -l               responses may differ in length\n"
    "  -N cores         threads, one per core (default: num_cores of the configuration)\n"
    "  -o file          write the content there; of several requests to file.1, file.2, ...\n"
    "  -r rate          so many requests per second, however fast answers come\n"
    "  -t seconds       give a request up after so long (default 10)\n"
    "  -4, -6           take only such addresses of a name\n"
    "  --pipeline n     so many requests at a time on each connection (with it, -k)\n"
    "  --upload bytes   POST so many bytes; --download: GET, the default\n"
    "  --hash[=XXH64]   all contents must have this hash, or the first one's\n"
    "  --rpc req:resp   send req bytes, wait for resp bytes (epserver --rpc)\n"
    "  --json           print the results as JSON\n"
    "  -h, --help       this\n"
    "\n"
    "Exit status: 0 all requests succeeded, 1 not all, 2 the command line is wrong, 3 it can't\n"
    "run, 4 the name has no address, 5 the server was never reached, 128+n ended by signal n.\n";

/* Options that take a number. */
static const struct number_option {
    int option;
    const char *name;
    uint64_t max;
    size_t field; /* a uint64_t of struct args */
} number_options[] = {
    {'c', "-c", 1000000, offsetof(struct args, concurrency)},
    {'d', "-d", 31536000, offsetof(struct args, duration_s)},
    {'N', "-N", 64, offsetof(struct args, n_cores)},
    {'r', "-r", 1000000000, offsetof(struct args, rate)},
    {'t', "-t", 3600, offsetof(struct args, timeout_s)},
    {OPT_PIPELINE, "--pipeline", 1024, offsetof(struct args, pipeline)},
    {OPT_UPLOAD, "--upload", UINT64_C(1) << 40, offsetof(struct args, upload_bytes)},
};

static bool number_read(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *value >= min &&
           *value <= max;
}

static bool wrong(const char *what)
{
    fprintf(stderr, "epclient: %s\n", what);
    return false;
}

/* The value of an option that takes a number; one line on stderr and false when it is none. */
static bool number_option_read(struct args *a, int option)
{
    for (size_t i = 0; i < sizeof(number_options) / sizeof(number_options[0]); i++) {
        const struct number_option *o = &number_options[i];
        if (o->option != option)
            continue;
        if (number_read(optarg, 1, o->max, (uint64_t *)((char *)a + o->field)))
            return true;
        fprintf(stderr, "epclient: %s takes a number from 1 to %llu, not '%s'\n", o->name,
                (unsigned long long)o->max, optarg);
    }
    return false; /* of an option that there is not, getopt has printed what is wrong */
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

/* 16 hexadecimal digits as xxhsum prints them, or nothing. */
static bool hash_read(struct args *a, const char *text)
{
    char *end;

    a->is_hashed = true;
    if (text == NULL)
        return true;
    a->has_hash = true;
    a->hash = strtoull(text, &end, 16);
    if (strlen(text) == 16 && strspn(text, "0123456789abcdefABCDEF") == 16)
        return true;
    fprintf(stderr, "epclient: --hash takes 16 hexadecimal digits (xxhsum -H1), not '%s'\n", text);
    return false;
}

/* Options that are only said. */
static bool flag_read(struct args *a, int option)
{
    switch (option) {
    case 'k':
        a->keep_alive = true;
        return true;
    case 'l':
        a->any_length = true;
        return true;
    case '4':
        a->family = AF_INET;
        return true;
    case '6':
        a->family = AF_INET6;
        return true;
    case OPT_DOWNLOAD:
        a->is_download = true;
        return true;
    case OPT_JSON:
        a->is_json = true;
        return true;
    default:
        return false;
    }
}

static bool option_read(struct args *a, int option)
{
    switch (option) {
    case 'f':
        a->conf_file = optarg;
        return true;
    case 'o':
        a->out_file = optarg;
        return true;
    case OPT_RPC:
        return rpc_read(a, optarg);
    case OPT_HASH:
        return hash_read(a, optarg);
    default:
        return flag_read(a, option) || number_option_read(a, option);
    }
}

/* The two words that are no options: where, and how often. */
static bool words_read(struct args *a, int argc, char **argv)
{
    if (argc - optind != 2)
        return wrong("it takes a URL and a number of requests; epclient -h says more");
    if (!url_parse(&a->url, argv[optind])) {
        fprintf(stderr,
                "epclient: '%s' is not http://HOST[:PORT]/PATH with a name, an IPv4 address or an "
                "IPv6 one in brackets\n",
                argv[optind]);
        return false;
    }
    if (number_read(argv[optind + 1], 0, UINT64_MAX >> 1, &a->total))
        return true;
    fprintf(stderr, "epclient: total takes a number, not '%s'\n", argv[optind + 1]);
    return false;
}

/* What only all options together tell. */
static bool args_check(struct args *a)
{
    if (a->is_rpc && (a->upload_bytes > 0 || a->is_download || a->out_file != NULL))
        return wrong("--upload, --download and -o do not go with --rpc: it is no HTTP");
    if (a->upload_bytes > 0 && a->is_download)
        return wrong("--upload and --download do not go together");
    if (a->n_cores > a->concurrency)
        return wrong("-c must be at least -N: every core has a connection");
    if (a->pipeline > 1 || a->is_rpc)
        a->keep_alive = true;
    return true;
}

enum args_result args_read(struct args *a, int argc, char **argv)
{
    static const struct option longs[] = {
        {"rpc", required_argument, NULL, OPT_RPC},
        {"pipeline", required_argument, NULL, OPT_PIPELINE},
        {"upload", required_argument, NULL, OPT_UPLOAD},
        {"download", no_argument, NULL, OPT_DOWNLOAD},
        {"hash", optional_argument, NULL, OPT_HASH},
        {"json", no_argument, NULL, OPT_JSON},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    *a = (struct args){.concurrency = 1, .timeout_s = 10, .pipeline = 1, .family = AF_UNSPEC};
    while ((option = getopt_long(argc, argv, "c:d:f:klN:o:r:t:46h", longs, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return ARGS_HELP;
        }
        if (!option_read(a, option))
            return ARGS_WRONG;
    }
    return words_read(a, argc, argv) && args_check(a) ? ARGS_RUN : ARGS_WRONG;
}
