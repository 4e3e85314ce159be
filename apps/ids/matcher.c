#include "apps/ids/matcher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What hs_compile_multi() takes. */
struct expressions {
    const char **regex;
    unsigned *flags, *ids;
    unsigned n;
};

/* ---- compiling ------------------------------------------------------------------------------- */

static bool expressions_make(struct expressions *e, const struct ids_patterns *p, bool only_drop)
{
    e->n = 0;
    e->regex = calloc(p->n, sizeof(*e->regex));
    e->flags = calloc(p->n, sizeof(*e->flags));
    e->ids = calloc(p->n, sizeof(*e->ids));
    if (e->regex == NULL || e->flags == NULL || e->ids == NULL)
        return false;
    for (size_t i = 0; i < p->n; i++) {
        if (only_drop && p->list[i].action != IDS_DROP)
            continue;
        e->regex[e->n] = p->list[i].regex;
        e->flags[e->n] = p->list[i].flags;
        e->ids[e->n++] = (unsigned)i;
    }
    return true;
}

static void expressions_free(struct expressions *e)
{
    free(e->regex);
    free(e->flags);
    free(e->ids);
}

/* A database of the patterns; with none of them NULL. */
static bool database_make(const struct matcher *m, bool only_drop, hs_database_t **db,
                          const char *path, char *err, size_t err_len)
{
    struct expressions e;
    hs_compile_error_t *why = NULL;
    bool ok = expressions_make(&e, &m->patterns, only_drop);

    snprintf(err, err_len, "%s: no memory", path);
    if (ok && e.n > 0 &&
        hs_compile_multi(e.regex, e.flags, e.ids, e.n, only_drop ? HS_MODE_BLOCK : HS_MODE_STREAM,
                         NULL, db, &why) != HS_SUCCESS) {
        ok = false;
        if (why != NULL && why->expression >= 0)
            snprintf(err, err_len, "%s:%u: '%s': %s", path,
                     m->patterns.list[e.ids[why->expression]].line, e.regex[why->expression],
                     why->message);
        else if (why != NULL)
            snprintf(err, err_len, "%s: %s", path, why->message);
        hs_free_compile_error(why);
    }
    expressions_free(&e);
    return ok;
}

static bool scratch_make(struct matcher *m, const char *path, char *err, size_t err_len)
{
    if (hs_alloc_scratch(m->streams, &m->scratch) == HS_SUCCESS &&
        (m->packets == NULL || hs_alloc_scratch(m->packets, &m->scratch) == HS_SUCCESS))
        return true;
    snprintf(err, err_len, "%s: no memory", path);
    return false;
}

bool matcher_open(struct matcher *m, const char *path, char *err, size_t err_len)
{
    *m = (struct matcher){0};
    if (hs_valid_platform() != HS_SUCCESS) {
        snprintf(err, err_len, "this CPU lacks SSSE3, without which Hyperscan can't run");
        return false;
    }
    if (!ids_patterns_read(&m->patterns, path, err, err_len) ||
        !database_make(m, false, &m->streams, path, err, err_len) ||
        !database_make(m, true, &m->packets, path, err, err_len) ||
        !scratch_make(m, path, err, err_len))
        return false;
    for (size_t i = 0; i < m->patterns.n; i++)
        for (int side = 0; side < 2; side++) {
            const struct ids_pattern *p = &m->patterns.list[i];
            m->streams_to[side] = m->streams_to[side] || p->is_for[side];
            m->packets_to[side] = m->packets_to[side] || (p->is_for[side] && p->action == IDS_DROP);
        }
    return true;
}

void matcher_close(struct matcher *m)
{
    hs_free_scratch(m->scratch);
    hs_free_database(m->packets);
    hs_free_database(m->streams);
    ids_patterns_free(&m->patterns);
    *m = (struct matcher){0};
}

/* ---- scanning -------------------------------------------------------------------------------- */

static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                    void *arg)
{
    const struct matcher_scan *s = arg;
    const struct ids_pattern *p = &s->matcher->patterns.list[id];

    (void)from, (void)flags;
    return p->is_for[s->side] && s->found(s->arg, p, to);
}

void matcher_packet(const struct matcher_scan *s, const void *bytes, size_t n)
{
    hs_scan(s->matcher->packets, bytes, (unsigned)n, 0, s->matcher->scratch, on_match, (void *)s);
}

bool matcher_stream(const struct matcher_scan *s, hs_stream_t **stream, const void *bytes, size_t n)
{
    struct matcher *m = s->matcher;

    if (*stream == NULL && hs_open_stream(m->streams, 0, stream) != HS_SUCCESS) {
        *stream = NULL;
        return false;
    }
    for (const char *at = bytes; n > 0;) { /* Hyperscan's lengths have 32 bits */
        unsigned some = n < 1u << 30 ? (unsigned)n : 1u << 30;
        if (hs_scan_stream(*stream, at, some, 0, m->scratch, on_match, (void *)s) != HS_SUCCESS)
            break;
        at += some;
        n -= some;
    }
    return true;
}

void matcher_stream_restart(const struct matcher_scan *s, hs_stream_t *stream)
{
    if (stream != NULL)
        hs_reset_stream(stream, 0, s->matcher->scratch, NULL, NULL);
}

void matcher_stream_end(const struct matcher_scan *s, hs_stream_t **stream)
{
    if (*stream != NULL)
        hs_close_stream(*stream, s->matcher->scratch, on_match, (void *)s);
    *stream = NULL;
}
