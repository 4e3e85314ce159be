#include "apps/flowlog/options.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    unsigned bit;
} events[] = {
    {"start", FLOWLOG_START},   {"state", FLOWLOG_STATE}, {"data", FLOWLOG_DATA},
    {"rexmit", FLOWLOG_REXMIT}, {"error", FLOWLOG_ERROR}, {"end", FLOWLOG_END},
};

static unsigned event_bit(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
        if (strlen(events[i].name) == len && memcmp(events[i].name, name, len) == 0)
            return events[i].bit;
    return 0;
}

/* "start,data": names between commas. */
static bool events_read(struct flowlog_options *o, const char *list, size_t len)
{
    const char *end = list + len;

    o->events = 0;
    for (const char *at = list; at <= end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        size_t n = (size_t)((comma != NULL ? comma : end) - at);
        unsigned bit = event_bit(at, n);
        if (bit == 0)
            return false;
        o->events |= bit;
        at += n + 1;
    }
    return true;
}

static bool lines_read(struct flowlog_options *o, const char *text, size_t len)
{
    o->n_lines = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || i >= 18)
            return false;
        o->n_lines = o->n_lines * 10 + (uint64_t)(text[i] - '0');
    }
    return o->n_lines > 0;
}

static bool file_read(struct flowlog_options *o, const char *text, size_t len)
{
    if (len == 0 || len >= sizeof(o->file))
        return false;
    memcpy(o->file, text, len);
    o->file[len] = '\0';
    return true;
}

static bool word_read(struct flowlog_options *o, const char *word, size_t len)
{
    static const struct {
        const char *key;
        bool (*read)(struct flowlog_options *o, const char *text, size_t len);
    } keys[] = {{"file=", file_read}, {"events=", events_read}, {"lines=", lines_read}};

    if (len == 5 && memcmp(word, "edges", 5) == 0)
        return o->edges = true;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        size_t n = strlen(keys[i].key);
        if (len >= n && memcmp(word, keys[i].key, n) == 0)
            return keys[i].read(o, word + n, len - n);
    }
    return false;
}

bool flowlog_options_read(struct flowlog_options *o, const char *args, char *err, size_t err_len)
{
    *o = (struct flowlog_options){.events = FLOWLOG_ALL};
    for (const char *at = args + strspn(args, " "); *at != '\0';) {
        size_t len = strcspn(at, " ");
        if (!word_read(o, at, len)) {
            snprintf(err, err_len,
                     "'%.*s' is none of file=PATH, edges, lines=N, events=LIST "
                     "(of start,state,data,rexmit,error,end)",
                     (int)len, at);
            return false;
        }
        at += len;
        at += strspn(at, " ");
    }
    return true;
}
