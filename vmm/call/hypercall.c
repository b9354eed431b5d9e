/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls: each checks its arguments, then does one thing, or sets a hazard for the way out.
 * vmm_abi.h has their contracts.
 */
#include "vmm/call/call.h"
#include "vmm/event/event.h"
#include "vmm/mem/frames.h"

/* --- memory --- */

/*
 * Drop TLB entries of this CPU: of one page, all but the global ones (VMM_FLUSH_ALL), or none
 * (0).
 */
static void flush(uint32_t address)
{
	uint32_t cr3;
	if (address == VMM_FLUSH_ALL)
		__asm__ volatile("movl %%cr3, %0; movl %0, %%cr3" : "=r"(cr3) : : "memory");
	else if (address)
		__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

/* Let the kernel execute its INT again, with the same registers: the call is too long for once. */
static int again(struct regs *r, int number)
{
	r->eip -= 2;
	return number;
}

static int hc_update(struct cpu *c, struct regs *r)
{
	uint32_t n = r->ecx;
	if (n - 1 >= VMM_UPDATE_MAX)
		return -EINVAL;
	if (n == 1)
		c->update[0] = r->edx;
	else if (copy_from_kernel(c->update, r->edx, n * 4))
		return -EFAULT;
	vmm_lock(c);
	int error = frames_update(c, r->ebx, c->update, n);
	vmm_unlock();
	if (!error)
		flush(r->esi);
	return error == -EAGAIN ? again(r, HC_UPDATE) : error;
}

static int hc_share(struct cpu *c, struct regs *r)
{
	vmm_lock(c);
	int error = frames_share(c, r->ebx, r->ecx, r->edx);
	vmm_unlock();
	return error;
}

static int hc_trim(struct cpu *c, struct regs *r)
{
	(void)r;
	vmm_lock(c);
	int error = frames_trim(c);
	vmm_unlock();
	return error;
}

static int hc_load(struct cpu *c, struct regs *r)
{
	uint32_t stack = r->ecx;
	if (stack && (stack & 3 || !kernel_range(stack - 128, 128)))
		return -EINVAL;
	if (r->ebx) {
		vmm_lock(c);
		int error = frames_load(c, r->ebx);
		vmm_unlock();
		if (error)
			return error == -EAGAIN ? again(r, HC_LOAD) : error;
	}
	if (stack)
		c->tss.esp1 = stack;
	return 0;
}

static int hc_release(struct cpu *c, struct regs *r)
{
	vmm_lock(c);
	int error = frames_release(c, r->ebx);
	vmm_unlock();
	return error;
}

static int hc_flush(struct cpu *c, struct regs *r)
{
	(void)c;
	flush(r->ebx);
	return 0;
}

static int hc_recount(struct cpu *c, struct regs *r)
{
	(void)r;
	vmm_lock(c);
	int differences = (int)frames_recount(c);
	vmm_unlock();
	return differences;
}

/* --- processor --- */

static int hc_events(struct cpu *c, struct regs *r)
{
	(void)r;
	hazard_raise(c, HAZARD_DELIVER);
	return 0;
}

static int hc_idle(struct cpu *c, struct regs *r)
{
	struct vmm_shared *s = c->current->shared;
	(void)r;
	s->vif = EFLAGS_IF;
	while (!(s->pending & EVENT_BITS)) {
		__asm__ volatile("sti; hlt; cli" : : : "memory");
		flush_serve(c);
	}
	hazard_raise(c, HAZARD_DELIVER);
	return 0;
}

static int hc_fpu_trap(struct cpu *c, struct regs *r)
{
	uint32_t cr0;
	(void)c;
	__asm__ volatile("movl %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("movl %0, %%cr0" : : "r"(r->ebx ? cr0 | CR0_TS : cr0 & ~(uint32_t)CR0_TS));
	return 0;
}

/* Whether the domain that runs here has a right (RIGHT_*). */
static bool may(const struct cpu *c, uint32_t right) { return c->current->domain->rights & right; }

static int hc_shutdown(struct cpu *c, struct regs *r)
{
	if (!may(c, RIGHT_MACHINE))
		return -EPERM;
	if (r->ebx > 0x7F || r->ebx == VMM_FAULT_STATUS || r->ebx == VMM_STOPPED_STATUS)
		return -EINVAL;
	end_run(r->ebx);
}

static int hc_halt(struct cpu *c, struct regs *r)
{
	(void)r;
	c->halted = true;
	for (;;)
		__asm__ volatile("cli; hlt");
	return 0;
}

/* --- interrupts --- */

static int hc_mask(struct cpu *c, struct regs *r)
{
	if (!may(c, RIGHT_DEVICES))
		return -EPERM;
	vmm_lock(c);
	int error = irq_mask(r->ebx, r->ecx != 0);
	vmm_unlock();
	return error;
}

static int hc_end(struct cpu *c, struct regs *r)
{
	if (!may(c, RIGHT_DEVICES))
		return -EPERM;
	vmm_lock(c);
	int error = irq_end(r->ebx);
	vmm_unlock();
	return error;
}

static int hc_send(struct cpu *c, struct regs *r) { return irq_send(c, r->ebx, r->ecx); }

static int hc_tick(struct cpu *c, struct regs *r) { return (void)c, apic_tick(r->ebx); }

/* --- detach --- */

static int hc_detach(struct cpu *c, struct regs *r)
{
	if (!may(c, RIGHT_MACHINE))
		return -EPERM;
	if (r->ebx == VMM_INSTALL) {
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

static int hc_refused(struct cpu *c, struct regs *r) { return (void)c, (void)r, -EPERM; }

typedef int hypercall(struct cpu *c, struct regs *r);
/* During a detach: its steps, and what a kernel that panics there needs to say so and to end. */
static hypercall *const detach_calls[NR_HYPERCALLS] = {
	hc_refused, hc_refused,  hc_refused, hc_refused, hc_refused, hc_refused, hc_refused,
	hc_shutdown, hc_halt,    hc_refused, hc_refused, hc_send,    hc_refused, hc_io,
	hc_detach,   hc_refused, hc_refused, hc_refused,
};
static hypercall *const hypercalls[NR_HYPERCALLS] = {
	[HC_UPDATE] = hc_update, [HC_LOAD] = hc_load,         [HC_RELEASE] = hc_release,
	[HC_FLUSH] = hc_flush,   [HC_EVENTS] = hc_events,     [HC_IDLE] = hc_idle,
	[HC_FPU_TRAP] = hc_fpu_trap, [HC_SHUTDOWN] = hc_shutdown, [HC_HALT] = hc_halt,
	[HC_MASK] = hc_mask,     [HC_END] = hc_end,           [HC_SEND] = hc_send,
	[HC_TICK] = hc_tick,     [HC_IO] = hc_io,             [HC_DETACH] = hc_detach,
	[HC_RECOUNT] = hc_recount, [HC_SHARE] = hc_share,
	[HC_TRIM] = hc_trim,
};

void hypercall_handle(struct regs *r)
{
	struct cpu *c = cpu_here();
	struct vcpu *v = c->current;
	uint32_t number = r->eax;
	v->shared->exits[EXIT_HYPERCALL]++;
	hypercall *const *calls = likely(v->domain->served) ? hypercalls : detach_calls;
	r->eax = number < NR_HYPERCALLS ? (uint32_t)calls[number](c, r) : (uint32_t)-ENOSYS;
#ifdef DEBUG
	/* after the calls that change the frame table */
	if ((number <= HC_RELEASE || number >= HC_SHARE) && v->domain->served && hc_recount(c, r))
		vmm_fault(r, "the frame table is wrong (V7)");
#endif
}
