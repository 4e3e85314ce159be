/*
 * Dates as HTTP writes them (RFC 9110 5.6.7). Independent of locale and time zone.
 */
#ifndef EPSERVER_HTTPDATE_H
#define EPSERVER_HTTPDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#define HTTPDATE_LEN 29 /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/* Writes the date and a NUL. */
void httpdate_format(char out[HTTPDATE_LEN + 1], time_t t);

/* Reads any of the three forms; false if it is none of them. */
bool httpdate_parse(const char *text, time_t *t);

#endif
