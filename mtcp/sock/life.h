/* Between life.c, join.c, signals.c and devices.c. */
#ifndef MTCP_SOCK_LIFE_H
#define MTCP_SOCK_LIFE_H

#include "mtcp/sock/sock.h"

/* A context with sockets and monitors; how->msg is filled here. NULL with errno and one line on
 * standard error. */
struct mtcp_context *context_create(struct ctx_create *how);

/* Closes every socket, sends what is queued for the configured time, resets the rest, frees. */
void context_end(struct mtcp_ctx *ctx);

/* Waits until another thread that runs the context for the calling one has ended (mtcp_app_join).
 */
void context_join(struct mtcp_context *mctx);

/* Is the calling thread inside a handler set by mtcp_register_signal? */
bool signal_is_handled(void);

#endif
