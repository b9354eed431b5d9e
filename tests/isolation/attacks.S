/* SPDX-License-Identifier: MIT */
/*
 * The code of the isolation tests: what a hostile kernel or program would execute, as short pieces
 * that run at any address. A test copies all of it into a page of the machine
 * (tests/machine/isolation.c) and starts it at one of these labels, in ring 1 or 3, with the
 * registers that it wants. The numbers are those of the rules in docs/isolation.md.
 *
 * A piece that comes to its end goes to `done`: INT3, which leads to the kernel's trap_handle() as
 * any exception does, where the test stops the machine. So an attack ends either by a trap, whose
 * frame holds all registers, or by the end of the machine.
 */
#include "x86.h"
#include "vmm_abi.h"
#include "offsets.h"

	.macro attack name
	.globl attack_\name
	attack_\name:
	.endm
	.macro done
	jmp attack_done
	.endm

	.text
attacks:
	/*
	 * Where every attack starts. The debugger sets only EIP and ESP; on the stack are, upwards:
	 * the selector for DS, ES, FS and GS; the eight registers that POPA loads; IRET's frame.
	 */
attack launch
	pushl $EFLAGS_FIXED /* drop the flags that an earlier attack left */
	popfl
	popl %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %gs
	popal
	iretl
	.globl attack_done
attack_done:
	int3

	/*
	 * One hypercall; and a list of EBP hypercalls at EDI, of six words each: EAX, EBX, ECX,
	 * EDX, ESI, and the result, which is stored there.
	 */
attack hypercall
	int $HYPERCALL_VECTOR
	done
	/* The list of ECX hypercalls at EBX, for ever. */
attack calls_again
	movl %ebx, %edi
	movl %ecx, %ebp
	pushl %ebx
	pushl %ecx
	call hypercalls_run
	popl %ecx
	popl %ebx
	jmp attack_calls_again
	/* HC_YIELD 1000 times. */
attack yields
	movl $1000, %ebp
1:	movl $HC_YIELD, %eax
	int $HYPERCALL_VECTOR
	decl %ebp
	jnz 1b
	done
attack hypercalls
	call hypercalls_run
	done
hypercalls_run:
1:	movl (%edi), %eax
	movl 4(%edi), %ebx
	movl 8(%edi), %ecx
	movl 12(%edi), %edx
	movl 16(%edi), %esi
	int $HYPERCALL_VECTOR
	.globl attack_called
attack_called:
	pause /* QEMU's turn goes to the next CPU */
	movl %eax, 20(%edi)
	addl $24, %edi
	decl %ebp
	jnz 1b
	ret

#include "batch.S"
#include "privileged.S"
#include "segments.S"
#include "traps.S"
#include "sensitive.S"
#include "guests.S"
	.align 4
	.balign 4
	.globl attack_end
attack_end:

	.section .note.GNU-stack, "", @progbits
