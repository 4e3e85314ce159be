/* struct sockaddr and struct ip_addr, both ways. */
#include "mtcp/sock/sock_addr.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static int get_v4(const struct sockaddr *sa, socklen_t len, struct ip_addr *addr, uint16_t *port)
{
    struct sockaddr_in in;
    if (len < sizeof(in))
        return -EINVAL;
    memcpy(&in, sa, sizeof(in));
    *addr = ip_addr_v4((be32_t){in.sin_addr.s_addr});
    *port = be16_get((be16_t){in.sin_port});
    return 0;
}

static int get_v6(const struct sockaddr *sa, socklen_t len, struct ip_addr *addr, uint16_t *port)
{
    struct sockaddr_in6 in6;
    if (len < sizeof(in6))
        return -EINVAL;
    memcpy(&in6, sa, sizeof(in6));
    memcpy(addr->b, &in6.sin6_addr, sizeof(addr->b));
    *port = be16_get((be16_t){in6.sin6_port});
    if (!ip_addr_is_link_local(addr))
        return 0;
    if (ip_addr_zone(addr) != 0 || in6.sin6_scope_id == 0 || in6.sin6_scope_id > UINT16_MAX)
        return -EINVAL;
    ip_addr_set_zone(addr, (uint16_t)in6.sin6_scope_id);
    return 0;
}

int sock_addr_get(const struct sockaddr *sa, socklen_t len, bool is_v6, struct ip_addr *addr,
                  uint16_t *port)
{
    sa_family_t family;
    if (len < offsetof(struct sockaddr, sa_family) + sizeof(family))
        return -EINVAL;
    memcpy(&family, &sa->sa_family, sizeof(family));
    if (family == AF_INET)
        return get_v4(sa, len, addr, port);
    if (family == AF_INET6 && is_v6)
        return get_v6(sa, len, addr, port);
    return -EAFNOSUPPORT;
}

socklen_t sock_addr_size(bool is_v6)
{
    return is_v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

void sock_addr_put(const struct ip_addr *addr, uint16_t port, bool is_v6, struct sockaddr *sa,
                   socklen_t *len)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = be16_make(port).raw};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = be16_make(port).raw};
    struct ip_addr plain = *addr;
    if (ip_addr_is_link_local(addr))
        in6.sin6_scope_id = ip_addr_zone(addr);
    ip_addr_set_zone(&plain, 0);
    memcpy(&in6.sin6_addr, plain.b, sizeof(in6.sin6_addr));
    if (ip_addr_is_v4(addr))
        in.sin_addr.s_addr = addr->w[3].raw;
    socklen_t size = sock_addr_size(is_v6);
    const void *from = is_v6 ? (const void *)&in6 : (const void *)&in;
    memcpy(sa, from, *len < size ? *len : size);
    *len = size;
}
