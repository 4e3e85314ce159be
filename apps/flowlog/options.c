#include "apps/flowlog/options.h"

#include "apps/common/plugin.h"

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
static bool events_read(void *to, const char *list)
{
    unsigned *bits = to;

    *bits = 0;
    for (;;) {
        size_t n = strcspn(list, ",");
        unsigned bit = event_bit(list, n);
        if (bit == 0)
            return false;
        *bits |= bit;
        if (list[n] == '\0')
            return true;
        list += n + 1;
    }
}

static bool lines_read(void *to, const char *value)
{
    return plugin_arg_number(value, 1, UINT64_MAX, to);
}

bool flowlog_options_read(struct flowlog_options *o, const char *args, char *err, size_t err_len)
{
    const struct plugin_arg known[] = {
        {"file", "PATH", o->file, sizeof(o->file), NULL},
        {"edges", NULL, &o->edges, 0, NULL},
        {"lines", "N", &o->n_lines, 0, lines_read},
        {"events", "LIST (of start,state,data,rexmit,error,end)", &o->events, 0, events_read},
    };

    *o = (struct flowlog_options){.events = FLOWLOG_ALL};
    return plugin_args_read(args, known, sizeof(known) / sizeof(known[0]), err, err_len);
}
