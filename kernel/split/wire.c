/* SPDX-License-Identifier: MIT */
/*
 * A wire for Ethernet frames: two rings, one for each direction. Who sends is the ring's front end;
 * an answer says only that a frame was taken.
 */
#include "split/split.h"

void wire_open(struct wire *w, void *const *pages, enum ring_side side)
{
	ring_open(&w->out, pages + side * WIRE_PAGES / 2, RING_FRONT, WIRE_FRAMES, FRAME_ROOM);
	ring_open(&w->in, pages + !side * WIRE_PAGES / 2, RING_BACK, WIRE_FRAMES, FRAME_ROOM);
}

int wire_send(struct wire *w, const void *frame, uint32_t bytes)
{
	uint32_t unused;
	while (ring_take(&w->out, &unused, 0) > 0)
		;
	if (!ring_put(&w->out, &bytes, sizeof(bytes)))
		return -EAGAIN;
	memcpy(ring_data(&w->out, w->out.put - 1), frame, bytes);
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
	memcpy(buf, ring_data(&w->in, w->in.taken - 1), bytes);
	w->in.put++;
	return (int)bytes;
}
