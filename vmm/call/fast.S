/* SPDX-License-Identifier: MIT */
/*
 * The short way of two hypercalls, those of a context switch: load a directory that was checked
 * before, and let the next FPU instruction trap, or not. What is rare goes on at hypercall_full
 * with all registers as they came: the handlers in C do it, or refuse it.
 *
 * Only the registers that are used here are saved. DS and ES stay the kernel's, whose segments end
 * below the VMM. So each access to the VMM's memory goes by SS: by %ss:, or by ESP or EBP.
 * No hazard waits here: one that another CPU sets now comes with an IPI, which comes after IRET.
 *
 *   stack:  edi ebp edx | eip cs eflags esp ss |   <- the end of this CPU's CPU_BYTES
 *           pushed here | by the CPU           |
 */
#include "abi.h"
#include "offsets.h"
#include "vmm_abi.h"
#include "x86.h"

#define CPU(offset) (offset - CPU_BYTES + 32)(%esp)
#define STACK_LEAST (KERNEL_BASE + 128) /* as hc_load() */

	/* EBP: the vCPU; EDX: its domain. AL keeps the hypercall's number. */
	.macro begin
	pushl %edx
	pushl %ebp
	pushl %edi
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
	leal -STACK_LEAST(%ecx), %edi
	cmpl $(VMM_BASE - STACK_LEAST), %edi
	ja full
	cmpl %ss:machine + VMM_MACHINE_NR_MFNS, %ebx
	jae full
	lock btsl $0, %ss:vmm_lock_word
	jc full
	imull $FRAME_ENTRY_BYTES, %ebx, %edi
	addl %ss:frames, %edi
	movb %ss:DOMAIN_ID(%edx), %ah
	cmpb %ah, %ss:FRAME_ENTRY_OWNER(%edi)
	jne unlock
	movl %ss:DOMAIN_GENERATION(%edx), %edx
	cmpl %edx, %ss:FRAME_ENTRY_GENERATION(%edi)
	jne unlock
	cmpb $(DIRECTORY << (TYPE_SHIFT - 24)), %ss:FRAME_ENTRY_USE + 3(%edi) /* count < 2^24 */
	jne unlock
	testb $3, %cl
	jnz 2f
	movl %ecx, CPU(CPU_TSS + TSS_ESP1)
1:	incl %ss:FRAME_ENTRY_USE(%edi)
	imull $FRAME_ENTRY_BYTES, VCPU_DIRECTORY(%ebp), %edi
	addl %ss:frames, %edi
	decl %ss:FRAME_ENTRY_USE(%edi)
	movl %ebx, VCPU_DIRECTORY(%ebp)
	movl %ebx, %edi
	shll $PAGE_SHIFT, %edi
	movl %edi, %cr3
	movl $0, %ss:vmm_lock_word
done:	movl VCPU_SHARED(%ebp), %ebp
	incl VMM_SHARED_EXITS(%ebp)
	popl %edi
	popl %ebp
	popl %edx
	xorl %eax, %eax
	iretl
2:	testb $2, %cl
	jnz unlock
	leal -VMM_TS(%ecx), %edx
	movl %edx, CPU(CPU_TSS + TSS_ESP1)
	movl %cr0, %edx
	orl $CR0_TS, %edx
	movl %edx, %cr0
	jmp 1b
unlock:	movl $0, %ss:vmm_lock_word
full:	popl %edi
	popl %ebp
	popl %edx
	movzbl %al, %eax
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
	movl %cr0, %edi
	orl $CR0_TS, %edi
	movl %edi, %cr0
	jmp done

	.section .note.GNU-stack, "", @progbits
