/* SPDX-License-Identifier: MIT */
/*
 * The way into the kernel and out of it. Each vector has a stub that makes the stack look alike
 * (stubs.h); then all registers are saved as a struct trap_frame (proc/task.h), lowest address
 * first:
 *
 *   gs fs es ds | edi esi ebp outer ebx edx ecx eax | vector error | eip cs eflags | esp ss
 *   this file   | PUSHA                             | stub         | CPU           | from ring 3
 *
 * Before a return to user mode the task's hazard word is tested once. Interrupts may be on then.
 * An interrupt after the test interrupts kernel code: it can switch to another task by itself,
 * but it cannot end this task. A kill that comes then takes effect at the task's next entry.
 *
 * A mode switch must find the CS in every frame of interrupted kernel code, so trap.c chains
 * these frames from their task. return_to_kernel takes a frame off the chain just before the
 * IRET. Its text counts as the VO's (vo_in_text, vo.h): no mode switch and no preemption happens
 * inside it.
 */
#include "abi.h"
#include "offsets.h"
#include "stubs.h"

#define TASK_MASK -TASK_STACK_BYTES

	/*
	 * Only the order of the segment registers may be chosen: it follows struct trap_frame.
	 * The order of all other registers is the hardware's.
	 */
	.if TRAP_FRAME_EDI != 16 || TRAP_FRAME_OUTER != 28 || TRAP_FRAME_EAX != 44
	.error "struct trap_frame must have the registers in PUSHA's order"
	.endif
	.if TRAP_FRAME_VECTOR != 48 || TRAP_FRAME_EIP != 56 || TRAP_FRAME_SS != 72
	.error "struct trap_frame must end with what the stubs and the CPU push"
	.endif

	.macro segment instruction, offset
	.if TRAP_FRAME_GS == \offset
	\instruction %gs
	.elseif TRAP_FRAME_FS == \offset
	\instruction %fs
	.elseif TRAP_FRAME_ES == \offset
	\instruction %es
	.elseif TRAP_FRAME_DS == \offset
	\instruction %ds
	.endif
	.endm

	.macro save_registers scratch
	pushal
	.irp offset, 12, 8, 4, 0
	segment pushl, \offset
	.endr
	movl $SEL_KDATA, \scratch
	movl \scratch, %ds
	movl \scratch, %es
	cld
	.endm

	.macro restore_and_return
	.irp offset, 0, 4, 8, 12
	segment popl, \offset
	.endr
	popal
	addl $8, %esp /* vector, error */
	iretl
	.endm

	.text

	/* --- system calls: straight through the table (proc/syscall.c) --- */
	.globl syscall_entry
syscall_entry:
	pushl $0
	pushl $SYSCALL_VECTOR
	save_registers %ebp
	cmpl syscall_count, %eax
	jae 2f
	movl syscall_table(, %eax, 4), %eax
	testl %eax, %eax
	jz 2f
	pushl %edi
	pushl %esi
	pushl %edx
	pushl %ecx
	pushl %ebx
	xorl %ebp, %ebp /* ends back traces */
	call *%eax
	addl $20, %esp
1:	movl %eax, TRAP_FRAME_EAX(%esp)
	movl %esp, %eax
	andl $TASK_MASK, %eax
	cmpl $0, TASK_HAZARD(%eax)
	jne trap_hazard
	restore_and_return
2:	movl $-ENOSYS, %eax
	jmp 1b

	/* --- exceptions and interrupts --- */
trap_entry:
	save_registers %eax
	pushl %esp
	call trap_handle
	addl $4, %esp
trap_exit:
	testb $2, TRAP_FRAME_CS(%esp) /* ring 3; the kernel's is 0 or 1 */
	jz return_to_kernel
	movl %esp, %eax
	andl $TASK_MASK, %eax
	cmpl $0, TASK_HAZARD(%eax)
	jne trap_hazard
	restore_and_return

	.section .text.vo, "ax"
return_to_kernel:
	movl %esp, %eax
	andl $TASK_MASK, %eax
	movl TRAP_FRAME_OUTER(%esp), %ecx
	movl %ecx, TASK_TRAP_FRAMES(%eax)
	restore_and_return
	.text

trap_hazard:
	call task_hazard
	jmp trap_exit

	/*
	 * A process enters user mode first here. Its registers are at the top of its stack. An
	 * interrupt may come at any instruction: ESP always has room below it.
	 */
	.globl task_enter_user
task_enter_user:
	movl %esp, %eax
	andl $TASK_MASK, %eax
	leal (TASK_STACK_BYTES - TRAP_FRAME_BYTES)(%eax), %esp
	jmp trap_exit

	/* A double fault in native mode: a task gate leads here, to a stack of its own. */
	.globl double_fault_entry
double_fault_entry:
	cld
	call native_double_fault

	STUBS trap_stubs, trap_entry, trap_entry

	.section .note.GNU-stack, "", @progbits
