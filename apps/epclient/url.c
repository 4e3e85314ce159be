#include "apps/epclient/url.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What follows the address: nothing, or ":8080". */
static bool port_parse(const char *text, in_port_t *port)
{
    char *end = NULL;
    *port = htons(80);
    if (*text == '\0')
        return true;
    unsigned long n = strtoul(text + 1, &end, 10);
    *port = htons((uint16_t)n);
    return *text == ':' && text[1] >= '0' && text[1] <= '9' && *end == '\0' && n > 0 &&
           n <= UINT16_MAX;
}

/* "fd00::2", or "fe80::1%1". */
static bool addr6_parse(struct sockaddr_in6 *to, char *name)
{
    char *zone = strchr(name, '%'), *end = NULL;
    if (zone) {
        *zone++ = '\0';
        unsigned long n = strtoul(zone, &end, 10);
        if (*zone < '0' || *zone > '9' || *end != '\0' || n == 0 || n > UINT16_MAX)
            return false;
        to->sin6_scope_id = (uint32_t)n;
    }
    to->sin6_family = AF_INET6;
    return inet_pton(AF_INET6, name, &to->sin6_addr) == 1;
}

/* The zone is nobody's business but ours (RFC 6874 3). */
static void host_without_zone(char *host)
{
    char *zone = strchr(host, '%'), *end = strchr(host, ']');
    if (zone && end)
        memmove(zone, end, strlen(end) + 1);
}

static bool host_parse6(struct url *u, char *name)
{
    struct sockaddr_in6 to = {0};
    char *end = strchr(name, ']');
    if (!end)
        return false;
    *end = '\0';
    if (!addr6_parse(&to, name + 1) || !port_parse(end + 1, &to.sin6_port))
        return false;
    host_without_zone(u->host);
    memcpy(&u->addr, &to, sizeof(to));
    u->addr_len = sizeof(to);
    return true;
}

/* "10.9.0.2" or "10.9.0.2:8080". */
static bool host_parse4(struct url *u, char *name)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    char *end = name + strcspn(name, ":");
    if (!port_parse(end, &to.sin_port))
        return false;
    *end = '\0';
    if (inet_pton(AF_INET, name, &to.sin_addr) != 1)
        return false;
    memcpy(&u->addr, &to, sizeof(to));
    u->addr_len = sizeof(to);
    return true;
}

static bool host_parse(struct url *u)
{
    char name[sizeof(u->host)];
    strcpy(name, u->host);
    return name[0] == '[' ? host_parse6(u, name) : host_parse4(u, name);
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
