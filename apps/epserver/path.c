#include "apps/epserver/path.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* Skips "http://authority" of an absolute-form target (RFC 9112 3.2.2). */
static void scheme_skip(const char **at, const char *end)
{
    static const char scheme[] = "http://";
    const size_t n = sizeof(scheme) - 1;

    if ((size_t)(end - *at) < n || strncasecmp(*at, scheme, n) != 0)
        return;
    *at += n;
    while (*at < end && **at != '/' && **at != '?')
        (*at)++;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* One character, decoded, from *at; moves *at. Its value, or -1. NUL is refused: no name has one.
 */
static int char_next(const char **at, const char *end)
{
    const char *s = *at;

    if (*s != '%') {
        *at = s + 1;
        return *s == '\0' ? -1 : (unsigned char)*s;
    }
    if (end - s < 3)
        return -1;
    int high = hex_digit(s[1]), low = hex_digit(s[2]);
    *at = s + 3;
    return high < 0 || low < 0 || high + low == 0 ? -1 : high * 16 + low;
}

/* Takes the last segment away; false when there is none. */
static bool segment_drop(struct path *p)
{
    if (p->len == 0)
        return false;
    while (p->len > 0 && p->name[p->len - 1] != '/')
        p->len--;
    if (p->len > 0)
        p->len--;
    return true;
}

/* The segment that begins at `start` is complete: resolves "." and ".." (RFC 3986 5.2.4). */
static int segment_end(struct path *p, size_t start)
{
    const char *s = p->name + start;
    size_t n = p->len - start;

    p->is_dir = n == 0 || (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.');
    if (!p->is_dir)
        return 0;
    p->len = start > 0 ? start - 1 : 0; /* with the slash before it */
    return n == 2 && !segment_drop(p) ? -EACCES : 0;
}

static int segment_parse(struct path *p, const char **at, const char *end)
{
    if (p->len > 0)
        p->name[p->len++] = '/';
    size_t start = p->len;
    while (*at < end) {
        int c = char_next(at, end);
        if (c < 0)
            return -EINVAL;
        if (c == '/')
            break;
        if (p->len + 2 >= PATH_ROOM) /* room for a slash and the NUL */
            return -ENAMETOOLONG;
        p->name[p->len++] = (char)c;
    }
    return segment_end(p, start);
}

int path_parse(struct path *p, const char *target, size_t len)
{
    const char *at = target, *end = target + len;

    p->len = 0;
    p->is_dir = true;
    scheme_skip(&at, end);
    for (const char *s = at; s < end; s++)
        if (*s == '?' || *s == '#')
            end = s;
    if (at == end && at > target)
        return p->name[0] = '\0', 0; /* "http://host" */
    if (at == end || *at != '/')
        return -EINVAL;
    at++;
    while (at < end) {
        int rc = segment_parse(p, &at, end);
        if (rc < 0)
            return rc;
    }
    if (end[-1] == '/')
        p->is_dir = true;
    p->name[p->len] = '\0';
    return 0;
}
