/* What to fetch, and from where. */
#ifndef EPCLIENT_URL_H
#define EPCLIENT_URL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#define URL_ADDRS_MAX 8

struct url_addr {
    struct sockaddr_storage to;
    socklen_t len;
};

struct url {
    char host[272];  /* as written, with the port if any, without a netdev: the Host header */
    char name[256];  /* the host's name; "" when it is an address */
    char path[2048]; /* with the query; "/" at least */
    in_port_t port;  /* network byte order */
    struct url_addr addrs[URL_ADDRS_MAX];
    unsigned n_addrs; /* 0 until the name is resolved */
};

/* Reads "http://10.9.0.2:8080/x?y", "http://name/" or, without a path, "10.9.0.2:8080". An IPv6
 * address stands in brackets, a link-local one with the number of its netdev: "[fd00::2]",
 * "[fe80::1%1]". False: it is none of these. */
bool url_parse(struct url *u, const char *text);

/* Looks the name up, if it is one, with this host's resolver; `family` AF_UNSPEC takes addresses of
 * both. May block. 0, or an EAI_ code of getaddrinfo(3). */
int url_resolve(struct url *u, int family);

#endif
