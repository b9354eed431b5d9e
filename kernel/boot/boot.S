/* SPDX-License-Identifier: MIT */
/*
 * From the boot loader to C. A Multiboot 1 loader enters in protected mode without paging, so
 * that all addresses are machine addresses.
 *   1. Fill the boot directory with 4 MiB pages: machine memory from 0 on at KERNEL_BASE, and its
 *      first 4 MiB also at 0.
 *   2. Turn paging on, and jump to the kernel's linked addresses.
 *   3. Call kmain(magic, info) on the boot CPU's idle stack, with the idle task at its low end.
 * The boot directory is kept: the other processors start through it (trampoline.S).
 * A guest is the same kernel, started at guest_entry: domain/domain.h.
 */
#include "domain/guest.h"
#include "layout.h"
#include "offsets.h"
#include "x86.h"

#define MACHINE(symbol) (symbol - KERNEL_BASE)
#define MULTIBOOT_MAGIC 0x1BADB002
#define MULTIBOOT_FLAGS 0x3 /* align modules to pages; give a memory map */

	.section .multiboot, "a"
	.align 4
	.long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
	/* struct guest_header */
	.long GUEST_MAGIC, VMM_ABI_VERSION, guest_entry, syscall_entry, trap_stubs
	.long trap_stubs_count, vmm_shared, readonly_end, image_end /* the count follows them */

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
	xorl %ebp, %ebp /* ends a back trace */
	pushl %ebx
	pushl %esi
	call kmain

	/* In ring 1, with paging on; ESI: address of the start record. Other registers: none. */
guest_entry:
	movl $boot_stack_end, %esp
	xorl %ebp, %ebp
	pushl %esi
	call guest_main

	.bss
	.align PAGE_SIZE
	.globl boot_directory
boot_directory:
	.skip PAGE_SIZE
	.align TASK_STACK_BYTES
	.globl boot_stack
boot_stack:
	.skip TASK_STACK_BYTES
boot_stack_end:

	.section .note.GNU-stack, "", @progbits
