/* SPDX-License-Identifier: MIT */
/* Attacks by traps: stacks, events, FPU, debug traps (rules 23, 25 to 30); part of attacks.S. */
	/* 13, 23: exits while the stack, from EBX, is bad */
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

	/*
	 * 25, 30: EDI is the address of the virtual IF, ESI that of the pending events. Wait with
	 * the virtual IF 0 until an event is pending; enable events, by STI or as the kernel does;
	 * spin.
	 */
attack wait_pending
	movl $0, (%edi)
	int $HYPERCALL_VECTOR /* HC_SEND, or one that does nothing */
1:	testl $(1 << EVENT_TIMER | 1 << EVENT_RESCHED), (%esi)
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

	/*
	 * The same, and let the other CPUs run. Where QEMU counts instructions a CPU has its turn
	 * until the next timer is due, and then often the next turn, too; only PAUSE, HLT and stops
	 * of the debugger end a turn earlier.
	 */
attack waits
	pause
	jmp attack_waits

	/* the same, and let guests run */
attack gives_way
	pause
	movl $HC_YIELD, %eax
	int $HYPERCALL_VECTOR
	jmp attack_gives_way

	/* 16: store ECX times at EBX; 43: IRET with EFLAGS.VM, to 0000:1000 */
attack hammer
	movl %eax, (%ebx)
	decl %ecx
	jnz attack_hammer
	done
	/* read at EBX, run the EBP hypercalls at EDI, read into ECX, INVLPG, read into EDX */
attack invlpg_read
	movl (%ebx), %eax
	pushl %ebx
	call hypercalls_run
	popl %ebx
	movl (%ebx), %ecx
	invlpg (%ebx)
	movl (%ebx), %edx
	done
attack iret_vm
	.rept 5
	pushl $0
	.endr
	pushl $0xFF0
	pushl $(EFLAGS_VM | EFLAGS_IF | EFLAGS_FIXED)
	pushl $0
	pushl $0x1000
	iretl

	/* 26: use the FPU; EBX is the address of a writable word */
attack fpu
	fnstcw (%ebx)
	fninit
	done
	/* 27: single step through the hypercall's gate; ICEBP */
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
	 * 29: MOV SS delays the single-step trap by one instruction, here INT: the trap would come
	 * at the first instruction of the gate's handler (XSA-260, CVE-2018-8897).
	 */
attack step_mov_ss
	movl %ss, %ebx
	pushl $(EFLAGS_TF | EFLAGS_FIXED)
	popfl
	movl %ebx, %ss
	int $HYPERCALL_VECTOR
	nop
	done
	/*
	 * 41: in ring 0, before the VMM is attached: state of the processor and of devices that
	 * would harm it. ESI is the address of the local APIC, EBP of the IOAPIC, EBX of a GDTR
	 * whose table has an LDT; go on at EDI. (SDM vol. 3, 2.5, 11.5.1, 11.8.3, 12.12; 82093AA,
	 * 3.2.4; 8259A, ICW1 to ICW4; IDE's PCI command register: bus 0, device 1, function 1)
	 */
attack set_worst
	lgdt (%ebx)
	movl $(GDT_ENTRIES * 8), %eax
	lldt %ax
	movl $0x277, %ecx /* PAT: its first entry becomes UC */
	rdmsr
	xorb %al, %al
	wrmsr
	movl $0x24, (%ebp)     /* pin 10 of the IOAPIC: */
	movl $19, 0x10(%ebp)   /* an exception's vector, not masked */
	movb $0x11, %al
	outb %al, $0x20
	.irp byte, 8, 4, 1, 0xFF /* the PIC's vectors: those of exceptions; all masked */
	movb $\byte, %al
	outb %al, $0x21
	.endr
	movl $VMM_BASE, %eax
	movl %eax, %dr0
	movl %cr0, %eax
	andl $~CR0_WP, %eax
	orl $CR0_EM, %eax
	movl %eax, %cr0
	movl $0x174, %ecx /* SYSENTER_CS */
	movl $SEL_KCODE, %eax
	xorl %edx, %edx
	wrmsr
	movl $0x402, %eax
	movl %eax, %dr7
	movl $8, 0x80(%esi)      /* TPR */
	movl $0x700, 0x350(%esi) /* LINT0: ExtINT, not masked */
	movl $0x80000904, %eax
	movl $0xCF8, %edx
	outl %eax, %dx
	movl $0xCFC, %edx
	inl %dx, %eax
	orl $4, %eax
	outl %eax, %dx
	jmp *%edi
	/* 41: an entry of the IOAPIC (EBP): EBX is its register and, from bit 8, its value. */
attack set_pin
	movzbl %bl, %eax
	movl %eax, (%ebp)
	shrl $8, %ebx
	movl %ebx, 0x10(%ebp)
	jmp *%edi
	/* After the detach: the low words of SYSENTER_CS and PAT to EBX; go on at EDI. */
attack read_msrs
	movl $0x174, %ecx
	rdmsr
	movl %eax, (%ebx)
	movl $0x277, %ecx
	rdmsr
	movl %eax, 4(%ebx)
	jmp *%edi
	/*
	 * 28: in ring 0, before the VMM is attached: set a breakpoint at ECX, with DR7 from EBX,
	 * and go on at EDX.
	 */
attack set_breakpoint
	movl %ecx, %dr0
	movl %ebx, %dr7
	jmp *%edx
