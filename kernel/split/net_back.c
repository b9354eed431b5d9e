/* SPDX-License-Identifier: MIT */
/*
 * The bridge: it joins the machine's card, this kernel's own network, and the wires to guests. It
 * need not learn who is where: it has given each guest its address. A guest's frame must come from
 * that address. A frame that has no room in a guest's wire is lost, as on any network.
 */
#include "domain/ports.h"
#include "split/split.h"

static struct netdev bridge, *card; /* card: NULL if the machine has none */

static int serve(struct back *b);

/*
 * Give a frame to the guests that it is for; `from`: who sent it, or NULL. Result: whether it may
 * be for others, too.
 */
static bool to_guests(const struct back *from, const uint8_t *frame, uint32_t bytes)
{
	bool group = frame[0] & 1, others = true;
	spin_lock(&backs_lock);
	for (struct back *b = backs; b; b = b->next) {
		if (b->serve != serve || !b->port)
			continue;
		bool its = memcmp(frame, b->mac, MAC_BYTES) == 0;
		others &= !its;
		if ((its || group) && b != from && wire_send(&b->wire, frame, bytes) > 0)
			port_notify(b->port);
	}
	spin_unlock(&backs_lock);
	return others;
}

static int bridge_send(struct netdev *d, const void *frame, uint32_t bytes)
{
	(void)d;
	return to_guests(NULL, frame, bytes) ? card->send(card, frame, bytes) : 0;
}

static uint32_t bridge_receive(struct netdev *d, void *buf)
{
	uint32_t bytes;
	(void)d;
	do
		bytes = card->receive(card, buf);
	while (!to_guests(NULL, buf, bytes));
	return bytes;
}

/* Hand on a guest's frame, and with it the buffer. */
static void forward(const struct back *from, uint8_t *frame, uint32_t bytes)
{
	if (bytes < FRAME_MIN || memcmp(frame + MAC_BYTES, from->mac, MAC_BYTES) != 0 ||
	    !to_guests(from, frame, bytes) || !card)
		return;
	bool mine = memcmp(frame, card->mac, MAC_BYTES) == 0;
	if (!mine)
		card->send(card, frame, bytes);
	if (mine || frame[0] & 1)
		net_input(frame, bytes);
}

static int serve(struct back *b)
{
	static uint8_t frame[FRAME_ROOM] __attribute__((aligned(4)));
	int got = 1;
	for (unsigned n = 0; n < WIRE_FRAMES && got > 0; n++)
		if ((got = wire_receive(&b->wire, frame)) > 0)
			forward(b, frame, (uint32_t)got);
	if (got < 0)
		return got;
	if (ring_publish(&b->wire.in))
		port_notify(b->port);
	return got > 0 || ring_ask(&b->wire.in, 1);
}

struct back *net_back_create(void)
{
	struct back *b = back_create(serve, WIRE_PAGES);
	if (!b)
		return NULL;
	b->mac[0] = 2; /* an address that its user chose */
	if (card)
		memcpy(b->mac + 1, card->mac + 2, 4);
	wire_open(&b->wire, b->pages, RING_BACK);
	ring_clear(b->wire.in.page);
	ring_clear(b->wire.out.page);
	return b;
}

struct netdev *bridge_init(struct netdev *c)
{
	if (!c)
		return NULL;
	card = c;
	bridge = *c;
	bridge.send = bridge_send;
	bridge.receive = bridge_receive;
	return &bridge;
}
