/* SPDX-License-Identifier: MIT */
/* The viewer's files, as strings for page.c: so the program needs no other file. */
	.section .rodata
	.globl viewer_html, viewer_css, decode_js, draw_js, viewer_js
viewer_html: .incbin "grader/trace/viewer.html"
	.byte 0
viewer_css: .incbin "grader/trace/viewer.css"
	.byte 0
decode_js: .incbin "grader/trace/decode.js"
	.byte 0
draw_js: .incbin "grader/trace/draw.js"
	.byte 0
viewer_js: .incbin "grader/trace/viewer.js"
	.byte 0
	.section .note.GNU-stack, "", @progbits
