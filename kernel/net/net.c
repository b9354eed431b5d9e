/* SPDX-License-Identifier: MIT */
/*
 * Ethernet, ARP (RFC 826), IPv4 (RFC 791) without fragments and options, ICMP echo (RFC 792), UDP
 * (RFC 768). What comes is not trusted: each field is compared with the bytes that are there before
 * anything behind it is read, and what does not fit is dropped and counted.
 *
 *   frame   0 to, 6 from, 12 type (ARP, IPv4)
 *   ARP    14 Ethernet, 16 IPv4, 18 sizes 6 and 4, 20 operation, 22 sender, 32 target
 *   IPv4   14 version and length, 16 bytes, 18 number, 20 fragment, 22 time to live, 23 protocol,
 *          24 sum, 26 from, 30 to, 34 payload
 *   ICMP   34 type, 35 code, 36 sum, 38 identifier, 40 sequence
 *   UDP    34 from, 36 to, 38 bytes, 40 sum
 */
#include "net/net.h"
#include "boot/boot.h"
#include "lib/ipv4.h"
#include "proc/task.h"

enum { TYPE_ARP = 0x0806, TYPE_IPV4 = 0x0800, ARP_BYTES = 42, ARP_REQUEST = 1, ARP_REPLY = 2 };
enum { ECHO_REPLY = 0, ECHO = 8, DONT_FRAGMENT = 0x4000, TTL = 64 };
enum { NEIGHBOURS = 8, ARP_TRIES = 3, ARP_WAIT_MS = 500 };

struct net net = { .address = 0x0A00020F }; /* 10.0.2.15, which QEMU's user network expects */
static struct spinlock lock; /* guards the neighbours */
static struct neighbour {
	uint32_t address; /* 0: a free place */
	bool known;
	uint8_t mac[MAC_BYTES];
} neighbours[NEIGHBOURS];
static unsigned oldest; /* the neighbour that the next one replaces */

static const uint8_t everybody[MAC_BYTES] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };
static const uint8_t arp_begin[] = { 0, 1, TYPE_IPV4 >> 8, TYPE_IPV4 & 0xFF, MAC_BYTES, 4 };

static void count(uint32_t *counter) { __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }

/* Whether another machine in this network may have the address. */
static bool is_neighbour(uint32_t address)
{
	uint8_t host = (uint8_t)address;
	return !((address ^ net.address) >> 8) && address != net.address && host && host != 0xFF;
}

/* --- sums --- */

/* Add the 16-bit numbers of data; an odd last byte has a zero behind it (RFC 1071). */
static uint32_t sum(uint32_t sum, const uint8_t *data, uint32_t bytes)
{
	for (uint32_t i = 0; i + 1 < bytes; i += 2)
		sum += get16(data + i);
	return sum + (bytes % 2 ? (uint32_t)data[bytes - 1] << 8 : 0);
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xFFFF) + (sum >> 16);
	return (uint16_t)~sum;
}

uint16_t net_sum(uint32_t from, uint32_t to, uint8_t protocol, const uint8_t *data, uint32_t bytes)
{
	uint8_t pseudo[12] = { [9] = protocol };
	put32(pseudo, from);
	put32(pseudo + 4, to);
	put16(pseudo + 10, bytes);
	return fold(sum(protocol == NET_UDP ? sum(0, pseudo, sizeof(pseudo)) : 0, data, bytes));
}

/* --- sending --- */

/* Send a frame, whose bytes from FRAME_MIN on are the caller's. Result: 0, -EIO. */
static int send_frame(uint8_t *frame, const uint8_t *to, uint16_t type, uint32_t bytes)
{
	memcpy(frame, to, MAC_BYTES);
	memcpy(frame + 6, net.card->mac, MAC_BYTES);
	put16(frame + 12, type);
	if (bytes < FRAME_MIN) {
		memset(frame + bytes, 0, FRAME_MIN - bytes); /* nobody may see what was there */
		bytes = FRAME_MIN;
	}
	int error = net.card->send(net.card, frame, bytes);
	count(error ? &net.dropped : &net.sent);
	return error;
}

static int send_arp(uint8_t *frame, uint16_t operation, const uint8_t *mac, uint32_t address)
{
	uint8_t to[MAC_BYTES]; /* mac may lie in the frame */
	memcpy(to, mac, MAC_BYTES);
	memcpy(frame + 14, arp_begin, sizeof(arp_begin));
	put16(frame + 20, operation);
	memcpy(frame + 22, net.card->mac, MAC_BYTES);
	put32(frame + 28, net.address);
	memcpy(frame + 32, to, MAC_BYTES);
	put32(frame + 38, address);
	return send_frame(frame, to, TYPE_ARP, ARP_BYTES);
}

/* Context: the lock is held. */
static struct neighbour *place_of(uint32_t address)
{
	struct neighbour *n = neighbours;
	while (n < neighbours + NEIGHBOURS && n->address != address)
		n++;
	return n < neighbours + NEIGHBOURS ? n : NULL;
}

/*
 * Remember a neighbour's MAC address. Only a neighbour whom this machine asked, or who asked for
 * this machine, gets a new place in the table. mac: NULL: it is not known yet.
 */
static void neighbour_learn(uint32_t address, const uint8_t *mac, bool add)
{
	spin_lock(&lock);
	struct neighbour *n = place_of(address);
	if (!n && add) {
		n = &neighbours[oldest++ % NEIGHBOURS];
		*n = (struct neighbour){ .address = address };
	}
	if (n && mac) {
		memcpy(n->mac, mac, MAC_BYTES);
		n->known = true;
	}
	spin_unlock(&lock);
}

static bool neighbour_find(uint32_t address, uint8_t *mac)
{
	spin_lock(&lock);
	const struct neighbour *n = place_of(address);
	bool found = n && n->known;
	if (found)
		memcpy(mac, n->mac, MAC_BYTES);
	spin_unlock(&lock);
	return found;
}

/* Find a neighbour's MAC address, by ARP if need be. Result: 0, -EHOSTUNREACH, -EINTR, -EIO. */
static int resolve(uint32_t address, uint8_t *mac)
{
	uint8_t request[FRAME_MIN + 4] __attribute__((aligned(4)));
	for (unsigned ms = 0; !neighbour_find(address, mac); ms += 10) {
		if (ms == ARP_TRIES * ARP_WAIT_MS)
			return -EHOSTUNREACH;
		int error = 0;
		if (ms % ARP_WAIT_MS == 0) {
			neighbour_learn(address, NULL, true);
			error = send_arp(request, ARP_REQUEST, everybody, address);
		}
		if (!error)
			error = sleep_ms(10);
		if (error)
			return error;
	}
	return 0;
}

/* Write the header before a payload of `bytes`, and send. Result: 0, -EIO. */
static int send_ip(uint8_t *frame, const uint8_t *mac, uint32_t to, uint8_t protocol,
		   uint32_t bytes)
{
	uint8_t *ip = frame + 14;
	memset(ip, 0, IP_PAYLOAD - 14);
	ip[0] = 0x45;
	put16(ip + 2, IP_PAYLOAD - 14 + bytes);
	put16(ip + 6, DONT_FRAGMENT);
	ip[8] = TTL;
	ip[9] = protocol;
	put32(ip + 12, net.address);
	put32(ip + 16, to);
	put16(ip + 10, fold(sum(0, ip, IP_PAYLOAD - 14)));
	return send_frame(frame, mac, TYPE_IPV4, IP_PAYLOAD + bytes);
}

int net_output(uint8_t *frame, uint32_t to, uint8_t protocol, uint32_t bytes)
{
	uint8_t mac[MAC_BYTES];
	if (bytes > IP_PAYLOAD_MAX)
		return -EMSGSIZE;
	if (!net.card || !is_neighbour(to))
		return -ENETUNREACH;
	int error = resolve(to, mac);
	return error ? error : send_ip(frame, mac, to, protocol, bytes);
}

/* --- what comes: each function's result says whether the frame made sense --- */

static bool arp_input(uint8_t *frame, uint32_t bytes)
{
	if (bytes < ARP_BYTES || memcmp(frame + 14, arp_begin, sizeof(arp_begin)) != 0)
		return false;
	uint16_t operation = get16(frame + 20);
	const uint8_t *mac = frame + 22;
	uint32_t from = get32(frame + 28), target = get32(frame + 38);
	if (!is_neighbour(from) || mac[0] & 1)
		return false;
	bool asks = operation == ARP_REQUEST && target == net.address;
	neighbour_learn(from, mac, asks);
	if (asks)
		send_arp(frame, ARP_REPLY, mac, from);
	return asks || operation == ARP_REPLY;
}

static bool icmp_input(uint8_t *frame, uint32_t from, uint8_t *icmp, uint32_t bytes)
{
	if (bytes < 8 || net_sum(from, net.address, NET_ICMP, icmp, bytes) || icmp[1])
		return false;
	struct net_address sender = { .address = from, .port = get16(icmp + 6) };
	if (icmp[0] == ECHO_REPLY)
		return socket_input(NET_ICMP, get16(icmp + 4), &sender, icmp + 8, bytes - 8);
	if (icmp[0] != ECHO || !is_neighbour(from))
		return false;
	uint8_t mac[MAC_BYTES];
	memcpy(mac, frame + 6, MAC_BYTES);
	memmove(frame + IP_PAYLOAD, icmp, bytes); /* without the request's options */
	icmp = frame + IP_PAYLOAD;
	icmp[0] = ECHO_REPLY;
	put16(icmp + 2, 0);
	put16(icmp + 2, net_sum(net.address, from, NET_ICMP, icmp, bytes));
	send_ip(frame, mac, from, NET_ICMP, bytes);
	return true;
}

static bool udp_input(uint32_t from, const uint8_t *udp, uint32_t bytes)
{
	if (bytes < 8 || get16(udp + 4) < 8 || get16(udp + 4) > bytes)
		return false;
	bytes = get16(udp + 4);
	if (get16(udp + 6) && net_sum(from, net.address, NET_UDP, udp, bytes))
		return false;
	struct net_address sender = { .address = from, .port = get16(udp) };
	return socket_input(NET_UDP, get16(udp + 2), &sender, udp + 8, bytes - 8);
}

static bool ip_input(uint8_t *frame, uint32_t bytes)
{
	uint8_t *ip = frame + 14;
	bytes -= 14;
	if (bytes < 20 || ip[0] >> 4 != 4)
		return false;
	uint32_t head = (ip[0] & 15u) * 4, all = get16(ip + 2);
	if (head < 20 || all < head || all > bytes || fold(sum(0, ip, head)))
		return false;
	bool fragment = get16(ip + 6) & ~DONT_FRAGMENT;
	if (fragment || get32(ip + 16) != net.address)
		return false;
	uint32_t from = get32(ip + 12);
	if (ip[9] == NET_ICMP)
		return icmp_input(frame, from, ip + head, all - head);
	return ip[9] == NET_UDP && udp_input(from, ip + head, all - head);
}

void net_input(uint8_t *frame, uint32_t bytes)
{
	count(&net.received);
	uint16_t type = bytes >= 14 ? get16(frame + 12) : 0;
	if (!(type == TYPE_ARP && arp_input(frame, bytes)) &&
	    !(type == TYPE_IPV4 && ip_input(frame, bytes)))
		count(&net.dropped);
}

/* --- start, /proc/net --- */

static void receive_main(void)
{
	static uint8_t frame[FRAME_ROOM] __attribute__((aligned(4)));
	for (;;)
		net_input(frame, net.card->receive(net.card, frame));
}

void net_init(struct netdev *card)
{
	char address[16];
	net.card = card;
	if (boot_option("ip", address, sizeof(address)) && !ipv4_parse(address, &net.address))
		panic("boot: ip=%s is no address; write it as in ip=10.0.2.15", address);
}

void net_start(void)
{
	if (!net.card)
		return;
	struct task *receiver = task_create("net", receive_main);
	if (!receiver)
		panic("boot: no memory for the task that receives from the network");
	sched_ready(receiver);
}

int net_show(char *buf, size_t size)
{
	if (!net.card)
		return snprintf(buf, size, "no card\n");
	uint8_t address[4];
	const uint8_t *mac = net.card->mac;
	put32(address, net.address);
	return snprintf(buf, size, "card %s %02x:%02x:%02x:%02x:%02x:%02x\n"
			"address %u.%u.%u.%u\nreceived %u\nsent %u\ndropped %u\n",
			net.card->name, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], address[0],
			address[1], address[2], address[3], net.received, net.sent, net.dropped);
}
