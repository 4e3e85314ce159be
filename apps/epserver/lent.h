/*
 * Content that the stack sends from where it lies (MSG_ZEROCOPY): a file has a user more until the
 * stack is done with it, which the connection's error queue tells.
 */
#ifndef EPSERVER_LENT_H
#define EPSERVER_LENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct conn;
struct file;
struct worker;

/* Shorter content is copied: that costs less than to be told. */
#define LENT_MIN 65536

/* As mtcp_write(), of content of the file. */
ssize_t lent_write(struct worker *w, struct conn *c, struct file *f, const char *data, size_t len);

/* Gives back the files that the stack is done with. */
void lent_collect(struct worker *w, struct conn *c);

/* The connection is closed: gives back all. */
void lent_end(struct worker *w, struct conn *c);

#endif
