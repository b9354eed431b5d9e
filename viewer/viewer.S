/* SPDX-License-Identifier: MIT */
/* The viewer's files, as strings for page.c: so a program that writes pages needs no other file. */
	.section .rodata
	.globl viewer_html, viewer_css, viewer_js
viewer_html: .incbin "viewer/viewer.html"
	.byte 0
viewer_css: .incbin "viewer/viewer.css"
	.byte 0
viewer_js: /* parts first; viewer.js uses all of them */
	.incbin "viewer/recording.js"
	.incbin "viewer/story.js"
	.incbin "viewer/decode.js"
	.incbin "viewer/draw.js"
	.incbin "viewer/memory.js"
	.incbin "viewer/figure.js"
	.incbin "viewer/play.js"
	.incbin "viewer/skeleton.js"
	.incbin "viewer/viewer.js"
	.byte 0
	.section .note.GNU-stack, "", @progbits
