/* Files that people write, one thing a line: rules, patterns. */
#ifndef APPS_COMMON_LINES_H
#define APPS_COMMON_LINES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Takes a line, numbered from 1, which it may write to; with the newline, unless the last has none.
 *
 *   returns  NULL, or what is wrong: a constant, with *word what it is about
 */
typedef const char *(*line_taker)(void *arg, char *line, unsigned number, const char **word);

/*
 * Reads a file until a line is wrong.
 *
 *   err      on failure one line: "path:number: 'word' what is wrong", or why it can't be read
 *   returns  false: on failure
 */
bool lines_read(const char *path, line_taker take, void *arg, char *err, size_t err_len);

#endif
