/* SPDX-License-Identifier: MIT */
/* The viewer's files, as strings for page.c: so a program that writes pages needs no other file. */
	.section .rodata
	.globl viewer_html, viewer_css, decode_js, draw_js, viewer_js
viewer_html: .incbin "viewer/viewer.html"
	.byte 0
viewer_css: .incbin "viewer/viewer.css"
	.byte 0
decode_js: .incbin "viewer/decode.js"
	.byte 0
draw_js: .incbin "viewer/draw.js"
	.byte 0
viewer_js: .incbin "viewer/viewer.js"
	.byte 0
	.section .note.GNU-stack, "", @progbits
