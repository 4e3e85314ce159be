#include "apps/firewall/rules.h"

#include "apps/common/lines.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* ---- a word ---------------------------------------------------------------------------------- */

/* A number of digits only, up to max; *end: what follows it. */
static bool number_read(const char *text, unsigned max, unsigned *out, const char **end)
{
    unsigned n = 0;
    const char *at = text;

    for (; *at >= '0' && *at <= '9'; at++) {
        n = n * 10 + (unsigned)(*at - '0');
        if (n > max)
            return false;
    }
    *out = n;
    *end = at;
    return at > text;
}

static bool is_zero(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static bool net_read(struct fw_net *net, const char *word)
{
    char addr[INET6_ADDRSTRLEN];
    size_t len = strcspn(word, "/");
    const char *end;

    *net = (struct fw_net){.family = AF_UNSPEC};
    if (strcmp(word, "any") == 0)
        return true;
    if (len >= sizeof(addr))
        return false;
    memcpy(addr, word, len);
    addr[len] = '\0';
    net->family = strchr(addr, ':') != NULL ? AF_INET6 : AF_INET;
    size_t n_bytes = net->family == AF_INET ? 4 : 16;
    if (inet_pton(net->family, addr, net->addr) != 1)
        return false;
    if (word[len] == '/')
        return number_read(word + len + 1, (unsigned)n_bytes * 8, &net->bits, &end) && *end == '\0';
    net->bits = is_zero(net->addr, n_bytes) ? 0 : (unsigned)n_bytes * 8;
    return true;
}

/* "80", "8000-8999"; "0" is all. */
static bool ports_read(struct fw_ports *p, const char *text)
{
    unsigned first, last;
    const char *end;

    if (!number_read(text, UINT16_MAX, &first, &end))
        return false;
    last = first == 0 ? UINT16_MAX : first;
    if (*end == '-' && (first == 0 || !number_read(end + 1, UINT16_MAX, &last, &end)))
        return false;
    *p = (struct fw_ports){(uint16_t)first, (uint16_t)last};
    return *end == '\0' && first <= last;
}

/* ---- a rule ---------------------------------------------------------------------------------- */

static char *word_next(char **at)
{
    char *word = *at + strspn(*at, " \t\r\n\v\f");
    char *end = word + strcspn(word, " \t\r\n\v\f");

    if (*word == '\0')
        return NULL;
    *at = *end != '\0' ? end + 1 : end;
    *end = '\0';
    return word;
}

static const char *action_parse(struct fw_rule *rule, const char *word)
{
    rule->is_drop = strcmp(word, "DROP") == 0;
    return rule->is_drop || strcmp(word, "ACCEPT") == 0 ? NULL
                                                        : "is no action: write ACCEPT or DROP";
}

static const char *addr_parse(struct fw_net *net, const char *word)
{
    if (word == NULL)
        return "needs a client and a server: write two addresses, as 10.0.0.0/24, fd00::1 or any";
    return net_read(net, word)
               ? NULL
               : "is no address: write one as 10.0.0.1, 10.0.0.0/24, fd00::/64 or any";
}

/* "sport:80" or "dport:80", each at most once. */
static const char *port_parse(struct fw_rule *rule, const char *word)
{
    struct fw_ports *p = NULL;

    if (strncmp(word, "sport:", 6) == 0)
        p = &rule->sport;
    else if (strncmp(word, "dport:", 6) == 0)
        p = &rule->dport;
    if (p == NULL)
        return "is no port: write sport:1024 or dport:80";
    if (p->first != 0 || p->last != 0)
        return "comes twice: write one range of ports, as dport:80-89";
    return ports_read(p, word + 6)
               ? NULL
               : "has no port: write a number up to 65535, or a range as dport:80-89";
}

const char *fw_rule_parse(struct fw_rule *rule, char *text, const char **word)
{
    const char *wrong, *first = word_next(&text);

    *word = first;
    if ((wrong = action_parse(rule, first)) != NULL)
        return wrong;
    if ((wrong = addr_parse(&rule->client, *word = word_next(&text))) != NULL ||
        (wrong = addr_parse(&rule->server, *word = word_next(&text))) != NULL) {
        *word = *word != NULL ? *word : first;
        return wrong;
    }
    if (rule->client.family + rule->server.family == AF_INET + AF_INET6)
        return "is of the other IP version than the client: write two of the same, or any";
    while ((*word = word_next(&text)) != NULL)
        if ((wrong = port_parse(rule, *word)) != NULL)
            return wrong;
    if (rule->sport.last == 0)
        rule->sport.last = UINT16_MAX;
    if (rule->dport.last == 0)
        rule->dport.last = UINT16_MAX;
    return NULL;
}

/* ---- a file ---------------------------------------------------------------------------------- */

/* The line without comment and with one space between words, in place; false: nothing is left. */
static bool line_tidy(char *line)
{
    char *to = line;

    line[strcspn(line, "#")] = '\0';
    for (const char *at = line; *at != '\0'; at++)
        if (!isspace((unsigned char)*at))
            *to++ = *at;
        else if (to > line && to[-1] != ' ')
            *to++ = ' ';
    if (to > line && to[-1] == ' ')
        to--;
    *to = '\0';
    return to > line;
}

static struct fw_rule *rule_add(struct fw_rules *r, const char *text, unsigned line)
{
    struct fw_rule *list = r->list;

    if ((r->n & (r->n - 1)) == 0) /* full at each power of two */
        list = realloc(r->list, (r->n > 0 ? 2 * r->n : 1) * sizeof(*list));
    if (list == NULL)
        return NULL;
    r->list = list;
    r->list[r->n] = (struct fw_rule){.line = line, .text = strdup(text)};
    return r->list[r->n].text != NULL ? &r->list[r->n++] : NULL;
}

static const char *line_take(void *arg, char *line, unsigned number, const char **word)
{
    if (!line_tidy(line))
        return NULL;
    struct fw_rule *rule = rule_add(arg, line, number);
    if (rule != NULL)
        return fw_rule_parse(rule, line, word);
    *word = line;
    return "is one rule too many: no memory";
}

bool fw_rules_read(struct fw_rules *r, const char *path, char *err, size_t err_len)
{
    *r = (struct fw_rules){0};
    return lines_read(path, line_take, r, err, err_len);
}

void fw_rules_free(struct fw_rules *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(r->list[i].text);
    free(r->list);
    *r = (struct fw_rules){0};
}

/* ---- judging --------------------------------------------------------------------------------- */

static bool net_has(const struct fw_net *net, int family, const uint8_t *addr)
{
    unsigned bytes = net->bits / 8, rest = net->bits % 8;

    if (net->family == AF_UNSPEC)
        return true;
    if (net->family != family || memcmp(net->addr, addr, bytes) != 0)
        return false;
    return rest == 0 || ((net->addr[bytes] ^ addr[bytes]) >> (8 - rest)) == 0;
}

static bool ports_have(const struct fw_ports *p, uint16_t port)
{
    return port >= p->first && port <= p->last;
}

const struct fw_rule *fw_rules_judge(struct fw_rules *r, const struct fw_flow *f)
{
    for (size_t i = 0; i < r->n; i++) {
        struct fw_rule *rule = &r->list[i];
        if (ports_have(&rule->dport, f->dport) && ports_have(&rule->sport, f->sport) &&
            net_has(&rule->client, f->family, f->client) &&
            net_has(&rule->server, f->family, f->server)) {
            rule->n_syns++;
            return rule;
        }
    }
    r->n_unmatched++;
    return NULL;
}
