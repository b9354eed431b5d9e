/* SPDX-License-Identifier: MIT */
/*
 * Where the other processors start (SDM vol. 3, 9.4.4): in real mode, at TRAMPOLINE, to which smp.c
 * copies this code.
 *   1. Enter protected mode, with a small descriptor table that is part of the code.
 *   2. Turn paging on with the boot directory, which maps this page at its machine address, and the
 *      kernel at KERNEL_BASE.
 *   3. In the kernel's image, which both directories map alike: load the kernel's directory, and
 *      call smp_cpu_main() on the stack that smp.c left in smp_stack.
 * The vCPUs of a guest have the kernel's directory: they begin at smp_entry_guest.
 */
#include "x86.h"
#include "layout.h"

#define HERE(label) (TRAMPOLINE + label - trampoline_start)

	.section .rodata
	.globl trampoline_start, trampoline_end
	.code16
trampoline_start:
	/* 1 */
	cli
	xorw %ax, %ax
	movw %ax, %ds
	lgdtl HERE(gdt_pointer)
	movl %cr0, %eax
	orl $CR0_PE, %eax
	movl %eax, %cr0
	ljmpl $SEL_KCODE, $HERE(protected)

	.code32
protected:
	movw $SEL_KDATA, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss

	/* 2 */
	movl %cr4, %eax
	orl $CR4_PSE, %eax
	movl %eax, %cr4
	movl $(boot_directory - KERNEL_BASE), %eax
	movl %eax, %cr3
	movl %cr0, %eax
	andl $~0x60000000, %eax /* CD, NW off: caches on */
	orl $(CR0_PG | CR0_WP), %eax
	movl %eax, %cr0

	movl $smp_entry, %eax
	jmp *%eax

	.align 8
gdt:
	.quad 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF
gdt_pointer:
	.word gdt_pointer - gdt - 1
	.long HERE(gdt)
trampoline_end:

	.text
	.globl smp_entry_guest
smp_entry:
	/* 3 */
	movl smp_directory, %eax
	movl %eax, %cr3
smp_entry_guest:
	movl smp_stack, %esp
	xorl %ebp, %ebp
	call smp_cpu_main

	.section .note.GNU-stack, "", @progbits
