/* SPDX-License-Identifier: MIT */
/* The checks of lab 2: what each is worth, where to read about it, where a debugger begins. */
#include "checks.h"

/*
 * The check makes faults by code of its own, before any program runs. For a debugger these programs
 * do: the one has faults, the other makes the kernel have some.
 */
#define FAULTS "run=intruder"
#define KERNEL_FAULTS "run=\"usertests cow_kernel_writes\""

/*
 * A row's look makes the state that the check judges, where a machine that boots is in another one:
 * a busy TSS, a bad stack, a pending event.
 */
#define ROW(k, n, function, worth, manual) \
	.exercise = k, .name = n, .run = check_##function, .points = worth, .number = __COUNTER__, \
	.seconds = 60, .see = "handout, exercise " #k "; " manual

/*
 * Of usertests: what runs through this lab's code, and is done in a second or two. Registers and
 * flags over system calls and preemption, faults and other doors into the kernel, the kernel's own
 * page faults, fork, and sleep.
 */
#define USERTESTS \
	"usertests regs_system_call fault_vectors fault_other_doors fault_popf " \
	"flags_nested_task handler_hostile_flags cow_kernel_writes fork_chain sleep_order"

const struct test lab_02_checks[] = {
	{ ROW(1, "gdt", gdt, 9, "SDM vol. 3, 3.4.5, 8.2.2"), .stop_at = "cpus_warm_up",
	  .title = "The GDT's entries: DPL, limit, type, accessed bit",
	  .look = "cb gdt vmm" },
	{ ROW(1, "tss", tss, 5, "SDM vol. 3, 8.2.1; vol. 1, 19.5.2"), .stop_at = "cpus_warm_up",
	  .title = "The TSS: stacks for rings 0 and 1, no I/O bitmap",
	  .look = "cb tss vmm" },
	{ ROW(2, "idt", idt, 9, "SDM vol. 3, 6.11, 6.12.1"), .stop_at = "idt_warm_up",
	  .title = "The IDT's gates: type, DPL, where they lead",
	  .look = "cb idt vmm" },

	{ ROW(3, "install", install, 8, "SDM vol. 3, 2.4, 8.2.4"), .stop_at = "cpu_install",
	  .title = "What the CPU has loaded after cpu_install()",
	  .look = "cb where;cb tss" },
	{ ROW(3, "again", again, 5, "SDM vol. 3, 8.2.2, 18.2.4"), .stop_at = "cpu_install",
	  .title = "The same with a busy TSS, an LDT, a breakpoint and SYSENTER in use",
	  .look = "set var c->gdt[5] = c->gdt[5] | 2ull << 40;cb where;cb gdt vmm" },
	{ ROW(3, "flush", flush, 4, "SDM vol. 3, 4.10.4"), .stop_at = "cpu_install",
	  .title = "No old TLB entry is left",
	  .look = "info registers cr3 cr4" },
	{ ROW(4, "descent", descent, 11, "SDM vol. 3, 5.8; vol. 2, IRET"), .stop_at = "descend",
	  .title = "The first instruction in ring 1",
	  .look = "set var $eflags = (int)$eflags | 0x40000;x/6wx $edx;"
		  "info registers eflags cs ss ds es" },
	{ ROW(4, "hardware", hardware, 6, "SDM vol. 3, 5.3, 5.4.1"), .stop_at = "descend",
	  .needs = EXERCISES(1, 4),
	  .title = "Limits and segments on a CPU that checks them (Bochs)",
	  .look = "sreg;creg", .machine = { .bochs = true } },

	{ ROW(5, "save", save, 4, "vmm_abi.h"), .stop_at = "virtual_irq_save",
	  .title = "irq.save: virtual IF before, and then 0",
	  .look = "cb events" },
	{ ROW(6, "restore", restore, 7, "vmm_abi.h"), .stop_at = "virtual_irq_restore",
	  .title = "irq.restore: pending events are asked for, none is missed",
	  .look = "set var vmm_shared[0].pending = 0x10000;cb events" },

	{ ROW(7, "bounce-user", bounce_user, 6, "SDM vol. 3, 6.12.1, 6.13"), .stop_at = "bounce",
	  .title = "Faults of a program: stack, frame, flags",
	  .stop_if = "(r->cs & 3) == 3 && vector < 32", .look = "p/x *r;p/x c->tss.esp1",
	  .machine = { .cmdline = FAULTS } },
	{ ROW(7, "bounce-kernel", bounce_kernel, 6, "SDM vol. 3, 6.12.1, 6.13"),
	  .stop_at = "bounce", .stop_if = "(r->cs & 3) == 1 && vector < 32",
	  .title = "Faults of the kernel, with virtual IF 0 and 1",
	  .look = "p/x *r;cb events",
	  .machine = { .cmdline = KERNEL_FAULTS } },
	{ ROW(7, "bounce-stack", bounce_stack, 3, "docs/vmm.md"), .stop_at = "bounce",
	  .title = "A bad kernel stack stops the kernel, not the VMM",
	  .look = "set var r->esp = 0xf7fff800;p/x r->esp;p/x c->tss.esp1",
	  .stop_if = "(r->cs & 3) == 1" },
	{ ROW(8, "deliver", deliver, 5, "vmm_abi.h"), .stop_at = "event_deliver",
	  .title = "Which event is delivered, and when none is",
	  .look = "cb events;p/x r->cs" },
	{ ROW(8, "pending", pending, 3, "vmm_abi.h"), .stop_at = "event_deliver",
	  .title = "Interrupts that come while virtual IF is 0",
	  .stop_if = "(r->cs & 3) == 1 && c->current->shared->pending",
	  .look = "set var c->current->shared->vif = 0;cb events;p/x r->cs" },

	/* These need all of it. */
	{ ROW(2, "intruder", intruder, 5, "SDM vol. 3, 6.12.1.1"), .stop_at = "exit_handle",
	  .needs = EXERCISES(1, 8),
	  .title = "An attacking program gets nowhere", .text = "intruder",
	  .stop_if = "(r->cs & 3) == 3", .look = "p/x *r" },
	{ ROW(8, "count", count, 2, "docs/vmm.md"), .stop_at = "event_deliver",
	  .needs = EXERCISES(1, 8),
	  .title = "Under load each interrupt is handled once; the invariants hold",
	  .text = "work 8", .look = "cb events" },
	{ ROW(8, "programs", programs, 2, "docs/vmm.md"), .stop_at = "event_deliver",
	  .needs = EXERCISES(1, 8),
	  .title = "usertests, under two orders of machine frames", .text = USERTESTS,
	  .look = "cb events", .machine = { .budget = 1000 } },
	{ 0 },
};
