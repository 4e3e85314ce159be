/*
 * Checksums that the sender of a frame left to a device: a virtual machine or a namespace on the
 * same host leaves them open when it hands the frame to a device that promises to fill them
 * (virtio's partial checksums). Between two devices that is whoever sends the frame on.
 */
#ifndef MTCP_NET_OPEN_CSUM_H
#define MTCP_NET_OPEN_CSUM_H

#include "mtcp/net/net.h"

/* Is the packet, as it was received, such a one? Its device says so; where it can't
 * (conf.trust_csums), the field that holds the sum of the pseudo header does. */
bool open_csum_is(const struct net *n, const struct mtcp_pkt *pkt);

/* Before the interface sends the frame: the checksums of TCP and UDP, and of IPv4, are filled, or
 * that of TCP is left to its device. Other frames stay as they are. */
void open_csum_close(const struct net_if *nif, struct mtcp_pkt *pkt);

#endif
