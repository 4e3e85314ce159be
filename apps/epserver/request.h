/*
 * One HTTP/1 request as it arrives, in pieces of any size (RFC 9112). Parsing is http-parser's;
 * what a server must refuse is decided here. No sockets, no files.
 */
#ifndef EPSERVER_REQUEST_H
#define EPSERVER_REQUEST_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUEST_TARGET_MAX 8000    /* bytes of request target: beyond, 414 */
#define REQUEST_HEADER_MAX 16384   /* bytes of header names and values: beyond, 431 */
#define REQUEST_BODY_MAX   1048576 /* bytes of body that are read and ignored: beyond, 413 */

enum request_step {
    REQUEST_MORE, /* feed more */
    REQUEST_DONE, /* complete: answer with `status` (200: what is there), then a new request begins
                   */
    REQUEST_BAD,  /* answer with `status` and close: where the next request begins is unknown */
};

struct request {
    struct request *next_free;
    uint32_t n_body;   /* bytes so far */
    uint16_t n_header; /* bytes of names and values so far */
    uint16_t status;   /* 200, or why it is refused */
    uint16_t target_len;
    bool is_head, keep_alive, is_http10;
    bool in_value, has_expect;
    uint8_t n_hosts;
    uint8_t field; /* enum of request.c: the header that is being read */
    uint8_t name_len, since_len;
    char name[24];  /* of the header that is being read; longer ones are none of ours */
    char since[64]; /* value of If-Modified-Since, NUL-ended */
    char target[REQUEST_TARGET_MAX];
};

/* `parser` is the connection's: set up once, it goes on from request to request. */
void request_parser_init(http_parser *parser);
void request_begin(struct request *r);

/*
 * Feeds `len` bytes.
 *
 *   *used    how many of them belong to this request
 *   returns  what to do; REQUEST_DONE only at the end of the request
 */
enum request_step request_feed(struct request *r, http_parser *parser, const char *data, size_t len,
                               size_t *used);

#endif
