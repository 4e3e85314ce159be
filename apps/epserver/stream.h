/* The two modes without HTTP: echo sends back what arrives; rpc answers every n bytes with m. */
#ifndef EPSERVER_STREAM_H
#define EPSERVER_STREAM_H

struct conn;
struct worker;

/* The epoll has reported the connection; it may be freed on return. */
void echo_ready(struct worker *w, struct conn *c);
void rpc_ready(struct worker *w, struct conn *c);

#endif
