/* SPDX-License-Identifier: MIT */
/*
 * Ports. A pending port is a bit in its domain's shared page, and EVENT_PORT tells the domain that
 * there is one. A kernel clears the bit before it looks at what the port is about; the VMM looks
 * at the mask after it has set the bit, and at the bit after it has cleared the mask. So no event
 * is lost, and a port that is pending already costs nothing.
 */
#include "vmm/event/port.h"

static bool bit_set(volatile uint32_t *words, uint32_t n)
{
	uint32_t bit = 1u << n % 32;
	return __atomic_fetch_or(&words[n / 32], bit, __ATOMIC_SEQ_CST) & bit;
}

static bool bit_clear(volatile uint32_t *words, uint32_t n)
{
	uint32_t bit = 1u << n % 32;
	return __atomic_fetch_and(&words[n / 32], ~bit, __ATOMIC_SEQ_CST) & bit;
}

static bool in_use(const struct domain *d, uint32_t n)
{
	return n < d->nr_ports && d->ports[n].used;
}

void port_raise(struct domain *d, uint32_t n)
{
	VMM_ASSERT_LOCKED();
	if (!d->rest || d->state >= DOMAIN_DYING || bit_set(d->rest->port_pending, n))
		return;
	if (!(d->rest->port_masked[n / 32] >> n % 32 & 1))
		vcpu_post(&d->vcpus[0], 1u << EVENT_PORT);
}

int port_send(struct domain *d, uint32_t n)
{
	if (!in_use(d, n))
		return -EINVAL;
	const struct port *p = &d->ports[n];
	if (p->peer)
		port_raise(domains[p->peer], p->number);
	return 0;
}

int port_unmask(struct domain *d, uint32_t n)
{
	if (!in_use(d, n))
		return -EINVAL;
	bit_clear(d->rest->port_masked, n);
	if (d->rest->port_pending[n / 32] >> n % 32 & 1)
		vcpu_post(&d->vcpus[0], 1u << EVENT_PORT);
	return 0;
}

int port_close(struct domain *d, uint32_t n)
{
	if (!in_use(d, n))
		return -EINVAL;
	struct port *p = &d->ports[n];
	if (p->peer) {
		domains[p->peer]->ports[p->number].peer = 0;
		port_raise(domains[p->peer], p->number);
	}
	*p = (struct port){ .used = false };
	if (d->rest)
		bit_clear(d->rest->port_pending, n); /* none for the port's next user */
	return 0;
}

int port_pair(struct domain *d, struct domain *other, uint32_t n)
{
	if (n == 0 || n >= other->nr_ports)
		return -EINVAL;
	if (other->ports[n].used)
		return -EBUSY;
	for (uint32_t own = 1; own < d->nr_ports; own++)
		if (!d->ports[own].used) {
			d->ports[own] = (struct port){ true, other->id, (uint16_t)n };
			other->ports[n] = (struct port){ true, d->id, (uint16_t)own };
			return (int)own;
		}
	return -ENOSPC;
}
