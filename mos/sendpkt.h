/* Packets of a monitor's own. */
#ifndef MOS_SENDPKT_H
#define MOS_SENDPKT_H

#include "mos/mon.h"

/* mtcp_sendpkt; `c`: the connection whose link a link-local destination is on, or NULL. 0 or -errno
 * (EFAULT, EINVAL, EMSGSIZE, EHOSTUNREACH, ENOBUFS). */
MUST_CHECK int sendpkt(struct mon *m, const struct mon_conn *c, const struct pkt_info *p);

#endif
