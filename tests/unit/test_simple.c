/* SPDX-License-Identifier: MIT */
/*
 * The instructions that the labs' harness executes by itself: what each changes, by the SDM's words
 * and not by ours, and that all others are left to QEMU. The machine is an array; its pages are
 * mapped one to one from KERNEL_BASE on.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "labs/common/harness_simple.c" /* cmocka has a macro skip */
#include <cmocka.h>

enum { PAGES = 8, CODE = KERNEL_BASE + 0x1000, DATA = KERNEL_BASE + 0x2000, READ_ONLY = 3,
       ABSENT = 4, STACK = KERNEL_BASE + 0x5800, TEXT_END = KERNEL_BASE + 0x2000 };
enum { EAX = 0xA0A0A0A0, ECX = 2, EBX = DATA + 0x10, ESI = 0x51515151, WORD = 0x12345678 };

static uint8_t memory[PAGES * PAGE_SIZE];
static struct machine machine = { .ram = memory, .ram_bytes = sizeof(memory) };
static struct guest guest = { .m = &machine };
static struct cpu_state c;

struct walk page_walk(struct machine *m, uint32_t cr3, uint32_t address)
{
	uint32_t at = address - KERNEL_BASE, page = at / PAGE_SIZE;
	(void)m, (void)cr3;
	return (struct walk){ .present = page < PAGES && page != ABSENT, .machine = at,
			      .writable = page != READ_ONLY };
}

void physical_write(struct machine *m, uint32_t address, const void *buf, size_t bytes)
{
	assert_true(address <= m->ram_bytes - bytes);
	memcpy(memory + address, buf, bytes);
}

uint32_t physical_word(struct machine *m, uint32_t address)
{
	uint32_t word;
	assert_true(address <= m->ram_bytes - 4);
	memcpy(&word, memory + address, 4);
	return word;
}

void virtual_read(struct machine *m, uint32_t cr3, uint32_t address, void *buf, size_t bytes)
{
	(void)m, (void)cr3;
	memcpy(buf, memory + address - KERNEL_BASE, bytes);
}

uint32_t symbol(const char *name) { return strcmp(name, "text_end") == 0 ? TEXT_END : 0; }
uint32_t vmm_symbol(const char *name) { return strcmp(name, "vmm_text_end") == 0 ? VMM_BASE : 0; }
bool within_instruction(uint32_t address) { return address == CODE + 1; }

static uint32_t at(uint32_t address) { return physical_word(&machine, address - KERNEL_BASE); }

static void put_word(uint32_t address, uint32_t value)
{
	physical_write(&machine, address - KERNEL_BASE, &value, 4);
}

/* Execute one instruction with the same registers and memory each time. */
static bool run(const char *code, size_t bytes, uint32_t flags)
{
	memset(memory, 0x5A, sizeof(memory));
	memcpy(memory + CODE - KERNEL_BASE, code, bytes);
	put_word(DATA, WORD), put_word(EBX + 4 * ECX + 8, WORD + 1), put_word(STACK, WORD + 2);
	put_word(STACK + 0x20, WORD + 3);
	c = (struct cpu_state){ .eax = EAX, .ecx = ECX, .ebx = EBX, .esi = ESI, .edi = ABSENT << 12,
				.edx = KERNEL_BASE + READ_ONLY * PAGE_SIZE, .ebp = STACK + 0x20,
				.esp = STACK, .eip = CODE, .eflags = flags,
				.cs = { .selector = SEL_KCODE } };
	return execute_here(&guest, &c);
}
#define RUNS_WITH(code, flags) run(code, sizeof(code) - 1, flags)
#define RUNS(code) RUNS_WITH(code, 2)
/* It is executed, and EIP is after it. */
#define GOOD(code) (assert_true(RUNS(code)), assert_int_equal(c.eip, CODE + sizeof(code) - 1))

static void moves(void **state)
{
	(void)state;
	GOOD("\x89\xC8"), assert_int_equal(c.eax, ECX);         /* mov %ecx, %eax */
	GOOD("\x8B\xC1"), assert_int_equal(c.eax, ECX);         /* the same */
	GOOD("\xBE\x04\x03\x02\x01"), assert_int_equal(c.esi, 0x01020304);
	GOOD("\xA1\x00\x20\x00\xC0"), assert_int_equal(c.eax, WORD);
	GOOD("\xA3\x00\x20\x00\xC0"), assert_int_equal(at(DATA), EAX);
	GOOD("\x8B\x43\xF0"), assert_int_equal(c.eax, WORD);    /* mov -16(%ebx), %eax */
	GOOD("\x89\x73\xF0"), assert_int_equal(at(DATA), ESI);
	GOOD("\x8B\x83\xF0\xFF\xFF\xFF"), assert_int_equal(c.eax, WORD);
	GOOD("\x8B\x15\x00\x20\x00\xC0"), assert_int_equal(c.edx, WORD);
	GOOD("\x8B\x44\x8B\x08"), assert_int_equal(c.eax, WORD + 1); /* 8(%ebx, %ecx, 4) */
	GOOD("\x8B\x04\x24"), assert_int_equal(c.eax, WORD + 2);     /* (%esp) */
	GOOD("\x8B\x45\x00"), assert_int_equal(c.eax, WORD + 3);     /* 0(%ebp) */
	GOOD("\x8B\x04\x8D\xF8\x1F\x00\xC0"), assert_int_equal(c.eax, WORD);
	GOOD("\xC7\x43\xF0\x01\x02\x03\x04"), assert_int_equal(at(DATA), 0x04030201);
	GOOD("\x8D\x44\x8B\x08"), assert_int_equal(c.eax, EBX + 4 * ECX + 8);
	GOOD("\x90"), assert_int_equal(c.eax, EAX);
	GOOD("\xF3\x90"), assert_int_equal(c.esp, STACK);
}

static void stack(void **state)
{
	(void)state;
	GOOD("\x56"), assert_int_equal(c.esp, STACK - 4), assert_int_equal(at(STACK - 4), ESI);
	GOOD("\x54"), assert_int_equal(at(STACK - 4), STACK);   /* push %esp: its old value */
	GOOD("\x6A\xFE"), assert_int_equal(at(STACK - 4), 0xFFFFFFFE);
	GOOD("\x68\x01\x02\x03\x04"), assert_int_equal(at(STACK - 4), 0x04030201);
	GOOD("\x5E"), assert_int_equal(c.esi, WORD + 2), assert_int_equal(c.esp, STACK + 4);
	GOOD("\xC9"), assert_int_equal(c.ebp, WORD + 3), assert_int_equal(c.esp, STACK + 0x24);
	assert_true(RUNS("\xC3"));
	assert_int_equal(c.eip, WORD + 2), assert_int_equal(c.esp, STACK + 4);
	assert_true(RUNS("\xE8\x10\x00\x00\x00"));
	assert_int_equal(c.eip, CODE + 0x15), assert_int_equal(at(STACK - 4), CODE + 5);
}

/* SDM vol. 2, appendix B, table B-10: with which flags each condition holds. */
static bool condition(unsigned code, uint32_t flags)
{
	bool cf = flags & 1, pf = flags & 4, zf = flags & 0x40, sf = flags & 0x80;
	bool of = flags & 0x800;
	switch (code) {
	case 0x0: return of;
	case 0x1: return !of;
	case 0x2: return cf;
	case 0x3: return !cf;
	case 0x4: return zf;
	case 0x5: return !zf;
	case 0x6: return cf || zf;
	case 0x7: return !cf && !zf;
	case 0x8: return sf;
	case 0x9: return !sf;
	case 0xA: return pf;
	case 0xB: return !pf;
	case 0xC: return sf != of;
	case 0xD: return sf == of;
	case 0xE: return zf || sf != of;
	default: return !zf && sf == of;
	}
}

static void jumps(void **state)
{
	(void)state;
	assert_true(RUNS("\xEB\xF0")), assert_int_equal(c.eip, CODE + 2 - 0x10);
	assert_true(RUNS("\xE9\x00\x01\x00\x00")), assert_int_equal(c.eip, CODE + 0x105);
	for (unsigned code = 0; code < 16; code++)
		for (uint32_t flags = 0; flags < 0x1000; flags++) {
			bool jump = condition(code, flags);
			char near[] = { (char)(0x70 | code), 0x20 };
			char far[] = { 0x0F, (char)(0x80 | code), 0x20, 0, 0, 0 };
			if (flags & ~0x8C5u)
				continue;
			assert_true(run(near, 2, flags) && c.eflags == flags);
			assert_int_equal(c.eip, CODE + 2 + (jump ? 0x20 : 0));
			assert_true(run(far, 6, flags) && c.eflags == flags);
			assert_int_equal(c.eip, CODE + 6 + (jump ? 0x20 : 0));
		}
}

/* Nothing has changed. */
#define LEFT(code) (assert_false(RUNS(code)), assert_int_equal(c.eip, CODE), \
		    assert_int_equal(c.esp, STACK), assert_int_equal(at(DATA), WORD))

static void left_to_qemu(void **state)
{
	(void)state;
	LEFT("\x0F\x31");             /* rdtsc */
	LEFT("\x01\xC8");             /* add: flags */
	LEFT("\xF0\x09\x43\xF0");     /* lock or */
	LEFT("\x87\x43\xF0");         /* xchg */
	LEFT("\x66\x89\xC8");         /* 16 bits */
	LEFT("\x65\x8B\x43\xF0");     /* %gs */
	LEFT("\x88\x43\xF0");         /* a byte */
	LEFT("\x8E\xD8");             /* mov %eax, %ds */
	LEFT("\x5C");                 /* pop %esp */
	LEFT("\xFF\xD0");             /* call *%eax */
	LEFT("\xF3\xA4");             /* rep movsb */
	LEFT("\x8D\xC1");             /* lea of a register: #UD */
	LEFT("\xC7\xFB\x01\x00\x00\x00"); /* C7 /7 */
	LEFT("\x8B\x07");             /* (%edi): nothing is mapped */
	LEFT("\x89\x02");             /* (%edx): read only */
	LEFT("\xA1\xFE\x2F\x00\xC0"); /* in two pages */
	GOOD("\x8B\x02");
}

/* Only in the kernel's functions, in ring 0 or 1, and not within an instruction. */
static void places(void **state)
{
	(void)state;
	GOOD("\x90");
	c.eip = CODE + 1, assert_false(execute_here(&guest, &c));
	c.eip = TEXT_END, assert_false(execute_here(&guest, &c));
	c.eip = CODE, c.cs.selector = SEL_KCODE | 3, assert_false(execute_here(&guest, &c));
	c.cs.selector = SEL_KCODE | 1, assert_true(execute_here(&guest, &c));
}

/* No code makes it look or write where nothing is. */
static void any_code(void **state)
{
	enum { TRIES = 30000 };
	uint32_t x = 1;
	(void)state;
	for (unsigned i = 0; i < TRIES; i++) {
		char code[16];
		for (unsigned k = 0; k < sizeof(code); k++)
			code[k] = (char)((x = x * 1664525 + 1013904223) >> 24);
		run(code, sizeof(code), 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves), cmocka_unit_test(stack), cmocka_unit_test(jumps),
		cmocka_unit_test(left_to_qemu), cmocka_unit_test(places),
		cmocka_unit_test(any_code),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
