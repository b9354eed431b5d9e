/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls: each checks its arguments, then does one thing, or sets a hazard for the way out.
 * vmm_abi.h has their contracts.
 */
#include "vmm/call/domains.h"
#include "vmm/domain/domain.h"
#include "vmm/mem/references.h"

/* --- memory --- */

/*
 * Drop TLB entries of this CPU: of one page, all but the global ones (VMM_FLUSH_ALL), or none
 * (0).
 */
static void flush(uint32_t address)
{
	uint32_t cr3;
	if (!address)
		return;
	if (address == VMM_FLUSH_ALL)
		__asm__ volatile("movl %%cr3, %0; movl %0, %%cr3" : "=r"(cr3) : : "memory");
	else
		__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

/*
 * The result of a change of tables, after which the TLB is flushed. If it is too long for once, the
 * kernel executes its INT again.
 */
static inline int result_of(struct regs *r, int error)
{
	if (!error)
		flush(r->esi);
	if (error != -EAGAIN)
		return error;
	r->eip -= 2;
	return r->eax;
}

/* A call's result, with the lock held meanwhile. */
#define LOCKED(call) ({ vmm_lock(c); int result = call; vmm_unlock(); result; })
/* A hypercall whose result is an expression. */
#define CALL(name, result) \
	static int name(struct cpu *c, struct regs *r) { (void)c, (void)r; return result; }

static int hc_update(struct cpu *c, struct regs *r)
{
	uint32_t n = r->ecx;
	if (n - 1 >= VMM_UPDATE_MAX)
		return -EINVAL;
	if (copy_from_kernel(c->update, r->edx, n * 4))
		return -EFAULT;
	int error = LOCKED(frames_update(c, r->ebx, c->update, n));
	return result_of(r, error);
}

/*
 * HC_UPDATE of one entry, which comes most often. The short way is for page tables: last_table
 * names a TABLE that the domain owns, so type and owner are checked only when another one comes.
 */
static inline int update_one(struct cpu *c, struct regs *r)
{
	struct vcpu *v = c->current;
	uint32_t at = r->ebx;
	pte_t value = r->edx, *entry;
	vmm_lock(c);
	int error;
	if (likely(at >> PAGE_SHIFT == v->last_table && !(at & 3))) /* NO_TABLE is no number */
		entry = (pte_t *)map(c, v->last_table, WINDOW_TABLE) + (at & ~PAGE_MASK) / 4;
	else if (frames_find(c, at, 1, WINDOW_TABLE, &entry))
		entry = NULL;
	else
		v->last_table = at >> PAGE_SHIFT;
	error = entry ? pte_get(v->domain, value) : frames_update(c, at, &r->edx, 1);
	if (entry && !error) {
		pte_put(*entry);
		*entry = value;
	}
	vmm_unlock();
	return result_of(r, error);
}

CALL(hc_share, LOCKED(frames_share(c, r->ebx, r->ecx, r->edx)))
CALL(hc_trim, LOCKED(frames_trim(c)))
CALL(hc_release, LOCKED(frames_release(c, r->ebx)))

/* CR0.TS := on. */
static void fpu_trap(bool on)
{
	uint32_t cr0;
	__asm__ volatile("movl %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("movl %0, %%cr0" : : "r"(on ? cr0 | CR0_TS : cr0 & ~(uint32_t)CR0_TS));
}

static int hc_load(struct cpu *c, struct regs *r)
{
	uint32_t stack = r->ecx & ~(uint32_t)VMM_TS;
	if (stack && (stack & 3 || !kernel_range(stack - 128, 128)))
		return -EINVAL;
	if (r->ebx) {
		int error = LOCKED(frames_load(c, r->ebx));
		if (error)
			return result_of(r, error);
	}
	if (stack)
		c->tss.esp1 = stack;
	if (r->ecx & VMM_TS)
		fpu_trap(true);
	return 0;
}

CALL(hc_flush, (flush(r->ebx), 0))

static int recount(struct cpu *c)
{
	return LOCKED(frames_recount(c));
}

/* Whether the domain that runs here has a right (RIGHT_*). */
static bool may(const struct cpu *c, uint32_t right) { return c->current->domain->rights & right; }

CALL(hc_recount, !may(c, RIGHT_MACHINE) ? -EPERM : nr_guests ? -EBUSY : recount(c))

/* --- processor --- */

CALL(hc_events, (hazard_raise(c, HAZARD_DELIVER), 0))

static int hc_idle(struct cpu *c, struct regs *r)
{
	struct vmm_shared *s = c->current->shared;
	if (c->current->domain->guest)
		hc_timer(c, r);
	s->vif = EFLAGS_IF;
	while (!(s->pending & EVENT_BITS) && !c->current->posted && !c->nr_guests && !c->hosts) {
		__asm__ volatile("sti; hlt; cli" : : : "memory");
		flush_serve(c);
	}
	if (s->pending & EVENT_BITS)
		hazard_raise(c, HAZARD_DELIVER);
	else
		vcpu_block(c);
	return 0;
}

static int hc_fpu_trap(struct cpu *c, struct regs *r)
{
	fpu_trap(r->ebx);
	if (!r->ebx)
		fpu_take(c);
	return 0;
}

static int hc_shutdown(struct cpu *c, struct regs *r)
{
	bool guest = c->current->domain->guest;
	if (!guest && !may(c, RIGHT_MACHINE))
		return -EPERM;
	if (r->ebx > 0x7F || r->ebx == VMM_FAULT_STATUS || r->ebx == VMM_STOPPED_STATUS)
		return -EINVAL;
	if (guest)
		return guest_shutdown(c, r->ebx);
	end_run(r->ebx);
}

static int hc_halt(struct cpu *c, struct regs *r)
{
	(void)r;
	if (c->current->domain->guest)
		return guest_halt(c);
	c->halted = true;
	for (;;)
		__asm__ volatile("cli; hlt");
	return 0;
}

/* --- interrupts --- */

CALL(hc_mask, may(c, RIGHT_DEVICES) ? LOCKED(irq_mask(r->ebx, r->ecx != 0)) : -EPERM)
CALL(hc_end, may(c, RIGHT_DEVICES) ? LOCKED(irq_end(r->ebx)) : -EPERM)
CALL(hc_send, irq_send(c, r->ebx, r->ecx))
CALL(hc_tick, timer_tick(c, c->current, r->ebx))

/* --- detach --- */

static int hc_detach(struct cpu *c, struct regs *r)
{
	if (!may(c, RIGHT_MACHINE))
		return -EPERM;
	if (nr_guests)
		return -EBUSY;
	if (r->ebx == VMM_INSTALL) {
		if (c->hosts)
			timer_give_back(c);
		c->attached = domain0.served = false; /* in ring 0 it may change every table */
		hazard_raise(c, HAZARD_DETACH);
		return 0;
	}
	if (r->ebx != VMM_PROTECT && r->ebx != VMM_UNPROTECT)
		return -EINVAL;
	int error = 0;
	vmm_lock(c);
	if (r->ebx == VMM_PROTECT)
		error = frames_protect_again(c);
	else
		frames_protect(c, false);
	vmm_unlock();
	return error;
}

typedef int hypercall(struct cpu *c, struct regs *r);
static hypercall *const hypercalls[NR_HYPERCALLS] = { /* by number (vmm_abi.h) */
	hc_update,   hc_load,     hc_release, hc_flush, hc_events, hc_idle, hc_fpu_trap,
	hc_shutdown, hc_halt,     hc_mask,    hc_end,   hc_send,   hc_tick, hc_io,
	hc_detach,   hc_recount,  hc_share,   hc_trim,  hc_domain, hc_port_send,
	hc_port_unmask, hc_port_close, hc_console_out, hc_console_in, hc_timer, hc_yield,
	hc_vcpu_start,
};
/* During a detach: its steps, and what a kernel that panics there needs to say so and to end. */
#define DETACH_CALLS (1u << HC_SHUTDOWN | 1u << HC_HALT | 1u << HC_SEND | 1u << HC_IO | \
	1u << HC_DETACH)

static int hypercall_do(struct cpu *c, struct regs *r, uint32_t number)
{
	if (likely(c->current->domain->served)) {
		if (number == HC_UPDATE && r->ecx == 1)
			return update_one(c, r);
	} else if (number < NR_HYPERCALLS && !(DETACH_CALLS >> number & 1)) {
		return -EPERM;
	}
	return number < NR_HYPERCALLS ? hypercalls[number](c, r) : -ENOSYS;
}

void hypercall_handle(struct regs *r)
{
	struct cpu *c = cpu_here();
	uint32_t number = r->eax;
	eager_store(c);
	c->current->shared->exits[EXIT_HYPERCALL]++;
	r->eax = (uint32_t)hypercall_do(c, r, number);
#ifdef DEBUG
	/* after the calls that change the frame table */
	bool changes = number <= HC_RELEASE || (number >= HC_SHARE && number <= HC_DOMAIN);
	if (changes && c->current->domain->served && recount(c))
		vmm_fault(r, "the frame table is wrong (V7)");
#endif
}
