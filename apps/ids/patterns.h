/*
 * The patterns of ids. One a line, # begins a comment where a word would begin:
 *
 *     ACTION  SIDE  NAME        PATTERN
 *     reset   svr   traversal   /\.\.\/\.\.\//
 *     drop    svr   shellshock  /\(\)\s*\{\s*:;/s
 *     log     both  password    /password=/i
 *
 * SIDE is who receives the bytes: `svr` those the client sends, `cli` those the server sends,
 * `both`. PATTERN is a regular expression as Hyperscan takes it (PCRE without back references and
 * assertions), between slashes: up to the last slash of the line. Behind it, any of: i (case does
 * not matter), s (. is a newline too), m (^ and $ at each line), u (UTF-8).
 */
#ifndef IDS_PATTERNS_H
#define IDS_PATTERNS_H

#include <mos_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ids_action {
    IDS_LOG,   /* a line, nothing else */
    IDS_DROP,  /* a packet that has it alone is dropped; a stream that has it is reset */
    IDS_RESET, /* the connection is reset */
};

struct ids_pattern {
    enum ids_action action;
    bool is_for[2];       /* by enum mos_side: who receives */
    unsigned line, flags; /* flags: HS_FLAG_* */
    char *name, *regex;
};

struct ids_patterns {
    struct ids_pattern *list;
    size_t n;
};

/*
 * Reads a file of patterns.
 *
 *   p        to be given to ids_patterns_free(), after a failure too
 *   err      on failure one line: file, line, what is wrong, what to write
 *   returns  false: a bad line, no line at all, a file that can't be read, or no memory. That
 *            Hyperscan takes the expressions is not known yet
 */
bool ids_patterns_read(struct ids_patterns *p, const char *path, char *err, size_t err_len);
void ids_patterns_free(struct ids_patterns *p);

const char *ids_action_name(enum ids_action action);

#endif
