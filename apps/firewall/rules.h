/*
 * The rules of firewall, in the grammar of mOS's simple_firewall and a little more. One rule a
 * line, the first that matches decides, what none matches is accepted; # begins a comment:
 *
 *     ACTION  CLIENT        SERVER        [sport:PORT] [dport:PORT]
 *     DROP    10.0.0.0/24   10.0.1.0/24   dport:80
 *     ACCEPT  fd00::/64     any           dport:8000-8999
 *     DROP    any           any
 *
 * An address is of IPv4 or IPv6, with or without a prefix length; 0.0.0.0 is every address of
 * IPv4, :: of IPv6, `any` of both. Port 0 is every port. Ranges of ports, IPv6 and `any` are ours.
 */
#ifndef FIREWALL_RULES_H
#define FIREWALL_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fw_net {
    int family; /* AF_INET, AF_INET6, AF_UNSPEC: any */
    uint8_t addr[16];
    unsigned bits; /* that must agree */
};

struct fw_ports {
    uint16_t first, last;
};

struct fw_rule {
    bool is_drop;
    struct fw_net client, server;
    struct fw_ports sport, dport;
    uint64_t n_syns; /* that it decided */
    unsigned line;
    char *text; /* as written, one space between words */
};

struct fw_rules {
    struct fw_rule *list;
    size_t n;
    uint64_t n_unmatched; /* SYNs that no rule matched */
};

/* Who wants to connect to whom. IPv4 has its address in the first four bytes. */
struct fw_flow {
    int family;
    uint8_t client[16], server[16];
    uint16_t sport, dport;
};

/*
 * Reads a file of rules.
 *
 *   r        to be given to fw_rules_free(), after a failure too
 *   err      on failure one line: file, line, what is wrong, what to write
 *   returns  false: a bad rule, a file that can't be read, or no memory
 */
bool fw_rules_read(struct fw_rules *r, const char *path, char *err, size_t err_len);
void fw_rules_free(struct fw_rules *r);

/* One rule; the file and line of an error are the caller's. NULL, or what is wrong with it: a
 * constant, with *word (of `text`, which is cut into words) what it is about. */
const char *fw_rule_parse(struct fw_rule *rule, char *text, const char **word);

/* The first rule that matches, counted; NULL: none did. */
const struct fw_rule *fw_rules_judge(struct fw_rules *r, const struct fw_flow *f);

#endif
