/*
 * A program that is started with standard input, output or error closed would get their numbers for
 * its next descriptors, and print into those: into a device, or into the descriptor that stops it.
 */
#ifndef APPS_STD_FDS_H
#define APPS_STD_FDS_H

#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

/* First of all. Each that is closed becomes a descriptor that neither reads nor writes; false when
 * that fails. */
static inline bool std_fds_hold(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/", O_PATH) != fd)
            return false;
    return true;
}

#endif
