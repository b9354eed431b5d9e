/* SPDX-License-Identifier: MIT */
/*
 * Into the kernel and back. Each vector has a stub that makes the stack look alike; then all registers are saved as a
 * struct trap_frame (proc/task.h):
 *
 *   low   gs fs es ds | edi esi ebp - ebx edx ecx eax | vector error | eip cs eflags | esp ss (from user mode)   high
 *
 * Back to user mode the task's hazard word is tested, once. It is tested with interrupts possibly on: one that comes
 * after the test finds kernel code interrupted and may switch tasks there, so nothing is lost but a kill, which the next
 * entry sees.
 *
 * The frames of interrupted kernel code are chained from the task (trap.c), because a mode switch must find the CS in them.
 * The chain is undone at the last moment, in code that no switch and no preemption interrupts (vo_in_text, vo.h).
 */
#include "x86.h"
#include "abi.h"
#include "vmm_abi.h"

#define FRAME_OUTER 28 /* unused_esp */
#define FRAME_EAX 44
#define FRAME_CS 60
#define TASK_HAZARD 4
#define TASK_FRAMES 8
#define TASK_MASK -8192

	.macro save_registers scratch
	pushal
	pushl %ds
	pushl %es
	pushl %fs
	pushl %gs
	movl $SEL_KDATA, \scratch
	movl \scratch, %ds
	movl \scratch, %es
	cld
	.endm

	.macro restore_and_return
	popl %gs
	popl %fs
	popl %es
	popl %ds
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
1:	movl %eax, FRAME_EAX(%esp)
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
	testb $2, FRAME_CS(%esp) /* ring 3, or the kernel's: 0 or 1 */
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
	movl FRAME_OUTER(%esp), %ecx
	movl %ecx, TASK_FRAMES(%eax)
	restore_and_return
	.text

trap_hazard:
	call task_hazard
	jmp trap_exit

	/* A process begins here: the registers are at the top of its stack. */
	.globl task_enter_user
task_enter_user:
	andl $TASK_MASK, %esp
	addl $(8192 - 76), %esp
	jmp trap_exit

	.globl double_fault_entry
double_fault_entry:
	cld
	call native_double_fault

	/* --- stubs, and the table from which native.c makes the gates --- */
	.macro stub vector, error_code
	.pushsection .rodata
	.long \vector, 1f
	.popsection
1:	.if !\error_code
	pushl $0
	.endif
	pushl $\vector
	jmp trap_entry
	.endm

	.section .rodata
	.align 4
	.globl trap_stubs
trap_stubs:
	.text
stub:
	.irp v, 0, 1, 2, 3, 4, 5, 6, 7, 9, 15, 16, 18, 19, 20
	stub \v, 0
	.endr
	.irp v, 8, 10, 11, 12, 13, 14, 17
	stub \v, 1
	.endr
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	stub (VEC_IRQ + \n), 0
	.endr
	stub VEC_TIMER, 0
	stub VEC_RESCHED, 0
	stub VEC_HALT, 0
	stub VEC_SWITCH, 0
	stub VEC_FLUSH, 0
	stub VEC_SPURIOUS, 0
	.section .rodata
	.globl trap_stub_count
trap_stub_count:
	.long (. - trap_stubs) / 8

	.section .note.GNU-stack, "", @progbits
