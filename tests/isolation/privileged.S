/* SPDX-License-Identifier: MIT */
/*
 * Attacks by privileged instructions, ports, flags and INT n (rules 1 to 5, 12 and 28); part of
 * attacks.S.
 */
	/*
	 * 1, 28: privileged instructions (SDM vol. 3, 5.9): #GP(0) in rings 1 and 3. The list
	 * attack_privileged has their addresses and ends with 0. INVD and WBINVD are left out: QEMU
	 * 10 executes them in any ring, as if they did nothing.
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
	privileged invlpg (%edx, %ebx) /* the VMM emulates (reg) only */
	.section .rodata
	.long 0
	/*
	 * The VMM emulates these in ring 1, for code that was interrupted by the switch in the
	 * middle of a native VO operation; in ring 3 they fault.
	 */
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

	/* 4: the port is in DX */
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

	/* 2, 3: load EFLAGS from EBX, by POPF, or by IRET to the same ring; read them into ECX. */
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
	/* 2, 3, 12: a hypercall with EFLAGS from EBX; those after it are read into ECX. */
attack flags_hypercall
	pushl %ebx
	popfl
	int $HYPERCALL_VECTOR
	pushfl
	popl %ecx
	pushl $EFLAGS_FIXED
	popfl
	done
	/* 12: IRET with NT set returns to the task in the TSS's link, which is 0: #TS(0). */
attack nested_iret
	pushl $(EFLAGS_NT | EFLAGS_FIXED)
	popfl
attack nested_iret_at
	iretl
attack nested_sysenter
	pushl $(EFLAGS_NT | EFLAGS_FIXED)
	popfl
	jmp attack_sysenter

	/* 5: INT n with n in BL: the code changes itself. EDI is the address of `launch`. */
attack interrupt
	movb %bl, attack_interrupt_at + 1(%edi)
	jmp attack_interrupt_at
	.globl attack_interrupt_at
attack_interrupt_at:
	int $0xCC
	done
