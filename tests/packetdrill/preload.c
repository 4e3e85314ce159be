/*
 * What packetdrill asks the kernel for although the stack under test, or the virtual clock, has to
 * answer. These replace libc's functions when the object is preloaded (run.sh does):
 *
 *   getsockopt           code blocks ask for TCP_INFO of the socket under test
 *   sendfile             to a socket: reads and sends, as a program does without it
 *   times                a script begins ten ticks of the real clock after packetdrill
 *   mlockall, sched_setscheduler   against the real clock's noise
 */
#include "tests/packetdrill/calls.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <unistd.h>

int getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
    if (!packetdrill_owns(fd))
        return (int)syscall(SYS_getsockopt, fd, level, name, val, len);
    if (level == IPPROTO_TCP && name == TCP_CC_INFO) {
        *len = 0; /* as the kernel says of an algorithm that has nothing to tell */
        return 0;
    }
    if (level == SOL_SOCKET && name == SO_MEMINFO) {
        memset(val, 0, *len);
        return 0;
    }
    socklen_t room = *len;
    memset(val, 0, room);
    int rc = packetdrill_getsockopt(fd, level, name, val, len);
    if (rc == 0 && level == IPPROTO_TCP && name == TCP_INFO)
        *len = room; /* packetdrill's struct may have more members than this kernel's headers */
    return rc;
}

/* A file is small in a script. */
ssize_t sendfile(int out, int in, off_t *off, size_t n)
{
    char buf[4096];
    if (!packetdrill_owns(out))
        return syscall(SYS_sendfile, out, in, off, n);
    n = n < sizeof(buf) ? n : sizeof(buf);
    ssize_t got = off ? pread(in, buf, n, *off) : read(in, buf, n);
    ssize_t put = got > 0 ? packetdrill_send(out, buf, (size_t)got) : got;
    if (off && put > 0)
        *off += put;
    return put;
}

clock_t times(struct tms *buf)
{
    static clock_t ticks;
    if (buf)
        memset(buf, 0, sizeof(*buf));
    return ++ticks;
}

int mlockall(int flags)
{
    (void)flags;
    return 0;
}

int sched_setscheduler(pid_t pid, int policy, const struct sched_param *param)
{
    (void)pid, (void)policy, (void)param;
    return 0;
}
