/* SPDX-License-Identifier: MIT */
/* Attacks by segments and memory accesses (rules 6 to 11, 16, 21, 22); part of attacks.S. */
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

	/* 6, 7: load the selector in EBX into a segment register. */
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

	/* 8, 9, 13: accesses at EBX, by each segment register and by several instructions. */
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
	/* 10: load the selector in EDX, then read at EBX through it. */
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
	 * 10: a hypercall with the selector in EDX in all data segments, which are then read into
	 * EBX, ECX, EDX and ESI.
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

	/* 10: a trap with EBX in DS, ECX in ES, EDX in FS and ESI in GS */
attack load_all
	movl %ebx, %ds
	movl %ecx, %es
	movl %edx, %fs
	movl %esi, %gs
	done

	/* 11: calls that would lead to ring 0 */
attack sysenter
	sysenter
	done
attack syscall
	.byte 0x0F, 0x05
	done

	/*
	 * 16, 21: store at EBX, which loads a writable TLB entry; run the EBP hypercalls at EDI;
	 * store again.
	 */
attack stale_store
	movl $0, (%ebx)
	pushl %ebx
	call hypercalls_run
	popl %ebx
attack stale_store_at
	movl $7, (%ebx)
	done

	/* 22: one access at EBX */
attack read_at
	movl (%ebx), %eax
	done
attack write_at
	movl %eax, (%ebx)
	done
