/* SPDX-License-Identifier: MIT */
/*
 * The firmware's tables of processors and interrupt controllers. The first MiB of a machine and its
 * tables are made here: whole, missing, truncated, lying, and changed at random. Each mapping is a
 * copy of exactly its size, so the sanitizer sees a read beyond what was mapped.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "random.h"
#include "kernel/boot/topology.c"

#define MACHINE_BYTES (LOW_BYTES + 0x20000u)
#define MAPS_MAX 600

static uint8_t machine[MACHINE_BYTES];
static uint8_t *low_copy; /* of the first MiB, the largest mapping: made once */
static void *maps[MAPS_MAX];
static unsigned nr_maps, map_bytes, log_lines;

/* Where the machine has no memory, all bits read as 1. */
void *map_machine(uint32_t at, uint32_t bytes, uint32_t flags)
{
	(void)flags;
	CHECK(nr_maps < MAPS_MAX);
	uint8_t *copy = at == 0 && bytes == LOW_BYTES ? low_copy
						      : (maps[nr_maps++] = malloc(bytes));
	uint32_t there = at < MACHINE_BYTES ? MIN(bytes, MACHINE_BYTES - at) : 0;
	memcpy(copy, machine + (there ? at : 0), there);
	memset(copy + there, 0xFF, bytes - there);
	map_bytes += ROUND_UP(at % 4096 + bytes, 4096u);
	return copy;
}

void unmap_machine(const void *first) { (void)first; }
void printk(const char *fmt, ...) { (void)fmt, log_lines++; }
void panic(const char *fmt, ...)
{
	(void)fmt;
	abort();
}

static void find(void)
{
	log_lines = map_bytes = 0;
	topology_find();
	while (nr_maps)
		free(maps[--nr_maps]);
	low = NULL;
	CHECK(topology.nr_cpus >= 1 && topology.nr_cpus <= ARRAY_SIZE(topology.apic_id));
	for (unsigned i = 1; i < topology.nr_cpus; i++)
		CHECK(topology.apic_id[i] != topology.apic_id[0]);
	CHECK(map_bytes < 4 * LOW_BYTES); /* the kernel's room for mappings is small */
}

/* --- making tables --- */

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v, p[1] = (uint8_t)(v >> 8), p[2] = (uint8_t)(v >> 16),
	p[3] = (uint8_t)(v >> 24);
}
static void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)v, p[1] = (uint8_t)(v >> 8); }

/* Set the byte p[sum] so that all n bytes add up to zero. */
static void make_sum(uint8_t *p, uint32_t n, uint32_t sum)
{
	p[sum] = 0;
	for (uint32_t i = 0; i < n; i++)
		p[sum] = (uint8_t)(p[sum] - (i == sum ? 0 : p[i]));
}

enum {
	RSDT = LOW_BYTES,
	OTHER = RSDT + 0x100,
	MADT = RSDT + 0x200,
	MP = RSDT + 0x1000,
	EBDA = 0x9FC00
};

static uint32_t length; /* of the table that is being made */
static void add(uint32_t table, const uint8_t *bytes, uint32_t n)
{
	memcpy(machine + table + length, bytes, n);
	length += n;
}
#define ADD(table, ...) \
	add(table, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void sdt(uint32_t table, const char *signature)
{
	memcpy(machine + table, signature, 4);
	put32(machine + table + 4, length);
	make_sum(machine + table, length, 9);
}

/*
 * Four processors (the second is off, the first is the boot processor), an IOAPIC and two
 * overrides.
 */
static void make_madt(void)
{
	length = 44;
	put32(machine + MADT + 36, 0xFEE01000);
	ADD(MADT, 0, 8, 0, topology.apic_id[0], 1, 0, 0, 0);
	ADD(MADT, 0, 8, 1, (uint8_t)(topology.apic_id[0] + 1), 0, 0, 0, 0);
	ADD(MADT, 0, 8, 2, (uint8_t)(topology.apic_id[0] + 2), 1, 0, 0, 0);
	ADD(MADT, 4, 6, 0xFF, 0, 0, 1); /* a kind that the kernel skips */
	ADD(MADT, 1, 12, 9, 0, 0, 0x10, 0xC0, 0xFE, 0, 0, 0, 0);
	/* a second IOAPIC, for higher lines */
	ADD(MADT, 1, 12, 10, 0, 0, 0x20, 0xC0, 0xFE, 24, 0, 0, 0);
	ADD(MADT, 2, 10, 0, 0, 2, 0, 0, 0, 0, 0);
	ADD(MADT, 2, 10, 0, 9, 20, 0, 0, 0, 0xF, 0);
	ADD(MADT, 0, 8, 3, (uint8_t)(topology.apic_id[0] + 3), 1, 0, 0, 0);
	sdt(MADT, "APIC");
}

static void make_pointer(uint32_t at, const char *signature, uint32_t bytes, uint32_t place,
			 uint32_t table, uint32_t sum)
{
	memcpy(machine + at, signature, strlen(signature));
	put32(machine + at + place, table);
	make_sum(machine + at, bytes, sum);
}

static void make_acpi(uint32_t rsdp)
{
	make_madt();
	length = 36;
	sdt(OTHER, "FACP");
	ADD(RSDT, 0, 1, 0x10, 0, 0, 2, 0x10, 0); /* addresses of OTHER and MADT */
	sdt(RSDT, "RSDT");
	make_pointer(rsdp, "RSD PTR ", 20, 16, RSDT, 8);
}

static void make_mp(uint32_t pointer)
{
	length = 44;
	ADD(MP, 0, topology.apic_id[0], 0x14, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	ADD(MP, 0, (uint8_t)(topology.apic_id[0] + 5), 0x14, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	    0, 0, 0, 0);
	ADD(MP, 1, 0, 'I', 'S', 'A', ' ', ' ', ' ');
	ADD(MP, 2, 2, 0x11, 1, 0, 0x30, 0xC0, 0xFE);
	ADD(MP, 3, 0, 0xF, 0, 0, 11, 2, 17);
	ADD(MP, 4, 0, 0, 0, 0, 0, 0, 0);
	memcpy(machine + MP, "PCMP", 4);
	put16(machine + MP + 4, length);
	put16(machine + MP + 34, 6);
	put32(machine + MP + 36, 0xFEE02000);
	make_sum(machine + MP, length, 7);
	make_pointer(pointer, "_MP_", 16, 4, MP, 10);
}

static void nothing(void)
{
	memset(machine, 0, sizeof(machine));
	put16(machine + 0x40E, EBDA >> 4);
	find(); /* so topology holds nothing from before */
}

/* --- tests --- */

static void check_plain(void)
{
	CHECK(log_lines == 1 && topology.nr_cpus == 1 && topology.lapic == 0xFEE00000 &&
	      topology.ioapic == 0xFEC00000);
	for (unsigned i = 0; i < 16; i++)
		CHECK(topology.isa[i].pin == (i ? i : 2) && !topology.isa[i].low &&
		      !topology.isa[i].level);
}

static void check_madt(void)
{
	CHECK(log_lines == 0 && topology.nr_cpus == 3 && topology.lapic == 0xFEE01000 &&
	      topology.ioapic == 0xFEC01000);
	CHECK(topology.apic_id[1] == (uint8_t)(topology.apic_id[0] + 2) &&
	      topology.apic_id[2] == (uint8_t)(topology.apic_id[0] + 3));
	CHECK(topology.isa[0].pin == 2 && topology.isa[9].pin == 20 && topology.isa[9].low &&
	      topology.isa[9].level);
	CHECK(topology.isa[1].pin == 1 && !topology.isa[1].low && !topology.isa[1].level);
}

static void check_mp(void)
{
	CHECK(log_lines == 0 && topology.nr_cpus == 2 && topology.lapic == 0xFEE02000 &&
	      topology.ioapic == 0xFEC03000);
	CHECK(topology.apic_id[1] == (uint8_t)(topology.apic_id[0] + 5));
	CHECK(topology.isa[11].pin == 17 && topology.isa[11].low && topology.isa[11].level &&
	      topology.isa[0].pin == 2);
}

static void test_good(void **state)
{
	static const uint32_t places[] = { EBDA, EBDA + 1008, 0xE0000, 0xF5AC0, 0xFFFE0 };
	(void)state;
	nothing();
	check_plain();
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		/* the last place where 16 bytes fit, but not 20 */
		uint32_t beyond = places[i] == EBDA + 1008 ? 32 : 0;
		nothing(), make_acpi(places[i] - beyond), find(), check_madt();
		nothing(), make_mp(places[i]), find(), check_mp();
		/* ACPI's tables take precedence */
		make_acpi(places[i] ^ 0x20), find(), check_madt();
	}
}

/* One changed byte makes a sum wrong: ACPI's tables are then ignored. */
static void test_sums(void **state)
{
	static const uint32_t acpi[] = {
		0xF0000 + 3, 0xF0000 + 17, RSDT + 12, RSDT + 43, MADT + 20, MADT + 60,
	};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(acpi); i++) {
		nothing(), make_acpi(0xF0000), machine[acpi[i]] ^= 0x10, find();
		check_plain();
		make_mp(0xF1000), find();
		check_mp();
	}
	nothing(), make_mp(0xF1000), machine[MP + 50] ^= 1, find();
	check_plain();
	nothing(), make_mp(0xF1000), machine[0xF1000 + 12] ^= 1, find();
	check_plain();
}

/* Lengths that lie, with right sums: a table is read up to its length, and no further. */
static void test_lengths(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 200; n++) {
		nothing(), make_acpi(EBDA);
		put32(machine + MADT + 4, n), make_sum(machine + MADT, MAX(n, 36), 9), find();
		CHECK(log_lines == (n < 44));
		nothing(), make_acpi(EBDA);
		put32(machine + RSDT + 4, n), make_sum(machine + RSDT, MAX(n, 36), 9), find();
		nothing(), make_mp(EBDA);
		put16(machine + MP + 4, n), make_sum(machine + MP, MAX(n, 44), 7), find();
		CHECK(log_lines == (n < 44));
	}
	for (uint32_t n = 0; n < 256; n++) { /* of an entry; 0 must not make an endless loop */
		nothing(), make_acpi(EBDA);
		machine[MADT + 44 + 1] = (uint8_t)n,
				    make_sum(machine + MADT, get32(machine + MADT + 4), 9), find();
		nothing(), make_mp(EBDA);
		put16(machine + MP + 34, n * 257), make_sum(machine + MP, length, 7), find();
	}
}

/* More processors than the kernel takes, and one that is named twice. */
static void test_many(void **state)
{
	(void)state;
	nothing(), make_acpi(EBDA);
	length = 44;
	for (unsigned i = 0; i < 40; i++)
		ADD(MADT, 0, 8, (uint8_t)i, (uint8_t)(topology.apic_id[0] + i), 1, 0, 0, 0);
	sdt(MADT, "APIC"), find();
	CHECK(topology.nr_cpus == ARRAY_SIZE(topology.apic_id));
	length = 44;
	for (unsigned i = 0; i < 3; i++)
		ADD(MADT, 0, 8, (uint8_t)i, (uint8_t)(topology.apic_id[0] + 1), 1, 0, 0, 0);
	sdt(MADT, "APIC"), find();
	CHECK(topology.nr_cpus == 2);
	/* an RSDT with thousands of addresses */
	nothing(), make_acpi(EBDA), memset(machine + RSDT + 36, 0, 0x10000 - 36);
	put32(machine + RSDT + 4, 0x10000), make_sum(machine + RSDT, 0x10000, 9), find();
	check_plain();
}

/* Random changes of some bytes; afterwards most sums are made right again. */
static void test_mutated(void **state)
{
	static const struct { uint32_t at, bytes, sum; } parts[] = {
		{ EBDA, 20, 8 }, { EBDA + 32, 16, 10 }, { RSDT, 44, 9 }, { MADT, 0, 9 },
		{ MP, 0, 7 },
	};
	(void)state;
	nothing();
	for (uint32_t s = 0; s < 3000; s++) {
		at_random(s);
		memset(machine + EBDA, 0, 1024), memset(machine + RSDT, 0, 0x2000);
		make_acpi(EBDA), make_mp(EBDA + 32);
		for (uint32_t n = 1 + below(6); n > 0; n--) {
			unsigned p = below(ARRAY_SIZE(parts));
			uint32_t at = parts[p].at + below(parts[p].bytes ? parts[p].bytes : 140);
			machine[at] = (uint8_t)(below(3)   ? random32()
						: below(2) ? 0
							   : machine[at] ^ 1u << below(8));
		}
		for (unsigned p = 0; p < ARRAY_SIZE(parts); p++) {
			uint32_t bytes = parts[p].at == MADT ? get32(machine + MADT + 4)
					 : parts[p].at == MP ? get16(machine + MP + 4)
							     : parts[p].bytes;
			if (below(8) && bytes > parts[p].sum &&
			    bytes <= MACHINE_BYTES - parts[p].at)
				make_sum(machine + parts[p].at, bytes, parts[p].sum);
		}
		find();
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good), cmocka_unit_test(test_sums),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_many), cmocka_unit_test(test_mutated),
	};
	/* The tables name this processor's APIC: the test must stay on it. */
	cpu_set_t here;
	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	if (sched_setaffinity(0, sizeof(here), &here))
		abort();
	low_copy = malloc(LOW_BYTES);
	int failed = cmocka_run_group_tests_name("topology", tests, NULL, NULL);
	free(low_copy);
	return failed;
}
