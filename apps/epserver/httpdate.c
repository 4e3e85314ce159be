#include "apps/epserver/httpdate.h"

#include <stdio.h>
#include <string.h>

static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static void digits(char *at, int value, int n)
{
    while (n-- > 0) {
        at[n] = (char)('0' + value % 10);
        value /= 10;
    }
}

void httpdate_format(char out[HTTPDATE_LEN + 1], time_t t)
{
    struct tm tm;

    memcpy(out, "Thu, 01 Jan 1970 00:00:00 GMT", HTTPDATE_LEN + 1);
    if (t < 0 || gmtime_r(&t, &tm) == NULL || tm.tm_year + 1900 > 9999)
        return;
    memcpy(out, days[tm.tm_wday], 3);
    digits(out + 5, tm.tm_mday, 2);
    memcpy(out + 8, months[tm.tm_mon], 3);
    digits(out + 12, tm.tm_year + 1900, 4);
    digits(out + 17, tm.tm_hour, 2);
    digits(out + 20, tm.tm_min, 2);
    digits(out + 23, tm.tm_sec, 2);
}

static int month_number(const char *name)
{
    for (int i = 0; i < 12; i++)
        if (strcmp(name, months[i]) == 0)
            return i;
    return -1;
}

/* A two-digit year is the one within 50 years from now (RFC 9110 5.6.7); ours begins at 1970. */
static int year_of_two_digits(int y)
{
    return y < 70 ? 2000 + y : 1900 + y;
}

/* The three forms; %n at the very end tells that all was read. */
static bool fields_read(const char *text, struct tm *tm, char month[4])
{
    int end = 0;

    if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &tm->tm_mday, month,
               &tm->tm_year, &tm->tm_hour, &tm->tm_min, &tm->tm_sec, &end) == 6 &&
        end > 0 && text[end] == '\0')
        return true;
    end = 0;
    if (sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &tm->tm_mday, month,
               &tm->tm_year, &tm->tm_hour, &tm->tm_min, &tm->tm_sec, &end) == 6 &&
        end > 0 && text[end] == '\0') {
        tm->tm_year = year_of_two_digits(tm->tm_year);
        return true;
    }
    end = 0;
    return sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month, &tm->tm_mday,
                  &tm->tm_hour, &tm->tm_min, &tm->tm_sec, &tm->tm_year, &end) == 6 &&
           end > 0 && text[end] == '\0';
}

bool httpdate_parse(const char *text, time_t *t)
{
    struct tm tm = {0};
    char month[4] = "";

    if (!fields_read(text, &tm, month))
        return false;
    tm.tm_mon = month_number(month);
    if (tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour < 0 || tm.tm_hour > 23 ||
        tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60 || tm.tm_year < 1970)
        return false;
    tm.tm_year -= 1900;
    *t = timegm(&tm);
    return true;
}
