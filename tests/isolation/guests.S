/* SPDX-License-Identifier: MIT */
/*
 * The code of guests in the isolation tests: all pieces lie in a guest's first page, at
 * KERNEL_BASE. A guest begins with ESI: the address of its data page. There word 0 counts, and the
 * words after it are arguments and results; the stack begins at its end.
 */
	.macro guest name
	.globl attack_guest_\name
	attack_guest_\name:
	.endm
	.macro call_vmm number
	movl $\number, %eax
	int $HYPERCALL_VECTOR
	.endm
	.macro end_guest status
	movl $\status, %ebx
	call_vmm HC_SHUTDOWN
	ud2
	.endm
#define GUEST_END 7  /* status of one that came to its end */
#define GUEST_WRONG 9 /* of one that saw what it must not see */
#define PAGE 4096

	/* Print a text of 4(ESI) bytes at ESI + 8. */
guest hello
	leal 8(%esi), %ebx
	movl 4(%esi), %ecx
	call_vmm HC_CONSOLE_OUT
	movl %eax, (%esi)
	end_guest GUEST_END

	/* Run a list of 4(ESI) hypercalls at ESI + 16, as in attacks.S. */
guest calls
	leal PAGE(%esi), %esp
	movl 4(%esi), %ebp
	leal 16(%esi), %edi
	call hypercalls_run
	end_guest GUEST_END

	/* A handler of events. */
guest returns
	iret

	/* A further vCPU, which does nothing. */
guest halts
	call_vmm HC_HALT
	ud2

	/* The handler of all vectors: store the vector's stack, count, end or go to 16(ESI). */
guest handler
	movl $KERNEL_BASE + 4 * PAGE, %esi
	popl 8(%esi)
	popl 12(%esi)
	incl (%esi)
	cmpl $0, 16(%esi)
	je 1f
	jmp *16(%esi)
1:	end_guest GUEST_WRONG

	/* Update each entry of a table that would lie in the last frame; count refusals. */
guest last_frame
	leal PAGE(%esi), %esp
	movl %esi, %edi
	movl $-PAGE, %ebx
1:	movl $1, %ecx
	xorl %edx, %edx
	xorl %esi, %esi
	call_vmm HC_UPDATE
	testl %eax, %eax
	jns 2f
	incl (%edi)
2:	addl $4, %ebx
	jnz 1b
	end_guest GUEST_END

	/* Read the page after the data page 4(ESI) times, and let others run: it must be 8(ESI). */
guest looks
1:	movl 8(%esi), %eax
	cmpl %eax, PAGE(%esi)
	jne 2f
	incl (%esi)
	call_vmm HC_YIELD
	decl 4(%esi)
	jnz 1b
	end_guest GUEST_END
2:	movl PAGE(%esi), %eax
	movl %eax, 12(%esi)
	end_guest GUEST_WRONG

	/* Store what a newborn finds: from ESI + 64 on registers, from ESI + 512 on the FPU's. */
guest newborn
	movl %eax, 64(%esi)
	movl %ebx, 68(%esi)
	movl %ecx, 72(%esi)
	movl %edx, 76(%esi)
	movl %edi, 80(%esi)
	movl %ebp, 84(%esi)
	movl %esp, 88(%esi)
	leal PAGE(%esi), %esp
	pushfl
	popl 92(%esi)
	movl %ds, %eax
	movl %eax, 96(%esi)
	movl %es, %eax
	movl %eax, 100(%esi)
	movl %fs, %eax
	movl %eax, 104(%esi)
	movl %gs, %eax
	movl %eax, 108(%esi)
	movl %ss, %eax
	movl %eax, 112(%esi)
	movl %cr2, %eax
	movl %eax, 116(%esi)
	xorl %ebx, %ebx
	call_vmm HC_FPU_TRAP
	fxsave 512(%esi)
	end_guest GUEST_END

	/*
	 * Fill all registers with what 8(ESI) says, and look 4(ESI) times whether they are still
	 * so after others ran. The numbers go to the FPU, too, if 12(ESI) is not 0.
	 */
guest registers
	leal PAGE(%esi), %esp
	movl $SEL_UDATA, %eax
	movl %eax, %fs
	movl $SEL_KDATA, %eax
	testl $1, 8(%esi)
	jz 1f
	xorl %eax, %eax
1:	movl %eax, %gs
	cmpl $0, 12(%esi)
	je 2f
	xorl %ebx, %ebx
	call_vmm HC_FPU_TRAP
	fninit
	fildl 8(%esi)
	leal 1024(%esi), %edi /* an image with 8(ESI) in the SSE registers */
	fxsave (%edi)
	movl $8 * 16 / 4, %ecx
	leal 160(%edi), %edi
	movl 8(%esi), %eax
	cld
	rep stosl
	fxrstor 1024(%esi)
2:	movl 8(%esi), %ebx
	leal 1(%ebx), %ecx
	leal 2(%ebx), %edx
	leal 3(%ebx), %edi
	leal 4(%ebx), %ebp
	leal 4(%ebx), %eax
	cmpl $-1, %eax /* flags: not equal, parity of the number */
	call_vmm HC_YIELD
	testl %eax, %eax
	jnz 9f
	cmpl 8(%esi), %ebx
	jne 9f
	leal 1(%ebx), %eax
	cmpl %eax, %ecx
	jne 9f
	leal 2(%ebx), %eax
	cmpl %eax, %edx
	jne 9f
	leal 3(%ebx), %eax
	cmpl %eax, %edi
	jne 9f
	leal 4(%ebx), %eax
	cmpl %eax, %ebp
	jne 9f
	movl %fs, %eax
	cmpl $SEL_UDATA, %eax
	jne 9f
	movl $SEL_KDATA, %edi
	testl $1, %ebx
	jz 4f
	xorl %edi, %edi
4:	movl %gs, %eax
	cmpl %edi, %eax
	jne 9f
	leal 3 * PAGE / 4(%esi), %edi
	cmpl $0, 12(%esi)
	je 3f
	fxsave (%edi)
	cmpl %ebx, 160(%edi)
	jne 9f
	cmpl %ebx, 160 + 7 * 16 + 12(%edi)
	jne 9f
	fistl 16(%esi)
	cmpl %ebx, 16(%esi)
	jne 9f
3:	incl (%esi)
	decl 4(%esi)
	jnz 2b
	end_guest GUEST_END
9:	end_guest GUEST_WRONG

	/*
	 * Give all registers values that depend on the round, (ESI), and on 8(ESI), and yield, for
	 * ever. 12(ESI): the FPU's, too.
	 */
guest evolves
	leal PAGE(%esi), %esp
	cmpl $0, 12(%esi)
	je 1f
	xorl %ebx, %ebx
	call_vmm HC_FPU_TRAP
1:	incl (%esi)
	movl $SEL_UDATA, %eax
	testl $1, (%esi)
	jz 2f
	movl $SEL_KDATA, %eax
2:	movl %eax, %fs
	testl $2, (%esi)
	jz 3f
	xorl %eax, %eax
3:	movl %eax, %gs
	movl (%esi), %ebx
	imull 8(%esi), %ebx
	cmpl $0, 12(%esi)
	je 4f
	movl %ebx, 16(%esi)
	fninit
	fildl 16(%esi)
	movd %ebx, %xmm0
	pshufd $0x50, %xmm0, %xmm0
	movd %ebx, %xmm7
	pshufd $0, %xmm7, %xmm7
4:	movl %ebx, %ecx
	notl %ecx
	leal 5(%ebx, %ebx, 4), %edx
	leal 3(%ecx, %edx), %edi
	leal 7(%edx, %edi), %ebp
	leal PAGE - 64(%esi), %esp
	testl $4, (%esi)
	jz 5f
	subl $32, %esp
5:	cmpl $0x40000000, %ebx /* flags */
	call_vmm HC_YIELD
guest evolved
	jmp 1b

	/*
	 * Yield for ever. The time-stamp counter before and after each time, low words, goes to a
	 * ring of 256 pairs in the page after the data page. 12(ESI): have the FPU meanwhile.
	 */
guest clocks
	leal PAGE(%esi), %esp
	cmpl $0, 12(%esi)
	je 1f
	xorl %ebx, %ebx
	call_vmm HC_FPU_TRAP
	fninit
1:	movl (%esi), %edi
	andl $255, %edi
	leal PAGE(%esi, %edi, 8), %edi
	rdtsc
	movl %eax, (%edi)
	call_vmm HC_YIELD
	rdtsc
	movl %eax, 4(%edi)
	incl (%esi)
	jmp 1b

	/* Take interrupts, count those of VEC_TIMER, and run for ever. */
guest spins
	leal PAGE(%esi), %esp
	cmpl $0, 4(%esi)
	je 1f
	movl $KERNEL_BASE + PAGE, %eax /* struct vmm_shared: virtual IF */
	movl $EFLAGS_IF, (%eax)
1:
guest spinning
	incl (%esi)
	jmp 1b

	/* Storms: exits, timers, updates of one entry that is refused, ports, for ever. */
guest storms
	leal PAGE(%esi), %esp
1:	movl $1, %ebx
	xorl %ecx, %ecx
	xorl %edx, %edx
	call_vmm HC_TIMER
	call_vmm HC_UPDATE
	call_vmm HC_PORT_SEND
	call_vmm HC_LOAD
	movl %esi, %ebx
	movl $256, %ecx
	call_vmm HC_CONSOLE_OUT
	call_vmm HC_EVENTS
	incl (%esi)
	jmp 1b

	/* Set a timer that is far away, for ever. */
guest far_timer
	leal PAGE(%esi), %esp
1:	movl $-1, %ebx
	movl $-1, %ecx
	call_vmm HC_TIMER
	incl (%esi)
	jmp 1b

	/* Load the directory 4(ESI), and run at 0x1000 in VM86 mode, after each trap again. */
guest vm86
	leal PAGE(%esi), %esp
	movl 4(%esi), %ebx
	leal PAGE(%esi), %ecx
	call_vmm HC_LOAD
	testl %eax, %eax
	jz attack_guest_vm86_again
	end_guest GUEST_WRONG
guest vm86_again
	leal PAGE(%esi), %esp
	jmp attack_iret_vm

	/* Block for ever, or until an event; 8(ESI) and 12(ESI): HC_TIMER's time. Count. */
guest sleeps
	leal PAGE(%esi), %esp
1:	movl 8(%esi), %ebx
	movl 12(%esi), %ecx
	incl (%esi)
	call_vmm HC_IDLE
	jmp 1b

	/* The same hypercall for ever: EAX, EBX, ECX, EDX and ESI are at 16(ESI). */
guest repeats
	leal PAGE(%esi), %esp
1:	incl (%esi)
	movl 16(%esi), %eax
	movl 20(%esi), %ebx
	movl 24(%esi), %ecx
	movl 28(%esi), %edx
	pushl %esi
	movl 32(%esi), %esi
	int $HYPERCALL_VECTOR
	popl %esi
	jmp 1b

	/*
	 * Random hypercalls of those in the mask 24(ESI), for ever, with events allowed. 20(ESI)
	 * is the seed; of the arguments, seven of eight are words of the 64 at 128(ESI).
	 */
guest fuzz
	leal PAGE(%esi), %esp
	movl $EFLAGS_IF, KERNEL_BASE + PAGE
	call 8f
	pushl %eax
	call 8f
	movl %eax, %ebx
	call 8f
	movl %eax, %ecx
	call 8f
	movl %eax, %edx
1:	call 9f
	shrl $9, %eax
	andl $31, %eax
	btl %eax, 24(%esi)
	jnc 1b
	incl (%esi)
	popl %esi
	int $HYPERCALL_VECTOR
	movl $KERNEL_BASE + 4 * PAGE, %esi
	jmp attack_guest_fuzz
8:	call 9f
	movl %eax, %edi
	shrl $10, %edi
	andl $63, %edi
	cmpl $56, %edi
	jae 2f
	movl 128(%esi, %edi, 4), %eax
2:	ret
9:	imull $1664525, 20(%esi), %eax
	addl $1013904223, %eax
	movl %eax, 20(%esi)
	ret
