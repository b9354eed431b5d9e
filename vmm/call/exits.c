/* SPDX-License-Identifier: MIT */
/*
 * Exits. What the kernel can handle alone, system calls and some exceptions, does not come here:
 * trap gates lead straight to the kernel in ring 1 (idt_warm_up()). Interrupts and all other
 * exceptions come here. An interrupt becomes an event. After an exception the VMM emulates
 * the instruction, or lets the kernel handle the exception. Events and exceptions reach the
 * kernel on the way out: a hazard is set for that.
 */
#include "vmm/call/call.h"
#include "vmm/event/event.h"
#include "vmm/mem/frames.h"

#define STORE (PF_PRESENT | PF_WRITE) /* error code of a store to a read-only page */
#define IRET 0xCF                     /* opcode */

extern const char fast_store[], fast_store_end[]; /* fast.S */

static uint32_t fault_address(void)
{
	uint32_t address;
	__asm__ volatile("movl %%cr2, %0" : "=r"(address));
	return address;
}

static void page_fault_exit(struct cpu *c, struct regs *r)
{
	struct vmm_shared *s = c->current->shared;
	uint32_t address = fault_address();
	s->exits[EXIT_PAGE_FAULT]++;
	if ((r->cs & 3) == 3) {
		if (!(r->error & PF_USER))
			stop_kernel(r, "its stack for entries from ring 3 is not writable",
				    address);
	} else if (address >= VMM_BASE) {
		stop_kernel(r, "an access to the VMM's memory", address);
	} else if ((r->error & STORE) == STORE && frame_is_protected(c, address)) {
		stop_kernel(r, "a store to a page table", address);
	}
	s->address = address;
	hazard_raise(c, HAZARD_BOUNCE);
}

/*
 * --- privileged instructions: native code of the kernel can be interrupted just before one, and
 * go on after an attach ---
 */

static uint32_t *register_of(struct regs *r, unsigned number)
{
	uint32_t *const all[8] = { &r->eax, &r->ecx, &r->edx, &r->ebx,
				   &r->esp, &r->ebp, &r->esi, &r->edi };
	return all[number & 7];
}

/*
 * Read a control register in the kernel's place. A write (load) is not emulated: what the kernel
 * may change has a hypercall. Result: whether the instruction is done.
 */
static bool emulate_control(struct cpu *c, struct regs *r, bool load, uint8_t modrm)
{
	uint32_t *value = register_of(r, modrm), control;
	if (load || (modrm & 0xC0) != 0xC0)
		return false;
	switch (modrm >> 3 & 7) {
	case 0: __asm__ volatile("movl %%cr0, %0" : "=r"(control)); break;
	case 2: control = c->current->shared->address; break; /* CR2 may be another domain's */
	case 3: __asm__ volatile("movl %%cr3, %0" : "=r"(control)); break;
	case 4: __asm__ volatile("movl %%cr4, %0" : "=r"(control)); break;
	default: return false;
	}
	*value = control;
	return true;
}

/*
 * Do the instruction at r->eip in the kernel's place. Result: its length; 0 if it is not
 * emulated.
 */
static unsigned __attribute__((noinline)) emulate(struct cpu *c, struct regs *r)
{
	uint8_t code[4];
	if (copy_from_kernel(code, r->eip, sizeof(code)))
		return 0;
	if (code[0] == 0xFA || code[0] == 0xFB) { /* cli, sti */
		c->current->shared->vif = code[0] == 0xFB ? EFLAGS_IF : 0;
		return 1;
	}
	if (code[0] != 0x0F)
		return 0;
	if (code[1] == 0x06) { /* clts */
		__asm__ volatile("clts");
		fpu_take(c);
		return 2;
	}
	/* invlpg (register): without SIB byte and displacement */
	if (code[1] == 0x01 && (code[2] & 0xF8) == 0x38 && (code[2] & 6) != 4) {
		__asm__ volatile("invlpg (%0)" : : "r"(*register_of(r, code[2])) : "memory");
		return 3;
	}
	if ((code[1] == 0x20 || code[1] == 0x22) && emulate_control(c, r, code[1] == 0x22, code[2]))
		return 3;
	return 0;
}

/* Whether #GP means an interrupt that the APIC delivered with a vector that has no gate. */
static bool lost_interrupt(const struct regs *r)
{
	return r->vector == VEC_GP && r->error & 2 && apic_serves(r->error >> 3 & 0xFF);
}

static void __attribute__((noinline)) protection_exit(struct cpu *c, struct regs *r)
{
	c->current->shared->exits[EXIT_PROTECTION]++;
	if (lost_interrupt(r)) {
		apic_end();
		return;
	}
	unsigned length = (r->cs & 3) == 1 && !r->error ? emulate(c, r) : 0;
	if (length) {
		c->current->shared->exits[EXIT_EMULATED]++;
		r->eip += length;
		hazard_raise(c, HAZARD_DELIVER);
	} else {
		hazard_raise(c, HAZARD_BOUNCE);
	}
}

/*
 * An entry from ring 0: an interrupt while HC_IDLE waits, a fault at what is the kernel's, or an
 * error of the VMM's own. An NMI is dropped: the VMM has no use for one. During an attach it may
 * come while CS is still the kernel's, whose segment in the VMM's GDT is not for ring 0.
 */
static void __attribute__((noinline)) own_exit(struct cpu *c, struct regs *r)
{
	r->cs = SEL_VMM_CODE;
	if (r->vector >= VEC_EXCEPTIONS)
		irq_arrived(c, r->vector);
	else if (lost_interrupt(r))
		apic_end();
	else if (r->vector == VEC_GP && !r->error && *(uint8_t *)r->eip == IRET)
		/* No ESP was pushed: the frame that IRET pops begins there, with EIP. */
		stop_kernel(r, "its code ends at the end of its segment, and EIP is", r->esp);
	else if (r->vector == VEC_NMI || (r->vector == VEC_PF && copy_fault(r)))
		return;
	else if (r->eip >= (uint32_t)fast_store && r->eip < (uint32_t)fast_store_end)
		r->eip = (uint32_t)fast_store_end; /* no kernel stack for the short way */
	else if (r->vector == VEC_PF && fault_address() - c->native.gdtr.base <= 0xFFFF)
		stop_kernel(r, "its own GDT is not writable at a detach", fault_address());
	else
		vmm_fault(r, "exception");
}

/*
 * Code in virtual-8086 mode, which QEMU's TCG lets an IRET of ring 1 or 3 enter
 * (docs/isolation.md). The kernel gets a program's #GP. The CPU pushed four words more than usual:
 * the registers move up to their usual place, where the way out finds the hazard word.
 */
static void __attribute__((noreturn, noinline)) leave_vm86(struct cpu *c, struct regs *r)
{
	struct regs *top = (struct regs *)((char *)c + CPU_BYTES) - 1;
	if (r->vector >= VEC_EXCEPTIONS)
		irq_arrived(c, r->vector);
	r->vector = VEC_GP, r->error = 0;
	r->cs = SEL_UCODE, r->ds = r->es = r->ss = SEL_UDATA;
	r->eflags = EFLAGS_IF | EFLAGS_FIXED;
	memmove(top, r, sizeof(*r));
	hazard_raise(c, HAZARD_BOUNCE);
	__asm__ volatile("movl %0, %%esp; jmp hazard_exit" : : "r"(top) : "memory");
	__builtin_unreachable();
}

void exit_handle(struct regs *r)
{
	struct cpu *c = cpu_here();
	/* Below the place of ring 1's and 3's registers? */
	if (unlikely((char *)(r + 1) != (char *)c + CPU_BYTES)) {
		r->eflags & EFLAGS_VM ? leave_vm86(c, r) : own_exit(c, r);
		return;
	}
	eager_store(c);
	if (r->vector == VEC_PF) {
		page_fault_exit(c, r);
	} else if (r->vector >= VEC_EXCEPTIONS) {
		irq_arrived(c, r->vector);
	} else if (r->vector == VEC_GP) {
		protection_exit(c, r);
	} else if (r->vector == VEC_MC) {
		vmm_fault(r, "machine check");
	} else {
		c->current->shared->exits[EXIT_EXCEPTION]++;
		hazard_raise(c, HAZARD_BOUNCE);
	}
}

/* --- the way out --- */

static void __attribute__((noreturn)) detach(struct cpu *c, struct regs *r)
{
	irq_reinject(c);
	cpu_restore(c);
	cpu_give_back(c);
	ring0_return(r);
}

/*
 * Several hazards at once, or a flush or another vCPU, which is rare. After a bounce virtual IF is
 * 0, so no event is delivered on top of it.
 */
static void __attribute__((noinline)) hazards_handle(struct cpu *c, struct regs *r, uint32_t hazard)
{
	if (hazard & HAZARD_FLUSH)
		flush_serve(c);
	if (hazard & HAZARD_BOUNCE)
		bounce(c, r, r->vector);
	if (hazard & HAZARD_SCHEDULE)
		vcpu_schedule(c, r);
	if (hazard & (HAZARD_DELIVER | HAZARD_SCHEDULE))
		event_deliver(c, r);
	if (hazard & HAZARD_DETACH)
		detach(c, r);
}

void hazard_handle(struct regs *r)
{
	struct cpu *c = cpu_here();
	/* A bit that another CPU sets stays; after this look it is served when its IPI comes. */
	uint32_t hazard = c->hazard;
	if (hazard == HAZARD_SCHEDULE) {
		hazard_clear(c, HAZARD_SCHEDULE);
		if (vcpu_schedule(c, r))
			event_deliver(c, r);
	} else {
		hazard_clear(c, hazard & ~HAZARD_FLUSH);
		if (hazard == HAZARD_BOUNCE)
			bounce(c, r, r->vector);
		else if (hazard == HAZARD_DELIVER)
			event_deliver(c, r);
		else
			hazards_handle(c, r, hazard);
	}
	eager_load(c);
}

/* --- double faults --- */

void double_fault_handle(void)
{
	/* cpu_here() does not work on this stack. */
	struct regs r = { .vector = VEC_DF };
	for (unsigned i = 0; i < machine.nr_cpus; i++) {
		const struct tss *t = &cpu_of(i)->tss;
		if (cpu_of(i)->df_tss.link == SEL_TSS) /* the task switch stored which it left */
			r = (struct regs){
				.edi = t->edi, .esi = t->esi, .ebp = t->ebp, .ebx = t->ebx,
				.edx = t->edx, .ecx = t->ecx, .eax = t->eax,
				.vector = VEC_DF, .eip = t->eip, .cs = t->cs,
				.eflags = t->eflags, .esp = t->esp, .ss = t->ss,
			};
	}
	vmm_fault(&r, "double fault");
}
