/*
 * The HTTP of one connection: the bytes of both directions go in, one exchange (a request and its
 * response) after the other comes out, in order. Knows nothing of the library; http-parser reads
 * the messages. RFC 9112: pipelining, interim responses, bodies until the end of the connection;
 * responses without a body to HEAD, of 204 and 304; 101 and CONNECT, after which it is no HTTP.
 *
 * Requests that wait for their response take memory: TALK_BYTES_MAX per connection at most, beyond
 * it the talk is over.
 */
#ifndef HTTPLOG_TALK_H
#define HTTPLOG_TALK_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TALK_BYTES_MAX  (128 << 10)
#define TALK_TARGET_MAX 1024
#define TALK_HOST_MAX   255

/* Who sent the bytes. */
enum talk_from { TALK_CLIENT, TALK_SERVER };

/* What was read of a target or a name: `len` bytes came, of which the first are kept. */
struct talk_text {
    char *bytes;
    size_t len, room;
};

/* A request and its response. Times in microseconds, as they were given to talk_feed(). */
struct exchange {
    struct exchange *next;
    struct talk_text target, host;
    uint64_t begin_at, asked_at;    /* the request's first byte; its last before the response */
    uint64_t first_at, last_at;     /* the response's first byte; its last so far */
    uint64_t n_request, n_response; /* bytes of the messages, interim responses included */
    uint16_t status;                /* 0: none so far */
    uint8_t method;                 /* enum http_method */
    bool has_method;                /* the request's headers are whole, or its target began */
    bool is_asked, is_answered;     /* the message is whole */
};

struct talk {
    http_parser parser[2];        /* by enum talk_from */
    struct exchange *head, *tail; /* what waits for its response, and the request that comes in */
    struct exchange *spare;
    uint64_t now;
    size_t n_bytes; /* of memory of the exchanges */
    void (*tell)(void *arg, const struct exchange *x, const char *note);
    void *arg;
    uint8_t name_len; /* of the header's name that is read; matched so far with "host" */
    bool in_value, is_host;
    bool has_ended;       /* a message was parsed to its end just now */
    bool is_receiving;    /* the request at the tail is not whole */
    bool has_tunnel;      /* it asked for another protocol */
    bool is_request_dead; /* what the client sends is not read any more */
    bool is_over;
};

/*
 * Begins. `tell` is called for each exchange when it is whole, or when it is known that it will not
 * be: then `note` says why, else it is "".
 */
void talk_begin(struct talk *t, void (*tell)(void *arg, const struct exchange *x, const char *note),
                void *arg);

/* The next bytes of a direction, n > 0. False: what follows says nothing, call talk_free(). */
bool talk_feed(struct talk *t, enum talk_from from, const char *bytes, size_t n, uint64_t now_us);

/* The connection is over. `is_orderly`: both sent all that they had to say. `note` is what to say
 * of exchanges that are not whole; NULL: what each of them lacks. */
void talk_end(struct talk *t, bool is_orderly, const char *note);

void talk_free(struct talk *t);

#endif
