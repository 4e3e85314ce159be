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

static bool word_read(struct flowlog_options *o, const char *word, size_t len)
{
    static const char file[] = "file=", list[] = "events=";
    const size_t n_file = sizeof(file) - 1, n_list = sizeof(list) - 1;

    if (len == 5 && memcmp(word, "edges", 5) == 0)
        return o->edges = true;
    if (len > n_list && memcmp(word, list, n_list) == 0)
        return events_read(o, word + n_list, len - n_list);
    if (len <= n_file || len - n_file >= sizeof(o->file) || memcmp(word, file, n_file) != 0)
        return false;
    memcpy(o->file, word + n_file, len - n_file);
    o->file[len - n_file] = '\0';
    return true;
}

bool flowlog_options_read(struct flowlog_options *o, const char *args, char *err, size_t err_len)
{
    *o = (struct flowlog_options){.events = FLOWLOG_ALL};
    for (const char *at = args + strspn(args, " "); *at != '\0';) {
        size_t len = strcspn(at, " ");
        if (!word_read(o, at, len)) {
            snprintf(err, err_len,
                     "'%.*s' is none of file=PATH, edges, events=LIST "
                     "(of start,state,data,rexmit,error,end)",
                     (int)len, at);
            return false;
        }
        at += len;
        at += strspn(at, " ");
    }
    return true;
}
