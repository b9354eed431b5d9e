/* SPDX-License-Identifier: MIT */
/* A guest's network card: the front end, one side of a wire to the bridge in domain 0. */
#include "domain/ports.h"
#include "split/split.h"

static struct netdev front;
static unsigned front_port;
static struct port_sleepers sleepers; /* for frames, and for room; the lock guards the wire */
static struct wire wire;
static void *pages[WIRE_PAGES];

static int front_send(struct netdev *d, const void *frame, uint32_t bytes)
{
	(void)d;
	int sent, error = 0;
	uint32_t flags = spin_lock_irq(&sleepers.lock);
	while ((sent = wire_send(&wire, frame, bytes)) == -EAGAIN && !error)
		if (!ring_ask(&wire.out, 1))
			error = wait_on(&sleepers.queue, &sleepers.lock);
	if (sent > 0)
		port_notify(front_port);
	spin_unlock_irq(&sleepers.lock, flags);
	return sent < 0 ? -EIO : 0;
}

static uint32_t front_receive(struct netdev *d, void *buf)
{
	(void)d;
	int got;
	uint32_t flags = spin_lock_irq(&sleepers.lock);
	while ((got = wire_receive(&wire, buf)) <= 0)
		if (got < 0 || !ring_ask(&wire.in, 1))
			wait_on_unkillable(&sleepers.queue, &sleepers.lock);
	if (ring_publish(&wire.in))
		port_notify(front_port);
	spin_unlock_irq(&sleepers.lock, flags);
	return (uint32_t)got;
}

struct netdev *net_front_init(const struct domain_start *start)
{
	if (!start->net.port)
		return NULL;
	front = (struct netdev){ .name = "ring", .send = front_send, .receive = front_receive };
	memcpy(front.mac, start->mac, MAC_BYTES);
	front_port = start->net.port;
	for (unsigned i = 0; i < WIRE_PAGES; i++)
		pages[i] = (void *)(start->net.ring + i * PAGE_SIZE);
	wire_open(&wire, pages, RING_FRONT);
	port_bind(front_port, port_wake, &sleepers);
	return &front;
}
