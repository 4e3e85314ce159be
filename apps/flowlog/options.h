/* The args of flowlog: words separated by spaces. */
#ifndef FLOWLOG_OPTIONS_H
#define FLOWLOG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum flowlog_event {
    FLOWLOG_START = 1 << 0,
    FLOWLOG_STATE = 1 << 1,
    FLOWLOG_DATA = 1 << 2,
    FLOWLOG_REXMIT = 1 << 3,
    FLOWLOG_ERROR = 1 << 4,
    FLOWLOG_END = 1 << 5,
    FLOWLOG_ALL = (1 << 6) - 1,
};

struct flowlog_options {
    char file[256];   /* where to write; "": stdout */
    unsigned events;  /* enum flowlog_event */
    bool edges;       /* at each data event, the buffer edges and runs of both sides */
    uint64_t n_lines; /* stop writing after so many; 0: never */
};

/*
 * Reads "file=PATH events=start,data edges lines=N", any of them, in any order.
 *
 *   returns  true, or false and what is wrong in `err`
 */
bool flowlog_options_read(struct flowlog_options *o, const char *args, char *err, size_t err_len);

#endif
