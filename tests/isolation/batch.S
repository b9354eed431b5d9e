/* SPDX-License-Identifier: MIT */
/*
 * Many attacks without a stop (tests/machine/isolation_states.c). A second copy of all this code,
 * in pages that no attack knows, has a list: what `launch` pops for each attack, and a word for how
 * it ended. The kernel's trap_handle() begins with a jump to batch_trap here, so each trap starts
 * the next attack.
 */
	.globl batch_trap, batch_done, batch_list, batch_code, batch_entry, batch_shared, \
	       batch_stack, batch_words
	batch_words = 15 /* of one attack in the list */
batch_trap:
	movl 4(%esp), %eax /* trap_handle(frame) */
	movl TRAP_FRAME_VECTOR(%eax), %edx
	call 1f
1:	popl %ebp
	movl batch_list - 1b(%ebp), %eax
	movl (%eax), %ebx
	movl %edx, -4(%ebx)
	cmpl $0, (%ebx)
	je batch_done
	addl $batch_words * 4, (%eax)

	/* What an attack may have changed: events, the first copy, the stacks. */
	movl batch_shared - 1b(%ebp), %eax
	movl $0, VMM_SHARED_VIF(%eax)
	movl $0, VMM_SHARED_PENDING(%eax)
	leal attacks - 1b(%ebp), %esi
	movl batch_code - 1b(%ebp), %edi
	movl $attack_end, %ecx /* linked at 0 */
	shrl $2, %ecx
2:	repe cmpsl
	je 3f
	movl -4(%esi), %eax
	movl %eax, -4(%edi)
	testl %ecx, %ecx
	jnz 2b
3:	movl %ebx, %esi
	movl $HC_LOAD, %eax
	xorl %ebx, %ebx
	movl batch_entry - 1b(%ebp), %ecx
	int $HYPERCALL_VECTOR

	movl batch_stack - 1b(%ebp), %edi
	movl %edi, %esp
	movl $batch_words - 1, %ecx
	rep movsl
	jmp attack_launch
batch_done:
	nop
	jmp batch_done

batch_list:   .long 0 /* its first word is the address of the next attack in it */
batch_code:   .long 0 /* the first copy */
batch_stack:  .long 0 /* of the kernel */
batch_entry:  .long 0 /* its stack for entries from ring 3 */
batch_shared: .long 0 /* the CPU's struct vmm_shared */
