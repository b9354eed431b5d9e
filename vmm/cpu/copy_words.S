/* SPDX-License-Identifier: MIT */
/*
 * copy_words(to, from, words) -> words left undone. Arguments in EAX, EDX, ECX (-mregparm=3). A
 * page fault between the two labels goes on at the second one (copy.c), with the rest still in
 * ECX.
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
