/* SPDX-License-Identifier: MIT */
/*
 * The code of guests in the isolation tests: all pieces lie in a guest's first page, at
 * KERNEL_BASE. A guest begins with ESI: the address of its data page.
 */

	.macro guest name
	.globl attack_guest_\name
	attack_guest_\name:
	.endm
	.macro call_vmm number
	movl $\number, %eax
	int $HYPERCALL_VECTOR
	.endm

	.text
	/* Print the text at ESI, of EBP bytes (4(ESI) has the number), and end with status 7. */
guest hello
	leal 8(%esi), %ebx
	movl 4(%esi), %ecx
	call_vmm HC_CONSOLE_OUT
	movl %eax, (%esi)
	movl $7, %ebx
	call_vmm HC_SHUTDOWN
	ud2
