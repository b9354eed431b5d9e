/* SPDX-License-Identifier: MIT */
/*
 * Where a program begins, and how it enters the kernel: by one stub for each system call,
 * generated from syscalls.def. C passes arguments on the stack; the kernel wants them in EBX, ECX,
 * EDX, ESI and EDI.
 */
#include "abi.h"

	.section .text.start, "ax"
	.globl _start
_start:
	xorl %ebp, %ebp
	movl (%esp), %eax      /* argc */
	leal 4(%esp), %edx     /* argv */
	andl $-16, %esp
	pushl %edx
	pushl %eax
	call start_main

	.macro stub number, name, arguments
	.section .text.\name, "ax"
	.globl \name
	.type \name, @function
\name:
	.if \arguments > 0
	pushl %ebx
	movl 8(%esp), %ebx
	.endif
	.if \arguments > 1
	movl 12(%esp), %ecx
	.endif
	.if \arguments > 2
	movl 16(%esp), %edx
	.endif
	.if \arguments > 3
	pushl %esi
	movl 24(%esp), %esi
	.endif
	.if \arguments > 4
	pushl %edi
	movl 32(%esp), %edi
	.endif
	movl $\number, %eax
	int $SYSCALL_VECTOR
	.if \arguments > 4
	popl %edi
	.endif
	.if \arguments > 3
	popl %esi
	.endif
	.if \arguments > 0
	popl %ebx
	.endif
	ret
	.endm

	/* The library wraps exit and on_fault: their stubs are sys_exit and sys_on_fault. */
#define exit sys_exit
#define on_fault sys_on_fault
#define SYSCALL(number, name, arguments) stub number, name, arguments;
#include "syscalls.def"

	/* A fault handler returns to here. ESP points to the handler's argument, the context. */
	.section .text.fault_restorer, "ax"
	.globl fault_restorer
fault_restorer:
	popl %eax
	pushl %eax
	pushl %eax
	call fault_return

	.section .note.GNU-stack, "", @progbits
