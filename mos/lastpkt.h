/* The packet of the running callback: looking at it, and the verdict on it. */
#ifndef MOS_LASTPKT_H
#define MOS_LASTPKT_H

#include "mos/edit.h"
#include "mos/mon.h"

/* mtcp_getlastpkt of a connection's packet, or of the frame or orphan that `p` is being shown: 0 or
 * -errno (ENODATA, ENOMEM). One of c and p is given. */
MUST_CHECK int lastpkt_get(struct mon *m, const struct mon_conn *c, const struct mon_passive *p,
                           struct pkt_info *out);

/* mtcp_setlastpkt, of the same packets: 0, -EINVAL (option, bounds), -ENODATA, -EPERM (not the
 * verdict step, or not a change that the connection allows), -ENOMEM, and what wire_edit_note()
 * says. e->option may be anything. */
MUST_CHECK int lastpkt_set(struct mon *m, const struct mon_conn *c, const struct mon_passive *p,
                           const struct edit *e);

/* No callback runs any more: frames that were put together for them go. */
void lastpkt_forget(struct mon *m);

/* The packet is what `f` describes from now on: a segment of the same connection. */
void lastpkt_adopt(struct mon *m, struct hook_seg *s, const struct edit_frame *f);

#endif
