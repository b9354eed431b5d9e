/* SPDX-License-Identifier: MIT */
/*
 * Faults of a program itself. If the program has a handler, it is called with the
 * registers on the program's stack; else the process ends.
 */
#include "mm/vm.h"
#include "proc/task.h"

/* What a program may have in EFLAGS: status bits, TF, DF, AC, ID. */
#define USER_EFLAGS (0x8D5 | EFLAGS_TF | EFLAGS_DF | EFLAGS_AC | 0x200000)

static const char *const names[VEC_EXCEPTIONS] = {
	[0] = "divide error", [1] = "debug", [3] = "breakpoint", [4] = "overflow",
	[5] = "bound range", [6] = "invalid opcode", [7] = "no FPU", [11] = "segment not present",
	[12] = "stack fault", [13] = "general protection", [14] = "page fault",
	[16] = "x87 error", [17] = "alignment check", [19] = "SIMD error",
};

/*
 * Let the program continue in its handler: handler(&context), which returns to the
 * restorer. Result: false if it has no handler, or no stack for it.
 */
static bool deliver(struct trap_frame *regs, uint32_t address)
{
	struct task *t = current();
	struct {
		uint32_t restorer, argument;
		struct fault_context context;
	} frame = {
		.restorer = t->fault_restorer,
		.context = { regs->vector, regs->error, address, regs->edi, regs->esi, regs->ebp,
			     regs->ebx, regs->edx, regs->ecx, regs->eax, regs->eip, regs->eflags,
			     regs->esp },
	};
	uint32_t esp = ((regs->esp - sizeof(frame.context)) & ~15u) - 8;
	frame.argument = esp + 8;
	if (!t->fault_handler || copy_to_user((void *)esp, &frame, sizeof(frame)))
		return false;
	regs->esp = esp;
	regs->eip = t->fault_handler;
	regs->eflags &= ~(uint32_t)(EFLAGS_TF | EFLAGS_DF | EFLAGS_NT);
	return true;
}

void user_fault(struct trap_frame *regs, uint32_t address)
{
	struct task *t = current();
	unsigned v = regs->vector;
	if (deliver(regs, address))
		return;
	const char *name = v < VEC_EXCEPTIONS && names[v] ? names[v] : "exception";
	printk("%s (%d): %s (vector %u, error %#x) at %#x, address %#x, esp %#x\n", t->name,
	       t->pid, name, v, regs->error, regs->eip, address, regs->esp);
	task_exit(WSTATUS_FAULT(v));
}

int sys_on_fault(uint32_t handler, uint32_t restorer)
{
	if (handler >= USER_END || restorer >= USER_END)
		return -EFAULT;
	current()->fault_handler = handler;
	current()->fault_restorer = restorer;
	return 0;
}

int sys_fault_return(uint32_t context)
{
	struct trap_frame *regs = user_trap_frame(current());
	struct fault_context c;
	if (copy_from_user(&c, (const void *)context, sizeof(c)))
		return -EFAULT;
	regs->edi = c.edi, regs->esi = c.esi, regs->ebp = c.ebp, regs->ebx = c.ebx;
	regs->edx = c.edx, regs->ecx = c.ecx, regs->eip = c.eip, regs->esp = c.esp;
	regs->eflags = (c.eflags & USER_EFLAGS) | EFLAGS_IF | EFLAGS_FIXED;
	regs->eax = c.eax;
	/*
	 * In virtual mode such an address can lie beyond the end of the segment: IRET
	 * itself would fault, in the kernel.
	 */
	if (c.eip >= USER_END) {
		regs->vector = VEC_GP, regs->error = 0;
		user_fault(regs, 0);
	}
	return (int)regs->eax; /* the entry code stores it in EAX */
}
