/* The keys of mos.conf as tables: what the checker of the text (config_scan.c) knows by name, and
 * what the loader (config.c) stores where. Private to the configuration. */
#ifndef MTCP_CORE_CONFIG_KEYS_H
#define MTCP_CORE_CONFIG_KEYS_H

#include "mtcp/core/config.h"

#include <stddef.h>
#include <stdint.h>

#define CONFIG_KEYS_MAX 64 /* in one section */

/* Sections. Each value of a key belongs to one, and to one instance of it. */
enum config_sec {
    SEC_TOP,
    SEC_MOS,
    SEC_NETDEV,
    SEC_ROUTE,
    SEC_ARP,
    SEC_MONITOR,
    SEC_N,
};

enum config_type {
    KEY_NUM,   /* decimal or 0x hexadecimal, min .. max; stored as number * scale */
    KEY_BYTES, /* the same with a suffix K, M or G */
    KEY_BOOL,  /* 1, 0, true, false, yes, no, on, off */
    KEY_TEXT,  /* stored with its terminator */
    KEY_OWN,   /* `parse` */
};

struct config_key {
    const char *name; /* NULL ends a table */
    enum config_type type;
    uint16_t off;  /* of the field in the section's struct */
    uint16_t size; /* of the field */
    uint32_t scale;
    uint64_t min, max;
    int (*parse)(void *field, const char *text); /* 0 or -EINVAL */
    const char *want;                            /* KEY_OWN: what may be written */
};

/* A section's name in the file ("" for the top) and its keys. */
const char *config_sec_name(enum config_sec sec);
const struct config_key *config_sec_keys(enum config_sec sec);

/* The section that `name` begins inside `in`; SEC_N: none. */
enum config_sec config_sec_find(enum config_sec in, const char *name);
const struct config_key *config_key_find(enum config_sec sec, const char *name);

/* A name or form of mTCP's or mOS's files that is written differently here: what to write, or NULL.
 */
const char *config_replacement(enum config_sec in, const char *name);

/* The known name nearest to a misspelt one, or NULL when none is near. */
const char *config_nearest(enum config_sec in, const char *name);

/* Parsers used for titles as well. */
int config_parse_prefix(struct ip_addr *addr, uint8_t *prefix_len, const char *text);
int config_parse_mac(struct mac_addr *mac, const char *text);

#endif
