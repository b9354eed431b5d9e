/* SPDX-License-Identifier: MIT */
/* The guests of this kernel, and the operations on them (HC_DOMAIN). build.c writes new ones. */
#include "domain/build.h"
#include "proc/lock.h"
#include "vo/virtual.h"

static struct mutex mutex; /* one guest is made or ended at a time; guards the list */
static struct guest *guests[MAX_DOMAINS];
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

/*
 * Do an operation for pages of the guest, as many as it takes in one call: first to last, in
 * order. g->given becomes their number, also after an error.
 */
static int for_pages(struct guest *g, unsigned operation, uint32_t pages)
{
	struct domain_op o = { 0 };
	int error = 0;
	g->given = 0;
	for (const struct block *b = g->blocks; b; b = b->next)
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

int guest_give(struct guest *g) { return for_pages(g, DOMAIN_GIVE, g->nr_pfns); }

int guest_join(const struct guest *g, const struct lent *l, uint32_t port, uint32_t *own)
{
	struct domain_op o = { .port = port };
	if (l && !l->n)
		return 0;
	int result = 0;
	for (uint32_t i = 0; l && i < l->n && !result; i++) {
		o.n = 1;
		o.frames[0] = pfn_to_mfn(l->pfns[i]);
		result = guest_op(g, DOMAIN_LEND, &o);
	}
	if (!result)
		result = guest_op(g, DOMAIN_PAIR, &o);
	*own = result > 0 ? (uint32_t)result : 0;
	return result > 0 ? 0 : result;
}

/* End the guest, take back what the VMM has, and free all. */
static void take_back(struct guest *g)
{
	struct domain_op o = { 0 };
	for (unsigned i = 0; i < g->nr_state; i++)
		o.pfns[i] = g->state[i];
	if (g->number)
		guest_op(g, DOMAIN_KILL, &o);
	if (g->number && (for_pages(g, DOMAIN_TAKE, g->given) ||
			  guest_op(g, DOMAIN_CLOSE, &o)))
		panic("the VMM does not give back the memory of guest %u", g->number);
	nr_guests -= g->number > 0;
	while (g->nr_state)
		frame_free(g->state[--g->nr_state], 0);
	for (struct block *b = g->blocks, *next; b; b = next) {
		next = b->next;
		frame_free(b->pfn, b->order);
		kfree(b);
	}
	kfree(g);
}

int domain_create(const struct domain_wish *w, struct domain_born *born, const char **why)
{
	*born = (struct domain_born){ 0 };
	*why = "a guest has 1 to 4 vCPUs, and at most 1 GiB of memory";
	if (w->vcpus - 1 >= GUEST_MAX_VCPUS || w->mem_kib > 1 << 20 || w->mem_kib < 4)
		return -EINVAL;
	*why = "there is not enough free memory";
	struct guest *g = kzalloc(sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->nr_pfns = w->mem_kib / (PAGE_SIZE / 1024);
	g->vcpus = w->vcpus;
	mutex_lock(&mutex);
	int error = guest_build(g, w, born, why);
	if (error)
		take_back(g);
	else
		guests[g->number] = g;
	int number = error ? error : (int)g->number;
	mutex_unlock(&mutex);
	return number;
}

static struct guest *guest_with(int number)
{
	return number > 0 && number < MAX_DOMAINS ? guests[number] : NULL;
}

int domain_destroy(int number)
{
	mutex_lock(&mutex);
	struct guest *g = guest_with(number);
	if (g) {
		guests[number] = NULL;
		take_back(g);
	}
	mutex_unlock(&mutex);
	return g ? 0 : -ESRCH;
}

/* An operation on a guest that stays. */
static int on_guest(int number, unsigned operation, struct domain_op *o)
{
	mutex_lock(&mutex);
	const struct guest *g = guest_with(number);
	int result = g ? guest_op(g, operation, o) : -ESRCH;
	mutex_unlock(&mutex);
	return result;
}

int domain_run(int number, bool on)
{
	return on_guest(number, DOMAIN_RUN, &(struct domain_op){ .on = on });
}

int domain_weight(int number, uint32_t weight)
{
	return on_guest(number, DOMAIN_WEIGHT, &(struct domain_op){ .weight = weight });
}

int domain_info(int number, struct domain_info *info)
{
	struct domain_op o = { 0 };
	int error = on_guest(number, DOMAIN_INFO, &o);
	*info = o.info;
	return error;
}

int domain_output(int number, uint32_t *position, void *buf, uint32_t bytes)
{
	struct domain_op o = { .address = (uint32_t)buf, .n = bytes, .position = *position };
	int n = on_guest(number, DOMAIN_OUTPUT, &o);
	if (n >= 0)
		*position = o.position;
	return n;
}

int domain_input(int number, const void *text, uint32_t bytes)
{
	struct domain_op o = { .address = (uint32_t)text, .n = bytes };
	return on_guest(number, DOMAIN_INPUT, &o);
}
