/* SPDX-License-Identifier: MIT */
/*
 * Stubs, for assembly: the code to which the gates of an IDT lead. Kernel and VMM have stubs for
 * the same vectors. A stub makes all vectors look alike on the stack and jumps to the common
 * code.
 *
 *   STUBS table, entry, page_fault
 *                        A stub for each vector. It pushes 0 where the CPU pushes no error
 *                        code, then the vector, and jumps to `entry`, that of VEC_PF to
 *                        `page_fault`. `table` gets a pair of words for each stub, vector and
 *                        address; `table`_count gets the number of pairs.
 */
#include "x86.h"

	.macro stub table, entry, vector, error_code
	.pushsection .rodata
	.long \vector, 1f
	.popsection
1:	.if !(\error_code)
	pushl $0
	.endif
	pushl $\vector
	jmp \entry
	.endm

	.macro STUBS table, entry, page_fault
	.section .rodata
	.align 4
	.globl \table, \table\()_count
\table:
	.text
\table\()_code: /* debuggers show this name for an address in a stub */
	.irp v, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 18, 19, 20
	stub \table, \entry, \v, (ERROR_CODES >> \v & 1)
	.endr
	stub \table, \page_fault, VEC_PF, 1
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	stub \table, \entry, (VEC_IRQ + \n), 0
	.endr
	.irp v, VEC_TIMER, VEC_RESCHED, VEC_HALT, VEC_SWITCH, VEC_PORT, VEC_FLUSH, \
		VEC_SPURIOUS
	stub \table, \entry, \v, 0
	.endr
	.section .rodata
\table\()_count:
	.long (. - \table) / 8
	.text
	.endm
