/*
 * A first pass over the text of mos.conf, before libconfuse sees it: that library silently takes a
 * missing brace, lets a repeated key override, expands ${VAR} and forgets where a value stood. Here
 * the braces, names and repetitions are checked, and each value's line is remembered.
 */
#ifndef MTCP_CORE_CONFIG_SCAN_H
#define MTCP_CORE_CONFIG_SCAN_H

#include "mtcp/core/config_keys.h"

#include <stddef.h>
#include <stdint.h>

#define CONFIG_WORD_MAX 1024 /* bytes of one name, title or value, with its terminator */
#define CONFIG_SECS_MAX 256  /* instances of all sections */

/* Where a complaint goes, and the file that it names. */
struct config_err {
    char *text;
    size_t len;
    const char *file;
};

struct config_place {
    enum config_sec sec;
    const struct config_key *key; /* NULL: the section itself */
    unsigned instance;            /* the how-many-th of its kind, from 0 */
    unsigned line;
};

struct config_scan {
    char *text;
    size_t len, at;
    unsigned line;
    struct config_err err;
    struct config_place *places; /* grown; config_scan_free() */
    size_t n_places, room;
    char titles[CONFIG_SECS_MAX][64];
    enum config_sec title_sec[CONFIG_SECS_MAX];
    unsigned n_titles;
    unsigned n_secs[SEC_N]; /* instances seen */
};

/* 0, -EINVAL or -ENOMEM with one line in err. Comments in the text become blanks: libconfuse takes
 * them between statements only. `s` is large: not for the stack of a small thread. */
MUST_CHECK int config_scan(struct config_scan *s, char *text, const struct config_err *err);
void config_scan_free(struct config_scan *s);

/* The line of a key's value; of its section when the key is absent. */
unsigned config_scan_line(const struct config_scan *s, enum config_sec sec, unsigned instance,
                          const struct config_key *key);

/* "FILE:LINE: NAME: what" to err. Returns -EINVAL. */
int config_complain(const struct config_err *err, unsigned line, const char *name, const char *fmt,
                    ...) __attribute__((format(printf, 4, 5)));

#endif
