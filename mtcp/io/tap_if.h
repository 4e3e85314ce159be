/*
 * The kernel's side of a TAP: its interface and the descriptors of its queues, and what keeps one
 * from being had, in a line for people.
 */
#ifndef MTCP_IO_TAP_IF_H
#define MTCP_IO_TAP_IF_H

#include "mtcp/base/bug.h"

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>

enum tap_if_flag {
    TAP_IF_MULTI = 1 << 0, /* of several queues */
    TAP_IF_VNET = 1 << 1,  /* frames have a header (vnet_hdr.h) */
    TAP_IF_JOIN = 1 << 2   /* one more queue of an interface that is ours already */
};

/* A queue's descriptor, non-blocking, of an interface that is made, or was made before by an
 * administrator ("ip tuntap add") and is in nobody's use; it goes with its last descriptor unless
 * it was made to persist. -errno with a line in err: EINVAL (name), ENODEV, EPERM, EACCES, EBUSY,
 * or what the kernel says. */
MUST_CHECK int tap_if_open(const char *iface, unsigned flags, char *err, size_t err_len);

/* 0, or -errno. The interface's: what is so already needs no right to be set. */
MUST_CHECK int tap_if_up(const char *iface);
MUST_CHECK int tap_if_mac(const char *iface, uint8_t mac[6]);
MUST_CHECK int tap_if_set_mtu(const char *iface, unsigned mtu);

/* Of any kernel interface; 0: it can't be told. */
uint32_t tap_if_mtu(const char *iface);

#endif
