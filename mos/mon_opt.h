/*
 * Options, addresses and the end of monitor sockets: what the public calls that exist for every
 * socket do with ours. SOL_MONSOCKET as API.md's table decides it.
 */
#ifndef MOS_MON_OPT_H
#define MOS_MON_OPT_H

#include "mtcp/tcp/hook.h"

extern const struct hook_sock_ops mon_active_ops;  /* arg: struct watch */
extern const struct hook_sock_ops mon_passive_ops; /* arg: struct mon_passive */
extern const struct hook_sock_ops mon_raw_ops;     /* the same */

#endif
