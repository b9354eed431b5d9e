/* SPDX-License-Identifier: MIT */
/* The operations on the interrupt flag whose last instruction matters: nothing of the VO may follow it. */
#include "x86.h"
#include "vmm_abi.h"

	/*
	 * The native irq.restore(flags) and irq.enable(): STI holds interrupts back for one instruction more (SDM vol. 2), so
	 * one that waited comes at the caller's, not within the VO.
	 */
	.section .text.vo
	.globl native_irq_restore, native_irq_enable
native_irq_restore:
	testl $EFLAGS_IF, 4(%esp)
	jz 1f
native_irq_enable:
	sti
	ret
1:	cli
	ret

	/*
	 * The last instruction of the VO's text is this INT: an event that was pending comes behind it, where only RET is left
	 * to do and a mode switch does no harm.
	 */
	.section .text.vo.last, "ax"
	.globl virtual_irq_take_events
virtual_irq_take_events:
	movl $HC_EVENTS, %eax
	int $HYPERCALL_VECTOR
	.section .text.vo.behind, "ax"
	ret

	.section .note.GNU-stack, "", @progbits
