/*
 * The header that a TAP of the kernel puts before each frame (struct virtio_net_hdr, the virtio
 * specification 5.1.6): what is to be summed, and how a frame of several segments is to be cut. In
 * the machine's byte order, as the TAP is left to have it. Pure functions; no device in here.
 */
#ifndef MTCP_IO_VNET_HDR_H
#define MTCP_IO_VNET_HDR_H

#include "mtcp_io.h"

#include <stdint.h>

#define VNET_HDR_LEN 10u

/* Makes the header of a frame to be sent, from its flags and lengths; hdr has VNET_HDR_LEN bytes.
 * What the kernel does not do is done to the frame: the IPv4 header's checksum, when it was left to
 * the device. */
void vnet_hdr_make(uint8_t *hdr, struct mtcp_pkt *pkt);

/* What the header of a received frame says, into pkt->flags and pkt->tso_mss. A checksum that a
 * sender of this host has left out need not be verified: the field may hold anything. */
void vnet_hdr_read(const uint8_t *hdr, struct mtcp_pkt *pkt);

#endif
