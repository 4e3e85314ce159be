#include "apps/common/out.h"

#include "apps/common/plugin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- lines ----------------------------------------------------------------------------------- */

bool out_open(struct out *o, const char *who, const char *path)
{
    bool is_file = path[0] != '\0';

    o->len = 0;
    o->n_lost = 0;
    snprintf(o->name, sizeof(o->name), "%s: %s", who, is_file ? path : "standard output");
    o->fd = is_file ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : STDOUT_FILENO;
    return o->fd >= 0;
}

void out_abandon(struct out *o)
{
    if (o->fd > STDERR_FILENO)
        close(o->fd);
    o->fd = -1;
}

void out_close(struct out *o)
{
    if (o->fd < 0) /* it was not opened */
        return;
    out_flush(o);
    if (o->n_lost > 0)
        fprintf(stderr, "%s: %llu lines are missing\n", o->name, (unsigned long long)o->n_lost);
    out_abandon(o);
}

/* All but the first `done` bytes can't be written. What follows a line that was cut begins with the
 * newline that it lacks; so does only that, for no line is empty. */
static void lines_lose(struct out *o, size_t done)
{
    bool is_again = done == 0 && o->buf[0] == '\n';
    bool is_cut = is_again || (done > 0 && o->buf[done - 1] != '\n');

    if (o->n_lost == 0)
        fprintf(stderr, "%s: %s; lines are missing there\n", o->name, strerror(errno));
    for (size_t i = done + is_again; i < o->len; i++)
        o->n_lost += o->buf[i] == '\n';
    o->buf[0] = '\n';
    o->len = is_cut;
}

/* How many of the bytes were written; less than all, and errno, on failure. */
static size_t lines_write(const struct out *o)
{
    size_t done = 0;

    while (done < o->len) {
        ssize_t n = write(o->fd, o->buf + done, o->len - done);
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            break;
    }
    return done;
}

bool out_flush_first(struct out *o)
{
    bool ok = lines_write(o) == o->len;

    o->len = 0;
    return ok;
}

bool out_flush(struct out *o)
{
    size_t done = lines_write(o);

    if (done < o->len) {
        int why = errno;
        lines_lose(o, done);
        errno = why;
        return false;
    }
    o->len = 0;
    return true;
}

char *out_line(struct out *o)
{
    if (sizeof(o->buf) - o->len < OUT_LINE_MAX + 1)
        out_flush(o);
    return o->buf + o->len;
}

void out_line_end(struct out *o, char *end)
{
    *end = '\n';
    o->len = (size_t)(end + 1 - o->buf);
}

/* ---- what a line is made of ------------------------------------------------------------------ */

char *put_text(char *at, const char *text)
{
    size_t n = strlen(text);

    memcpy(at, text, n);
    return at + n;
}

char *put_u64(char *at, uint64_t n)
{
    char digits[20];
    size_t i = sizeof(digits);

    do
        digits[--i] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    memcpy(at, digits + i, sizeof(digits) - i);
    return at + sizeof(digits) - i;
}

char *put_us(char *at, uint64_t us)
{
    uint64_t part = us % 1000000;

    at = put_u64(at, us / 1000000);
    *at++ = '.';
    for (uint64_t unit = 100000; unit > 0; unit /= 10)
        *at++ = (char)('0' + part / unit % 10);
    return at;
}

char *put_foreign(char *at, const char *text, size_t n, size_t max)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < n && i < max; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c > ' ' && c < 0x7f && c != '\\') {
            *at++ = (char)c;
            continue;
        }
        *at++ = '\\';
        *at++ = 'x';
        *at++ = hex[c >> 4];
        *at++ = hex[c & 15];
    }
    if (n == 0)
        *at++ = '-';
    return n > max ? put_text(at, "...") : at;
}

char *put_addr(char *at, mctx_t mctx, int sock, int side)
{
    char name[INET6_ADDRSTRLEN] = "?";
    struct plugin_host h;

    if (!plugin_host_of(mctx, sock, side, &h))
        return put_text(at, "-");
    inet_ntop(h.family, h.addr, name, sizeof(name));
    at = put_text(at, h.family == AF_INET ? "" : "[");
    at = put_text(at, name);
    at = put_text(at, h.family == AF_INET ? ":" : "]:");
    return put_u64(at, h.port);
}
