/* SPDX-License-Identifier: MIT */
/*
 * What a failed switch must leave unchanged. A snapshot holds it as read from outside: registers,
 * descriptor tables, interrupt controllers, the VO, and all mappings of the kernel's half.
 */
#include "judge.h"
#include "offsets.h"
#include "x86.h"

/* The flags that no instruction of the idle loop changes. */
#define KEPT_EFLAGS \
	(EFLAGS_TF | EFLAGS_IF | EFLAGS_DF | EFLAGS_IOPL | EFLAGS_NT | EFLAGS_AC)

struct snapshot {
	char text[40000];
	uint32_t given_up; /* in virtual mode PTE_W: entries may have it after a failed detach */
	/* Page tables, without accessed and dirty bits. */
	uint32_t entries[VMM_SLOT - KERNEL_SLOT][1024];
};

/* QEMU shows it. In Bochs the CPU stands after a HLT. */
static bool is_halted(struct machine *m, const struct cpu_state *c)
{
	enum { HLT = 0xF4 };
	uint8_t before;
	if (!m->o.bochs)
		return c->halted;
	if (!page_walk(m, c->cr3, c->eip - 1).present)
		return false;
	virtual_read(m, c->cr3, c->eip - 1, &before, 1);
	return before == HLT;
}

void stop_idle(struct machine *m)
{
	/* QEMU does not sleep while its guest is idle: the first look comes soon. */
	enum { SOON_US = 300, LATER_US = 2000, BOCHS_US = 20000 };
	struct cpu_state cpus[CPUS_MAX];
	for (int tries = 0; tries < 500; tries++) {
		unsigned halted = 0;
		usleep(m->o.bochs ? BOCHS_US : tries == 0 ? SOON_US : LATER_US);
		machine_stop(m);
		for (unsigned i = 0, n = machine_state(m, cpus); i < n; i++)
			halted += is_halted(m, &cpus[i]);
		if (halted == m->o.cpus)
			return;
		machine_continue(m);
	}
	give_up(FAILED, "the machine is never idle");
}

static void print_words(FILE *f, const char *what, const uint32_t *words, unsigned n)
{
	fprintf(f, "%s:", what);
	for (unsigned i = 0; i < n; i++)
		fprintf(f, " %x", words[i]);
	fprintf(f, "\n");
}

/*
 * The CPUs' registers, their TSSs, and the VO. In Bochs no registers: it may stand after another
 * HLT.
 */
static void print_state(FILE *f, struct machine *m)
{
	struct cpu_state cpus[CPUS_MAX];
	uint32_t vo[VO_BYTES / 4], tss[sizeof(struct tss) / 4];
	for (unsigned i = 0, n = machine_state(m, cpus); i < n; i++) {
		const struct cpu_state *c = &cpus[i];
		uint32_t registers[] = { c->ebp, c->esp, c->eip, c->eflags & KEPT_EFLAGS, c->cr3 };
		if (!m->o.bochs)
			print_words(f, "ebp esp eip eflags cr3", registers, 5);
		virtual_read(m, c->cr3, c->tr.base, tss, sizeof(tss));
		print_words(f, "tss", tss, sizeof(tss) / 4);
	}
	physical_read(m, symbol("vo") - KERNEL_BASE, vo, sizeof(vo));
	print_words(f, "vo", vo, VO_BYTES / 4);
}

/* Read the page tables of the kernel's half, without accessed and dirty bits. */
static void read_tables(struct snapshot *s, struct machine *m)
{
	struct cpu_state cpus[CPUS_MAX];
	uint32_t directory[1024];
	machine_state(m, cpus);
	s->given_up = cpus[0].gdt.base >= VMM_BASE ? PTE_W : 0;
	physical_read(m, cpus[0].cr3 & PAGE_MASK, directory, sizeof(directory));
	for (unsigned slot = KERNEL_SLOT; slot < VMM_SLOT; slot++) {
		uint32_t *table = s->entries[slot - KERNEL_SLOT];
		if (!(directory[slot] & PTE_P))
			continue;
		physical_read(m, directory[slot] & PAGE_MASK, table, PAGE_SIZE);
		for (unsigned i = 0; i < 1024; i++)
			table[i] = table[i] & PTE_P ? table[i] & ~(uint32_t)(PTE_A | PTE_D) : 0;
	}
}

struct snapshot *snapshot_take(struct machine *m)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	stop_idle(m);
	fingerprint(m, s->text, sizeof(s->text));
	size_t n = strlen(s->text);
	FILE *f = fmemopen(s->text + n, sizeof(s->text) - n, "w");
	if (!f)
		give_up(BROKEN, "no memory");
	print_state(f, m);
	fclose(f);
	read_tables(s, m);
	machine_continue(m);
	return s;
}

/* The first line of b that differs from a. */
static const char *difference(const char *a, const char *b, int *bytes)
{
	const char *line = b;
	for (; *a && *a == *b; a++, b++)
		if (*b == '\n')
			line = b + 1;
	*bytes = (int)strcspn(line, "\n");
	return line;
}

/*
 * A detach that failed may have let tables go that no CPU uses (HC_TRIM): their homes are writable
 * again. That no table's home is, check_mode() looks at.
 */
void snapshot_compare(struct snapshot *before, struct machine *m)
{
	struct snapshot *after = snapshot_take(m);
	int bytes;
	if (strcmp(before->text, after->text) != 0) {
		const char *line = difference(before->text, after->text, &bytes);
		give_up(FAILED, "after a failed switch the machine is not as before: %.*s\n"
			"all of it was\n%sand is\n%s",
			bytes, line, before->text, after->text);
	}
	for (unsigned slot = 0; slot < VMM_SLOT - KERNEL_SLOT; slot++)
		for (unsigned i = 0; i < 1024; i++)
			CHECK(before->entries[slot][i] == after->entries[slot][i] ||
			      (before->entries[slot][i] | before->given_up) ==
				      after->entries[slot][i],
			      "after a failed switch the mapping of %#x is %#x, it was %#x",
			      KERNEL_BASE + (slot << 22 | i << 12), after->entries[slot][i],
			      before->entries[slot][i]);
	free(before), free(after);
}
