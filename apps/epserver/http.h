/* HTTP/1.1 on a connection: requests in, files out, one response after the other. */
#ifndef EPSERVER_HTTP_H
#define EPSERVER_HTTP_H

#include <stdbool.h>

struct conn;
struct worker;

void http_begin(struct conn *c);
void http_end(struct worker *w, struct conn *c); /* frees what HTTP holds of it */

/* The epoll has reported the connection; it may be freed on return. */
void http_ready(struct worker *w, struct conn *c);

/* Is it between two requests, or has it been without one for long? Then others may have its place
 * (RFC 9112 9.3.1). */
bool http_is_idle(const struct worker *w, const struct conn *c);

/* Nothing moved for too long; frees the connection or answers 408. */
void http_timeout(struct worker *w, struct conn *c);

/* Frees the pool of requests. */
void http_fini(struct worker *w);

#endif
