/* SPDX-License-Identifier: MIT */
/*
 * Program files that lie: exec must refuse such a file, or run it, but must never be led out of the
 * program's own memory.
 */
#include "test.h"

enum { HEADER = 52, PROGRAM_HEADER = 32, CODE = 128, FILE_BYTES = 160, LOAD = 0x08048000 };

/* An ELF file that exits with status 7, field by field (System V ABI, chapters 4 and 5). */
struct image {
	struct {
		uint8_t ident[16];
		uint16_t type, machine;
		uint32_t version, entry, phoff, shoff, flags;
		uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
	} header;
	struct program_header {
		uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
	} ph[2];
	uint8_t pad[CODE - HEADER - 2 * PROGRAM_HEADER];
	uint8_t code[FILE_BYTES - CODE];
};
_Static_assert(sizeof(struct image) == FILE_BYTES, "image layout");

static struct image image;

static void good_image(void)
{
	static const uint8_t code[] = {
		0xBB, 7, 0, 0, 0, 0xB8, 1, 0, 0, 0, 0xCD, 0x80, /* ebx = 7, eax = exit, int 0x80 */
	};
	memset(&image, 0, sizeof(image));
	memcpy(image.header.ident, "\x7F" "ELF\1\1\1", 7);
	image.header.type = 2;
	image.header.machine = 3;
	image.header.version = 1;
	image.header.entry = LOAD + CODE;
	image.header.phoff = HEADER;
	image.header.ehsize = HEADER;
	image.header.phentsize = PROGRAM_HEADER;
	image.header.phnum = 1;
	image.ph[0] = (struct program_header){1, 0, LOAD, LOAD, FILE_BYTES, FILE_BYTES, 5, 4096};
	memcpy(image.code, code, sizeof(code));
}

static void write_image(uint32_t bytes)
{
	int fd = check_ok(open("a.out", O_WRONLY | O_CREAT | O_TRUNC, 0755));
	check_is(write(fd, &image, bytes), bytes);
	check_is(close(fd), 0);
}

static void execute(void)
{
	char *argv[] = {"a.out", NULL};
	exit(100 + (exec("a.out", argv) == -ENOEXEC));
}

enum { REFUSED = WSTATUS_EXIT(101), RAN = WSTATUS_EXIT(7) };

/* Write the image and run it. */
static int outcome(void)
{
	write_image(FILE_BYTES);
	return status_of(execute);
}

#define check_refused() check_is(outcome(), REFUSED)

/* The unchanged image runs. So the tests below are refused because of their change. */
TEST(elf_good)
{
	good_image();
	check_is(outcome(), RAN);
}

/* A file that is cut off anywhere in its headers or its code is refused. */
TEST(elf_truncated)
{
	good_image();
	for (uint32_t bytes = 0; bytes < FILE_BYTES; bytes++) {
		write_image(bytes);
		check_is(status_of(execute), REFUSED);
	}
}

/*
 * Each byte of the headers is set to 0, to 0xFF and, with -big, to its complement. The program may
 * run, fail or fault, and the system goes on.
 */
TEST(elf_bytes)
{
	static const uint8_t values[] = {0, 0xFF};
	for (uint32_t at = 0; at < HEADER + PROGRAM_HEADER; at++)
		for (int i = 0; i <= COUNT(values); i++) {
			good_image();
			uint8_t *byte = (uint8_t *)&image + at;
			uint8_t value = i < COUNT(values) ? values[i] : (uint8_t)~*byte;
			if (value == *byte || (i == COUNT(values) && !big))
				continue;
			*byte = value;
			int status = outcome();
			check(WIFEXITED(status) || WIFFAULT(status));
		}
}

/* Other kinds of files are refused. */
TEST(elf_wrong_kind)
{
	static const struct { uint8_t at, value; } wrong[] = {
		{0, 0}, {4, 2}, {5, 2}, {16, 1}, {16, 3}, {16, 4}, {18, 62}, {42, 31}, {42, 33},
	};
	for (int i = 0; i < COUNT(wrong); i++) {
		good_image();
		((uint8_t *)&image)[wrong[i].at] = wrong[i].value;
		check_refused();
	}
	make_file("a.out", 5000, 1);
	check_is(status_of(execute), REFUSED);
}

/* Program headers that lie outside the file are refused, and so is a wrong number of them. */
TEST(elf_header_table)
{
	static const uint32_t offsets[] = {
		FILE_BYTES, FILE_BYTES - 4, 4096, 1 << 20, 0x7FFFFFFC, 0xFFFFFFE0, 0xFFFFFFFC, 53,
	};
	for (int i = 0; i < COUNT(offsets); i++) {
		good_image();
		image.header.phoff = offsets[i];
		check_refused();
	}
	good_image();
	image.header.phnum = 0xFFFF;
	check_refused();
	good_image();
	image.header.phnum = 0; /* the entry point lies in no segment then */
	check_refused();
}

/*
 * Refused are addresses and sizes that reach into the kernel, the VMM, the stack or the NULL page,
 * or past the end of 32 bits.
 */
TEST(elf_addresses)
{
	static const struct { uint32_t vaddr, memsz; } wrong[] = {
		{KERNEL_BASE, FILE_BYTES}, {USER_END - 0x1000, 0x2000},
		{USER_END - 0x1000, 0x1000}, {VMM_BASE, FILE_BYTES}, {0xFFFFF000, FILE_BYTES},
		{0xFFFFF000, 0x1000}, {0xFFFFF000, 0x2000}, {0, FILE_BYTES}, {0, 0x10000},
		{LOAD, KERNEL_BASE},
		{LOAD, KERNEL_BASE - LOAD}, {LOAD, 0xFFFFFFFF}, {LOAD, 0xFFFFFFFF - LOAD},
		{LOAD, (uint32_t)-LOAD}, {0x1000, USER_END - 0x1000}, {0x80000000, 0x80000000},
		{0xBFFC0000, 0x1000}, {0xBFFC0000, FILE_BYTES},
	};
	for (int i = 0; i < COUNT(wrong); i++) {
		good_image();
		image.ph[0].vaddr = wrong[i].vaddr;
		image.ph[0].memsz = wrong[i].memsz;
		image.header.entry = wrong[i].vaddr + CODE;
		if (outcome() != REFUSED)
			fail("0x%x bytes at 0x%x were not refused", wrong[i].memsz, wrong[i].vaddr);
	}
}

/*
 * Refused are segments whose content reaches beyond the file, is larger than their memory, or
 * begins at another place within a page than their memory.
 */
TEST(elf_offsets)
{
	static const struct { uint32_t offset, filesz, memsz; } wrong[] = {
		{0, FILE_BYTES + 1, FILE_BYTES + 1}, {0, FILE_BYTES, FILE_BYTES - 1},
		{4096, FILE_BYTES, FILE_BYTES}, {0xFFFFF000, 0x1000, 0x1000},
		{0xFFFFF000, 0x2000, 0x2000}, {0, 0xFFFFFFFF, 0xFFFFFFFF}, {1, 100, 100},
		{4, 100, 100}, {0x80000000, FILE_BYTES, FILE_BYTES}, {0, 0x80000000, 0x80000000},
	};
	for (int i = 0; i < COUNT(wrong); i++) {
		good_image();
		image.ph[0].offset = wrong[i].offset;
		image.ph[0].filesz = wrong[i].filesz;
		image.ph[0].memsz = wrong[i].memsz;
		if (outcome() != REFUSED)
			fail("offset 0x%x, %u of %u bytes were not refused", wrong[i].offset,
			     wrong[i].filesz, wrong[i].memsz);
	}
}

/* Two segments that overlap are refused. */
TEST(elf_overlap)
{
	static const uint32_t at[] = {LOAD, LOAD - 4096, LOAD + 4096};
	for (int i = 0; i < COUNT(at); i++) {
		good_image();
		image.header.phnum = 2;
		image.ph[0].memsz = 3 * 4096;
		image.ph[1] = (struct program_header){1, 0, at[i], at[i], 0, 2 * 4096, 6, 4096};
		check_refused();
	}
}

/* An entry point outside the program is refused, or ends the program at once. */
TEST(elf_entry)
{
	static const uint32_t at[] = {
		0, KERNEL_BASE + KERNEL_LOAD, VMM_BASE, 0xFFFFFFFF, LOAD - 1, LOAD + 0x10000,
		USER_END - 16,
	};
	for (int i = 0; i < COUNT(at); i++) {
		good_image();
		image.header.entry = at[i];
		int status = outcome();
		check(status == REFUSED || WIFFAULT(status));
	}
}

/* A segment may be much larger than memory: no page is there until it is touched. */
TEST(elf_huge_bss)
{
	good_image();
	image.ph[0].memsz = 0x70000000;
	int status = outcome();
	check(status == RAN || WIFEXITED(status));
}

/*
 * The memory after a segment's file content is zero, from the very next byte on, and can be written
 * if the header says so.
 */
TEST(elf_bss_is_zero)
{
	/*
	 * esi = end of the file content; ebx = OR of all bytes up to the page's end, XORed with 7;
	 * store ebx; exit
	 */
	static const uint8_t code[] = {
		0xBE, 0xA0, 0x80, 0x04, 0x08, 0x31, 0xDB, 0x0A, 0x1E, 0x46, 0xF7, 0xC6, 0xFF,
		0x0F, 0, 0, 0x75, 0xF5, 0x83, 0xF3, 7, 0x89, 0x1E, 0xB8, 1, 0, 0, 0, 0xCD, 0x80,
	};
	good_image();
	image.ph[0].memsz = 0x2000;
	image.ph[0].flags = 7;
	memcpy(image.code, code, sizeof(code));
	check_is(outcome(), RAN);
}
