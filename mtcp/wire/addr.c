/* Text forms of addresses (RFC 4291 2.2, RFC 5952 through libc). */
#include "mtcp/wire/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>

const char *ip_addr_str(const struct ip_addr *a, char buf[IP_ADDR_STRLEN])
{
    struct ip_addr v6 = *a;
    ip_addr_set_zone(&v6, 0);
    const char *s = ip_addr_is_v4(a) ? inet_ntop(AF_INET, &a->w[3], buf, IP_ADDR_STRLEN)
                                     : inet_ntop(AF_INET6, v6.b, buf, IP_ADDR_STRLEN);
    if (!s)
        buf[0] = '\0';
    return buf;
}

int ip_addr_parse(const char *text, struct ip_addr *out)
{
    be32_t v4;
    if (inet_pton(AF_INET, text, &v4) == 1) {
        *out = ip_addr_v4(v4);
        return 0;
    }
    struct ip_addr v6;
    if (inet_pton(AF_INET6, text, v6.b) != 1)
        return -EINVAL;
    if (ip_addr_is_link_local(&v6) && ip_addr_zone(&v6) != 0)
        return -EINVAL; /* these bits are zero (RFC 4291 2.5.6), and in here a zone */
    *out = v6;
    return 0;
}
