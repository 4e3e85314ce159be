/*
 * The stack under packetdrill: one context over a device that speaks bare IP packets, and a clock
 * that moves only when packetdrill waits. Time passes in usleep, in waiting for a packet, and in a
 * blocking call of packetdrill's first thread; timers fire exactly when they are due.
 *
 * packetdrill has two threads: the first runs the script, the second makes the calls that the
 * script says block. All enter here one at a time. A call that has to wait sleeps until the first
 * thread has moved something, and then tries again; the clock stands still until it has read it.
 */
#ifndef TESTS_PACKETDRILL_WORLD_H
#define TESTS_PACKETDRILL_WORLD_H

#include <mtcp_io.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORLD_NEVER UINT64_MAX

/* The context; valid between world_enter() and world_leave(). */
extern mctx_t world_ctx;

/* Flags are "key=value" separated by commas:
 *   local_ip=ADDR   the stack's address (192.168.0.1)
 *   mtu=N           of the device (1500)
 *   mss=N           payload of the segments in which large packets come to the stack (0: as one)
 *   sysctl=FOLDER   what stands in for /proc/sys/net/ipv4 (settings.h); none: defaults
 * False with a line on stderr. The calling thread becomes the first. */
bool world_open(const char *flags);
void world_close(void);

/* Around every call: the calling thread owns the stack. Leaving runs it until it has nothing more
 * to say. errno is kept. */
void world_enter(void);
void world_leave(void);

/* Inside: waits until something may have changed. False at the deadline, or when nothing is left
 * that could change by itself (first thread only). */
bool world_wait(uint64_t deadline_us);
uint64_t world_now(void); /* inside: the clock */

/* Inside: time passes. */
void world_sleep(uint64_t us);

/* Reading the clock, from outside; who reads it again and again makes it go on. */
uint64_t world_clock(void);

/* Inside: the next packet out, cut to fit: its length and when it was sent; 0 when none will come.
 */
size_t world_receive(void *buf, size_t room, uint64_t *at_us);

#endif
