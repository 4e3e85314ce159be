/*
 * Where messages for people go: nowhere, unless somebody gave a sink. One line per call, no
 * newline.
 */
#ifndef MTCP_BASE_LOG_H
#define MTCP_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log {
    void (*sink)(void *arg, enum log_level level, const char *line);
    void *arg;
    enum log_level level; /* lines above it are dropped before they are formatted */
};

void log_line(const struct log *l, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

const char *log_level_name(enum log_level level);

#endif
