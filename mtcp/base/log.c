/* One formatted line to whoever listens. */
#include "mtcp/base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

enum { LINE_BYTES = 512 };

/* Control bytes could make one line look like two, or move a terminal's cursor. */
static void make_printable(char *line)
{
    for (char *p = line; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
}

void log_line(const struct log *l, enum log_level level, const char *fmt, ...)
{
    if (l == NULL || l->sink == NULL || level > l->level)
        return;
    char line[LINE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    make_printable(line);
    l->sink(l->arg, level, line);
}

const char *log_level_name(enum log_level level)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    return (unsigned)level < sizeof(names) / sizeof(names[0]) ? names[level] : "?";
}
