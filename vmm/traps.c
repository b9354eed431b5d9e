/* SPDX-License-Identifier: MIT */
/*
 * Exits. What the kernel handles anyway (system calls, a program's FPU faults, #NM) does not come here: trap gates lead
 * it straight to the kernel in ring 1. Page faults, protection faults and interrupts do, and are emulated, bounced or posted.
 */
#include "vmm.h"

extern const uint32_t vmm_stubs[]; /* pairs: vector, address (entry.S) */
extern const uint32_t vmm_stub_count;
extern char hypercall_entry[], copy_words[], copy_fault[], copy_end[];

void trap_handle(struct regs *r);
void double_fault(void) __attribute__((noreturn));

uint64_t vmm_idt[256];
static uint32_t handlers[256]; /* the kernel's */

#define ERROR_CODES (1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17)

static uint32_t gate_offset(uint64_t g) { return (uint32_t)(g & 0xFFFF) | (uint32_t)(g >> 48) << 16; }

/*
 * Lab 2, exercise 2: vmm_idt, which is all zero (SDM vol. 3, 6.11, 6.12.1). vmm_stubs has vmm_stub_count pairs of vector and
 * address: these enter the VMM with interrupts off, and no INT instruction reaches them. The vectors in `direct` lead straight to
 * the kernel's handler in ring 1, and the real IF stays as it is; programs may raise VEC_BP, VEC_OF and SYSCALL_VECTOR by INT, the
 * others not. Where a vector has a stub and is direct, it is direct. VEC_DF and HYPERCALL_VECTOR are done below.
 */
void traps_warm_up(void)
{
	/* None that is contributory to a double fault (SDM vol. 3, table 6-4): the kernel's stack may be bad. So not VEC_DE. */
	static const uint8_t direct[] = { VEC_BP, VEC_OF, VEC_UD, VEC_NM, VEC_MF, VEC_XM, SYSCALL_VECTOR };
	for (unsigned v = 0; v < 256; v++)
		handlers[v] = gate_offset(boot.idt[v]);
	/* LAB 2 TODO 2 BEGIN quiet */
	/* Trap gates, because through an interrupt gate the real IF would stay 0 in ring 1 (6.12.1.2). */
	for (unsigned i = 0; i < vmm_stub_count; i++)
		vmm_idt[vmm_stubs[2 * i]] = gate(vmm_stubs[2 * i + 1], SEL_VMM_CODE, GATE_INTERRUPT, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(direct); i++) {
		unsigned v = direct[i], dpl = v == VEC_BP || v == VEC_OF || v == SYSCALL_VECTOR ? 3 : 0;
		vmm_idt[v] = gate(handlers[v], SEL_KCODE | 1, GATE_TRAP, dpl);
	}
	/* LAB 2 TODO 2 END */
	vmm_idt[VEC_DF] = gate(0, SEL_DF_TSS, GATE_TASK, 0);
	vmm_idt[HYPERCALL_VECTOR] = gate((uint32_t)hypercall_entry, SEL_VMM_CODE, GATE_INTERRUPT, 1);
}

/*
 * Lab 2, exercise 7: make r such that IRET leads to handlers[vector] in ring 1, on a stack that looks as if the CPU had taken
 * the vector itself through an interrupt gate (SDM vol. 3, 6.12.1, 6.13, figure 6-4). From ring 3: stack from c->tss.esp1, five words; from
 * ring 1: the interrupted stack, three words. Below them the error code, if has_error. The frame's EFLAGS are r's, but for IF: from ring
 * 3 it is 1, from ring 1 it is virtual IF. Then virtual IF is 0; in r->eflags TF, NT, AC and IOPL are 0 and IF stays 1; CS and SS
 * are the kernel's, RPL 1. All other registers are as they were. The kernel's stack may be anywhere, so only copy_to_kernel()
 * stores to it; if that fails, stop_kernel(r, "no kernel stack for a bounce", where the frame was to begin).
 */
void bounce(struct cpu *c, struct regs *r, unsigned vector)
{
	bool outer = (r->cs & 3) == 3, has_error = vector < 32 && (ERROR_CODES >> vector & 1);
	uint32_t frame[6], *at = frame;
	if (!handlers[vector])
		stop_kernel(r, "a vector without a handler", vector);
	/* LAB 2 TODO 7 BEGIN */
	if (has_error)
		*at++ = r->error;
	*at++ = r->eip;
	*at++ = r->cs;
	*at++ = (r->eflags & ~(uint32_t)EFLAGS_IF) | (outer ? EFLAGS_IF : c->shared->vif & EFLAGS_IF);
	if (outer) {
		*at++ = r->esp;
		*at++ = r->ss;
		r->esp = c->tss.esp1;
	}
	uint32_t bytes = (uint32_t)(at - frame) * 4;
	r->esp -= bytes;
	if (copy_to_kernel(r->esp, frame, bytes))
		stop_kernel(r, "no kernel stack for a bounce", r->esp);
	r->eip = handlers[vector];
	r->cs = SEL_KCODE | 1;
	r->ss = SEL_KDATA | 1;
	r->eflags &= ~(uint32_t)(EFLAGS_TF | EFLAGS_NT | EFLAGS_AC | EFLAGS_IOPL);
	c->shared->vif = 0;
	/* LAB 2 TODO 7 END */
	c->shared->exits[EXIT_BOUNCED]++;
}

static void page_fault(struct cpu *c, struct regs *r)
{
	uint32_t address;
	__asm__ volatile("movl %%cr2, %0" : "=r"(address));
	c->shared->exits[EXIT_PAGE_FAULT]++;
	if ((r->cs & 3) == 3) {
		if (!(r->error & PF_USER))
			stop_kernel(r, "its stack for entries from ring 3 is not writable", address);
	} else if (address >= VMM_BASE) {
		stop_kernel(r, "an access to the VMM's memory", address);
	} else if ((r->error & (PF_PRESENT | PF_WRITE)) == (PF_PRESENT | PF_WRITE) && frame_is_protected(c, address)) {
		stop_kernel(r, "a store to a page table", address);
	}
	c->shared->address = address;
	bounce(c, r, VEC_PF);
}

/* --- privileged instructions that the kernel may still meet: code that was under way at the switch --- */

static uint32_t *register_of(struct regs *r, unsigned number)
{
	uint32_t *const all[8] = { &r->eax, &r->ecx, &r->edx, &r->ebx, &r->esp, &r->ebp, &r->esi, &r->edi };
	return all[number & 7];
}

/* mov to or from a control register; only what changes nothing or has a hypercall is done. */
static bool emulate_control(struct regs *r, bool load, uint8_t modrm)
{
	uint32_t *value = register_of(r, modrm), now;
	if (load || (modrm & 0xC0) != 0xC0)
		return false;
	switch (modrm >> 3 & 7) {
	case 0: __asm__ volatile("movl %%cr0, %0" : "=r"(now)); break;
	case 2: __asm__ volatile("movl %%cr2, %0" : "=r"(now)); break;
	case 3: __asm__ volatile("movl %%cr3, %0" : "=r"(now)); break;
	case 4: __asm__ volatile("movl %%cr4, %0" : "=r"(now)); break;
	default: return false;
	}
	*value = now;
	return true;
}

/* Result: length of the instruction that was done, 0 if none. */
static unsigned emulate(struct cpu *c, struct regs *r)
{
	uint8_t code[4];
	if (copy_from_kernel(code, r->eip, sizeof(code)))
		return 0;
	if (code[0] == 0xFA || code[0] == 0xFB) { /* cli, sti */
		c->shared->vif = code[0] == 0xFB ? EFLAGS_IF : 0;
		return 1;
	}
	if (code[0] != 0x0F)
		return 0;
	if (code[1] == 0x06) { /* clts */
		__asm__ volatile("clts");
		return 2;
	}
	if (code[1] == 0x01 && (code[2] & 0xF8) == 0x38 && (code[2] & 6) != 4) { /* invlpg (register): without SIB and displacement */
		__asm__ volatile("invlpg (%0)" : : "r"(*register_of(r, code[2])) : "memory");
		return 3;
	}
	if ((code[1] == 0x20 || code[1] == 0x22) && emulate_control(r, code[1] == 0x22, code[2]))
		return 3;
	return 0;
}

static void protection_fault(struct cpu *c, struct regs *r)
{
	c->shared->exits[EXIT_PROTECTION]++;
	unsigned length = (r->cs & 3) == 1 && r->error == 0 ? emulate(c, r) : 0;
	if (length) {
		c->shared->exits[EXIT_EMULATED]++;
		r->eip += length;
		deliver(c, r);
	} else {
		bounce(c, r, VEC_GP);
	}
}

/* In ring 0: a copy from or to the kernel that found nothing there, an interrupt while idle, or our own error. */
static void own_trap(struct cpu *c, struct regs *r)
{
	if (r->vector >= VEC_EXCEPTIONS)
		irq_arrived(c, r->vector);
	else if (r->vector == VEC_PF && r->eip >= (uint32_t)copy_words && r->eip < (uint32_t)copy_fault)
		r->eip = (uint32_t)copy_fault;
	else
		vmm_fault(r, "exception");
}

void trap_handle(struct regs *r)
{
	struct cpu *c = this_cpu();
	if (unlikely((r->cs & 3) == 0)) {
		own_trap(c, r);
	} else if (r->vector == VEC_PF) {
		page_fault(c, r);
	} else if (r->vector >= VEC_EXCEPTIONS) {
		irq_arrived(c, r->vector);
		deliver(c, r);
	} else if (r->vector == VEC_GP) {
		protection_fault(c, r);
	} else if (r->vector == VEC_NMI || r->vector == 18) {
		vmm_fault(r, "NMI or machine check");
	} else {
		c->shared->exits[EXIT_EXCEPTION]++;
		bounce(c, r, r->vector);
	}
}

void double_fault(void)
{
	/* Its own stack, so this_cpu() is not to be had: the task register tells. */
	struct regs r = { .vector = VEC_DF };
	for (unsigned i = 0; i < boot.nr_cpus; i++) {
		const struct cpu *c = cpu_of(i);
		if (c->df_tss.link == SEL_TSS) {
			const struct tss *t = &c->tss;
			r = (struct regs){ .edi = t->edi, .esi = t->esi, .ebp = t->ebp, .ebx = t->ebx, .edx = t->edx, .ecx = t->ecx,
					   .eax = t->eax, .vector = VEC_DF, .eip = t->eip, .cs = t->cs, .eflags = t->eflags,
					   .esp = t->esp, .ss = t->ss };
		}
	}
	vmm_fault(&r, "double fault");
}
