/*
 * A connection of the server: what every mode needs of one. About 100 bytes while idle; buffers
 * exist only while a request is incomplete or a response waits for room.
 */
#ifndef EPSERVER_CONN_H
#define EPSERVER_CONN_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct file;
struct lent;
struct request;
struct worker;

/* Bytes that wait: received and not yet looked at, or to be sent. */
struct bytes {
    size_t at, len;
    char data[];
};

/* A response on its way: first `head`, then the file from `at` to `end`. */
struct sending {
    const char *head;
    size_t head_len;
    struct file *file; /* NULL: no content follows. One user is ours */
    uint64_t at, end;
    unsigned status;
    bool close_after;
    size_t n_message;     /* the last bytes of head are content too */
    const char *log_line; /* of the access log, but for the bytes */
    size_t log_line_len;  /* 0: there is none */
};

struct conn {
    struct conn *prev, *next; /* in a conn_list */
    struct conn_list *list;
    uint64_t since_ms; /* when it came to the end of the list */
    int sock;
    bool waits_for_room; /* in the epoll for MOS_EPOLLOUT, else for MOS_EPOLLIN */
    bool peer_ended;     /* read gave 0 */
    bool has_answered;   /* HTTP: a request of it has had its response */
    struct bytes *rest;  /* received, to be handled when there is room again; or NULL */
    union {
        struct {
            http_parser parser;
            struct request *request; /* being received, or NULL */
            struct sending *out;     /* waits for room, or NULL */
            struct lent *lent;       /* what the stack sends from where it lies (lent.h), or NULL */
        } http;
        struct {
            uint64_t n_got;  /* bytes of the incomplete request */
            uint64_t n_owed; /* bytes of responses to be written */
        } rpc;
    };
};

struct conn_list {
    struct conn *oldest, *newest;
};

/* An accepted socket. NULL without memory: the caller closes the socket. */
struct conn *conn_new(struct worker *w, int sock);

/* What is queued is sent, then FIN; or RST at once. Frees all of the connection. */
void conn_close(struct worker *w, struct conn *c);
void conn_abort(struct worker *w, struct conn *c);

/* Something moved: it is the newest of `list` from now on. */
void conn_touch(const struct worker *w, struct conn *c, struct conn_list *list);

/* Wait for room to write instead of bytes to read, or back. False: the connection is gone. */
bool conn_wait_for_room(struct worker *w, struct conn *c, bool for_room);

/* Keeps bytes for later; false without memory. There is no rest yet. */
bool conn_keep(struct conn *c, const char *data, size_t len);

/*
 * Reads what has arrived, at most `room` bytes.
 *
 *   returns  bytes; 0 at the end of the stream (peer_ended); -1 nothing there; -2 the connection
 *            was broken, and is freed
 */
ssize_t conn_read(struct worker *w, struct conn *c, char *buf, size_t room);

#endif
