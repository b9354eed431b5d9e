/* SPDX-License-Identifier: MIT */
/*
 * Operations on the interrupt flag whose last instruction matters: an interrupt that waited
 * must arrive when nothing of the VO is left to do.
 */
#include "x86.h"
#include "vmm_abi.h"

	/*
	 * The native irq.restore(flags) and irq.enable(): STI holds interrupts back for one
	 * more instruction (SDM vol. 2, STI), so one that waited arrives at the caller's next
	 * instruction, not within the VO.
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
	 * This INT is the last instruction of the VO's text: a pending event arrives after it,
	 * where only RET is left to do and a mode switch does no harm.
	 */
	.section .text.vo.last, "ax"
	.globl virtual_irq_take_events
virtual_irq_take_events:
	movl $HC_EVENTS, %eax
	int $HYPERCALL_VECTOR
	.section .text.vo.after, "ax"
	ret

	.section .note.GNU-stack, "", @progbits
