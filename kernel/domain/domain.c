/* SPDX-License-Identifier: MIT */
/* The guests of this kernel, and the operations on them (HC_DOMAIN). build.c writes new ones. */
#include "domain/domain.h"
#include "domain/guest.h"
#include "domain/ports.h"
#include "mm/frame.h"
#include "split/split.h"
#include "vo/virtual.h"

unsigned nr_guests; /* also those that are being made */

int guest_op(const struct guest *g, unsigned operation, struct domain_op *o)
{
	int result;
	o->domain = g->number;
	do
		result = hypercall(HC_DOMAIN, operation, (uint32_t)o, 0, 0);
	while (result == -EAGAIN);
	return result;
}

/* While there is a guest the mode stays virtual: so it is asked for once. */
int guest_announce(struct guest *g, uint32_t weight)
{
	struct domain_op o = { .n = g->nr_state, .vcpus = g->vcpus, .weight = weight };
	for (unsigned i = 0; i < g->nr_state; i++)
		o.frames[i] = pfn_to_mfn(g->state[i]);
	vo_hold();
	int result = VO(cpu, ring)() && !guest_start ? guest_op(g, DOMAIN_OPEN, &o) : -ENODEV;
	vo_release();
	if (result <= 0)
		return result;
	g->number = (unsigned)result;
	nr_guests++;
	return 0;
}

/* As many pages as it takes in one call: first to last, in order. */
int guest_pages(struct guest *g, unsigned operation, uint32_t pages)
{
	struct domain_op o = { 0 };
	int error = 0;
	g->given = 0;
	for (const struct extent *b = g->blocks; b; b = b->next)
		for (uint32_t i = 0; i < 1u << b->order && g->given < pages; i++) {
			o.pfns[o.n] = b->pfn + i;
			o.frames[o.n++] = pfn_to_mfn(b->pfn + i);
			if (o.n < DOMAIN_OP_FRAMES && g->given + o.n < pages)
				continue;
			error = guest_op(g, operation, &o);
			if (error)
				return error;
			g->given += o.n;
			o.n = 0;
		}
	return 0;
}

int guest_join(const struct guest *g, const struct back *b, uint32_t port, uint32_t *own)
{
	struct domain_op o = { .n = 1, .port = port };
	int result = 0;
	for (uint32_t i = 0; b && i < b->nr_pages && !result; i++) {
		o.frames[0] = pfn_to_mfn(virt_to_pfn(b->pages[i]));
		result = guest_op(g, DOMAIN_LEND, &o);
	}
	if (!result)
		result = guest_op(g, DOMAIN_PAIR, &o);
	*own = result > 0 ? (uint32_t)result : 0;
	return MIN(result, 0);
}

/* End the guest, take back what the VMM has, and free all. */
void domain_destroy(struct guest *g)
{
	struct domain_op o = { 0 };
	for (const uint32_t *port = &g->console_port; port <= &g->net_port; port++)
		if (*port)
			port_unbind(*port);
	for (unsigned i = 0; i < g->nr_state; i++)
		o.pfns[i] = g->state[i];
	if (g->number) {
		guest_op(g, DOMAIN_KILL, &o);
		if (guest_pages(g, DOMAIN_TAKE, g->given) || guest_op(g, DOMAIN_CLOSE, &o))
			panic("the VMM does not give back the memory of guest %u", g->number);
		nr_guests--;
	}
	while (g->nr_state)
		frame_free(g->state[--g->nr_state], 0);
	for (struct extent *b = g->blocks, *next; b; b = next) {
		next = b->next;
		frame_free(b->pfn, b->order);
		kfree(b);
	}
	memset(g, 0, sizeof(*g));
}

int domain_create(struct guest *g, const struct domain_wish *w, const char **why)
{
	*why = "a guest has 1 to 4 vCPUs, and 4 KiB to 1 GiB of memory";
	if (w->vcpus - 1 >= GUEST_MAX_VCPUS || w->mem_kib > 1 << 20 || w->mem_kib < 4)
		return -EINVAL;
	g->nr_pfns = w->mem_kib / (PAGE_SIZE / 1024);
	g->vcpus = w->vcpus;
	int error = guest_build(g, w, why);
	if (error)
		domain_destroy(g);
	return error;
}
