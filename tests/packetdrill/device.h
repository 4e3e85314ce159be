/*
 * A device that speaks bare IP packets to packetdrill and Ethernet to the stack, whose peers all
 * live behind one address. It cuts large segments as a NIC does, or hands them over whole, which is
 * what packetdrill sees of the kernel.
 */
#ifndef TESTS_PACKETDRILL_DEVICE_H
#define TESTS_PACKETDRILL_DEVICE_H

#include <mtcp_io.h>

#define DEVICE_NAME     "tun0"
#define DEVICE_PEER_MAC "02:00:00:00:00:02"

/* Packets for the stack with more payload than in_mss arrive as a burst of segments; 0: as they are. */
struct mtcp_io *device_open(unsigned mtu, unsigned in_mss);
void device_close(void);

/* Large segments are cut from now on, or no more. */
void device_set_cutting(bool is_cutting);

/* A packet for the stack to receive; false without memory. */
bool device_send(const void *packet, size_t len);

/* The oldest packet that the stack sent, cut to fit: its length, and when; 0: there is none. */
size_t device_receive(void *buf, size_t room, uint64_t *at_us);

/* Packets that have moved, either way. */
uint64_t device_n_moved(void);

#endif
