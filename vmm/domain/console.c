/* SPDX-License-Identifier: MIT */
/*
 * The console of a guest: the VMM keeps what it wrote last, so that the words of a dead guest can
 * still be read, and what was typed and not read yet.
 */
#include "vmm/domain/domain.h"
#include "vmm/event/port.h"
#include "vmm/guest.h"

/* Copy bytes from or to the kernel of this CPU, a word's part at a time. Result: bytes copied. */
static uint32_t get_bytes(char *to, uint32_t from, uint32_t bytes)
{
	uint32_t word, i;
	for (i = 0; i < bytes; i++) {
		if ((i == 0 || (from + i) % 4 == 0) && copy_from_kernel(&word, (from + i) & ~3u, 4))
			break;
		to[i] = (char)(word >> (from + i) % 4 * 8);
	}
	return i;
}

static uint32_t put_bytes(uint32_t to, const char *from, uint32_t bytes)
{
	uint32_t word, i;
	for (i = 0; i < bytes; i++) {
		uint32_t at = (to + i) & ~3u, shift = (to + i) % 4 * 8;
		if (copy_from_kernel(&word, at, 4))
			break;
		word = (word & ~(0xFFu << shift)) | (uint32_t)(uint8_t)from[i] << shift;
		if (copy_to_kernel(at, &word, 4))
			break;
	}
	return i;
}

int guest_writes(struct domain *d, uint32_t from, uint32_t bytes)
{
	struct guest *g = d->guest;
	char part[CONSOLE_CALL];
	uint32_t n = get_bytes(part, from, MIN(bytes, CONSOLE_CALL));
	for (uint32_t i = 0; i < n; i++)
		g->output[g->written++ % CONSOLE_BYTES] = part[i];
	if (n)
		port_send(d, CONSOLE_PORT);
	return n || !bytes ? (int)n : -EFAULT;
}

int guest_output(const struct domain *d, uint32_t to, uint32_t bytes, uint32_t *position)
{
	const struct guest *g = d->guest;
	uint32_t left = g->written - *position, n = 0, part;
	if (left > CONSOLE_BYTES) { /* what was there is lost, or there was nothing yet */
		left = MIN(g->written, CONSOLE_BYTES);
		*position = g->written - left;
	}
	bytes = MIN(MIN(bytes, left), CONSOLE_CALL);
	for (; n < bytes; n += part) {
		uint32_t at = *position % CONSOLE_BYTES, want = MIN(bytes - n, CONSOLE_BYTES - at);
		part = put_bytes(to + n, g->output + at, want);
		*position += part;
		if (part < want)
			return n + part ? (int)(n + part) : -EFAULT;
	}
	return (int)n;
}

int guest_input(struct domain *d, uint32_t from, uint32_t bytes)
{
	struct guest *g = d->guest;
	uint32_t room = CONSOLE_TYPED - g->nr_typed;
	uint32_t n = get_bytes(g->typed + g->nr_typed, from, MIN(bytes, room));
	g->nr_typed += n;
	if (n)
		port_raise(d, CONSOLE_PORT);
	return n || !bytes || !room ? (int)n : -EFAULT;
}

int guest_reads(struct domain *d, uint32_t to, uint32_t bytes)
{
	struct guest *g = d->guest;
	uint32_t n = put_bytes(to, g->typed, MIN(bytes, g->nr_typed));
	if (!n)
		return bytes && g->nr_typed ? -EFAULT : 0;
	g->nr_typed -= n;
	memmove(g->typed, g->typed + n, g->nr_typed);
	port_send(d, CONSOLE_PORT); /* there is room again */
	return (int)n;
}
