/* What to fetch, and from where. */
#ifndef EPCLIENT_URL_H
#define EPCLIENT_URL_H

#include <netinet/in.h>
#include <stdbool.h>

struct url {
    char host[64];   /* as written, with the port if there is one: the Host header */
    char path[2048]; /* with the query; "/" at least */
    struct sockaddr_in addr;
};

/* Reads "http://10.9.0.2:8080/x?y" or, without a path, "10.9.0.2:8080". False: it is neither. */
bool url_parse(struct url *u, const char *text);

#endif
