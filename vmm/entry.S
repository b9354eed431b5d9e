/* SPDX-License-Identifier: MIT */
/*
 * Into the VMM and out: the header, the kernel's calls from ring 0, and a stub for each vector that saves the registers as
 * struct regs (vmm.h). The CPU has changed to the VMM's stack; DS and ES are the interrupted code's and end below us.
 * The VMM's own functions take their first arguments in EAX, EDX, ECX (-mregparm=3).
 */
#include "x86.h"
#include "vmm_abi.h"

#define SEL_VMM_DATA 0x40
#define KERNEL_CS (SEL_KCODE | 1)
#define KERNEL_SS (SEL_KDATA | 1)

	.section .header, "a"
	.long VMM_MAGIC, VMM_ABI_VERSION, vmm_call_entry

	/*
	 * vmm_call_entry(op, cpu, argument): from the native kernel, on its stack. VMM_INSTALL, when it succeeds, returns by IRET
	 * to ring 1: same stack, same place, the kernel's new segments.
	 */
	.text
	.globl vmm_call_entry
vmm_call_entry:
	pushl %ebp
	movl %esp, %ebp
	pushl %ebx
	pushl %esi
	pushl %edi
	movl 12(%ebp), %eax
	shll $13, %eax
	leal vmm_cpus + 8192(%eax), %edx /* this CPU's stack */
	movl %esp, %ebx
	movl %edx, %esp
	movl 8(%ebp), %eax
	movl 12(%ebp), %edx
	movl 16(%ebp), %ecx
	call enter
	movl 8(%ebp), %ecx
	movl %ebx, %edx
	testl %eax, %eax
	jnz 1f
	cmpl $VMM_INSTALL, %ecx
	je 2f
1:	movl %edx, %esp
	popl %edi
	popl %esi
	popl %ebx
	popl %ebp
	ret

	/*
	 * Lab 2, exercise 4: the descent (SDM vol. 3, 5.8.5, 6.12.1; vol. 2, IRET). EDX: the kernel's stack as vmm_call_entry left it,
	 * EDI, ESI, EBX and EBP pushed last; above them the return address, whose arguments the caller removes. On arrival in
	 * ring 1 all is as behind an ordinary RET with result 0: EIP at the return address, ESP above it, EBX, ESI, EDI and EBP as
	 * they were. CS and SS are the kernel's, RPL 1; DS, ES, FS and GS are SEL_KDATA, RPL 0, and *loaded from the new table*
	 * (before or after IRET: mind what IRET does to segments of DPL 0). The real IF is 1, IOPL 0, NT, TF, DF and AC are 0.
	 */
2:
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

	.macro save
	pushal
	pushl %ds
	pushl %es
	movl $SEL_VMM_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	cld
	.endm

	.macro restore
	popl %es
	popl %ds
	popal
	addl $8, %esp /* vector, error */
	iretl
	.endm

	.globl hypercall_entry
hypercall_entry:
	pushl $0
	pushl $HYPERCALL_VECTOR
	save
	movl %esp, %eax
	call hypercall_handle
	restore

trap_entry:
	save
	movl %esp, %eax
	call trap_handle
	restore

	.globl double_fault_entry
double_fault_entry:
	call double_fault

	/* --- copies whose kernel side may fault: trap_handle goes on at 2 --- */
	.globl copy_words, copy_fault, copy_end
copy_words: /* (to, from, words) -> words left */
	pushl %esi
	pushl %edi
	movl %eax, %edi
	movl %edx, %esi
	rep movsl
copy_fault:
	movl %ecx, %eax
	popl %edi
	popl %esi
	ret
copy_end:

	.macro stub vector, error_code
	.pushsection .rodata
	.long \vector, 1f
	.popsection
1:	.if !\error_code
	pushl $0
	.endif
	pushl $\vector
	jmp trap_entry
	.endm

	.section .rodata
	.align 4
	.globl vmm_stubs
vmm_stubs:
	.text
stub:
	.irp v, 0, 1, 2, 3, 4, 5, 6, 7, 9, 15, 16, 18, 19, 20
	stub \v, 0
	.endr
	.irp v, 8, 10, 11, 12, 13, 14, 17
	stub \v, 1
	.endr
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	stub (VEC_IRQ + \n), 0
	.endr
	stub VEC_TIMER, 0
	stub VEC_RESCHED, 0
	stub VEC_HALT, 0
	stub VEC_SWITCH, 0
	stub VEC_FLUSH, 0
	stub VEC_SPURIOUS, 0
	.section .rodata
	.globl vmm_stub_count
vmm_stub_count:
	.long (. - vmm_stubs) / 8

	.section .note.GNU-stack, "", @progbits
