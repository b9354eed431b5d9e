/* SPDX-License-Identifier: MIT */
/*
 * ELF headers: good ones give the right segments; truncated, lying and random ones are refused, and
 * nothing beyond the file is read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "kernel/proc/elf.c"

#define LIMIT 0xBFFC0000u
#define FILE_BYTES 0x3000u

struct file { /* exactly as long as the headers: the sanitizer sees a read beyond */
	struct elf_header h;
	struct elf_program_header p[3];
};

static struct file good(void)
{
	return (struct file){
		.h = { .magic = ELF_MAGIC, .class = ELFCLASS32, .data = ELFDATA2LSB,
		       .type = ET_EXEC, .machine = EM_386,
		       .entry = 0x08048100, .phoff = sizeof(struct elf_header),
		       .phentsize = sizeof(struct elf_program_header),
		       .phnum = 3 },
		.p = { { .type = PT_LOAD, .offset = 0, .vaddr = 0x08048000,
			 .filesz = 0x1234, .memsz = 0x1234, .flags = PF_R | PF_X },
		       { .type = PT_LOAD, .offset = 0x1234, .vaddr = 0x0804A234,
			 .filesz = 0x100, .memsz = 0x2000, .flags = PF_R | PF_W },
		       { .type = 0x6474E551 /* GNU_STACK */ } },
	};
}

static int parse(const struct file *f, struct elf_image *image)
{
	return elf_parse(f, sizeof(*f), FILE_BYTES, LIMIT, image);
}

static void good_file(void **state)
{
	(void)state;
	struct elf_image i;
	struct file f = good();
	assert_int_equal(parse(&f, &i), 0);
	assert_int_equal(i.n, 2);
	assert_int_equal(i.entry, 0x08048100);
	assert_int_equal(i.segments[0].start, 0x08048000);
	assert_int_equal(i.segments[0].bytes, 0x2000);
	assert_int_equal(i.segments[0].prot, PROT_READ | PROT_EXEC);
	assert_int_equal(i.segments[1].start, 0x0804A000);
	assert_int_equal(i.segments[1].offset, 0x1000);
	assert_int_equal(i.segments[1].file_bytes, 0x334);
	assert_int_equal(i.segments[1].bytes, 0x3000);
}

static void truncated(void **state)
{
	(void)state;
	struct elf_image i;
	struct file f = good();
	for (uint32_t bytes = 0; bytes < sizeof(f); bytes++) {
		void *part = malloc(bytes + 1);
		memcpy(part, &f, bytes);
		assert_int_equal(elf_parse(part, bytes, FILE_BYTES, LIMIT, &i), -ENOEXEC);
		assert_int_equal(elf_parse(part, PAGE_SIZE, bytes, LIMIT, &i), -ENOEXEC);
		free(part);
	}
}

#define LIE(name, change)                                            \
	static void name(void **state)                               \
	{                                                            \
		(void)state;                                         \
		struct elf_image i;                                  \
		struct file f = good();                              \
		change;                                              \
		assert_int_equal(parse(&f, &i), -ENOEXEC);           \
	}
LIE(not_elf, f.h.magic++)
LIE(for_64_bits, f.h.class = 2)
LIE(big_endian, f.h.data = 2)
LIE(shared_object, f.h.type = 3)
LIE(other_machine, f.h.machine = 62)
LIE(many_headers, f.h.phnum = 0xFFFF)
LIE(headers_beyond, f.h.phoff = 0xFFFFFFF0)
LIE(headers_unaligned, f.h.phoff++)
LIE(file_part_beyond_file, f.p[0].filesz = f.p[0].memsz = FILE_BYTES + 1)
LIE(file_part_above_memory_part, f.p[0].filesz = 0x1235)
LIE(offset_wraps, f.p[0].offset = 0xFFFFF000)
LIE(not_congruent, f.p[0].offset = 1)
LIE(null_page, f.p[0].vaddr = 0)
LIE(in_the_kernel, f.p[0].vaddr = 0xC0100000)
LIE(in_the_stack, f.p[1].memsz = LIMIT - 0x0804A234 + 1)
LIE(memory_wraps, f.p[1].memsz = 0xFFFFFFFF)
LIE(overlap, f.p[1].vaddr = 0x08049234)
LIE(entry_outside, f.h.entry = 0x08047FFF)
LIE(entry_not_executable, f.h.entry = 0x0804A234)

static void random_changes(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 300000; round++) {
		struct file f = good();
		struct elf_image i;
		for (int n = rand() % 4; n >= 0; n--)
			((uint8_t *)&f)[(size_t)rand() % sizeof(f)] = (uint8_t)rand();
		if (parse(&f, &i))
			continue;
		for (unsigned s = 0; s < i.n; s++) {
			const struct elf_segment *g = &i.segments[s];
			assert_true(g->start >= USER_BASE && g->bytes > 0 &&
				    g->bytes <= LIMIT - g->start);
			assert_true(g->file_bytes <= g->bytes && g->offset <= FILE_BYTES);
			assert_true(g->file_bytes <= FILE_BYTES - g->offset);
			for (unsigned o = 0; o < s; o++)
				assert_true(g->start >= i.segments[o].start + i.segments[o].bytes ||
					    i.segments[o].start >= g->start + g->bytes);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_file), cmocka_unit_test(truncated),
		cmocka_unit_test(not_elf), cmocka_unit_test(for_64_bits),
		cmocka_unit_test(big_endian), cmocka_unit_test(shared_object),
		cmocka_unit_test(other_machine),
		cmocka_unit_test(many_headers), cmocka_unit_test(headers_beyond),
		cmocka_unit_test(headers_unaligned),
		cmocka_unit_test(file_part_beyond_file),
		cmocka_unit_test(file_part_above_memory_part),
		cmocka_unit_test(offset_wraps), cmocka_unit_test(not_congruent),
		cmocka_unit_test(null_page),
		cmocka_unit_test(in_the_kernel), cmocka_unit_test(in_the_stack),
		cmocka_unit_test(memory_wraps),
		cmocka_unit_test(overlap), cmocka_unit_test(entry_outside),
		cmocka_unit_test(entry_not_executable),
		cmocka_unit_test(random_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
