#include "apps/httplog/talk.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SPARE_BYTES_MAX 512

/* ---- exchanges ------------------------------------------------------------------------------- */

static void exchange_free(struct exchange *x)
{
    if (x == NULL)
        return;
    free(x->target.bytes);
    free(x->host.bytes);
    free(x);
}

static size_t exchange_bytes(const struct exchange *x)
{
    return sizeof(*x) + x->target.room + x->host.room;
}

/* An empty one, with the memory of the one before if there was one. NULL: no memory. */
static struct exchange *exchange_new(struct talk *t)
{
    struct exchange *x = t->spare;

    t->spare = NULL;
    if (x == NULL)
        x = calloc(1, sizeof(*x));
    if (x == NULL)
        return NULL;
    *x = (struct exchange){
        .target = {.bytes = x->target.bytes, .room = x->target.room},
        .host = {.bytes = x->host.bytes, .room = x->host.room},
        .begin_at = t->now,
    };
    t->n_bytes += exchange_bytes(x);
    if (t->tail != NULL)
        t->tail->next = x;
    else
        t->head = x;
    t->tail = x;
    return x;
}

/* Its memory serves the next one, unless it is much. */
static void exchange_pop(struct talk *t)
{
    struct exchange *x = t->head;

    t->head = x->next;
    if (t->head == NULL)
        t->tail = NULL;
    t->n_bytes -= exchange_bytes(x);
    if (t->spare == NULL && exchange_bytes(x) <= SPARE_BYTES_MAX)
        t->spare = x;
    else
        exchange_free(x);
}

/* The request that comes in is none after all. */
static void exchange_unreceive(struct talk *t)
{
    struct exchange **at = &t->head, *last = NULL;

    while (*at != t->tail) {
        last = *at;
        at = &last->next;
    }
    t->n_bytes -= exchange_bytes(*at);
    exchange_free(*at);
    *at = NULL;
    t->tail = last;
    t->is_receiving = false;
}

/* Takes more of a text, keeps up to max bytes of it. False: no memory. */
static bool text_add(struct talk *t, struct talk_text *text, size_t max, const char *bytes,
                     size_t n)
{
    size_t kept = text->len < max ? text->len : max;
    size_t more = n < max - kept ? n : max - kept;

    if (kept + more > text->room) {
        size_t room = text->room > 0 ? text->room : 32;
        while (room < kept + more)
            room *= 2;
        char *p = realloc(text->bytes, room);
        if (p == NULL)
            return false;
        t->n_bytes += room - text->room;
        text->bytes = p;
        text->room = room;
    }
    if (more > 0) /* of an empty one there is no memory yet */
        memcpy(text->bytes + kept, bytes, more);
    text->len += n;
    return true;
}

static void exchange_tell(struct talk *t, const char *note)
{
    t->tell(t->arg, t->head, note);
    exchange_pop(t);
}

/* Those at the head of which both messages are whole. */
static void exchanges_tell(struct talk *t)
{
    while (t->head != NULL && t->head->is_asked && t->head->is_answered)
        exchange_tell(t, "");
}

/* ---- requests -------------------------------------------------------------------------------- */

static int on_request(http_parser *parser)
{
    struct talk *t = parser->data;

    t->is_receiving = exchange_new(t) != NULL;
    t->name_len = 0;
    t->in_value = t->is_host = false;
    return t->is_receiving ? 0 : -1;
}

static int on_target(http_parser *parser, const char *at, size_t len)
{
    struct talk *t = parser->data;

    t->tail->method = (uint8_t)parser->method;
    t->tail->has_method = true;
    return text_add(t, &t->tail->target, TALK_TARGET_MAX, at, len) ? 0 : -1;
}

/* Names come in pieces: how much of "host" the name has been so far; 5: it is another. */
static int on_name(http_parser *parser, const char *at, size_t len)
{
    struct talk *t = parser->data;

    if (t->in_value)
        t->name_len = 0;
    t->in_value = false;
    if (t->name_len + len <= 4 && strncasecmp("host" + t->name_len, at, len) == 0)
        t->name_len = (uint8_t)(t->name_len + len);
    else
        t->name_len = 5;
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t len)
{
    struct talk *t = parser->data;

    if (!t->in_value)
        t->is_host = t->name_len == 4 && t->tail->host.len == 0;
    t->in_value = true;
    return !t->is_host || text_add(t, &t->tail->host, TALK_HOST_MAX, at, len) ? 0 : -1;
}

static int on_request_headers(http_parser *parser)
{
    struct talk *t = parser->data;

    t->has_tunnel = t->has_tunnel || parser->upgrade;
    return 0;
}

static int on_request_end(http_parser *parser)
{
    struct talk *t = parser->data;

    t->tail->is_asked = true;
    t->has_ended = true;
    http_parser_pause(parser, 1); /* so that parse() learns where it ended */
    return 0;
}

static const http_parser_settings of_requests = {
    .on_message_begin = on_request,
    .on_url = on_target,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_request_headers,
    .on_message_complete = on_request_end,
};

/* ---- responses ------------------------------------------------------------------------------- */

/* Unasked, or before the one asked for has been answered: it is no HTTP. */
static int on_response(http_parser *parser)
{
    const struct talk *t = parser->data;

    return t->head != NULL && !t->head->is_answered ? 0 : -1;
}

/* 1: there is no body, whatever the headers say (RFC 9112 section 6.3). */
static int on_response_headers(http_parser *parser)
{
    const struct talk *t = parser->data;
    unsigned status = parser->status_code;

    t->head->status = (uint16_t)status;
    return t->head->method == HTTP_HEAD || status / 100 == 1 || status == 204 || status == 304 ||
           (t->head->method == HTTP_CONNECT && status / 100 == 2);
}

static int on_response_end(http_parser *parser)
{
    struct talk *t = parser->data;
    unsigned status = t->head->status;

    t->head->is_answered = status / 100 != 1 || status == 101;
    t->is_over = status == 101 || (t->head->method == HTTP_CONNECT && status / 100 == 2);
    t->has_ended = true;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings of_responses = {
    .on_message_begin = on_response,
    .on_headers_complete = on_response_headers,
    .on_message_complete = on_response_end,
};

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Some of the bytes: up to the end of a message (has_ended), or to what is no HTTP (false). */
static bool parse(struct talk *t, enum talk_from from, const char *bytes, size_t n, size_t *used)
{
    http_parser *p = &t->parser[from];

    t->has_ended = false;
    *used = http_parser_execute(p, from == TALK_CLIENT ? &of_requests : &of_responses, bytes, n);
    if (HTTP_PARSER_ERRNO(p) == HPE_PAUSED)
        http_parser_pause(p, 0);
    return HTTP_PARSER_ERRNO(p) == HPE_OK;
}

/* A client that stops speaking HTTP is still answered: of what it asked. */
static void request_fails(struct talk *t)
{
    t->is_request_dead = true;
    if (t->is_receiving && (t->has_tunnel || !t->tail->has_method))
        exchange_unreceive(t);
    else if (t->is_receiving)
        t->tail->is_asked = true;
    t->is_receiving = false;
    t->is_over = t->head == NULL;
}

static void feed_client(struct talk *t, const char *bytes, size_t n)
{
    size_t used;

    for (; n > 0 && !t->is_over && !t->is_request_dead; bytes += used, n -= used) {
        bool is_http = parse(t, TALK_CLIENT, bytes, n, &used);
        if (t->is_receiving) {
            t->tail->n_request += used;
            if (t->tail->first_at == 0)
                t->tail->asked_at = t->now;
        }
        if (!is_http)
            request_fails(t);
        else if (t->has_ended)
            t->is_receiving = false;
        exchanges_tell(t);
        if (t->n_bytes > TALK_BYTES_MAX)
            talk_end(t, false, "too many requests wait");
    }
}

/* A message is whole: the response, or one of 1xx, which another follows. */
static void response_ends(struct talk *t)
{
    if (!t->head->is_answered) {
        t->head->first_at = t->head->status = 0;
        return;
    }
    if (t->is_over) /* not HTTP from here on, whatever the request lacks */
        t->head->is_asked = true;
    exchanges_tell(t);
}

static void feed_server(struct talk *t, const char *bytes, size_t n)
{
    size_t used;

    for (; n > 0 && !t->is_over; bytes += used, n -= used) {
        struct exchange *x = t->head;
        if (!parse(t, TALK_SERVER, bytes, n, &used)) {
            talk_end(t, false, "the response is no HTTP");
            return;
        }
        if (x == NULL) /* empty lines between responses */
            continue;
        x->n_response += used;
        x->last_at = t->now;
        if (x->first_at == 0)
            x->first_at = t->now;
        if (t->has_ended)
            response_ends(t);
    }
}

void talk_begin(struct talk *t, void (*tell)(void *arg, const struct exchange *x, const char *note),
                void *arg)
{
    *t = (struct talk){.tell = tell, .arg = arg};
    http_parser_init(&t->parser[TALK_CLIENT], HTTP_REQUEST);
    http_parser_init(&t->parser[TALK_SERVER], HTTP_RESPONSE);
    t->parser[TALK_CLIENT].data = t->parser[TALK_SERVER].data = t;
}

bool talk_feed(struct talk *t, enum talk_from from, const char *bytes, size_t n, uint64_t now_us)
{
    t->now = now_us;
    if (from == TALK_CLIENT)
        feed_client(t, bytes, n);
    else
        feed_server(t, bytes, n);
    if (t->is_request_dead && t->head == NULL)
        t->is_over = true;
    return !t->is_over;
}

static const char *lack_of(const struct exchange *x)
{
    if (x->is_answered)
        return "the request was cut";
    return x->first_at > 0 ? "the response was cut" : "no response";
}

void talk_end(struct talk *t, bool is_orderly, const char *note)
{
    size_t used;

    if (is_orderly && !t->is_over && t->head != NULL && t->head->first_at > 0) {
        (void)parse(t, TALK_SERVER, NULL, 0, &used); /* a body that lasts until the end */
        exchanges_tell(t);
    }
    while (t->head != NULL)
        exchange_tell(t, note != NULL ? note : lack_of(t->head));
    t->is_over = true;
}

void talk_free(struct talk *t)
{
    while (t->head != NULL)
        exchange_pop(t);
    exchange_free(t->spare);
    t->spare = NULL;
}
