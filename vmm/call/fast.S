/* SPDX-License-Identifier: MIT */
/*
 * Short ways. Two hypercalls, those of a context switch: load a directory that was checked
 * before, and let the next FPU instruction trap, or not. And the bounce of a program's page fault.
 * What is rare goes on at hypercall_full or exit_entry with all registers as they came: the
 * handlers in C do it, or refuse it.
 *
 * Only the registers that are used here are saved. DS and ES stay the kernel's, whose segments end
 * below the VMM. So each access to the VMM's memory goes by SS: by %ss:, or by ESP or EBP.
 * No hazard waits here: one that another CPU sets now comes with an IPI, which comes after IRET.
 *
 *   stack:  ebp edx     | eip cs eflags esp ss |   <- the end of this CPU's CPU_BYTES
 *           pushed here | by the CPU           |
 */
#include "abi.h"
#include "offsets.h"
#include "vmm_abi.h"
#include "x86.h"

#define CPU(offset) (offset - CPU_BYTES + 28)(%esp)
#define STACK_LEAST (KERNEL_BASE + 128) /* as hc_load() */

	/* EBP: the vCPU; EDX: its domain. */
	.macro begin
	pushl %edx
	pushl %ebp
	movl CPU(CPU_CURRENT), %ebp
	movl VCPU_DOMAIN(%ebp), %edx
	cmpb $0, %ss:DOMAIN_SERVED(%edx)
	je full
	.endm

	.text
	/* HC_LOAD: EBX is the directory's mfn, ECX the kernel's stack + VMM_TS. */
	.globl fast_load
fast_load:
	begin
	leal -STACK_LEAST(%ecx), %eax
	cmpl $(VMM_BASE - STACK_LEAST), %eax
	ja full_load
	cmpl %ss:machine + VMM_MACHINE_NR_MFNS, %ebx
	jae full_load
	lock btsl $0, %ss:vmm_lock_word
	jc full_load
	imull $FRAME_ENTRY_BYTES, %ebx, %eax
	addl %ss:frames, %eax
	movl %ss:DOMAIN_GENERATION(%edx), %ebp
	cmpl %ebp, %ss:FRAME_ENTRY_GENERATION(%eax)
	jne 3f
	movb %ss:DOMAIN_ID(%edx), %dl
	cmpb %dl, %ss:FRAME_ENTRY_OWNER(%eax)
	jne unlock
	cmpb $(DIRECTORY << (TYPE_SHIFT - 24)), %ss:FRAME_ENTRY_USE + 3(%eax) /* count < 2^24 */
	jne unlock
1:	movl CPU(CPU_CURRENT), %ebp
	testb $3, %cl
	jnz 4f
	movl %ecx, CPU(CPU_TSS + TSS_ESP1)
2:	incl %ss:FRAME_ENTRY_USE(%eax)
	imull $FRAME_ENTRY_BYTES, VCPU_DIRECTORY(%ebp), %eax
	addl %ss:frames, %eax
	decl %ss:FRAME_ENTRY_USE(%eax)
	movl %ebx, VCPU_DIRECTORY(%ebp)
	movl %ebx, %eax
	shll $PAGE_SHIFT, %eax
	movl %eax, %cr3
	movl $0, %ss:vmm_lock_word
done:	movl VCPU_SHARED(%ebp), %ebp
	incl VMM_SHARED_EXITS(%ebp)
	popl %ebp
	popl %edx
	xorl %eax, %eax
	iretl
3:	cmpl %ss:DOMAIN_DIRECTORY(%edx), %ebx /* the kernel's own needs no check */
	je 1b
	jmp unlock
4:	testb $2, %cl
	jnz unlock
	leal -VMM_TS(%ecx), %edx
	movl %edx, CPU(CPU_TSS + TSS_ESP1)
	movl %cr0, %edx
	orl $CR0_TS, %edx
	movl %edx, %cr0
	jmp 2b
unlock:	movl $0, %ss:vmm_lock_word
full_load:
	movl $HC_LOAD, %eax
full:	popl %ebp
	popl %edx
	jmp hypercall_full

	/* HC_FPU_TRAP: EBX tells whether the next FPU instruction traps. */
	.globl fast_fpu_trap
fast_fpu_trap:
	begin
	cmpl %ebp, CPU(CPU_FPU_OWNER)
	jne full
	clts
	testl %ebx, %ebx
	jz done
	movl %cr0, %eax
	orl $CR0_TS, %eax
	movl %eax, %cr0
	jmp done

	/*
	 * A program touched a page below the kernel: bounce() in a few instructions. The words
	 * that the CPU pushed are the frame.
	 *
	 *   stack:  edx ecx eax vector | error eip cs eflags esp ss |
	 */
#define FAULT(word) (word * 4 + 16)(%esp)
#define FRAME 24
#define FAULT_CPU(offset) (offset - CPU_BYTES + 16 + FRAME)(%esp)
	.globl fast_page_fault, fast_store, fast_store_end
fast_page_fault:
	pushl %eax
	pushl %ecx
	pushl %edx
	testb $PF_USER, FAULT(0)
	jz fast_store_end
	testl $EFLAGS_VM, FAULT(3)
	jnz fast_store_end
	movl FAULT_CPU(CPU_TSS + TSS_ESP1), %edx
	leal -(KERNEL_BASE + FRAME)(%edx), %eax
	cmpl $(VMM_BASE - KERNEL_BASE - FRAME), %eax
	ja fast_store_end
	movl %cr2, %eax
	cmpl $KERNEL_BASE, %eax
	jae fast_store_end
	orl $EFLAGS_IF, FAULT(3)
fast_store: /* to the kernel's stack: after a fault own_exit() goes on at fast_store_end */
	.irp word, 0, 1, 2, 3, 4, 5
	movl FAULT(\word), %ecx
	movl %ecx, %ss:(\word * 4 - FRAME)(%edx)
	.endr
	subl $FRAME, %edx
	movl %edx, FAULT(4)
	movl FAULT_CPU(CPU_CURRENT), %ecx
	movl %ss:VCPU_SHARED(%ecx), %edx
	movl %eax, %ss:VMM_SHARED_ADDRESS(%edx)
	incl %ss:VMM_SHARED_PAGE_FAULTS(%edx)
	incl %ss:VMM_SHARED_BOUNCES(%edx)
	movl $0, %ss:VMM_SHARED_VIF(%edx)
	movl %ss:VCPU_DOMAIN(%ecx), %ecx
	movl %ss:DOMAIN_HANDLERS + 4 * VEC_PF(%ecx), %ecx
	movl %ecx, FAULT(1)
	movl $(SEL_KCODE | 1), FAULT(2)
	andl $~(EFLAGS_TF | EFLAGS_NT | EFLAGS_AC | EFLAGS_IOPL), FAULT(3)
	movl $(SEL_KDATA | 1), FAULT(5)
	popl %edx
	popl %ecx
	popl %eax
	addl $8, %esp /* vector, error */
	iretl
fast_store_end:
	popl %edx
	popl %ecx
	popl %eax
	jmp exit_entry

	.section .note.GNU-stack, "", @progbits
