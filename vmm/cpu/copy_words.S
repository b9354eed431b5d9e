/* SPDX-License-Identifier: MIT */
/*
 * copy_words(to, from, words) -> words left undone. Arguments in EAX, EDX, ECX (-mregparm=3).
 * After a page fault between the two labels, copy_fault() (copy.c) lets the CPU go on at the
 * second one. ECX then still has the number of words left.
 */
	.text
	.globl copy_words, copy_words_start, copy_words_end
copy_words:
copy_words_start:
	pushl %esi
	pushl %edi
	movl %eax, %edi
	movl %edx, %esi
	rep movsl
copy_words_end:
	movl %ecx, %eax
	popl %edi
	popl %esi
	ret

	.section .note.GNU-stack, "", @progbits
