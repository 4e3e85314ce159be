/* The args of tcpstat: words separated by spaces. */
#ifndef TCPSTAT_OPTIONS_H
#define TCPSTAT_OPTIONS_H

#include "apps/tcpstat/report.h"
#include "apps/tcpstat/table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tcpstat_options {
    bool has_screen;
    char screen[256]; /* the terminal; "": the process's own */
    char report[256]; /* where a report goes; "": stdout */
    enum report_format format;
    enum column sort;
    uint64_t top;         /* rows in a report */
    uint64_t interval_ms; /* how often it looks */
};

/*
 * Reads "screen[=TTY] report=PATH format=text|json sort=COLUMN top=N interval=MS", any of them, in
 * any order.
 *
 *   returns  true, or false and what is wrong in `err`
 */
bool tcpstat_options_read(struct tcpstat_options *o, const char *args, char *err, size_t err_len);

#endif
