/*
 * Where the contexts of a process put what they have measured, so that one of them can show it all.
 * Each has a slot and writes to it now and then; a lock is held while numbers are copied, and who
 * does not get it at once tries again with its next look.
 */
#ifndef TCPSTAT_BOARD_H
#define TCPSTAT_BOARD_H

#include "apps/tcpstat/table.h"
#include "apps/tcpstat/totals.h"

#include <stdbool.h>

/* What is to be seen of one context, or of several. */
struct picture {
    struct totals totals;
    struct table live;  /* connections that are open */
    struct table ended; /* ... and that were */
};

struct board_slot {
    struct board_slot *next;
    struct picture picture;
};

/* `s` stays where it is until board_leave(). */
void board_join(struct board_slot *s);

/* What this context has measured so far; false: somebody looks at the board. */
bool board_put(struct board_slot *s, const struct picture *p);

/* The last picture of a context. True: no other is left. */
bool board_leave(struct board_slot *s, const struct picture *p);

/* All contexts together, also those that have left; tables sorted in the order they have. False:
 * the board is in use. */
bool board_get(struct picture *p);

#endif
