#include "apps/epclient/url.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* "10.9.0.2" or "10.9.0.2:8080". */
static bool host_parse(struct url *u)
{
    char name[sizeof(u->host)];
    char *colon, *end = NULL;
    unsigned long port = 80;

    strcpy(name, u->host);
    colon = strchr(name, ':');
    if (colon != NULL) {
        *colon = '\0';
        port = strtoul(colon + 1, &end, 10);
        if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || port == 0 || port > UINT16_MAX)
            return false;
    }
    u->addr.sin_family = AF_INET;
    u->addr.sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, name, &u->addr.sin_addr) == 1;
}

bool url_parse(struct url *u, const char *text)
{
    static const char scheme[] = "http://";

    memset(u, 0, sizeof(*u));
    if (strncasecmp(text, scheme, strlen(scheme)) == 0)
        text += strlen(scheme);
    size_t host_len = strcspn(text, "/?#"), path_len = strcspn(text + host_len, "#");
    if (host_len == 0 || host_len >= sizeof(u->host) || path_len + 2 > sizeof(u->path))
        return false;
    memcpy(u->host, text, host_len);
    const char *path = text + host_len;
    u->path[0] = '/';
    memcpy(u->path + (*path != '/'), path, path_len);
    for (const char *c = path; c < path + path_len; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f) /* would end the request line */
            return false;
    return host_parse(u);
}
