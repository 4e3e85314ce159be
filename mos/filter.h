/*
 * Filters in pcap-filter(7)'s language, judged on the frame of a segment. A segment whose frame is
 * not at hand in one piece is judged on headers rebuilt from it.
 */
#ifndef MOS_FILTER_H
#define MOS_FILTER_H

#include "mtcp/base/bug.h"
#include "mtcp/base/mem.h"
#include "mtcp/tcp/hook.h"

#include <stdbool.h>

struct filter; /* NULL: everything passes */

/* Compiles `text` (NULL or "": *out is NULL). 0, -EINVAL (syntax), -ENOMEM. */
MUST_CHECK int filter_compile(struct mem *mem, const char *text, struct filter **out);
void filter_free(struct mem *mem, struct filter *f);

/* Is the segment in scope? `p` is what the parser made of its frame; NULL when there is none. */
bool filter_match(const struct filter *f, const struct hook_seg *s, const struct packet *p);

#endif
