/* SPDX-License-Identifier: MIT */
/* Hypercalls that only domains need: HC_DOMAIN and those after it. */
#include "vmm/call/domains.h"
#include "vmm/domain/domain.h"
#include "vmm/event/port.h"
#include "vmm/guest.h"
#include "vmm/mem/give.h"

/* The operations on a guest that is there. (lock) */
static int operate(struct cpu *c, uint32_t number, struct domain *d, struct domain_op *op)
{
	struct guest *g = d->guest;
	bool unborn = d->state == DOMAIN_UNBORN && g->birth_slot == 0;
	int error;
	switch (number) {
	case DOMAIN_GIVE:
		error = unborn ? frames_give(c, d->id, op->frames, op->n) : -EBUSY;
		g->owned += error ? 0 : op->n;
		return error;
	case DOMAIN_LEND: return unborn ? frames_lend(c, d, op->frames, op->n) : -EBUSY;
	case DOMAIN_PAIR:
		return d->state < DOMAIN_DYING ? port_pair(domain_of(c), d, op->port) : -EBUSY;
	case DOMAIN_BIRTH: return guest_birth(c, d, op);
	case DOMAIN_RUN: return guest_run(d, op->on);
	case DOMAIN_WEIGHT: return guest_weight(d, op->weight, op->warp);
	case DOMAIN_KILL: return guest_kill(c, d);
	case DOMAIN_TAKE:
		if (d->state != DOMAIN_DEAD)
			return -EBUSY;
		error = frames_take(c, d->id, op->frames, op->pfns, op->n);
		g->owned -= error ? 0 : op->n;
		return error;
	case DOMAIN_CLOSE: return guest_close(c, d, op);
	case DOMAIN_INFO: return guest_info(d, &op->info), 0;
	case DOMAIN_OUTPUT: return guest_output(d, op->address, op->n, &op->position);
	case DOMAIN_INPUT: return guest_input(d, op->address, op->n);
	default: return -ENOSYS;
	}
}

int hc_domain(struct cpu *c, struct regs *r)
{
	struct domain_op op;
	if (!(c->current->domain->rights & RIGHT_MACHINE))
		return -EPERM;
	if (copy_from_kernel(&op, r->ecx, sizeof(op)) || copy_to_kernel(r->ecx, &op, sizeof(op)))
		return -EFAULT;
	bool counts_bytes = r->ebx == DOMAIN_OUTPUT || r->ebx == DOMAIN_INPUT;
	if (!counts_bytes && op.n > DOMAIN_OP_FRAMES)
		return -EINVAL;
	vmm_lock(c);
	struct domain *d = guest_of(op.domain);
	int result = r->ebx == DOMAIN_OPEN ? guest_open(c, &op) :
		     !d ? -EINVAL : operate(c, r->ebx, d, &op);
	vmm_unlock();
	if (r->ebx == DOMAIN_INFO || r->ebx == DOMAIN_OUTPUT)
		copy_to_kernel(r->ecx, &op, sizeof(op));
	return result;
}

/* --- ports --- */

#define LOCKED(name, call) \
	int name(struct cpu *c, struct regs *r) \
	{ \
		struct domain *d = c->current->domain; \
		vmm_lock(c); \
		int result = call; \
		vmm_unlock(); \
		return result; \
	}
LOCKED(hc_port_send, port_send(d, r->ebx))
LOCKED(hc_port_unmask, port_unmask(d, r->ebx))
LOCKED(hc_port_close, port_close(d, r->ebx))

/* --- what only guests call --- */

LOCKED(hc_console_out, d->guest ? guest_writes(d, r->ebx, r->ecx) : -EPERM)
LOCKED(hc_console_in, d->guest ? guest_reads(d, r->ebx, r->ecx) : -EPERM)
LOCKED(hc_vcpu_start, d->guest ? guest_start_vcpu(d, r->ebx, r) : -EPERM)

int guest_shutdown(struct cpu *c, uint32_t status)
{
	vmm_lock(c);
	domain_end(c, c->current->domain, status, NULL);
	vmm_unlock();
	return 0;
}

int guest_halt(struct cpu *c)
{
	vcpu_stop(c->current);
	return 0;
}

/* --- time --- */

int hc_timer(struct cpu *c, struct regs *r)
{
	timer_once(c, c->current, (uint64_t)r->ecx << 32 | r->ebx);
	return 0;
}

int hc_yield(struct cpu *c, struct regs *r)
{
	(void)r;
	c->current->yielded = true;
	hazard_raise(c, HAZARD_SCHEDULE);
	return 0;
}
