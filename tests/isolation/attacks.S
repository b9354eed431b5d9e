/* SPDX-License-Identifier: MIT */
/*
 * What a hostile kernel or program would execute: snippets of code that run at any address. A test copies all of this
 * into a page of the machine (tests/machine/isolation.c), and lets it run at one of these labels, in ring 1 or 3, with
 * the registers that it wants. The numbers are those of the isolation rules in docs/testing.md.
 *
 * A snippet that gets to its end executes `done`: INT3 brings it to the kernel's trap_handle(), as any exception does,
 * and there the test stops it. So each attack ends by a trap whose frame holds all registers, or by the end of the
 * machine.
 */
#include "x86.h"
#include "vmm_abi.h"

	.macro attack name
	.globl attack_\name
	attack_\name:
	.endm
	.macro done
	jmp attack_done
	.endm

	.text
	/*
	 * Where all begin: ESP is at a block of DS, the eight registers of POPA, and a frame for IRET. The debugger sets
	 * only EIP and ESP. Flags that an earlier attack left are cleared.
	 */
attack launch
	pushl $EFLAGS_FIXED
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

	/* A hypercall, and a list of them: at EDI six words each (EAX, EBX, ECX, EDX, ESI, result), EBP of them. */
attack hypercall
	int $HYPERCALL_VECTOR
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
	movl %eax, 20(%edi)
	addl $24, %edi
	decl %ebp
	jnz 1b
	ret

	/*
	 * 1, 28: each privileged instruction faults with #GP(0), in ring 1 and 3 (SDM vol. 3, 5.9). A list for the test:
	 * addresses.
	 */
	.macro privileged instruction:vararg
	.pushsection .rodata
	.long 1f
	.popsection
1:	\instruction
	done
	.endm
	.section .rodata
	.align 4
	.globl attack_privileged
attack_privileged:
	.text
	privileged hlt
	privileged lgdt (%ebx)
	privileged lidt (%ebx)
	privileged lldt %cx
	privileged ltr %cx
	privileged lmsw %cx
	privileged movl %ecx, %cr0
	privileged movl %ecx, %cr2
	privileged movl %ecx, %cr3
	privileged movl %ecx, %cr4
	privileged movl %ecx, %dr0
	privileged movl %ecx, %dr7
	privileged movl %dr0, %ecx
	privileged movl %dr6, %ecx
	privileged movl %dr7, %ecx
	privileged invd
	privileged wbinvd
	privileged rdmsr
	privileged wrmsr
	privileged rdpmc
	privileged sysexit
	privileged inb %dx, %al
	privileged inw %dx, %ax
	privileged inl %dx, %eax
	privileged outb %al, %dx
	privileged outw %ax, %dx
	privileged outl %eax, %dx
	privileged inb $0x60, %al
	privileged outb %al, $0x64
	privileged insb
	privileged outsb
	privileged rep insl
	privileged invlpg (%edx, %ebx) /* only the form with one register is emulated */
	.section .rodata
	.long 0
	/* These the VMM does for ring 1, on behalf of code that was under way at the switch; in ring 3 they fault. */
	.globl attack_emulated
attack_emulated:
	.text
	privileged cli
	privileged sti
	privileged clts
	privileged invlpg (%ebx)
	privileged movl %cr0, %ecx
	privileged movl %cr2, %ecx
	privileged movl %cr3, %ecx
	privileged movl %cr4, %ecx
	.section .rodata
	.long 0
	.text

	/* 4: port DX */
	.macro port name instruction:vararg
attack \name
	\instruction
	done
	.endm
	port in8 inb %dx, %al
	port in16 inw %dx, %ax
	port in32 inl %dx, %eax
	port out8 outb %al, %dx
	port out16 outw %ax, %dx
	port out32 outl %eax, %dx

	/* 2, 3: flags in EBX, by POPF, by IRET to the same ring; IF, IOPL, VIF and VIP stay as they are. */
attack popf_read
	pushl %ebx
	popfl
	pushfl
	popl %ecx
	pushl $EFLAGS_FIXED
	popfl
	done
attack iret_flags
	call 1f
1:	popl %eax
	addl $(2f - 1b), %eax
	pushl %ebx
	pushl %cs
	pushl %eax
	iretl
2:	pushfl
	popl %ecx
	pushl $EFLAGS_FIXED
	popfl
	done
	/* 12: NT is set when the hypercall comes, and is still after it. Flags before: EBX, after: ECX. */
attack flags_hypercall
	pushl %ebx
	popfl
	int $HYPERCALL_VECTOR
	pushfl
	popl %ecx
	pushl $EFLAGS_FIXED
	popfl
	done
	/* 12: IRET with NT set is a return to the task in the TSS's link, which is 0: #TS(0). */
attack nested_iret
	pushl $(EFLAGS_NT | EFLAGS_FIXED)
	popfl
attack nested_iret_at
	iretl
attack nested_sysenter
	pushl $(EFLAGS_NT | EFLAGS_FIXED)
	popfl
	jmp attack_sysenter

	/* 5: INT BL; the code changes itself. EDI: where this code is. */
attack interrupt
	movb %bl, attack_interrupt_at + 1(%edi)
	jmp attack_interrupt_at
	.globl attack_interrupt_at
attack_interrupt_at:
	int $0xCC
	done

	/* 6: far transfers to EBX:ECX. */
attack far_jump
	pushl %ebx
	pushl %ecx
	ljmpl *(%esp)
attack far_call
	pushl %ebx
	pushl %ecx
	lcall *(%esp)
attack far_return
	pushl %ebx
	pushl %ecx
	lret
attack iret_to
	pushl $EFLAGS_FIXED
	pushl %ebx
	pushl %ecx
	iretl
attack iret_outer
	pushl $0x23
	pushl %esp
	pushl $EFLAGS_FIXED
	pushl %ebx
	pushl %ecx
	iretl

	/* 6, 7: selector EBX into each segment register. */
attack load_ds
	movl %ebx, %ds
	done
attack load_es
	movl %ebx, %es
	done
attack load_fs
	movl %ebx, %fs
	done
attack load_gs
	movl %ebx, %gs
	done
attack load_ss
	movl %ebx, %ss
	done
attack pop_ds
	pushl %ebx
	popl %ds
	done

	/* 8, 9, 10: accesses at EBX by each segment register; selector EDX first in those whose name ends in _null. */
	.macro by segment
attack read_\segment
	movl %\segment:(%ebx), %eax
	done
attack write_\segment
	movl %eax, %\segment:(%ebx)
	done
	.endm
	by ds
	by es
	by fs
	by gs
	by ss
	by cs
attack byte_ds
	movb (%ebx), %al
	done
attack near_jump
	jmp *%ebx
attack near_call
	call *%ebx
attack near_return
	pushl %ebx
	ret
attack push_at
	movl %ebx, %esp
	pushl %eax
	done
attack pop_at
	movl %ebx, %esp
	popl %eax
	done
attack string_at
	movl %ebx, %edi
	rep stosl
	done
attack exchange_at
	xchgl %eax, (%ebx)
	done
attack or_at
	lock orl $2, (%ebx)
	done
attack compare_at
	movl %eax, %ecx
	lock cmpxchgl %ecx, (%ebx)
	done
attack bits_at
	btsl $1, (%ebx)
	done
attack null_ds
	movl %edx, %ds
	movl (%ebx), %eax
	done
attack null_es
	movl %edx, %es
	movl %es:(%ebx), %eax
	done
attack null_fs
	movl %edx, %fs
	movl %fs:(%ebx), %eax
	done
attack null_gs
	movl %edx, %gs
	movl %gs:(%ebx), %eax
	done
	/*
	 * 10: the VMM does not rely on the segments that it is entered with, and leaves them; they come back in EBX,
	 * ECX, EDX, ESI.
	 */
attack null_hypercall
	movl %edx, %ds
	movl %edx, %es
	movl %edx, %fs
	movl %edx, %gs
	int $HYPERCALL_VECTOR
	movl %ds, %ebx
	movl %es, %ecx
	movl %fs, %edx
	movl %gs, %esi
	done

	/* 11 */
attack sysenter
	sysenter
	done
attack syscall
	.byte 0x0F, 0x05
	done

	/*
	 * 16, 21: a store by a TLB entry that may be stale: writable when it was made (at EBX), then EBP hypercalls at
	 * EDI.
	 */
attack stale_store
	movl $0, (%ebx)
	pushl %ebx
	call hypercalls_run
	popl %ebx
attack stale_store_at
	movl $7, (%ebx)
	done

	/* 22 */
attack read_at
	movl (%ebx), %eax
	done
attack write_at
	movl %eax, (%ebx)
	done

	/* 23: any exit on a bad stack: ESP is EBX. */
attack stack_privileged
	movl %ebx, %esp
	hlt
attack stack_emulated
	movl %ebx, %esp
	clts
	hlt
attack stack_fault
	movl %ebx, %esp
	movl 0, %eax

attack stack_divide
	movl %ebx, %esp
	xorl %edx, %edx
	divl %edx
attack stack_undefined
	movl %ebx, %esp
	ud2

	/* 25, 30: virtual IF (at EDI) stays 0 until an event is pending; then it is enabled. */
attack wait_pending
	movl $0, (%edi)
	int $HYPERCALL_VECTOR /* what makes it pending */
1:	testl $(1 << EVENT_TIMER | 1 << EVENT_RESCHED), 4(%edi)
	jz 1b
	done
attack enable_sti
	sti
	done
attack enable_hypercall
	movl $EFLAGS_IF, (%edi)
	int $HYPERCALL_VECTOR
	done
attack spin
	jmp attack_spin

	/* 26 */
attack fpu
	fnstcw (%ebx)
	fninit
	done
	/* 27: single step through a gate, breakpoint, ICEBP */
attack step_hypercall
	pushl $(EFLAGS_TF | EFLAGS_FIXED)
	popfl
	int $HYPERCALL_VECTOR
attack step_hypercall_1
	nop
attack step_hypercall_2
	done
attack icebp
	.byte 0xF1
attack icebp_end
	done
	/*
	 * 29: MOV SS holds the single-step trap back for one instruction: the hypercall's gate (XSA-260, CVE-2018-8897).
	 */
attack step_mov_ss
	movl %ss, %ebx
	pushl $(EFLAGS_TF | EFLAGS_FIXED)
	popfl
	movl %ebx, %ss
	int $HYPERCALL_VECTOR
	nop
	done
	/* 28: in ring 0, before the VMM is attached: a breakpoint at ECX by DR7 = EBX; on at EDX. */
attack set_breakpoint
	movl %ecx, %dr0
	movl %ebx, %dr7
	jmp *%edx
#include "sensitive.S"
	.align 4
	.globl attack_end
attack_end:

	.section .note.GNU-stack, "", @progbits
