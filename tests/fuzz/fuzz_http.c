/*
 * What a client sends to epserver: requests, in pieces. The first byte of the input chooses the
 * size of the pieces. Besides reading nothing outside, any cut gives the same requests and the same
 * verdict, and a path never leads above the root.
 */
#include "apps/epserver/httpdate.h"
#include "apps/epserver/path.h"
#include "apps/epserver/request.h"
#include "mtcp/base/bug.h"

#include <stdlib.h>
#include <string.h>

/* Fuzz targets trap in every build. */
#define HOLDS(x) BUG_ON(!(x))

/* What came of an input: the requests' digest, and how it ended. */
struct outcome {
    uint64_t digest;
    unsigned n_requests, status;
    enum request_step step;
};

static uint64_t digest_add(uint64_t digest, const void *data, size_t len)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++)
        digest = (digest ^ p[i]) * UINT64_C(1099511628211);
    return digest;
}

static void path_check(const struct request *r)
{
    struct path p;

    if (path_parse(&p, r->target, r->target_len) < 0)
        return;
    HOLDS(p.len < PATH_ROOM && strlen(p.name) == p.len);
    HOLDS(p.name[0] != '/' && (p.len == 0 || p.name[p.len - 1] != '/'));
    char *copy = strdup(p.name), *rest = copy;
    for (char *part; (part = strsep(&rest, "/")) != NULL;)
        HOLDS(strcmp(part, "..") != 0 && strcmp(part, ".") != 0 && (*part != '\0' || p.len == 0));
    free(copy);
}

static void date_check(const struct request *r)
{
    char text[HTTPDATE_LEN + 1];
    time_t t, again;

    if (r->since_len == 0 || !httpdate_parse(r->since, &t))
        return;
    httpdate_format(text, t);
    HOLDS(httpdate_parse(text, &again) && again == t);
}

static void request_done(struct outcome *o, const struct request *r, enum request_step step)
{
    o->step = step;
    o->status = r->status;
    o->n_requests++;
    o->digest = digest_add(o->digest, &r->status, sizeof(r->status));
    if (step == REQUEST_BAD) /* how much was read of what is refused depends on the cut */
        return;
    HOLDS(r->target_len <= REQUEST_TARGET_MAX && r->since_len < sizeof(r->since));
    o->digest = digest_add(o->digest, r->target, r->target_len);
    o->digest = digest_add(o->digest, r->since, r->since_len);
    o->digest = digest_add(o->digest, &r->is_head, 1);
    o->digest = digest_add(o->digest, &r->keep_alive, 1);
    path_check(r);
    date_check(r);
}

/* Feeds `text` in pieces of `size`, each a copy of its own, so that none is read beyond its end. */
static struct outcome feed(const uint8_t *text, size_t len, size_t size)
{
    static struct request r;
    struct outcome o = {.step = REQUEST_MORE};
    http_parser parser;

    request_parser_init(&parser);
    request_begin(&r);
    for (size_t at = 0, used; at < len && o.step != REQUEST_BAD; at += used) {
        size_t n = len - at < size ? len - at : size;
        char *piece = malloc(n);
        memcpy(piece, text + at, n);
        enum request_step step = request_feed(&r, &parser, piece, n, &used);
        free(piece);
        HOLDS(used <= n && (step != REQUEST_MORE || used == n));
        o.step = step;
        if (step == REQUEST_MORE)
            continue;
        request_done(&o, &r, step);
        if (step == REQUEST_DONE && !r.keep_alive)
            break;
        request_begin(&r);
    }
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1)
        return 0;
    struct outcome whole = feed(data + 1, len - 1, len),
                   cut = feed(data + 1, len - 1, data[0] + 1u);
    HOLDS(whole.digest == cut.digest && whole.n_requests == cut.n_requests);
    HOLDS(whole.step == cut.step && whole.status == cut.status);
    return 0;
}
