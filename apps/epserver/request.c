#include "apps/epserver/request.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum field { FIELD_OTHER, FIELD_HOST, FIELD_SINCE, FIELD_EXPECT };

/* A request that is refused keeps its first reason. */
static void refuse(struct request *r, unsigned status)
{
    if (r->status == HTTP_STATUS_OK)
        r->status = (uint16_t)status;
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
    struct request *r = parser->data;

    if (len > REQUEST_TARGET_MAX - (size_t)r->target_len) {
        refuse(r, HTTP_STATUS_URI_TOO_LONG);
        return -1;
    }
    memcpy(r->target + r->target_len, at, len);
    r->target_len = (uint16_t)(r->target_len + len);
    return 0;
}

/* Counts bytes of headers; nonzero when they are too many. */
static int header_count(struct request *r, size_t len)
{
    if (len > REQUEST_HEADER_MAX - (size_t)r->n_header) {
        refuse(r, HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE);
        return -1;
    }
    r->n_header = (uint16_t)(r->n_header + len);
    return 0;
}

static int on_header_field(http_parser *parser, const char *at, size_t len)
{
    struct request *r = parser->data;

    if (r->in_value)
        r->name_len = 0;
    r->in_value = false;
    if (header_count(r, len) != 0)
        return -1;
    if (len > sizeof(r->name) - r->name_len) { /* too long for ours: no name fits it */
        memset(r->name, 0, sizeof(r->name));
        r->name_len = sizeof(r->name);
        return 0;
    }
    memcpy(r->name + r->name_len, at, len);
    r->name_len = (uint8_t)(r->name_len + len);
    return 0;
}

static bool is_name(const struct request *r, const char *name)
{
    return r->name_len == strlen(name) && strncasecmp(r->name, name, r->name_len) == 0;
}

static enum field field_of(const struct request *r)
{
    if (is_name(r, "Host"))
        return FIELD_HOST;
    if (is_name(r, "If-Modified-Since"))
        return FIELD_SINCE;
    return is_name(r, "Expect") ? FIELD_EXPECT : FIELD_OTHER;
}

/* The first piece of a value: which header it belongs to is known now. */
static void value_begin(struct request *r)
{
    r->in_value = true;
    r->field = (uint8_t)field_of(r);
    r->n_hosts = (uint8_t)(r->n_hosts + (r->field == FIELD_HOST && r->n_hosts < 2));
    r->has_expect = r->has_expect || r->field == FIELD_EXPECT;
    if (r->field == FIELD_SINCE)
        r->since_len = 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t len)
{
    struct request *r = parser->data;

    if (!r->in_value)
        value_begin(r);
    if (r->field != FIELD_SINCE)
        return header_count(r, len);
    if (len >= sizeof(r->since) - r->since_len)
        len = sizeof(r->since) - r->since_len - 1; /* too long for a date: it will not parse */
    memcpy(r->since + r->since_len, at, len);
    r->since_len = (uint8_t)(r->since_len + len);
    return header_count(r, len);
}

static void method_check(struct request *r, const http_parser *parser)
{
    r->is_head = parser->method == HTTP_HEAD;
    if (parser->method != HTTP_GET && parser->method != HTTP_HEAD)
        refuse(r, HTTP_STATUS_METHOD_NOT_ALLOWED);
}

/* Does the client wait for our word before it sends the body? Of HTTP/1.0, or without a body, the
 * expectation means nothing (RFC 9110 10.1.1). */
static bool waits_for_word(const struct request *r, const http_parser *parser)
{
    bool has_body = (parser->content_length != UINT64_MAX && parser->content_length > 0) ||
                    (parser->flags & F_CHUNKED);
    return r->has_expect && !r->is_http10 && has_body;
}

/* All headers are there. Nonzero stops the parser: the body is not wanted. */
static int on_headers_complete(http_parser *parser)
{
    struct request *r = parser->data;
    bool has_length = parser->content_length != UINT64_MAX;

    r->since[r->since_len] = '\0';
    r->is_http10 = parser->http_minor == 0;
    if (parser->http_major != 1)
        refuse(r, HTTP_STATUS_HTTP_VERSION_NOT_SUPPORTED);
    else if (r->n_hosts > 1 || (r->n_hosts == 0 && !r->is_http10)) /* RFC 9112 3.2 */
        refuse(r, HTTP_STATUS_BAD_REQUEST);
    method_check(r, parser);
    if (has_length && parser->content_length > REQUEST_BODY_MAX)
        refuse(r, HTTP_STATUS_PAYLOAD_TOO_LARGE);
    else if (waits_for_word(r, parser))
        refuse(r, HTTP_STATUS_EXPECTATION_FAILED);
    else
        return 0;
    return -1;
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
    struct request *r = parser->data;

    (void)at;
    r->n_body = len > REQUEST_BODY_MAX ? REQUEST_BODY_MAX + 1 : r->n_body + (uint32_t)len;
    if (r->n_body <= REQUEST_BODY_MAX)
        return 0;
    refuse(r, HTTP_STATUS_PAYLOAD_TOO_LARGE);
    return -1;
}

static int on_message_complete(http_parser *parser)
{
    struct request *r = parser->data;

    r->keep_alive = http_should_keep_alive(parser) != 0;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

void request_parser_init(http_parser *parser)
{
    http_parser_init(parser, HTTP_REQUEST);
}

void request_begin(struct request *r)
{
    memset(r, 0, offsetof(struct request, name));
    r->status = HTTP_STATUS_OK;
}

/* What the parser found wrong, as a status; `at` is the character it stopped at. */
static enum request_step parser_refused(struct request *r, const http_parser *parser, char at)
{
    bool is_word = isalnum((unsigned char)at) || at == '-' || at == '_';

    switch (HTTP_PARSER_ERRNO(parser)) {
    case HPE_INVALID_METHOD: /* a method there is not, or no method at all */
        refuse(r, is_word ? HTTP_STATUS_NOT_IMPLEMENTED : HTTP_STATUS_BAD_REQUEST);
        break;
    case HPE_HEADER_OVERFLOW:
        refuse(r, HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE);
        break;
    default: /* a callback of ours has set its status already */
        refuse(r, HTTP_STATUS_BAD_REQUEST);
    }
    return REQUEST_BAD;
}

enum request_step request_feed(struct request *r, http_parser *parser, const char *data, size_t len,
                               size_t *used)
{
    parser->data = r;
    *used = http_parser_execute(parser, &settings, data, len);
    if (HTTP_PARSER_ERRNO(parser) == HPE_PAUSED) {
        http_parser_pause(parser, 0);
        return REQUEST_DONE;
    }
    if (HTTP_PARSER_ERRNO(parser) != HPE_OK)
        return parser_refused(r, parser, *used < len ? data[*used] : '\0');
    return REQUEST_MORE;
}
