#include "apps/epserver/accesslog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int accesslog_open(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

    return fd < 0 ? -errno : fd;
}

void accesslog_init(struct accesslog *log, int fd)
{
    log->fd = fd;
    log->n_lost = 0;
    log->len = 0;
    log->date_at = -1;
}

static char *add(char *at, const char *text)
{
    size_t n = strlen(text);

    memcpy(at, text, n);
    return at + n;
}

static char *add_peer(char *at, const struct sockaddr_in6 *peer)
{
    char text[INET6_ADDRSTRLEN] = "-";

    if (peer != NULL && IN6_IS_ADDR_V4MAPPED(&peer->sin6_addr))
        inet_ntop(AF_INET, &peer->sin6_addr.s6_addr[12], text, sizeof(text));
    else if (peer != NULL)
        inet_ntop(AF_INET6, &peer->sin6_addr, text, sizeof(text));
    return add(at, text);
}

/* What came from outside must neither end the line nor its quotes. */
static char *add_escaped(char *at, const char *text, size_t len)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            *at++ = '\\';
            *at++ = (char)c;
        } else if (c < ' ' || c >= 0x7f) {
            *at++ = '\\';
            *at++ = 'x';
            *at++ = hex[c >> 4];
            *at++ = hex[c & 15];
        } else {
            *at++ = (char)c;
        }
    }
    return at;
}

static const char *date_of(struct accesslog *log, time_t now)
{
    struct tm tm;

    if (now == log->date_at)
        return log->date;
    log->date_at = now;
    if (gmtime_r(&now, &tm) == NULL ||
        strftime(log->date, sizeof(log->date), "%d/%b/%Y:%H:%M:%S +0000", &tm) == 0)
        strcpy(log->date, "-");
    return log->date;
}

size_t accesslog_begin(struct accesslog *log, char out[ACCESSLOG_LINE_ROOM], const struct access *a,
                       time_t now)
{
    char *at = add_peer(out, a->peer);

    at = add(at, " - - [");
    at = add(at, date_of(log, now));
    at = add(at, "] \"");
    if (a->target_len > 0) {
        at = add(at, a->method);
        *at++ = ' ';
        at = add_escaped(at, a->target, a->target_len);
    } else {
        *at++ = '-';
    }
    if (a->target_len > 0 && a->has_version)
        at += sprintf(at, " HTTP/%u.%u", a->http_major, a->http_minor);
    at += sprintf(at, "\" %u ", a->status);
    return (size_t)(at - out);
}

static size_t lines_count(const char *text, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += text[i] == '\n';
    return n;
}

void accesslog_flush(struct accesslog *log)
{
    size_t at = 0;

    while (at < log->len) {
        ssize_t n = write(log->fd, log->buf + at, log->len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            log->err = errno;
            log->n_lost += lines_count(log->buf + at, log->len - at);
            break;
        }
        at += (size_t)n;
    }
    log->len = 0;
}

void accesslog_add(struct accesslog *log, const char *line, size_t len, uint64_t n_bytes)
{
    char number[24];
    int n = n_bytes > 0 ? snprintf(number, sizeof(number), "%llu\n", (unsigned long long)n_bytes)
                        : snprintf(number, sizeof(number), "-\n");

    if (len + (size_t)n > sizeof(log->buf) - log->len)
        accesslog_flush(log);
    memcpy(log->buf + log->len, line, len);
    memcpy(log->buf + log->len + len, number, (size_t)n);
    log->len += len + (size_t)n;
}
