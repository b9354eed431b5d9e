/* SPDX-License-Identifier: MIT */
/* The code of bochs_loader.S, for bochs_image.c: it is no code of this program. */
	.section .rodata
	.globl bochs_loader, bochs_loader_end
bochs_loader: .incbin "build/bochs-loader"
bochs_loader_end:
	.section .note.GNU-stack, "", @progbits
