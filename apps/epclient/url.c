#include "apps/epclient/url.h"

#include <arpa/inet.h>
#include <netdb.h>
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

static void addr_add(struct url *u, const void *to, size_t len)
{
    if (u->n_addrs == URL_ADDRS_MAX)
        return;
    memcpy(&u->addrs[u->n_addrs].to, to, len);
    u->addrs[u->n_addrs++].len = (socklen_t)len;
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
    if (!addr6_parse(&to, name + 1) || !port_parse(end + 1, &u->port))
        return false;
    host_without_zone(u->host);
    to.sin6_port = u->port;
    addr_add(u, &to, sizeof(to));
    return true;
}

/* Letters, digits, '-', '_' and dots, and no number at the end: that would be an address that is
 * none, which resolvers read in ways of their own. */
static bool is_name(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    const char *last = strrchr(name, '.');

    last = last != NULL && last[1] != '\0' ? last + 1 : name;
    return name[strspn(name, letters)] == '\0' && last[strspn(last, "0123456789.")] != '\0' &&
           *name != '.' && *name != '-';
}

/* "10.9.0.2", "10.9.0.2:8080", or a name instead. */
static bool host_parse4(struct url *u, char *name)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    char *end = name + strcspn(name, ":");
    if (!port_parse(end, &u->port))
        return false;
    *end = '\0';
    if (inet_pton(AF_INET, name, &to.sin_addr) == 1) {
        to.sin_port = u->port;
        addr_add(u, &to, sizeof(to));
        return true;
    }
    if (!is_name(name) || strlen(name) >= sizeof(u->name))
        return false;
    strcpy(u->name, name);
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

static void addr_set_port(struct sockaddr *to, in_port_t port)
{
    if (to->sa_family == AF_INET)
        ((struct sockaddr_in *)to)->sin_port = port;
    else
        ((struct sockaddr_in6 *)to)->sin6_port = port;
}

int url_resolve(struct url *u, int family)
{
    const struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list;

    if (u->n_addrs > 0)
        return family == AF_UNSPEC || family == u->addrs[0].to.ss_family ? 0 : EAI_ADDRFAMILY;
    int rc = getaddrinfo(u->name, NULL, &hints, &list);
    if (rc != 0)
        return rc;
    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next)
        if (a->ai_family == AF_INET || a->ai_family == AF_INET6) {
            addr_set_port(a->ai_addr, u->port);
            addr_add(u, a->ai_addr, a->ai_addrlen);
        }
    freeaddrinfo(list);
    return u->n_addrs > 0 ? 0 : EAI_ADDRFAMILY;
}
