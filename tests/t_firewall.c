/* firewall: its rules, and the plugin in an endpoint. */
#include "tests/app_plugin.h"
#include "tests/duo.h"
#include "tests/test.h"

#include "apps/firewall/rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static struct fw_rules rules;
static char err[400];

static bool rules_of(const char *text)
{
    app_begin();
    app_file("rules", text);
    bool ok = fw_rules_read(&rules, app_path("rules"), err, sizeof(err));
    app_end();
    return ok;
}

static struct fw_flow flow_of(const char *client, unsigned sport, const char *server,
                              unsigned dport)
{
    struct fw_flow f = {.family = strchr(client, ':') ? AF_INET6 : AF_INET,
                        .sport = (uint16_t)sport,
                        .dport = (uint16_t)dport};
    EXPECT_EQ(inet_pton(f.family, client, f.client), 1);
    EXPECT_EQ(inet_pton(f.family, server, f.server), 1);
    return f;
}

/* The line of the rule that decides; 0: none. */
static unsigned line_for(const char *client, unsigned sport, const char *server, unsigned dport)
{
    struct fw_flow f = flow_of(client, sport, server, dport);
    const struct fw_rule *rule = fw_rules_judge(&rules, &f);
    return rule ? rule->line : 0;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static void rules_of_the_forerunner(void)
{
    CU_ASSERT_FATAL(rules_of("# Simple rules\n"
                             "#(act)  (src)        (dst)        (port)\n"
                             "DROP    10.0.0.0/24  10.0.0.0/24  dport:80\r\n"
                             "\n"
                             "ACCEPT  10.0.1.7     10.0.1.9     sport:1024  # one port\n"
                             "  DROP\t10.0.1.7     10.0.1.9     sport:0 dport:22\n"
                             "ACCEPT  10.0.3.0/24  0.0.0.0"));
    EXPECT_EQ(rules.n, 4);
    CU_ASSERT(rules.list[0].is_drop && !rules.list[1].is_drop);
    CU_ASSERT_STRING_EQUAL(rules.list[2].text, "DROP 10.0.1.7 10.0.1.9 sport:0 dport:22");
    EXPECT_EQ(line_for("10.0.0.255", 5, "10.0.0.1", 80), 3);
    EXPECT_EQ(line_for("10.0.0.255", 5, "10.0.0.1", 81), 0);
    EXPECT_EQ(line_for("10.0.1.0", 5, "10.0.0.1", 80), 0);
    EXPECT_EQ(line_for("10.0.0.1", 5, "10.0.1.1", 80), 0);
    EXPECT_EQ(line_for("10.0.1.7", 1024, "10.0.1.9", 22), 5);
    EXPECT_EQ(line_for("10.0.1.7", 1025, "10.0.1.9", 22), 6);
    EXPECT_EQ(line_for("10.0.1.6", 1025, "10.0.1.9", 22), 0);
    EXPECT_EQ(line_for("10.0.3.9", 1, "192.168.0.1", 1), 7);
    EXPECT_EQ(line_for("fd00::1", 1, "fd00::2", 1), 0); /* 0.0.0.0 is of IPv4 */
    EXPECT_EQ(rules.list[0].n_syns, 1);
    EXPECT_EQ(rules.list[1].n_syns, 1);
    EXPECT_EQ(rules.n_unmatched, 5);
    fw_rules_free(&rules);
}

static void rules_of_ours(void)
{
    CU_ASSERT_FATAL(rules_of("DROP fd00:0:0:1::/63 :: dport:1-9\n"
                             "DROP any 10.0.0.128/25\n"
                             "DROP any fd00::5\n"
                             "ACCEPT 10.64.0.0/10 any dport:8000-8999 sport:1024-65535\n"
                             "DROP any any\n"));
    EXPECT_EQ(line_for("fd00::1:2", 1, "2001::1", 9), 1);
    EXPECT_EQ(line_for("fd00:0:0:1::1", 1, "2001::1", 1), 1);
    EXPECT_EQ(line_for("fd00:0:0:2::1", 1, "2001::1", 1), 5);
    EXPECT_EQ(line_for("fd00::1", 1, "2001::1", 10), 5);
    EXPECT_EQ(line_for("1.2.3.4", 1, "10.0.0.128", 1), 2);
    EXPECT_EQ(line_for("1.2.3.4", 1, "10.0.0.127", 1), 5);
    EXPECT_EQ(line_for("fd00::1", 1, "fd00::5", 10), 3);
    EXPECT_EQ(line_for("10.127.255.255", 1024, "9.9.9.9", 8999), 4);
    EXPECT_EQ(line_for("10.128.0.0", 1024, "9.9.9.9", 8999), 5);
    EXPECT_EQ(line_for("10.64.0.0", 1023, "9.9.9.9", 8999), 5);
    EXPECT_EQ(line_for("10.64.0.0", 1024, "9.9.9.9", 9000), 5);
    fw_rules_free(&rules);
}

static void no_rules(void)
{
    CU_ASSERT_FATAL(rules_of("\n# nothing\n   \n"));
    EXPECT_EQ(rules.n, 0);
    EXPECT_EQ(line_for("1.2.3.4", 1, "1.2.3.4", 1), 0);
    fw_rules_free(&rules);
}

/* Each bad line is named, with what is wrong in it and what to write. */
static void bad_rules(void)
{
    static const struct {
        const char *line, *word, *fix;
    } rows[] = {
        {"DENY 10.0.0.1 10.0.0.2", "'DENY'", "write ACCEPT or DROP"},
        {"drop 10.0.0.1 10.0.0.2", "'drop'", "write ACCEPT or DROP"},
        {"DROPS 10.0.0.1 10.0.0.2", "'DROPS'", "write ACCEPT or DROP"},
        {"DROP", "'DROP'", "write two addresses"},
        {"DROP 10.0.0.1", "'DROP'", "write two addresses"},
        {"DROP 10.0.0 any", "'10.0.0'", "write one as"},
        {"DROP 10.0.0.1/33 any", "'10.0.0.1/33'", "write one as"},
        {"DROP 10.0.0.1/ any", "'10.0.0.1/'", "write one as"},
        {"DROP 10.0.0.1/8x any", "'10.0.0.1/8x'", "write one as"},
        {"DROP any fd00::/129", "'fd00::/129'", "write one as"},
        {"DROP any fd00:::1", "'fd00:::1'", "write one as"},
        {"DROP * any", "'*'", "write one as"},
        {"DROP any dport:80", "'dport:80'", "write one as"},
        {"DROP 10.0.0.1 fd00::1", "'fd00::1'", "of the other IP version"},
        {"DROP fd00::1 0.0.0.0", "'0.0.0.0'", "of the other IP version"},
        {"DROP any any port:80", "'port:80'", "write sport:1024 or dport:80"},
        {"DROP any any dport:", "'dport:'", "write a number up to 65535"},
        {"DROP any any dport:65536", "'dport:65536'", "write a number up to 65535"},
        {"DROP any any dport:-1", "'dport:-1'", "write a number up to 65535"},
        {"DROP any any dport:90-80", "'dport:90-80'", "write a number up to 65535"},
        {"DROP any any dport:0-80", "'dport:0-80'", "write a number up to 65535"},
        {"DROP any any dport:80-", "'dport:80-'", "write a number up to 65535"},
        {"DROP any any dport:80,81", "'dport:80,81'", "write a number up to 65535"},
        {"DROP any any dport:80 dport:81", "'dport:81'", "comes twice"},
        {"DROP any any sport:1 sport:0", "'sport:0'", "comes twice"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[200];
        snprintf(text, sizeof(text), "# first\nACCEPT any any\n%s\nACCEPT any any\n", rows[i].line);
        err[0] = '\0';
        CU_ASSERT_FALSE(rules_of(text));
        bool is_told = strstr(err, "/rules:3: ") && strstr(err, rows[i].word) &&
                       strstr(err, rows[i].fix) && !strchr(err, '\n');
        if (!is_told)
            fprintf(stderr, "%s: %s\n", rows[i].line, err);
        CU_ASSERT(is_told);
        fw_rules_free(&rules);
    }
    CU_ASSERT_FALSE(fw_rules_read(&rules, "/nowhere/rules", err, sizeof(err)));
    CU_ASSERT_STRING_EQUAL(err, "/nowhere/rules: No such file or directory");
    fw_rules_free(&rules);
    CU_ASSERT_FALSE(fw_rules_read(&rules, "/", err, sizeof(err)));
    CU_ASSERT_STRING_EQUAL(err, "/: Is a directory");
    fw_rules_free(&rules);
}

static void many_rules(void)
{
    app_begin();
    FILE *f = fopen(app_path("rules"), "w");
    for (unsigned i = 0; i < 5000; i++)
        fprintf(f, "DROP 10.%u.%u.0/24 any\n", i / 256, i % 256);
    fclose(f);
    CU_ASSERT_FATAL(fw_rules_read(&rules, app_path("rules"), err, sizeof(err)));
    app_end();
    EXPECT_EQ(rules.n, 5000);
    EXPECT_EQ(line_for("10.19.135.7", 1, "1.1.1.1", 1), 5000);
    EXPECT_EQ(line_for("10.19.136.7", 1, "1.1.1.1", 1), 0);
    fw_rules_free(&rules);
}

/* ---- the plugin ------------------------------------------------------------------------------ */

static struct duo d;

static bool is_connected(int listener)
{
    int s = mtcp_accept4(d.srv, listener, NULL, NULL, SOCK_NONBLOCK);
    if (s >= 0)
        EXPECT_EQ(mtcp_close(d.srv, s), 0);
    return s >= 0;
}

static void open_with(const char *text)
{
    app_begin();
    app_file("rules", text);
    duo_open_srv(&d, app_conf("firewall", "rules=%s/rules file=%s/out log", app_dir, app_dir));
}

/* What is dropped is not answered, however often it comes; what is accepted costs one look. */
static void dropped_syns_never_reach_the_endpoint(void)
{
    char buf[4];
    open_with("DROP 10.0.0.2 10.0.0.1 dport:80\nACCEPT 10.0.0.2 any dport:81\n");
    int l80 = duo_listen(&d, 80), l81 = duo_listen(&d, 81), l82 = duo_listen(&d, 82);
    duo_connect(&d, 80);
    duo_run(&d, 4000000); /* SYNs at 0, 1 and 3 seconds */
    CU_ASSERT_FALSE(is_connected(l80));
    EXPECT_EQ(mtcp_get_connection_cnt(d.srv), 0);
    int c, s = duo_pair(&d, l81, &c);
    EXPECT_EQ(mtcp_write(d.cli, c, "ping", 4), 4);
    duo_run(&d, 10000);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, 4), 4);
    duo_connect(&d, 82);
    duo_run(&d, 10000);
    CU_ASSERT(is_connected(l82));
    duo_close(&d);
    const char *out = app_text("out");
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "         3     1  DROP 10.0.0.2 10.0.0.1 dport:80\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "         1     2  ACCEPT 10.0.0.2 any dport:81\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "         1     0  none: accepted\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(out, " > 10.0.0.1:80 dropped by "));
    CU_ASSERT_PTR_NULL(strstr(out, " > 10.0.0.1:82"));
    app_end();
}

static unsigned n_tables(void)
{
    unsigned n = 0;
    for (const char *at = app_text("out"); (at = strstr(at, "firewall: ")) != NULL; at++)
        n++;
    return n;
}

static void counts_every_second(void)
{
    app_begin();
    app_file("rules", "DROP any any\n");
    duo_open_srv(&d, app_conf("firewall", "rules=%s/rules file=%s/out every=1", app_dir, app_dir));
    duo_listen(&d, 80);
    duo_connect(&d, 80);
    duo_run(&d, 999000);
    CU_ASSERT_STRING_EQUAL(app_text("out"), "");
    for (unsigned n = 1; n < 4; n++) {
        duo_run(&d, 1000000);
        EXPECT_EQ(n_tables(), n);
    }
    duo_close(&d);
    EXPECT_EQ(n_tables(), 4);
    CU_ASSERT_PTR_NOT_NULL(strstr(app_text("out"), "         3     1  DROP any any\n"));
    app_end();
}

/* Of a client: the SYN does not leave. */
static void own_syns_are_dropped_too(void)
{
    open_with("DROP 10.0.0.1 10.0.0.2 dport:9\n");
    struct sockaddr_in a = duo_addr("10.0.0.2", 9);
    int s = mtcp_socket(d.srv, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), error = 0;
    socklen_t len = sizeof(error);
    EXPECT_EQ(mtcp_connect(d.srv, s, (struct sockaddr *)&a, sizeof(a)), -1);
    EXPECT_EQ(errno, EINPROGRESS);
    duo_run(&d, 200000); /* else it were refused at once */
    EXPECT_EQ(mtcp_getsockopt(d.srv, s, SOL_SOCKET, SO_ERROR, &error, &len), 0);
    EXPECT_EQ(error, 0);
    duo_close(&d);
    CU_ASSERT_PTR_NOT_NULL(strstr(app_text("out"), "         1     1  DROP 10.0.0.1 10.0.0.2"));
    app_end();
}

static void syn_cookies_are_judged_when_they_come_back(void)
{
    char conf[2048], buf[4];
    app_begin();
    app_file("rules", "DROP any any dport:80\n");
    snprintf(conf, sizeof(conf), "tcp_syncookies = 2\n%s",
             app_conf("firewall", "rules=%s/rules file=%s/out", app_dir, app_dir));
    duo_open_srv(&d, conf);
    int l = duo_listen(&d, 80), c = duo_connect(&d, 80);
    duo_run(&d, 10000);
    (void)!mtcp_write(d.cli, c, "ping", 4);
    duo_run(&d, 1000000);
    CU_ASSERT_FALSE(is_connected(l));
    EXPECT_EQ(mtcp_get_connection_cnt(d.srv), 0);
    EXPECT_EQ(mtcp_read(d.cli, c, buf, 4), -1);
    EXPECT_EQ(errno, EAGAIN);
    duo_close(&d);
    CU_ASSERT_PTR_NULL(strstr(app_text("out"), " 0     1  DROP"));
    app_end();
}

static void ipv6_in_an_endpoint(void)
{
    app_begin();
    app_file("rules", "DROP fd00::/64 fd00::1 dport:80\n");
    duo_open_v6(&d, app_conf("firewall", "rules=%s/rules file=%s/out log", app_dir, app_dir));
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    struct sockaddr_in6 to = duo_addr6("fd00::1", 80);
    int l = mtcp_socket(d.srv, AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    EXPECT_EQ(mtcp_bind(d.srv, l, (struct sockaddr *)&any, sizeof(any)), 0);
    EXPECT_EQ(mtcp_listen(d.srv, l, 5), 0);
    int c = mtcp_socket(d.cli, AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    EXPECT_EQ(mtcp_connect(d.cli, c, (struct sockaddr *)&to, sizeof(to)), -1);
    duo_run(&d, 100000);
    CU_ASSERT_FALSE(is_connected(l));
    duo_connect(&d, 80); /* IPv4 at the same listener */
    duo_run(&d, 10000);
    CU_ASSERT(is_connected(l));
    duo_close(&d);
    CU_ASSERT_PTR_NOT_NULL(strstr(app_text("out"), " > [fd00::1]:80 dropped by "));
    app_end();
}

TEST_SUITE(firewall, TEST_CASE(rules_of_the_forerunner), TEST_CASE(rules_of_ours),
           TEST_CASE(no_rules), TEST_CASE(bad_rules), TEST_CASE(many_rules),
           TEST_CASE(dropped_syns_never_reach_the_endpoint), TEST_CASE(counts_every_second),
           TEST_CASE(own_syns_are_dropped_too),
           TEST_CASE(syn_cookies_are_judged_when_they_come_back), TEST_CASE(ipv6_in_an_endpoint));
