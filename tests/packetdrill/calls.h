/* The sockets that packetdrill got, for the calls it makes past its table (preload.c). */
#ifndef TESTS_PACKETDRILL_CALLS_H
#define TESTS_PACKETDRILL_CALLS_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

bool packetdrill_owns(int fd);
ssize_t packetdrill_send(int fd, const void *buf, size_t n);
int packetdrill_getsockopt(int fd, int level, int name, void *val, socklen_t *len);

#endif
