/* What to fetch, and from where. */
#ifndef EPCLIENT_URL_H
#define EPCLIENT_URL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

struct url {
    char host[64];   /* as written, with the port if any, without a netdev: the Host header */
    char path[2048]; /* with the query; "/" at least */
    struct sockaddr_storage addr;
    socklen_t addr_len;
};

/* Reads "http://10.9.0.2:8080/x?y" or, without a path, "10.9.0.2:8080". An IPv6 address stands in
 * brackets, a link-local one with the number of its netdev: "[fd00::2]", "[fe80::1%1]". False: it
 * is none of these. */
bool url_parse(struct url *u, const char *text);

#endif
