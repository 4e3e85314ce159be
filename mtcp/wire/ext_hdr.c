/* Extension headers of IPv6 (RFC 8200 4, RFC 5095, RFC 6946, RFC 7045). */
#include "mtcp/wire/ext_hdr.h"

#include "mtcp/wire/hdr.h"

#include <errno.h>
#include <stddef.h>

enum {
    EXT_HOP_BY_HOP = 0,
    EXT_ROUTING = 43,
    EXT_FRAGMENT_HDR = 44,
    EXT_DST_OPTIONS = 60,
};

enum { EXT_UNIT = 8 }; /* every header is a multiple of this long, and at least this */

/* Codes of ICMPv6's parameter problem (RFC 4443 3.4). */
enum { BAD_FIELD = 0, UNKNOWN_NEXT_HDR = 1, UNKNOWN_OPTION = 2 };

#define FRAGMENT_REST_MASK 0xfff9u /* offset and more-fragments, without the reserved bits */

/* Where the walk is. */
struct walk {
    struct ext_chain *c;
    struct piece ip;
    uint32_t next_hdr_at; /* of the field that says what comes now */
};

static int problem(const struct walk *w, uint8_t code, uint32_t pointer)
{
    w->c->end = EXT_PROBLEM;
    w->c->code = code;
    w->c->pointer = pointer;
    return 0;
}

/* ---- options -------------------------------------------------------------------------------- */

/* An option that nobody here knows says itself what is to be done (RFC 8200 4.2). */
static int unknown_option(const struct walk *w, uint32_t at)
{
    switch (w->ip.at[at] >> 6) {
    case 0:
        return 0;
    case 1:
        return -EBADMSG;
    case 2:
        return problem(w, UNKNOWN_OPTION, at);
    default:
        return w->ip.at[offsetof(struct ipv6_hdr, dst)] == 0xff ? -EBADMSG
                                                                : problem(w, UNKNOWN_OPTION, at);
    }
}

/* The options from `at` to `end`; all but the padding is unknown (what a router alert, RFC 2711,
 * asks is for routers). */
static int walk_options(const struct walk *w, uint32_t at, uint32_t end)
{
    enum { PAD1 = 0, PADN = 1 };
    while (at < end && w->c->end != EXT_PROBLEM) {
        const uint8_t *opt = w->ip.at + at;
        if (opt[0] == PAD1) {
            at++;
            continue;
        }
        if (end - at < 2 || opt[1] > end - at - 2)
            return -EBADMSG;
        int err = opt[0] == PADN ? 0 : unknown_option(w, at);
        if (err)
            return err;
        at += 2u + opt[1];
    }
    return 0;
}

/* ---- headers -------------------------------------------------------------------------------- */

/* A fragment header at `at`: more of the chain follows only when the packet is whole. */
static void fragment(const struct walk *w, const uint8_t *hdr)
{
    w->c->has_fragment = true;
    if ((load_be16(hdr + 2) & FRAGMENT_REST_MASK) != 0) {
        w->c->end = EXT_FRAGMENT;
        w->c->frag_ref = w->next_hdr_at;
    }
}

/* One header of `size` bytes at c->len. */
static int walk_header(const struct walk *w, uint32_t size)
{
    struct ext_chain *c = w->c;
    const uint8_t *hdr = w->ip.at + c->len;
    switch (c->proto) {
    case EXT_HOP_BY_HOP: /* first or nowhere (RFC 8200 4.1) */
        if (c->len != IPV6_HDR_LEN)
            return problem(w, UNKNOWN_NEXT_HDR, w->next_hdr_at);
        return walk_options(w, c->len + 2, c->len + size);
    case EXT_DST_OPTIONS:
        return walk_options(w, c->len + 2, c->len + size);
    case EXT_ROUTING: /* no kind of it is known here: fine once nothing is left to visit */
        return hdr[3] == 0 ? 0 : problem(w, BAD_FIELD, c->len + 2);
    default:
        fragment(w, hdr);
        return 0;
    }
}

static bool is_extension(uint8_t proto)
{
    return proto == EXT_HOP_BY_HOP || proto == EXT_ROUTING || proto == EXT_FRAGMENT_HDR ||
           proto == EXT_DST_OPTIONS;
}

int ext_hdr_walk(struct ext_chain *c, struct piece ip)
{
    const uint32_t first_at = offsetof(struct ipv6_hdr, next_hdr);
    *c = (struct ext_chain){.end = EXT_UPPER, .proto = ip.at[first_at], .len = IPV6_HDR_LEN};
    struct walk w = {c, ip, first_at};
    for (unsigned n = 0; is_extension(c->proto) && c->end == EXT_UPPER; n++) {
        const uint8_t *hdr = ip.at + c->len;
        if (n == EXT_HDR_MAX)
            return -ENOTSUP;
        if (ip.len - c->len < EXT_UNIT)
            return -EBADMSG;
        uint32_t size = c->proto == EXT_FRAGMENT_HDR ? EXT_UNIT : (hdr[1] + 1u) * EXT_UNIT;
        if (size > ip.len - c->len)
            return -EBADMSG;
        int err = walk_header(&w, size);
        if (err || c->end == EXT_PROBLEM)
            return err;
        w.next_hdr_at = c->len;
        c->proto = hdr[0];
        c->len += size;
    }
    return 0;
}
