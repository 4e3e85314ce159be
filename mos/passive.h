/* Passive and raw sockets: what a monitor wants to see of which connections, or frames. */
#ifndef MOS_PASSIVE_H
#define MOS_PASSIVE_H

#include "mos/mon.h"

/* A new MOS_SOCK_MONITOR_STREAM or MOS_SOCK_MONITOR_RAW: its id, or -1 and errno (EMFILE, ENOMEM).
 */
int passive_create(struct mon *m, int type);

/* Frees the record; its watches must be gone and its id freed (dispatch.h: passive_stop). */
void passive_free(struct mon_passive *p);

/* mtcp_bind_monitor_filter: 0, -EINVAL, -ENOMEM; on failure the scope is as before. */
MUST_CHECK int passive_bind(struct mon_passive *p, const union monitor_filter *ft);

/* Does it want the connection whose first SYN this is? */
bool passive_wants(const struct mon_passive *p, const struct hook_seg *syn);

#endif
