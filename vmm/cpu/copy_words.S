/* SPDX-License-Identifier: MIT */
/*
 * copy_words(to, from, words), in_words(to, port, words), out_words(from, port, words) -> words
 * left undone. Arguments in EAX, EDX, ECX (-mregparm=3). After a page fault between the labels
 * copy_words_start and copy_words_end, copy_fault() (copy.c) lets the CPU go on at the second one.
 * ECX then still has the number of words left.
 *
 * A block between a port and memory is moved wholly or not at all, because a device cannot take
 * back what it gave: its first and last 4 bytes are touched before. It lies in two pages at most.
 */
	.text
	.globl copy_words, in_words, out_words, copy_words_start, copy_words_end
copy_words_start:
in_words:
	pushl %esi
	pushl %edi
	movl %eax, %edi
	orl $0, (%edi)
	orl $0, -4(%edi, %ecx, 2)
	rep insw
	jmp copy_words_end
out_words:
	pushl %esi
	pushl %edi
	movl %eax, %esi
	cmpl $0, (%esi)
	cmpl $0, -4(%esi, %ecx, 2)
	rep outsw
	jmp copy_words_end
copy_words:
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
