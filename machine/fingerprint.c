/* SPDX-License-Identifier: MIT */
/* What attach and detach must leave unchanged: the machine (N2), and the dormant VMM (N3). */
#include "judge.h"
#include "x86.h"

/* A sum over whole pages of virtual memory. */
static uint32_t sum_of(struct machine *m, uint32_t cr3, uint32_t start, uint32_t end)
{
	uint32_t words[PAGE_SIZE / 4], sum = 0;
	for (uint32_t a = start; a < end; a += PAGE_SIZE) {
		virtual_read(m, cr3, a, words, sizeof(words));
		for (unsigned i = 0; i < PAGE_SIZE / 4; i++)
			sum = sum * 31 + words[i];
	}
	return sum;
}

/* Control registers, where the tables lie, and the kernel's GDT. CR0.TS changes with the FPU. */
static void print_cpu(FILE *f, struct machine *m, const struct cpu_state *c)
{
	uint64_t gdt[GDT_ENTRIES];
	virtual_read(m, c->cr3, c->gdt.base, gdt, sizeof(gdt));
	fprintf(f, "cr0 %x cr4 %x gdt %x/%x idt %x/%x tr %x/%x ldt %x:", c->cr0 & ~(uint32_t)CR0_TS,
		c->cr4, c->gdt.base, c->gdt.limit, c->idt.base, c->idt.limit, c->tr.base,
		c->tr.limit, c->ldt.selector);
	for (unsigned i = 0; i < GDT_ENTRIES; i++)
		fprintf(f, " %llx", (unsigned long long)gdt[i]);
	fprintf(f, "\n");
}

/* The IDT and the kernel's text, which all CPUs share. */
static void print_sums(FILE *f, struct machine *m, const struct cpu_state *c)
{
	uint32_t idt[512], sum = 0;
	virtual_read(m, c->cr3, c->idt.base, idt, sizeof(idt));
	for (unsigned i = 0; i < 512; i++)
		sum = sum * 31 + idt[i];
	fprintf(f, "idt sum %x\n", sum);
	sum = sum_of(m, c->cr3, symbol("image_start"), symbol("readonly_end"));
	fprintf(f, "text sum %x\n", sum);
}

/* Masks and timers of the interrupt controllers, but not the timer's current count. */
static void print_controllers(FILE *f, struct machine *m, unsigned nr_cpus)
{
	for (unsigned i = 0; i < nr_cpus; i++) {
		char command[32];
		snprintf(command, sizeof(command), "info lapic %u", i);
		char *lapic = qmp_human(m, command), *line = strstr(lapic, "LVT0");
		char *end = strstr(lapic, " current_count");
		CHECK(line && end, "QEMU shows no local APIC %u", i);
		fprintf(f, "%.*s\n", (int)(end - line), line);
		free(lapic);
	}
	char *pic = qmp_human(m, "info pic"), *pins = strstr(pic, "pin");
	if (pins)
		fprintf(f, "%.*s", (int)strcspn(pins, "I"), pins);
	free(pic);
}

char *fingerprint(struct machine *m, char *text, size_t size)
{
	struct cpu_state cpus[CPUS_MAX];
	unsigned n = machine_state(m, cpus);
	FILE *f = fmemopen(text, size, "w");
	if (!f)
		give_up(BROKEN, "no memory");
	for (unsigned i = 0; i < n; i++)
		print_cpu(f, m, &cpus[i]);
	print_sums(f, m, &cpus[0]);
	if (!m->o.bochs)
		print_controllers(f, m, n);
	fclose(f);
	return text;
}

uint32_t dormant_sum(struct machine *m)
{
	struct cpu_state cpus[CPUS_MAX];
	machine_state(m, cpus);
	return sum_of(m, cpus[0].cr3, VMM_BASE, vmm_symbol("vmm_image_end"));
}
