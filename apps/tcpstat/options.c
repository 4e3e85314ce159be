#include "apps/tcpstat/options.h"

#include "apps/track/args.h"

#include <stdio.h>

#define TOP_DEFAULT      20
#define INTERVAL_DEFAULT 1000
#define INTERVAL_MIN     100
#define INTERVAL_MAX     3600000

static bool screen_read(struct tcpstat_options *o, const struct arg *a)
{
    o->has_screen = true;
    return a->value == NULL || arg_text(a, o->screen, sizeof(o->screen));
}

static bool sort_read(struct tcpstat_options *o, const struct arg *a)
{
    char name[32];

    return arg_text(a, name, sizeof(name)) && column_find(name, &o->sort);
}

static bool format_read(struct tcpstat_options *o, const struct arg *a)
{
    o->format = arg_equals(a, "json") ? REPORT_JSON : REPORT_TEXT;
    return o->format == REPORT_JSON || arg_equals(a, "text");
}

static bool option_read(struct tcpstat_options *o, const struct arg *a)
{
    if (arg_is_word(a, "screen") || arg_has_value(a, "screen"))
        return screen_read(o, a);
    if (arg_has_value(a, "report"))
        return arg_text(a, o->report, sizeof(o->report));
    if (arg_has_value(a, "format"))
        return format_read(o, a);
    if (arg_has_value(a, "sort"))
        return sort_read(o, a);
    if (arg_has_value(a, "top"))
        return arg_number(a, 0, TABLE_ROWS, &o->top);
    return arg_has_value(a, "interval") &&
           arg_number(a, INTERVAL_MIN, INTERVAL_MAX, &o->interval_ms);
}

bool tcpstat_options_read(struct tcpstat_options *o, const char *args, char *err, size_t err_len)
{
    struct arg a;

    *o = (struct tcpstat_options){
        .sort = COLUMN_AGAIN, .top = TOP_DEFAULT, .interval_ms = INTERVAL_DEFAULT};
    while (arg_next(&args, &a)) {
        if (option_read(o, &a))
            continue;
        snprintf(err, err_len,
                 "'%.*s' is none of screen, screen=TTY, report=PATH, format=text|json, "
                 "sort=COLUMN, top=0..%d, interval=%d..%d",
                 a.len, a.word, TABLE_ROWS, INTERVAL_MIN, INTERVAL_MAX);
        return false;
    }
    return true;
}
