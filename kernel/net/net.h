/* SPDX-License-Identifier: MIT */
/*
 * Network: cards behind one interface, and over the card in use ARP, IPv4, ICMP echo and UDP. The
 * machine has one address, in a network of 256 (option ip=), and no gateway.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include "proc/lock.h"
#include "vo/vo.h"

enum { MAC_BYTES = 6, FRAME_MIN = 60, FRAME_MAX = 1514 }; /* an Ethernet frame without its CRC */
enum { FRAME_ROOM = 2048 };                               /* of a buffer for a frame */

/* A network card, as struct blockdev is a disk. */
struct netdev {
	const char *name;
	uint8_t mac[MAC_BYTES];
	/*
	 * Send a frame of FRAME_MIN to FRAME_MAX bytes; 3 more may be read. Result: 0, -EIO: the
	 * card sends no more. Context: process, may sleep.
	 */
	int (*send)(struct netdev *d, const void *frame, uint32_t bytes);
	/*
	 * Wait for a frame, and move it to buf, which has FRAME_ROOM. Result: its bytes, 14 to
	 * FRAME_MAX. Context: the task that receives, may sleep.
	 */
	uint32_t (*receive)(struct netdev *d, void *buf);
};

/* --- ne2k.c: an NE2000 on the ISA bus, ports 0x300-0x31F, line 3 or 9 --- */
/* Result: the card, or NULL if there is none. Context: boot, interrupts off, once. */
struct netdev *ne2k_init(void);

/* --- net.c: the card in use, Ethernet, ARP, IPv4, ICMP echo --- */
/* Use this card; NULL: there is none. Context: boot, interrupts off, once. */
void net_init(struct netdev *card);
/* Let the task run that receives, if there is a card. Context: process, once. */
void net_start(void);
/* Handle a frame that came, and may answer it in its buffer of FRAME_ROOM. Context: process. */
void net_input(uint8_t *frame, uint32_t bytes);
/*
 * Send an IPv4 packet. frame: FRAME_ROOM bytes of the caller's, with `bytes` bytes of payload at
 * IP_PAYLOAD. Result: 0, -EMSGSIZE, -ENETUNREACH, -EHOSTUNREACH (no answer to ARP), -EINTR, -EIO.
 * Context: process, may sleep.
 */
int net_output(uint8_t *frame, uint32_t to, uint8_t protocol, uint32_t bytes);
enum { IP_PAYLOAD = 34, IP_PAYLOAD_MAX = FRAME_MAX - IP_PAYLOAD };
/* The sum of ICMP, or of UDP if it has one, over a payload between two addresses. 0: right. */
uint16_t net_sum(uint32_t from, uint32_t to, uint8_t protocol, const uint8_t *data,
		 uint32_t bytes);
/* /proc/net: as snprintf(). Context: process. */
int net_show(char *buf, size_t size);

struct net {
	struct netdev *card; /* in use; NULL: none */
	uint32_t address;    /* the machine's */
	uint32_t received, sent, dropped; /* frames */
};
extern struct net net;

/* --- socket.c: what programs open --- */
/* Give a payload to the socket it is for. Result: whether there is one. Context: process. */
bool socket_input(uint8_t protocol, uint16_t port, const struct net_address *from,
		  const uint8_t *data, uint32_t bytes);
/* System calls (syscalls.def); pointers are user addresses. */
int sys_net_open(uint32_t protocol, uint32_t port);
int sys_net_send(uint32_t fd, uint32_t to, uint32_t buf, uint32_t bytes);
int sys_net_receive(uint32_t fd, uint32_t from, uint32_t buf, uint32_t bytes, uint32_t ms);

/* Numbers of the network: the byte with the highest value first. */
static inline uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static inline uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}
static inline void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}
static inline void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

#endif
