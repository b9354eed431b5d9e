/* SPDX-License-Identifier: MIT */
/*
 * A wire for Ethernet frames: two rings, one for each direction. Who sends is the ring's front end;
 * an answer says only that a frame was taken. A frame lies in its slot, with its length before it.
 */
#include "split/split.h"

enum { HALF = PAGE_SIZE << (WIRE_ORDER - 1), SLOT = sizeof(uint32_t) + FRAME_MAX + 2 };
_Static_assert(WIRE_FRAMES * SLOT + 64 <= HALF, "the frames of a direction");

void wire_open(struct wire *w, char *area, enum ring_side side)
{
	void *out = area + side * HALF, *in = area + !side * HALF;
	ring_open(&w->out, out, HALF / PAGE_SIZE, RING_FRONT, SLOT);
	ring_open(&w->in, in, HALF / PAGE_SIZE, RING_BACK, SLOT);
}

int wire_send(struct wire *w, const void *frame, uint32_t bytes)
{
	uint32_t unused;
	while (ring_take(&w->out, &unused, 0) > 0)
		;
	uint32_t *slot = ring_put(&w->out, &bytes, sizeof(bytes));
	if (!slot)
		return -EAGAIN;
	memcpy(slot + 1, frame, bytes);
	return ring_publish(&w->out);
}

int wire_receive(struct wire *w, void *buf)
{
	uint32_t bytes;
	int ready = ring_take(&w->in, &bytes, sizeof(bytes));
	if (ready <= 0)
		return ready;
	if (bytes < 14 || bytes > FRAME_MAX) {
		w->in.broken = true;
		return -EPIPE;
	}
	memcpy(buf, (uint32_t *)ring_slot(&w->in, w->in.taken - 1) + 1, bytes);
	w->in.put++;
	return (int)bytes;
}
