/* SPDX-License-Identifier: MIT */
/*
 * The loader of Bochs's machines: an option ROM, which the BIOS calls before it looks for a system.
 * It loads what bochs_image.c has put on the first disk, leaves as a Multiboot 1 loader does
 * (specification 0.6.96, 3.2), and never goes back to the BIOS:
 *   1. Copy the Multiboot information to low memory.
 *   2. Ask the BIOS for the memory map (INT 15h, E820), one entry a call, until EBX is 0.
 *   3. Enter protected mode with flat segments.
 *   4. Read the disk's sectors, in order, to where the list of pieces says (ATA, 28-bit LBA, PIO).
 *   5. Stop channel 2 of the interval timer, as some firmware leaves it. Jump to the kernel.
 * It is linked at 0 and runs at ROM:0. bochs_image.c fills in the words of `head`, appends the
 * information and the list, and completes the ROM's size and checksum.
 */
#define ROM 0xD000      /* its segment, where the BIOS calls it */
#define INFO 0x5000     /* machine address of the information; bochs_image.c knows it, too */
#define MAP_LENGTH 44   /* offsets in the information (3.3) */
#define MAP_ADDRESS 48
#define MAP 0x6000      /* machine address of the memory map */
#define SMAP 0x534D4150 /* signature of E820 */
#define ENTRY_BYTES 20  /* of an entry of the map, without its own size, which stands before it */
#define ATA_DATA 0x1F0
#define ATA_COUNT 0x1F2
#define ATA_STATUS 0x1F7
#define ATA_BUSY 0x80
#define ATA_READY 0x08
#define ATA_READ 0x20

	.code16
	.globl start
start:
	.byte 0x55, 0xAA, 0 /* an option ROM; its size in 512 bytes */
	jmp 1f
	.balign 16
head:	.long 0 /* offset of the information */
	.long 0 /* its bytes */
	.long 0 /* machine address of the list: address and number of sectors of each piece; 0 */
	.long 0 /* the kernel's entry */

	/* 1 */
1:	cli
	cld
	movw $ROM, %ax
	movw %ax, %ds
	xorw %ax, %ax
	movw %ax, %es
	movw head, %si
	movw $INFO, %di
	movw head + 4, %cx
	rep movsb

	/* 2 */
	movw $MAP, %di
	xorl %ebx, %ebx
2:	movl $ENTRY_BYTES, %ecx
	movl %ecx, %es:(%di)
	addw $4, %di
	movl $0xE820, %eax
	movl $SMAP, %edx
	int $0x15
	jc 3f
	addw $ENTRY_BYTES, %di
	testl %ebx, %ebx
	jnz 2b
3:	subw $MAP, %di
	movzwl %di, %eax
	movl %eax, %es:INFO + MAP_LENGTH
	movl $MAP, %es:INFO + MAP_ADDRESS

	/* 3. A20 is open: Bochs's BIOS opens it first of all. */
	cli
	movl head + 8, %esi
	movl head + 12, %ebp
	lgdtl gdtr
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmpl $0x08, $ROM * 16 + 4f
	.code32
4:	movl $0x10, %eax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %fs
	movw %ax, %gs
	movw %ax, %ss

	/* 4. ESI: place in the list; EDI: where the next sector goes; EBX: its number on the disk;
	   ECX: sectors of this piece that are left */
	xorl %ebx, %ebx
next_piece:
	movl (%esi), %edi
	movl 4(%esi), %ecx
	addl $8, %esi
	jecxz leave
next_sector:
	movl %ecx, %esp /* there is no stack */
	movl $ATA_COUNT, %edx
	movb $1, %al
	outb %al, %dx
	movl %ebx, %eax
	incl %edx
	outb %al, %dx /* bits 0 to 7 of the sector's number */
	shrl $8, %eax
	incl %edx
	outb %al, %dx
	shrl $8, %eax
	incl %edx
	outb %al, %dx
	movb $0xE0, %al /* the master, by LBA; bits 24 to 27 are 0 */
	incl %edx
	outb %al, %dx
	movb $ATA_READ, %al
	movl $ATA_STATUS, %edx /* written to, the command */
	outb %al, %dx
5:	inb %dx, %al
	andb $(ATA_BUSY | ATA_READY), %al
	cmpb $ATA_READY, %al
	jne 5b
	movl $256, %ecx
	movl $ATA_DATA, %edx
	rep insw
	incl %ebx
	movl %esp, %ecx
	loop next_sector
	jmp next_piece

	/* 5 */
leave:	xorl %eax, %eax
	outb %al, $0x61
	movl $0x2BADB002, %eax
	movl $INFO, %ebx
	jmp *%ebp

	.balign 8
gdt:	.quad 0, 0x00CF9A000000FFFF, 0x00CF92000000FFFF
gdtr:	.word . - gdt - 1
	.long ROM * 16 + gdt
	.balign 16
