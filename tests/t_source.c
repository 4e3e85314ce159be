/* Which address of ours a packet comes from: the rules of RFC 6724 5, one by one. */
#include "tests/net_world.h"
#include "tests/test.h"

#include "mtcp/net/netif.h"
#include "mtcp/net/source.h"

#include <string.h>

/* An interface with these addresses, separated by blanks; "LEN" of each is 64, or 24. */
static void addresses(struct net_if *nif, const char *list)
{
    char copy[256];
    memset(nif, 0, sizeof(*nif));
    strcpy(copy, list);
    for (char *save, *at = strtok_r(copy, " ", &save); at; at = strtok_r(NULL, " ", &save)) {
        struct ip_addr a = world_ip(at);
        CU_ASSERT_PTR_NOT_NULL_FATAL(netif_addr_new(nif, &a, ip_addr_is_v4(&a) ? 24 : 64));
    }
}

static void expect_choice(const struct net_if *nif, const char *dst, const char *want)
{
    static struct net n = {.env.now_us = 1000};
    struct ip_addr d = world_ip(dst);
    const struct net_addr *a = source_for(&n, nif, &d);
    char text[IP_ADDR_STRLEN] = "none";
    if (a)
        ip_addr_str(&a->ip, text);
    CU_ASSERT_STRING_EQUAL(text, want);
}

static void the_family_is_the_destinations(void)
{
    struct net_if nif;
    addresses(&nif, "fd00::1 10.0.0.1");
    expect_choice(&nif, "10.9.9.9", "10.0.0.1");
    expect_choice(&nif, "fd00::9", "fd00::1");
    addresses(&nif, "10.0.0.1");
    expect_choice(&nif, "fd00::9", "none");
}

/* Rule 1. */
static void the_same_address_wins(void)
{
    struct net_if nif;
    addresses(&nif, "2001:db8::1 fe80::1 fd00::5");
    expect_choice(&nif, "fe80::1", "fe80::1");
    expect_choice(&nif, "fd00::5", "fd00::5");
}

/* Rule 2. */
static void the_scope_that_fits_wins(void)
{
    struct net_if nif;
    addresses(&nif, "fe80::1 2001:db8::1");
    expect_choice(&nif, "2001:db8:9::1", "2001:db8::1");
    expect_choice(&nif, "fe80::9", "fe80::1");
    expect_choice(&nif, "ff02::1", "fe80::1");
    expect_choice(&nif, "ff0e::1", "2001:db8::1");
    addresses(&nif, "2001:db8::1 fe80::1");
    expect_choice(&nif, "2001:db8:9::1", "2001:db8::1");
    expect_choice(&nif, "fe80::9", "fe80::1");
    addresses(&nif, "fe80::1"); /* better than nothing */
    expect_choice(&nif, "2001:db8:9::1", "fe80::1");
    addresses(&nif, "169.254.1.1 192.0.2.1");
    expect_choice(&nif, "198.51.100.1", "192.0.2.1");
}

/* Rule 3. */
static void an_old_address_is_avoided(void)
{
    struct net_if nif;
    addresses(&nif, "2001:db8:9::1 2001:db8::1");
    expect_choice(&nif, "2001:db8:9::7", "2001:db8:9::1");
    nif.addrs[0].preferred_until_us = 999;
    expect_choice(&nif, "2001:db8:9::7", "2001:db8::1");
    nif.addrs[1].preferred_until_us = 999;
    expect_choice(&nif, "2001:db8:9::7", "2001:db8:9::1");
}

/* Rule 6: unique local to unique local, 6to4 to 6to4. */
static void labels_that_agree_win(void)
{
    struct net_if nif;
    addresses(&nif, "fd00::1 2001:db8::1 2002:c000:201::1");
    expect_choice(&nif, "fd77::9", "fd00::1");
    expect_choice(&nif, "2600::9", "2001:db8::1");
    expect_choice(&nif, "2002:c633:6401::9", "2002:c000:201::1");
}

/* Rule 8. */
static void the_longest_common_prefix_wins(void)
{
    struct net_if nif;
    addresses(&nif, "2001:db8:1::1 2001:db8:2::1 2001:db8:3::1");
    expect_choice(&nif, "2001:db8:2::9", "2001:db8:2::1");
    expect_choice(&nif, "2001:db8:3:5::9", "2001:db8:3::1");
    expect_choice(&nif, "2600::1", "2001:db8:1::1"); /* equal ones: the first */
    addresses(&nif, "2001:db8::1:1 2001:db8::ff:1"); /* bits behind the prefix say nothing */
    expect_choice(&nif, "2001:db8::ff:2", "2001:db8::1:1");
    addresses(&nif, "10.0.1.1 10.0.2.1");
    expect_choice(&nif, "10.0.2.9", "10.0.2.1");
}

static void only_what_is_ours_is_taken(void)
{
    struct net_if nif;
    static struct net n;
    struct ip_addr dst = world_ip("2001:db8::9"), near = world_ip("fe80::9");
    addresses(&nif, "2001:db8::1 fe80::1");
    nif.addrs[0].state = NET_ADDR_DUPLICATE;
    expect_choice(&nif, "2001:db8::9", "fe80::1");
    nif.addrs[0].state = NET_ADDR_TENTATIVE;
    expect_choice(&nif, "2001:db8::9", "fe80::1");
    /* What is sent later may come from what will be ours, when what is ours does not reach. */
    CU_ASSERT_PTR_EQUAL(source_for_soon(&n, &nif, &dst), &nif.addrs[0]);
    CU_ASSERT_PTR_EQUAL(source_for_soon(&n, &nif, &near), &nif.addrs[1]);
    nif.addrs[1].state = NET_ADDR_TENTATIVE;
    CU_ASSERT_PTR_EQUAL(source_for_soon(&n, &nif, &dst), &nif.addrs[0]);
    CU_ASSERT_PTR_NULL(source_for(&n, &nif, &dst));
}

TEST_SUITE(source, TEST_CASE(the_family_is_the_destinations), TEST_CASE(the_same_address_wins),
           TEST_CASE(the_scope_that_fits_wins), TEST_CASE(an_old_address_is_avoided),
           TEST_CASE(labels_that_agree_win), TEST_CASE(the_longest_common_prefix_wins),
           TEST_CASE(only_what_is_ours_is_taken));
