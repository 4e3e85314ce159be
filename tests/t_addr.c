/* Addresses: text forms both ways, both families, and what counts as equal or unspecified. */
#include "tests/test.h"

#include "mtcp/wire/addr.h"

#include <errno.h>
#include <string.h>

static void expect_round_trip(const char *text, const char *want)
{
    struct ip_addr a;
    char buf[IP_ADDR_STRLEN];
    EXPECT_EQ(ip_addr_parse(text, &a), 0);
    CU_ASSERT_STRING_EQUAL(ip_addr_str(&a, buf), want);
}

static void text_goes_round(void)
{
    expect_round_trip("192.0.2.1", "192.0.2.1");
    expect_round_trip("255.255.255.255", "255.255.255.255");
    expect_round_trip("0.0.0.0", "0.0.0.0");
    expect_round_trip("2001:db8:0:0:0:0:0:1", "2001:db8::1");
    expect_round_trip("::", "::");
    expect_round_trip("::ffff:192.0.2.1", "192.0.2.1");
    expect_round_trip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

static void bad_text_is_refused_and_leaves_out_alone(void)
{
    static const char *const bad[] = {"",          "1.2.3",      "1.2.3.4.5", "256.1.1.1",
                                      "1.2.3.4 ",  ":::",        "1::2::3",   "g::",
                                      "localhost", "fe80::1%lo", "1.2.3.4/8"};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ip_addr a, before;
        memset(&a, 0x5a, sizeof(a));
        before = a;
        EXPECT_EQ(ip_addr_parse(bad[i], &a), -EINVAL);
        CU_ASSERT(ip_addr_eq(&a, &before));
    }
}

static void mapped_addresses_are_v4(void)
{
    struct ip_addr v4 = ip_addr_v4(be32_make(0xc0000201)), v6;
    CU_ASSERT(ip_addr_is_v4(&v4));
    EXPECT_EQ(v4.b[12], 192);
    EXPECT_EQ(v4.b[15], 1);
    EXPECT_EQ(ip_addr_parse("::192.0.2.1", &v6), 0);
    CU_ASSERT_FALSE(ip_addr_is_v4(&v6));
    CU_ASSERT_FALSE(ip_addr_eq(&v4, &v6));
    EXPECT_EQ(ip_addr_parse("1::ffff:192.0.2.1", &v6), 0);
    CU_ASSERT_FALSE(ip_addr_is_v4(&v6));
}

static void a_zone_is_ours_alone(void)
{
    struct ip_addr a, plain;
    char buf[IP_ADDR_STRLEN];
    EXPECT_EQ(ip_addr_parse("fe80::1:2:3:4", &a), 0);
    plain = a;
    EXPECT_EQ(ip_addr_zone(&a), 0);
    ip_addr_set_zone(&a, 513);
    EXPECT_EQ(ip_addr_zone(&a), 513);
    CU_ASSERT_FALSE(ip_addr_eq(&a, &plain));
    CU_ASSERT(ip_addr_is_link_local(&a));
    CU_ASSERT_STRING_EQUAL(ip_addr_str(&a, buf), "fe80::1:2:3:4");
    EXPECT_EQ(ip_addr_parse("fe80:1::1", &a), -EINVAL);
    EXPECT_EQ(ip_addr_parse("fec0:1::1", &a), 0); /* not link-local: nothing is set */
    plain = a;
    ip_addr_set_zone(&a, 7);
    CU_ASSERT(ip_addr_eq(&a, &plain));
    a = ip_addr_v4(be32_make(0xfe800001));
    CU_ASSERT_FALSE(ip_addr_is_link_local(&a));
}

static void groups_of_an_address(void)
{
    struct ip_addr a, want;
    static const uint8_t mac[] = {0x33, 0x33, 0xff, 0x12, 0x34, 0x56};
    EXPECT_EQ(ip_addr_parse("2001:db8::ab12:3456", &a), 0);
    EXPECT_EQ(ip_addr_parse("ff02::1:ff12:3456", &want), 0);
    struct ip_addr group = ip_addr_solicited_node(&a);
    CU_ASSERT(ip_addr_eq(&group, &want));
    CU_ASSERT(ip_addr_is_multicast(&group) && !ip_addr_is_multicast(&a));
    struct mac_addr m = mac_of_multicast6(&group);
    CU_ASSERT(memcmp(m.b, mac, 6) == 0);
    a = ip_addr_v4(be32_make(0xe0000001));
    CU_ASSERT(ip_addr_is_multicast(&a));
    a = ip_addr_v4(be32_make(0xdfffffff));
    CU_ASSERT_FALSE(ip_addr_is_multicast(&a));
}

static void any_is_any_in_both_families(void)
{
    struct ip_addr a = ip_addr_v4(be32_make(0));
    CU_ASSERT(ip_addr_is_any(&a));
    a = ip_addr_v4(be32_make(1));
    CU_ASSERT_FALSE(ip_addr_is_any(&a));
    EXPECT_EQ(ip_addr_parse("::", &a), 0);
    CU_ASSERT(ip_addr_is_any(&a));
    EXPECT_EQ(ip_addr_parse("::1", &a), 0);
    CU_ASSERT_FALSE(ip_addr_is_any(&a));
}

static void flows_differ_in_each_field(void)
{
    struct flow_tuple a = {.local = ip_addr_v4(be32_make(1)),
                           .remote = ip_addr_v4(be32_make(2)),
                           .local_port = 3,
                           .remote_port = 4};
    struct flow_tuple b = a;
    CU_ASSERT(flow_tuple_eq(&a, &b));
    b.local.b[0] = 1;
    CU_ASSERT_FALSE(flow_tuple_eq(&a, &b));
    b = a;
    b.remote.b[15] = 9;
    CU_ASSERT_FALSE(flow_tuple_eq(&a, &b));
    b = a;
    b.local_port++;
    CU_ASSERT_FALSE(flow_tuple_eq(&a, &b));
    b = a;
    b.remote_port++;
    CU_ASSERT_FALSE(flow_tuple_eq(&a, &b));
}

TEST_SUITE(addr, TEST_CASE(text_goes_round), TEST_CASE(bad_text_is_refused_and_leaves_out_alone),
           TEST_CASE(mapped_addresses_are_v4), TEST_CASE(a_zone_is_ours_alone),
           TEST_CASE(groups_of_an_address), TEST_CASE(any_is_any_in_both_families),
           TEST_CASE(flows_differ_in_each_field));
