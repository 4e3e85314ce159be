#include "apps/tcpstat/options.h"

#include "apps/common/plugin.h"

#include <string.h>

#define TOP_DEFAULT      20
#define INTERVAL_DEFAULT 1000
#define INTERVAL_MIN     100
#define INTERVAL_MAX     3600000

_Static_assert(TABLE_ROWS == 200, "what a complaint says of top");

static bool sort_read(void *to, const char *value)
{
    return column_find(value, to);
}

static bool format_read(void *to, const char *value)
{
    enum report_format *format = to;

    *format = strcmp(value, "json") == 0 ? REPORT_JSON : REPORT_TEXT;
    return *format == REPORT_JSON || strcmp(value, "text") == 0;
}

static bool top_read(void *to, const char *value)
{
    return plugin_arg_number(value, 0, TABLE_ROWS, to);
}

static bool interval_read(void *to, const char *value)
{
    return plugin_arg_number(value, INTERVAL_MIN, INTERVAL_MAX, to);
}

bool tcpstat_options_read(struct tcpstat_options *o, const char *args, char *err, size_t err_len)
{
    const struct plugin_arg known[] = {
        {"screen", NULL, &o->has_screen, 0, NULL},
        {"screen", "TTY", o->screen, sizeof(o->screen), NULL},
        {"report", "PATH", o->report, sizeof(o->report), NULL},
        {"format", "text|json", &o->format, 0, format_read},
        {"sort", "COLUMN", &o->sort, 0, sort_read},
        {"top", "0..200", &o->top, 0, top_read},
        {"interval", "100..3600000", &o->interval_ms, 0, interval_read},
    };

    *o = (struct tcpstat_options){
        .sort = COLUMN_AGAIN, .top = TOP_DEFAULT, .interval_ms = INTERVAL_DEFAULT};
    if (!plugin_args_read(args, known, sizeof(known) / sizeof(known[0]), err, err_len))
        return false;
    o->has_screen = o->has_screen || o->screen[0] != '\0';
    return true;
}
