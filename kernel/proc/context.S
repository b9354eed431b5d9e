/* SPDX-License-Identifier: MIT */
/*
 * The context switch: from one task's kernel stack to another's.
 *
 * context_switch(from, to), called with the run queue's lock held (sched.c):
 *   1 push the registers that the C ABI has the callee save, onto the stack of `from`
 *   2 store its stack pointer in from->kernel_esp, and load to->kernel_esp
 *   3 pop these registers from the stack of `to`, and return to where it called context_switch
 *
 *   stack of a task that does not run:  edi esi ebx ebp return-address ...
 *   stack of a new task (task_alloc):   any any any 0   task_begin fn
 */
#include "offsets.h"

	.text
	.globl context_switch
context_switch:
	movl 4(%esp), %eax
	movl 8(%esp), %edx
	pushl %ebp /* 1 */
	pushl %ebx
	pushl %esi
	pushl %edi
	movl %esp, TASK_KERNEL_ESP(%eax) /* 2 */
	movl TASK_KERNEL_ESP(%edx), %esp
	popl %edi /* 3 */
	popl %esi
	popl %ebx
	popl %ebp
	ret

	/* A new task: complete the context switch to it, then call fn, which never returns. */
	.globl task_begin
task_begin:
	call sched_finish
	popl %eax
	xorl %ebp, %ebp /* ends back traces */
	call *%eax

	.section .note.GNU-stack, "", @progbits
