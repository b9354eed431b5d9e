/* SPDX-License-Identifier: MIT */
/*
 * context_switch(from, to): change stacks. The C ABI's callee-saved registers go onto the old stack, whose pointer is kept in
 * from->kernel_esp (offset 0); to's are popped from its own.
 *
 *   stack of a sleeping task:  edi esi ebx ebp return-address ...
 *   stack of a new task:       0 0 0 0 task_begin, fn            (task.c lays it out)
 */
	.text
	.globl context_switch
context_switch:
	movl 4(%esp), %eax
	movl 8(%esp), %edx
	pushl %ebp
	pushl %ebx
	pushl %esi
	pushl %edi
	movl %esp, (%eax)
	movl (%edx), %esp
	popl %edi
	popl %esi
	popl %ebx
	popl %ebp
	ret

	/* A new task: end the switch, then call fn. It never returns here. */
	.globl task_begin
task_begin:
	call sched_finish
	popl %eax
	xorl %ebp, %ebp
	call *%eax

	.section .note.GNU-stack, "", @progbits
