/* SPDX-License-Identifier: MIT */
/*
 * Dispatch of exceptions and interrupts. A program's fault goes to user_fault(). A fault
 * of the kernel ends in a panic, unless it hit a user address inside one of the user
 * copies (mm/usercopy.c).
 */
#include "trap/trap.h"
#include "domain/ports.h"
#include "mm/vm.h"
#include "switch/switch.h"

struct fixup { uint32_t at, go_on; };
extern const struct fixup fixups_start[], fixups_end[];

static bool from_user(const struct trap_frame *regs) { return (regs->cs & 3) == 3; }

void trap_panic(const struct trap_frame *regs, uint32_t address)
{
	bool user = from_user(regs), in_vmm = regs->eip >= VMM_BASE;
	uint32_t offset = regs->eip - VMM_BASE;
	const char *name = in_vmm ? "VMM_BASE" : ksym_find(regs->eip, &offset);
	panic_begin(); /* first: the fault may have hit the console, which holds its lock */
	printk("eax %08x ebx %08x ecx %08x edx %08x\nesi %08x edi %08x ebp %08x esp %08x\n",
	       regs->eax, regs->ebx, regs->ecx, regs->edx, regs->esi, regs->edi, regs->ebp,
	       user ? regs->esp : (uint32_t)&regs->esp);
	printk("eip %08x cs %04x eflags %08x ds %04x es %04x address %08x\n", regs->eip, regs->cs,
	       regs->eflags, regs->ds, regs->es, address);
	backtrace(regs->ebp);
	panic_end("exception %u, error %#x, in %s at %s+%#x", regs->vector, regs->error,
		  user ? "a program" : in_vmm ? "the VMM" : "the kernel", name, offset);
}

/*
 * If the fault hit a user copy (mm/usercopy.c), the copy goes on where it returns its error.
 * Result: whether it hit one.
 */
static bool fix_up(struct trap_frame *regs)
{
	for (const struct fixup *f = fixups_start; f < fixups_end; f++)
		if (f->at == regs->eip) {
			regs->eip = f->go_on;
			return true;
		}
	return false;
}

static void page_fault(struct trap_frame *regs)
{
	struct task *t = current();
	uint32_t address = VO(cpu, fault_address)();
	/* A program runs with interrupts on, whatever QEMU's TCG lets its IRET do. */
	bool interrupts = from_user(regs) || regs->eflags & EFLAGS_IF;
	if (interrupts)
		VO(irq, enable)();
	bool may_sleep = t->preempt == 0 && interrupts;
	int error = -EFAULT;
	if (t->mm && address < USER_END && may_sleep)
		error = mm_fault(t->mm, address, regs->error);
	if (error == 0)
		return;
	if (error == -ENOMEM && from_user(regs) && t == task_first())
		sleep_ms(10); /* init must not die: it retries until there is memory */
	else if (from_user(regs))
		user_fault(regs, address);
	else if (address >= USER_END || !fix_up(regs))
		trap_panic(regs, address);
}

static void interrupt(unsigned vector)
{
	irq_count(vector);
	if (vector == VEC_SWITCH) {
		VO(irq, end)(vector);
		switch_interrupt();
		return;
	}
	if (vector == VEC_HALT)
		VO(cpu, halt)();
	if (vector == VEC_TIMER)
		sched_tick();
	else if (vector >= VEC_IRQ && vector < VEC_IRQ + NR_IRQ)
		irq_handle(vector - VEC_IRQ);
	else if (vector == VEC_PORT)
		ports_handle();
	if (vector != VEC_SPURIOUS)
		VO(irq, end)(vector);
}

/*
 * No program has virtual-8086 mode, but QEMU's TCG lets an IRET of ring 3 enter it
 * (docs/isolation.md). The program's next trap comes here and ends it. Its CS means no ring.
 */
static void __attribute__((noreturn)) end_vm86(void)
{
	current()->trap_frames = NULL;
	VO(irq, enable)();
	printk("%s (%d): in virtual-8086 mode\n", current()->name, current()->pid);
	task_exit(WSTATUS_FAULT(VEC_GP));
}

void trap_handle(struct trap_frame *regs)
{
	ASSERT_IRQS_OFF();
	unsigned vector = regs->vector;
	if (!from_user(regs)) { /* chained, so that a mode switch finds the CS in it (entry.S) */
		regs->outer = (uint32_t)current()->trap_frames;
		current()->trap_frames = regs;
	}
	bool vm86 = regs->eflags & EFLAGS_VM;
	if (vector == VEC_PF && !vm86) {
		page_fault(regs);
	} else if (vector >= VEC_EXCEPTIONS) {
		do {
			interrupt(vector);
			if (unlikely(vm86))
				end_vm86();
			if (!from_user(regs))
				preempt_check();
			vector = VO(irq, leave)(regs->eflags);
		} while (vector);
	} else if (unlikely(vm86)) {
		end_vm86();
	} else if (!from_user(regs) || vector == VEC_NMI) {
		trap_panic(regs, 0);
	} else {
		VO(irq, enable)();
		if (vector == VEC_NM)
			fpu_use();
		else
			user_fault(regs, 0);
	}
}
