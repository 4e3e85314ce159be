/* What was measured, all at once, as text or as one line of JSON. */
#ifndef TCPSTAT_REPORT_H
#define TCPSTAT_REPORT_H

#include "apps/tcpstat/table.h"
#include "apps/tcpstat/totals.h"

#include <stdio.h>

enum report_format { REPORT_TEXT, REPORT_JSON };

/* The totals, and the first n rows of a sorted table. */
void report_write(FILE *out, enum report_format format, const struct totals *totals,
                  const struct table *table, unsigned n);

#endif
