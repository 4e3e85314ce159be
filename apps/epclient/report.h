/* The results, as text or as JSON. */
#ifndef EPCLIENT_REPORT_H
#define EPCLIENT_REPORT_H

#include "apps/epclient/results.h"

#include <stdio.h>

/* `is_interrupted`: a signal has ended it. */
void report_print(FILE *to, const struct results *r, const struct args *a, bool is_interrupted);

#endif
