#include "apps/epserver/response.h"

#include <http_parser.h>
#include <stdint.h>
#include <string.h>

static char *add(char *at, const char *text)
{
    size_t n = strlen(text);

    memcpy(at, text, n);
    return at + n;
}

static char *add_number(char *at, uint64_t value)
{
    char digits[20];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (n > 0)
        *at++ = digits[--n];
    return at;
}

/* A path as a URL has it: what is not unreserved is escaped (RFC 3986 2.3). */
static char *add_escaped(char *at, const char *path)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    static const char hex[] = "0123456789ABCDEF";

    for (; *path != '\0'; path++) {
        unsigned char c = (unsigned char)*path;
        if (strchr(plain, c) != NULL) {
            *at++ = (char)c;
            continue;
        }
        *at++ = '%';
        *at++ = hex[c >> 4];
        *at++ = hex[c & 15];
    }
    return at;
}

static char *add_status_line(char *at, unsigned status)
{
    at = add(at, "HTTP/1.1 ");
    at = add_number(at, status);
    *at++ = ' ';
    return add(at, http_status_str((enum http_status)status));
}

/* RFC 9112 9.3: 1.1 stays open unless said, 1.0 closes unless said. */
static char *add_connection(char *at, const struct response *r)
{
    if (!r->keep_alive)
        return add(at, "\r\nConnection: close");
    return r->is_http10 ? add(at, "\r\nConnection: keep-alive") : at;
}

static char *add_file_headers(char *at, const struct response *r)
{
    at = add(at, "\r\nLast-Modified: ");
    at = add(at, r->file->modified);
    if (r->status == HTTP_STATUS_NOT_MODIFIED)
        return at;
    at = add(at, "\r\nContent-Type: ");
    at = add(at, r->file->type);
    at = add(at, "\r\nContent-Length: ");
    return add_number(at, (uint64_t)r->file->st.st_size);
}

/* Without a file the body is the status in words. */
static char *add_message(char *at, const struct response *r)
{
    const char *words = http_status_str((enum http_status)r->status);

    if (r->status == HTTP_STATUS_METHOD_NOT_ALLOWED)
        at = add(at, "\r\nAllow: GET, HEAD");
    if (r->moved != NULL) {
        at = add(at, "\r\nLocation: /");
        at = add_escaped(at, r->moved->name);
        *at++ = '/';
    }
    at = add(at, "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ");
    at = add_number(at, strlen(words) + 1);
    at = add(at, "\r\n\r\n");
    if (r->is_head)
        return at;
    at = add(at, words);
    *at++ = '\n';
    return at;
}

size_t response_message_len(const struct response *r)
{
    if (r->file != NULL || r->is_head)
        return 0;
    return strlen(http_status_str((enum http_status)r->status)) + 1;
}

size_t response_write(const struct response *r, char out[RESPONSE_HEAD_ROOM])
{
    char *at = add_status_line(out, r->status);

    at = add(at, "\r\nServer: epserver\r\nDate: ");
    at = add(at, r->date);
    at = add_connection(at, r);
    if (r->file == NULL)
        return (size_t)(add_message(at, r) - out);
    at = add_file_headers(at, r);
    at = add(at, "\r\n\r\n");
    return (size_t)(at - out);
}
