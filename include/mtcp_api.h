#ifndef MTCP_API_H
#define MTCP_API_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mtcp_context {
    int cpu;
};
typedef struct mtcp_context *mctx_t;

typedef unsigned char byte;

#ifndef INPORT_ANY
#define INPORT_ANY ((uint16_t)0)
#endif

enum socket_type {
    MOS_SOCK_UNUSED = 0,
    MOS_SOCK_STREAM_LISTEN = 1,
    MOS_SOCK_PROXY_LISTEN = 2,
    MOS_SOCK_MONITOR_STREAM = 3,
    MOS_SOCK_STREAM = 4,
    MOS_SOCK_PROXY = 5,
    MOS_SOCK_MONITOR_STREAM_ACTIVE = 6,
    MOS_SOCK_MONITOR_RAW = 7,
    MOS_SOCK_EPOLL = 8,
    MOS_SOCK_PIPE = 9
};

struct mtcp_conf {
    int num_cores;
    int max_concurrency;
    int num_ip;
    uint64_t cpu_mask;
    int max_num_buffers;
    int rcvbuf_size;
    int sndbuf_size;
    int tcp_timewait;
    int tcp_timeout;
};

typedef void (*mtcp_sighandler_t)(int);

/* ---- life cycle ------------------------------------------------------------------------------ */

int mtcp_init(const char *config_file);
int mtcp_destroy(void);
int mtcp_getconf(struct mtcp_conf *conf);
int mtcp_setconf(const struct mtcp_conf *conf);
int mtcp_core_affinitize(int cpu);
mctx_t mtcp_create_context(int cpu);
int mtcp_destroy_context(mctx_t mctx);
void mtcp_app_join(mctx_t mctx);
mtcp_sighandler_t mtcp_register_signal(int signum, mtcp_sighandler_t handler);
uint32_t mtcp_get_connection_cnt(mctx_t mctx);
int mtcp_init_rss(mctx_t mctx, in_addr_t saddr_base, int num_addr, in_addr_t daddr,
                  in_addr_t dport);

/* ---- endpoint sockets ------------------------------------------------------------------------ */

int mtcp_socket(mctx_t mctx, int domain, int type, int protocol);
int mtcp_bind(mctx_t mctx, int sockid, const struct sockaddr *addr, socklen_t addrlen);
int mtcp_listen(mctx_t mctx, int sockid, int backlog);
int mtcp_accept(mctx_t mctx, int sockid, struct sockaddr *addr, socklen_t *addrlen);
int mtcp_accept4(mctx_t mctx, int sockid, struct sockaddr *addr, socklen_t *addrlen, int flags);
int mtcp_connect(mctx_t mctx, int sockid, const struct sockaddr *addr, socklen_t addrlen);
int mtcp_close(mctx_t mctx, int sockid);
int mtcp_abort(mctx_t mctx, int sockid);
int mtcp_shutdown(mctx_t mctx, int sockid, int how);
ssize_t mtcp_read(mctx_t mctx, int sockid, char *buf, size_t len);
ssize_t mtcp_recv(mctx_t mctx, int sockid, char *buf, size_t len, int flags);
ssize_t mtcp_readv(mctx_t mctx, int sockid, const struct iovec *iov, int iovcnt);
ssize_t mtcp_write(mctx_t mctx, int sockid, const char *buf, size_t len);
ssize_t mtcp_send(mctx_t mctx, int sockid, const char *buf, size_t len, int flags);
ssize_t mtcp_writev(mctx_t mctx, int sockid, const struct iovec *iov, int iovcnt);
int mtcp_getsockname(mctx_t mctx, int sockid, struct sockaddr *addr, socklen_t *addrlen);
int mtcp_getpeername(mctx_t mctx, int sockid, struct sockaddr *addr, socklen_t *addrlen, int side);
int mtcp_ioctl(mctx_t mctx, int sockid, int request, void *argp);
int mtcp_setsock_nonblock(mctx_t mctx, int sockid);
int mtcp_pipe(mctx_t mctx, int pipeid[2]);
int mtcp_getsockopt(mctx_t mctx, int sockid, int level, int optname, void *optval,
                    socklen_t *optlen);
int mtcp_setsockopt(mctx_t mctx, int sockid, int level, int optname, const void *optval,
                    socklen_t optlen);

#ifdef __cplusplus
}
#endif

#include "mos_api.h"
#include "mtcp_epoll.h"

#endif
