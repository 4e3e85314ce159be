/* The command line of epserver. */
#ifndef EPSERVER_ARGS_H
#define EPSERVER_ARGS_H

#include <stdbool.h>
#include <stdint.h>

enum mode { MODE_HTTP, MODE_ECHO, MODE_RPC };

struct args {
    enum mode mode;
    const char *dir;       /* HTTP: what is served */
    const char *conf_file; /* NULL: the defaults */
    const char *log_file;  /* HTTP: the access log; NULL: none */
    int n_cores;           /* 0: what the configuration says */
    int backlog;
    uint16_t port;
    uint32_t timeout_s;         /* a request, a response's progress, the pause between requests */
    uint32_t rpc_req, rpc_resp; /* bytes */
};

enum args_result { ARGS_RUN, ARGS_HELP, ARGS_WRONG };

/* Reads the command line. ARGS_HELP: printed on stdout; ARGS_WRONG: one line on stderr. */
enum args_result args_read(struct args *a, int argc, char **argv);

#endif
