/* The monitor of a context, and its sockets by id. */
#ifndef MOS_MONITOR_H
#define MOS_MONITOR_H

#include "mos/mon.h"

/* The active, or the passive or raw socket of an id; NULL and errno: EBADF, or `wrong_kind` when it
 * is another kind of socket. */
struct watch *mon_watch(struct mon *m, int sock, int wrong_kind);
struct mon_passive *mon_passive(struct mon *m, int sock, int wrong_kind);

/* What both kinds have; the pointers are NULL when there is none. */
struct mon_sock {
    struct watch *watch;
    struct mon_passive *passive;
};

/* Either: 0, or -1 and errno (EBADF, ENOTSOCK). */
int mon_sock_find(struct mon *m, int sock, struct mon_sock *s);

/* mtcp_register_callback, mtcp_unregister_callback: 0, -EINVAL, -ENOENT, -ENOMEM. */
MUST_CHECK int mon_sock_register(struct mon *m, const struct mon_sock *s, const struct cb_at *at,
                                 callback_t cb);
MUST_CHECK int mon_sock_unregister(struct mon *m, const struct mon_sock *s, const struct cb_at *at);

#endif
