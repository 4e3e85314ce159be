/* Sockets of IPv6: both families at one listener, mapped addresses, names, scope ids, options. */
#include "tests/duo.h"
#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define SA(a) ((struct sockaddr *)&(a)), sizeof(a)

static int sock6(mctx_t m)
{
    int s = mtcp_socket(m, AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CU_ASSERT_FATAL(s >= 0);
    return s;
}

static int listen6(struct duo *d, const char *ip, uint16_t port)
{
    struct sockaddr_in6 a = duo_addr6(ip, port);
    int s = sock6(d->srv);
    EXPECT_EQ(mtcp_bind(d->srv, s, SA(a)), 0);
    EXPECT_EQ(mtcp_listen(d->srv, s, 16), 0);
    return s;
}

/* A connection of an IPv6 socket of the client's; the client's socket, or -1 with errno. */
static int connect6(struct duo *d, const struct sockaddr_in6 *to)
{
    int s = sock6(d->cli);
    EXPECT_EQ(mtcp_connect(d->cli, s, (const struct sockaddr *)to, sizeof(*to)), -1);
    if (errno != EINPROGRESS) {
        int e = errno;
        mtcp_close(d->cli, s);
        errno = e;
        return -1;
    }
    duo_run(d, 2000);
    int err = -1;
    socklen_t len = sizeof(err);
    EXPECT_EQ(mtcp_getsockopt(d->cli, s, SOL_SOCKET, SO_ERROR, &err, &len), 0);
    errno = err;
    if (err == 0)
        return s;
    mtcp_close(d->cli, s);
    errno = err;
    return -1;
}

static void expect_name(const struct sockaddr_in6 *a, const char *ip, uint16_t port)
{
    char text[INET6_ADDRSTRLEN];
    EXPECT_EQ(a->sin6_family, AF_INET6);
    CU_ASSERT_STRING_EQUAL(inet_ntop(AF_INET6, &a->sin6_addr, text, sizeof(text)), ip);
    if (port)
        EXPECT_EQ(ntohs(a->sin6_port), port);
}

/* Bytes both ways over a pair of sockets. */
static void expect_talk(struct duo *d, int srv, int cli)
{
    char buf[8];
    EXPECT_EQ(mtcp_write(d->cli, cli, "hello", 5), 5);
    duo_run(d, 2000);
    EXPECT_EQ(mtcp_read(d->srv, srv, buf, sizeof(buf)), 5);
    EXPECT_EQ(mtcp_write(d->srv, srv, "world!", 6), 6);
    duo_run(d, 2000);
    EXPECT_EQ(mtcp_read(d->cli, cli, buf, sizeof(buf)), 6);
    EXPECT_EQ(memcmp(buf, "world!", 6), 0);
}

static void a_listener_takes_both_families(void)
{
    struct duo d;
    struct sockaddr_in6 to = duo_addr6("fd00::1", 80), name;
    socklen_t len = sizeof(name);
    duo_open_v6(&d, NULL);
    int l = listen6(&d, "::", 80), c4;
    int c6 = connect6(&d, &to);
    CU_ASSERT_FATAL(c6 >= 0);
    int s6 = mtcp_accept(d.srv, l, (struct sockaddr *)&name, &len);
    CU_ASSERT_FATAL(s6 >= 0);
    EXPECT_EQ(len, sizeof(name));
    expect_name(&name, "fd00::2", 0);
    expect_talk(&d, s6, c6);
    EXPECT_EQ(mtcp_getsockname(d.cli, c6, (struct sockaddr *)&name, &len), 0);
    expect_name(&name, "fd00::2", 0);
    EXPECT_EQ(mtcp_getpeername(d.cli, c6, (struct sockaddr *)&name, &len, 0), 0);
    expect_name(&name, "fd00::1", 80);

    c4 = duo_connect(&d, 80);
    duo_run(&d, 2000);
    int s4 = mtcp_accept(d.srv, l, (struct sockaddr *)&name, &len);
    CU_ASSERT_FATAL(s4 >= 0);
    expect_name(&name, "::ffff:10.0.0.2", 0);
    expect_talk(&d, s4, c4);
    EXPECT_EQ(mtcp_getsockname(d.srv, s4, (struct sockaddr *)&name, &len), 0);
    expect_name(&name, "::ffff:10.0.0.1", 80);
    duo_close(&d);
}

static void v6only_leaves_ipv4_to_others(void)
{
    struct duo d;
    struct sockaddr_in6 any = duo_addr6("::", 80), mapped = duo_addr6("::ffff:10.0.0.1", 80);
    struct sockaddr_in any4 = duo_addr("0.0.0.0", 80);
    int on = 1;
    duo_open_v6(&d, NULL);
    int s = sock6(d.srv), s4 = mtcp_socket(d.srv, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    EXPECT_EQ(mtcp_setsockopt(d.srv, s, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)), 0);
    EXPECT_EQ(mtcp_bind(d.srv, s, SA(mapped)), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(mtcp_bind(d.srv, s, SA(any)), 0);
    EXPECT_EQ(mtcp_setsockopt(d.srv, s, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)), -1);
    EXPECT_EQ(mtcp_listen(d.srv, s, 5), 0);
    EXPECT_EQ(connect6(&d, &mapped), -1);
    EXPECT_EQ(errno, ECONNREFUSED);
    EXPECT_EQ(mtcp_bind(d.srv, s4, SA(any4)), 0);
    EXPECT_EQ(mtcp_listen(d.srv, s4, 5), 0);
    int c = connect6(&d, &mapped);
    CU_ASSERT(c >= 0);
    CU_ASSERT(mtcp_accept(d.srv, s4, NULL, NULL) >= 0);
    EXPECT_EQ(mtcp_accept(d.srv, s, NULL, NULL), -1);
    /* And as a client it does not speak IPv4. */
    int only = sock6(d.cli);
    EXPECT_EQ(mtcp_setsockopt(d.cli, only, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)), 0);
    EXPECT_EQ(mtcp_connect(d.cli, only, SA(mapped)), -1);
    EXPECT_EQ(errno, ENETUNREACH);
    duo_close(&d);
}

static void both_families_at_one_port_exclude_each_other(void)
{
    struct duo d;
    struct sockaddr_in any4 = duo_addr("0.0.0.0", 80), one4 = duo_addr("10.0.0.1", 80);
    struct sockaddr_in6 any6 = duo_addr6("::", 80), one6 = duo_addr6("fd00::1", 80);
    duo_open_v6(&d, NULL);
    listen6(&d, "::", 80);
    int s = mtcp_socket(d.srv, AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(mtcp_bind(d.srv, s, SA(any4)), -1);
    EXPECT_EQ(errno, EADDRINUSE);
    EXPECT_EQ(mtcp_bind(d.srv, s, SA(one4)), -1);
    EXPECT_EQ(errno, EADDRINUSE);
    EXPECT_EQ(mtcp_bind(d.srv, sock6(d.srv), SA(any6)), -1);
    EXPECT_EQ(mtcp_bind(d.srv, sock6(d.srv), SA(one6)), -1);
    EXPECT_EQ(errno, EADDRINUSE);
    one6.sin6_port = one4.sin_port = htons(81); /* an address of each: no question */
    EXPECT_EQ(mtcp_bind(d.srv, sock6(d.srv), SA(one6)), 0);
    EXPECT_EQ(mtcp_bind(d.srv, s, SA(one4)), 0);
    duo_close(&d);
}

/* A socket of IPv4 that listens without a bind does not take IPv6. */
static void a_listener_of_ipv4_is_of_ipv4(void)
{
    struct duo d;
    struct sockaddr_in name;
    socklen_t len = sizeof(name);
    duo_open_v6(&d, NULL);
    int s = mtcp_socket(d.srv, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    EXPECT_EQ(mtcp_listen(d.srv, s, 5), 0);
    EXPECT_EQ(mtcp_getsockname(d.srv, s, (struct sockaddr *)&name, &len), 0);
    EXPECT_EQ(name.sin_family, AF_INET);
    struct sockaddr_in6 to = duo_addr6("fd00::1", ntohs(name.sin_port));
    EXPECT_EQ(connect6(&d, &to), -1);
    EXPECT_EQ(errno, ECONNREFUSED);
    duo_close(&d);
}

static void link_local_needs_its_link(void)
{
    struct duo d;
    struct sockaddr_in6 own, name;
    socklen_t len = sizeof(name);
    duo_open_v6(&d, NULL);
    int l = listen6(&d, "::", 80);
    duo_run(&d, 1000000);
    struct sockaddr_in6 to = duo_addr6("fe80::1", 80); /* nobody, without a link */
    int c = sock6(d.cli);
    EXPECT_EQ(mtcp_connect(d.cli, c, SA(to)), -1);
    EXPECT_EQ(errno, EINVAL);
    to.sin6_scope_id = 9;
    EXPECT_EQ(mtcp_connect(d.cli, c, SA(to)), -1);
    EXPECT_EQ(errno, ENETUNREACH);
    /* The server's own: its MAC address is the pair's. */
    struct mtcp_io *io = mtcp_io_pair_end(d.pair, 0);
    own = duo_addr6("fe80::", 80);
    uint8_t id[8] = {io->mac[0] ^ 2, io->mac[1], io->mac[2], 0xff,
                     0xfe,           io->mac[3], io->mac[4], io->mac[5]};
    memcpy(own.sin6_addr.s6_addr + 8, id, 8);
    own.sin6_scope_id = 1;
    int c2 = connect6(&d, &own);
    CU_ASSERT_FATAL(c2 >= 0);
    int s = mtcp_accept(d.srv, l, (struct sockaddr *)&name, &len);
    CU_ASSERT_FATAL(s >= 0);
    EXPECT_EQ(name.sin6_scope_id, 1);
    EXPECT_EQ(name.sin6_addr.s6_addr[0], 0xfe);
    EXPECT_EQ(name.sin6_addr.s6_addr[2] | name.sin6_addr.s6_addr[3], 0);
    expect_talk(&d, s, c2);
    EXPECT_EQ(mtcp_getpeername(d.cli, c2, (struct sockaddr *)&name, &len, 0), 0);
    EXPECT_EQ(memcmp(&name.sin6_addr, &own.sin6_addr, 16), 0);
    EXPECT_EQ(name.sin6_scope_id, 1);
    duo_close(&d);
}

static void options_of_ipv6_reach_the_connection(void)
{
    struct duo d;
    struct sockaddr_in6 to = duo_addr6("fd00::1", 80);
    int v;
    socklen_t len = sizeof(v);
    duo_open_v6(&d, NULL);
    listen6(&d, "::", 80);
    int c = connect6(&d, &to);
    CU_ASSERT_FATAL(c >= 0);
    EXPECT_EQ(mtcp_getsockopt(d.cli, c, IPPROTO_IPV6, IPV6_MTU, &v, &len), 0);
    EXPECT_EQ(v, 1500);
    EXPECT_EQ(mtcp_getsockopt(d.cli, c, IPPROTO_TCP, TCP_MAXSEG, &v, &len), 0);
    EXPECT_EQ(v, 1428); /* 1500 less 60 and what timestamps take */
    v = 7;
    EXPECT_EQ(mtcp_setsockopt(d.cli, c, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &v, sizeof(v)), 0);
    EXPECT_EQ(mtcp_getsockopt(d.cli, c, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &v, &len), 0);
    EXPECT_EQ(v, 7);
    EXPECT_EQ(mtcp_getsockopt(d.cli, c, SOL_SOCKET, SO_DOMAIN, &v, &len), 0);
    EXPECT_EQ(v, AF_INET6);
    duo_close(&d);
}

static void errors_of_addresses(void)
{
    struct duo d;
    struct sockaddr_in6 foreign = duo_addr6("fd00::77", 80), nowhere = duo_addr6("2001:db8::1", 80);
    struct sockaddr_in6 nobody = duo_addr6("fd00::9", 80), group = duo_addr6("ff02::1", 80);
    duo_open_v6(&d, NULL);
    int s = sock6(d.cli);
    EXPECT_EQ(mtcp_bind(d.cli, s, SA(foreign)), -1);
    EXPECT_EQ(errno, EADDRNOTAVAIL);
    EXPECT_EQ(mtcp_bind(d.cli, s, (struct sockaddr *)&foreign, 20), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(mtcp_connect(d.cli, s, SA(nowhere)), -1);
    EXPECT_EQ(errno, ENETUNREACH);
    EXPECT_EQ(mtcp_connect(d.cli, s, SA(group)), -1);
    EXPECT_EQ(errno, ENETUNREACH);
    int waits = mtcp_socket(d.cli, AF_INET6, SOCK_STREAM, 0);
    EXPECT_EQ(mtcp_connect(d.cli, waits, SA(nobody)), -1); /* three solicitations, a second apart */
    EXPECT_EQ(errno, EHOSTUNREACH);
    duo_close(&d);
}

TEST_SUITE(sock_addr, TEST_CASE(a_listener_takes_both_families),
           TEST_CASE(v6only_leaves_ipv4_to_others),
           TEST_CASE(both_families_at_one_port_exclude_each_other),
           TEST_CASE(a_listener_of_ipv4_is_of_ipv4), TEST_CASE(link_local_needs_its_link),
           TEST_CASE(options_of_ipv6_reach_the_connection), TEST_CASE(errors_of_addresses));
