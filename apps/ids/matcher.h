/*
 * The patterns of ids, compiled by Hyperscan: all of them for streams, in which a match may lie
 * across any number of pieces; and those of action drop for single packets. One per context: its
 * scratch memory is used by one scan at a time.
 */
#ifndef IDS_MATCHER_H
#define IDS_MATCHER_H

#include "apps/ids/patterns.h"

#include <hs/hs.h>

struct matcher {
    struct ids_patterns patterns;
    hs_database_t *streams, *packets; /* packets: NULL, no pattern drops */
    hs_scratch_t *scratch;
    bool streams_to[2], packets_to[2]; /* by enum mos_side: is there a pattern for it? */
};

/* A pattern was found that is for `side`; `end`: offset behind the match, from where the scan or
 * the stream began. True: enough, stop. */
typedef bool (*matcher_found)(void *arg, const struct ids_pattern *p, uint64_t end);

/* One scan: of what, and who is told. */
struct matcher_scan {
    struct matcher *matcher;
    int side; /* who receives the bytes */
    matcher_found found;
    void *arg;
};

/*
 * Reads the patterns and compiles them.
 *
 *   m        to be given to matcher_close(), after a failure too
 *   err      on failure one line: file, line, what is wrong
 *   returns  false: a bad pattern, no memory, or a CPU on which Hyperscan can't run
 */
bool matcher_open(struct matcher *m, const char *path, char *err, size_t err_len);
void matcher_close(struct matcher *m);

/* The bytes of one packet. */
void matcher_packet(const struct matcher_scan *s, const void *bytes, size_t n);

/* The next bytes of a stream, which begins with the first call (*stream NULL). False: no memory. */
bool matcher_stream(const struct matcher_scan *s, hs_stream_t **stream, const void *bytes,
                    size_t n);

/* The stream begins anew: bytes are missing here. Or it ends: a pattern that holds at the end only
 * is found now. */
void matcher_stream_restart(const struct matcher_scan *s, hs_stream_t *stream);
void matcher_stream_end(const struct matcher_scan *s, hs_stream_t **stream);

#endif
