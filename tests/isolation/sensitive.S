/* SPDX-License-Identifier: MIT */
/*
 * The sensitive instructions that are not privileged (docs/machine.md), one at a time; part of
 * attacks.S. Each leaves its result in ECX; in EDX whether it succeeded. EDI is the address of
 * `launch`, the first byte of all this code.
 */
	.macro sensitive name instruction:vararg
attack sensitive_\name
	movl $1, %edx
	\instruction
	done
	.endm
	.macro asks_about_kernel_data name instruction:vararg
attack sensitive_\name
	movl $SEL_KDATA, %eax
	xorl %ecx, %ecx
	\instruction
	setz %dl
	movzbl %dl, %edx
	done
	.endm

	sensitive sldt sldt %ecx
	sensitive str str %ecx
	sensitive smsw smsw %ecx
	sensitive mov movl %cs, %ecx
	asks_about_kernel_data lar lar %eax, %ecx
	asks_about_kernel_data lsl lsl %eax, %ecx
	asks_about_kernel_data verr verr %ax
	asks_about_kernel_data verw verw %ax
attack sensitive_sgdt
	subl $8, %esp
	sgdt (%esp)
	movl 2(%esp), %ecx
	done
attack sensitive_sidt
	subl $8, %esp
	sidt (%esp)
	movl 2(%esp), %ecx
	done
attack sensitive_push
	pushl %cs
	popl %ecx
	done
attack sensitive_pop
	pushl $SEL_KDATA
	popl %ss
	movl %ss, %ecx
	done
attack sensitive_pushf
	pushfl
	popl %ecx
	done
attack sensitive_popf
	pushl $EFLAGS_FIXED
	popfl
	pushfl
	popl %ecx
	done
attack sensitive_iret
	leal 1f(%edi), %eax
	pushl $EFLAGS_FIXED
	pushl %cs
	pushl %eax
	iretl
1:	pushfl
	popl %ecx
	done
attack sensitive_call
	leal 1f(%edi), %eax
	pushl $SEL_KCODE
	pushl %eax
	lcall *(%esp)
attack sensitive_jmp
	leal 1f(%edi), %eax
	pushl $SEL_KCODE
	pushl %eax
	ljmp *(%esp)
attack sensitive_ret
	leal 1f(%edi), %eax
	pushl $SEL_KCODE
	pushl %eax
	lret
1:	movl %cs, %ecx
	done
attack sensitive_int
	int $VEC_RESCHED
	done
