/* SPDX-License-Identifier: MIT */
/*
 * Into the kernel and back. Each vector has a stub that makes the stack look alike (stubs.h);
 * then all registers are saved as a struct trap_frame (proc/task.h), lowest address first:
 *
 *   gs fs es ds | edi esi ebp outer ebx edx ecx eax | vector error | eip cs eflags | esp ss
 *   this file   | PUSHA                             | stub         | CPU           | from ring 3
 *
 * On the way back to user mode the task's hazard word is tested once; interrupts may be on. An
 * interrupt that arrives after the test interrupts kernel code, and may switch to another task
 * there. So only a kill can be missed, and the next entry from user mode sees the kill.
 *
 * A mode switch must find the CS in every frame of interrupted kernel code. So trap.c chains
 * these frames from their task. The chain is undone at the last moment, in text that no mode
 * switch and no preemption cuts in two (vo_in_text, vo.h).
 */
#include "abi.h"
#include "offsets.h"
#include "stubs.h"

#define TASK_MASK -TASK_STACK_BYTES

	/*
	 * The segment registers are saved in the order of struct trap_frame. The order of the
	 * rest is given by PUSHA, the stubs and the CPU.
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

	/* A new process goes to user mode: its registers are at the top of its stack. */
	.globl task_enter_user
task_enter_user:
	andl $TASK_MASK, %esp
	addl $(TASK_STACK_BYTES - TRAP_FRAME_BYTES), %esp
	jmp trap_exit

	.globl double_fault_entry
double_fault_entry:
	cld
	call native_double_fault

	STUBS trap_stubs, trap_entry

	.section .note.GNU-stack, "", @progbits
