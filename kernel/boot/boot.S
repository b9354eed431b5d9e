/* SPDX-License-Identifier: MIT */
/*
 * From the boot loader to C. Multiboot 1 leaves us in protected mode without paging, at machine addresses.
 *   1. Fill the boot directory with 4 MiB pages: machine memory 0.. at KERNEL_BASE.., and the first 4 MiB also at 0.
 *   2. Turn paging on and jump up.
 *   3. Call kmain(magic, info) on the boot CPU's own stack, whose low end is its idle task.
 * The boot directory stays: other processors come up through it (trampoline.S).
 */
#include "x86.h"
#include "layout.h"

#define MACHINE(symbol) (symbol - KERNEL_BASE)
#define MULTIBOOT_MAGIC 0x1BADB002
#define MULTIBOOT_FLAGS 0x3 /* modules page aligned; memory map wanted */
#define KERNEL_SLOT (KERNEL_BASE >> 22)

	.section .multiboot, "a"
	.align 4
	.long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

	.text
	.globl boot_entry
boot_entry:
	cli
	cld
	movl %eax, %esi /* magic, for kmain */

	/* 1: MAX_PFNS frames in 4 MiB pages */
	movl $MACHINE(boot_directory), %edi
	movl $(PTE_P | PTE_W | PTE_PS), %eax
	movl %eax, (%edi)
	xorl %ecx, %ecx
1:	movl %eax, KERNEL_SLOT * 4(%edi, %ecx, 4)
	addl $0x400000, %eax
	incl %ecx
	cmpl $(MAX_PFNS >> 10), %ecx
	jb 1b

	/* 2 */
	movl %cr4, %eax
	orl $CR4_PSE, %eax
	movl %eax, %cr4
	movl %edi, %cr3
	movl %cr0, %eax
	orl $(CR0_PG | CR0_WP), %eax
	movl %eax, %cr0
	movl $2f, %eax
	jmp *%eax

	/* 3 */
2:	movl $boot_stack_end, %esp
	xorl %ebp, %ebp /* ends back traces */
	pushl %ebx
	pushl %esi
	call kmain

	.bss
	.align 4096
	.globl boot_directory
boot_directory:
	.skip 4096
	.align 8192
	.globl boot_stack
boot_stack:
	.skip 8192
boot_stack_end:

	.section .note.GNU-stack, "", @progbits
