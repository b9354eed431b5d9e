/* SPDX-License-Identifier: MIT */
/*
 * Into the VMM and out. The CPU enters on its own stack of the VMM, and the entry code saves the
 * registers there as struct regs (vmm.h). On the way out one word tells whether anything is left
 * to do (HAZARD_*, vmm.h).
 *
 *   1 the CPU has changed to the VMM's stack; DS and ES are still the interrupted code's
 *   2 save: the registers, and the VMM's segments
 *   3 handle: in C, which takes its first arguments in EAX, EDX, ECX (-mregparm=3)
 *   4 way_out: the hazard word, only on the way to ring 1 or 3
 *   5 restore, IRET
 */
#include "abi.h"
#include "offsets.h"
#include "stubs.h"
#include "vmm_abi.h"

#define KERNEL_CS (SEL_KCODE | 1)
#define KERNEL_SS (SEL_KDATA | 1)
/*
 * Where the hazard word is on the way out, counted from ESP: the registers of ring 1 or 3 lie at
 * the end of this CPU's CPU_BYTES, and struct cpu at their beginning.
 */
#define HAZARD (CPU_HAZARD - CPU_BYTES + REGS_BYTES)

	.section .header, "a"
	.long VMM_MAGIC, VMM_ABI_VERSION, vmm_call_entry

	/*
	 * vmm_call_entry(op, cpu, argument): called by the native kernel in ring 0, interrupts
	 * off; arguments on the kernel's stack. Returns as any function, but after VMM_INSTALL
	 * by IRET in ring 1: to the return address, on the kernel's stack. It leaves 16 bytes of
	 * the VMM's stack free: they tell an NMI here from an entry from ring 1 (exit_handle).
	 */
	.text
	.globl vmm_call_entry
vmm_call_entry:
	pushl %ebp
	movl %esp, %ebp
	pushl %ebx
	pushl %esi
	pushl %edi
	movl 12(%ebp), %edx
	imull $CPU_BYTES, %edx, %eax
	leal vmm_cpus + CPU_BYTES - 16(%eax), %ecx
	movl %esp, %ebx /* the kernel's stack: vmm_call_handle keeps EBX */
	movl %ecx, %esp /* this CPU's stack */
	movl 8(%ebp), %eax
	movl 16(%ebp), %ecx
	call vmm_call_handle
	movl 8(%ebp), %ecx
	movl %ebx, %edx
	testl %eax, %eax
	jnz 1f
	cmpl $VMM_INSTALL, %ecx
	je descend
1:	movl %edx, %esp
	popl %edi
	popl %esi
	popl %ebx
	popl %ebp
	ret

	/*
	 * The descent to ring 1 (SDM vol. 3, 5.8.5, 6.12.1; vol. 2, IRET).
	 *
	 * Exercise 2.4 (labs/02-deprivilege/handout.md, 4.2): given EDX, the kernel's stack as
	 * vmm_call_entry left it. Result, in ring 1: the state after an ordinary RET of vmm_call
	 * with result 0, but that CS and SS have RPL 1. DS, ES, FS and GS are SEL_KDATA (RPL 0)
	 * from the new table. The real IF is 1; IOPL, NT, TF, DF and AC are 0, whatever they
	 * were.
	 */
descend:
	/* LAB 2 TODO 4 BEGIN */
	movw $SEL_KDATA, %cx
	movw %cx, %ds
	movw %cx, %es
	movw %cx, %fs
	movw %cx, %gs
	movl %edx, %esp
	popl %edi
	popl %esi
	popl %ebx
	popl %ebp
	popl %edx /* return address */
	movl %esp, %ecx
	pushl $KERNEL_SS
	pushl %ecx
	pushl $(EFLAGS_IF | EFLAGS_FIXED)
	pushl $KERNEL_CS
	pushl %edx
	iretl
	/* LAB 2 TODO 4 END */

	/*
	 * ring0_return(regs), regs in EAX: go to the kernel's ring 0, with ring 1's registers, on
	 * ring 1's stack, with the kernel's native segments and interrupts off.
	 */
	.globl ring0_return
ring0_return:
	movl %eax, %edi
	movl $SEL_KDATA, %ecx
	movl %ecx, %ds
	movl %ecx, %es
	movl %ecx, %fs
	movl %ecx, %gs
	movl REGS_ESP(%edi), %eax
	movl %ecx, %ss
	movl %eax, %esp
	pushl REGS_EFLAGS(%edi)
	andl $~EFLAGS_IF, (%esp)
	pushl $SEL_KCODE
	pushl REGS_EIP(%edi)
	movl REGS_EAX(%edi), %eax
	movl REGS_EBP(%edi), %ebp
	movl REGS_EBX(%edi), %ebx
	movl REGS_ESI(%edi), %esi
	movl REGS_EDX(%edi), %edx
	movl REGS_ECX(%edi), %ecx
	movl REGS_EDI(%edi), %edi
	iretl

	.macro save
	pushal
	pushl %ds
	pushl %es
	movl $SEL_VMM_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	cld
	.endm
	.if REGS_ES != 0 || REGS_DS != 4 || REGS_EDI != 8 || REGS_EAX != 36 || REGS_VECTOR != 40
	.error "struct regs (vmm.h) must be what save pushes"
	.endif

	.macro way_out
#ifdef EXIT_EAGER
	jmp hazard_exit /* always: all state is loaded there */
#else
	cmpl $0, HAZARD(%esp)
	jne hazard_exit
#endif
	restore
	.endm

	.macro restore
	popl %es
	popl %ds
	popal
	addl $8, %esp /* vector, error */
	iretl
	.endm

	/* HYPERCALL_VECTOR leads here. Two frequent calls have a short way (vmm/call/fast.S). */
	.globl hypercall_entry, hypercall_full
hypercall_entry:
#ifndef EXIT_EAGER
	cmpl $HC_LOAD, %eax
	je fast_load
	cmpl $HC_FPU_TRAP, %eax
	je fast_fpu_trap
#endif
hypercall_full:
	pushl $0
	pushl $HYPERCALL_VECTOR
	save
	movl %esp, %eax
	call hypercall_handle
	way_out

	/* Interrupts and exceptions: each has a stub at the end of this file, which leads here. */
	.globl exit_entry
exit_entry:
	save
	movl %esp, %eax
	call exit_handle
	testb $3, REGS_CS(%esp)
	jz exit_restore /* back into the VMM: it was idle, or in a copy */
	way_out
	.globl exit_restore
exit_restore:
	restore

	/* A hazard is set. A detach does not come back from hazard_handle. */
	.globl hazard_exit
hazard_exit:
	movl %esp, %eax
	call hazard_handle
	restore

	.globl vmm_double_fault_entry
vmm_double_fault_entry:
	call double_fault_handle

#ifdef EXIT_EAGER
	STUBS vmm_stubs, exit_entry, exit_entry
#else
	STUBS vmm_stubs, exit_entry, fast_page_fault /* vmm/call/fast.S */
#endif

	.section .note.GNU-stack, "", @progbits
