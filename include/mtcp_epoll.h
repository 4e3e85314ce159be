#ifndef MTCP_EPOLL_H
#define MTCP_EPOLL_H

#include "mtcp_api.h"

#ifdef __cplusplus
extern "C" {
#endif

enum mtcp_epoll_op {
    MOS_EPOLL_CTL_ADD = 1,
    MOS_EPOLL_CTL_DEL = 2,
    MOS_EPOLL_CTL_MOD = 3
};

enum epoll_event_type {
    MOS_EPOLLNONE = 0x1,
    MOS_EPOLLIN = 0x2,
    MOS_EPOLLPRI = 0x4,
    MOS_EPOLLOUT = 0x8,
    MOS_EPOLLRDNORM = 0x10,
    MOS_EPOLLRDBAND = 0x20,
    MOS_EPOLLWRNORM = 0x40,
    MOS_EPOLLWRBAND = 0x80,
    MOS_EPOLLMSG = 0x100,
    MOS_EPOLLERR = 0x200,
    MOS_EPOLLHUP = 0x400,
    MOS_EPOLLRDHUP = 0x800,
    MOS_EPOLLONESHOT = 1 << 30
};
#define MOS_EPOLLET (1u << 31)

typedef union mtcp_epoll_data {
    void *ptr;
    int sock;
    int sockid; /* the same under mTCP's name */
    uint32_t u32;
    uint64_t u64;
} mtcp_epoll_data_t;

struct mtcp_epoll_event {
    uint64_t events;
    mtcp_epoll_data_t data;
};

int mtcp_epoll_create(mctx_t mctx, int size);
int mtcp_epoll_create1(mctx_t mctx, int flags);
int mtcp_epoll_ctl(mctx_t mctx, int epid, int op, int sockid, struct mtcp_epoll_event *event);
int mtcp_epoll_wait(mctx_t mctx, int epid, struct mtcp_epoll_event *events, int maxevents,
                    int timeout);
int mtcp_epoll_add_fd(mctx_t mctx, int epid, int fd, struct mtcp_epoll_event *event);
int mtcp_epoll_del_fd(mctx_t mctx, int epid, int fd);

#ifdef __cplusplus
}
#endif

#endif
