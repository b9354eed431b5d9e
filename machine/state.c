/* SPDX-License-Identifier: MIT */
/* The CPUs' registers, read from what the emulators' monitors print. */
#include "emulators.h"
#include <stdlib.h>
#include <string.h>

/* The hexadecimal number after a label. */
static uint32_t number_after(const char *text, const char *label)
{
	const char *at = strstr(text, label);
	if (!at)
		give_up(BROKEN, "the monitor shows no \"%s\"", label);
	return (uint32_t)strtoull(at + strlen(label), NULL, 16);
}

/* QEMU: "CS =0008 00000000 ffffffff 00cf9a00", "GDT=     00001000 00000037" */
static struct segment qemu_segment(const char *text, const char *label)
{
	struct segment s = { 0 };
	const char *at = strstr(text, label);
	if (!at)
		give_up(BROKEN, "the monitor shows no \"%s\"", label);
	at += strlen(label);
	if (label[0] == 'G' || label[0] == 'I')
		sscanf(at, "%x %x", &s.base, &s.limit);
	else
		sscanf(at, "%x %x %x %x", &s.selector, &s.base, &s.limit, &s.flags);
	return s;
}

static void qemu_state(const char *t, struct cpu_state *c)
{
	*c = (struct cpu_state){
		.eax = number_after(t, "EAX="), .ebx = number_after(t, "EBX="),
		.ecx = number_after(t, "ECX="), .edx = number_after(t, "EDX="),
		.esi = number_after(t, "ESI="), .edi = number_after(t, "EDI="),
		.ebp = number_after(t, "EBP="), .esp = number_after(t, "ESP="),
		.eip = number_after(t, "EIP="), .eflags = number_after(t, "EFL="),
		.cr0 = number_after(t, "CR0="), .cr2 = number_after(t, "CR2="),
		.cr3 = number_after(t, "CR3="), .cr4 = number_after(t, "CR4="),
		.cpl = number_after(t, "CPL="), .halted = number_after(t, "HLT="),
		.es = qemu_segment(t, "\nES ="), .cs = qemu_segment(t, "\nCS ="),
		.ss = qemu_segment(t, "\nSS ="), .ds = qemu_segment(t, "\nDS ="),
		.fs = qemu_segment(t, "\nFS ="), .gs = qemu_segment(t, "\nGS ="),
		.ldt = qemu_segment(t, "\nLDT="), .tr = qemu_segment(t, "\nTR ="),
		.gdt = qemu_segment(t, "GDT="), .idt = qemu_segment(t, "IDT="),
	};
}

/*
 * Bochs: "cs:0x0008, dh=0x00cf9b00, dl=0x0000ffff, valid=1", where dh and dl are the halves of
 * the descriptor; "gdtr:base=0x..., limit=0x37".
 */
static struct segment bochs_segment(const char *text, const char *label)
{
	struct segment s = { 0 };
	uint32_t high = 0, low = 0;
	const char *at = strstr(text, label);
	if (!at)
		give_up(BROKEN, "Bochs shows no \"%s\"", label);
	if (strstr(label, "dtr:b")) {
		s.base = number_after(at, "base=");
		s.limit = number_after(at, "limit=");
		return s;
	}
	sscanf(at + strlen(label), "%x, dh=%x, dl=%x", &s.selector, &high, &low);
	s.base = low >> 16 | (high & 0xFF) << 16 | (high & 0xFF000000);
	s.limit = (low & 0xFFFF) | (high & 0xF0000);
	if (high & 0x800000)
		s.limit = s.limit << 12 | 0xFFF;
	s.flags = high & 0xF0FF00;
	return s;
}

static void bochs_state(struct machine *m, unsigned cpu, struct cpu_state *c)
{
	if (m->o.cpus > 1)
		free(bochs_command(m, "set $cpu = %u", cpu));
	char *r = bochs_command(m, "r"), *s = bochs_command(m, "sreg");
	char *k = bochs_command(m, "creg");
	const char *eflags = strstr(r, "eflags");
	*c = (struct cpu_state){
		.eax = number_after(r, "rax: 00000000_"), .ebx = number_after(r, "rbx: 00000000_"),
		.ecx = number_after(r, "rcx: 00000000_"), .edx = number_after(r, "rdx: 00000000_"),
		.esi = number_after(r, "rsi: 00000000_"), .edi = number_after(r, "rdi: 00000000_"),
		.ebp = number_after(r, "rbp: 00000000_"), .esp = number_after(r, "rsp: 00000000_"),
		.eip = number_after(r, "rip: 00000000_"),
		.eflags = number_after(eflags ? eflags : r, "eflags "),
		.cr0 = number_after(k, "CR0="), .cr2 = number_after(k, "laddr="),
		.cr3 = number_after(k, "CR3="), .cr4 = number_after(k, "CR4="),
		.es = bochs_segment(s, "\nes:"), .cs = bochs_segment(s, "\ncs:"),
		.ss = bochs_segment(s, "\nss:"), .ds = bochs_segment(s, "\nds:"),
		.fs = bochs_segment(s, "\nfs:"), .gs = bochs_segment(s, "\ngs:"),
		.ldt = bochs_segment(s, "\nldtr:"), .tr = bochs_segment(s, "\ntr:"),
		.gdt = bochs_segment(s, "gdtr:base"), .idt = bochs_segment(s, "idtr:base"),
	};
	c->cpl = c->cs.selector & 3;
	free(r), free(s), free(k);
}

/* Ask QEMU's monitor. A stopped machine answers its debugger faster. Result: to be freed. */
static char *ask(struct machine *m, const char *command)
{
	bool gdb = m->gdb.fd >= 0 && !m->o.v86;
	return gdb ? gdb_monitor(m, command) : qmp_human(m, command);
}

unsigned machine_state(struct machine *m, struct cpu_state cpus[CPUS_MAX])
{
	if (m->o.bochs) {
		for (unsigned i = 0; i < m->o.cpus; i++)
			bochs_state(m, i, &cpus[i]);
		return m->o.cpus;
	}
	char *text = ask(m, "info registers -a");
	unsigned n = 0;
	for (char *at = text; n < CPUS_MAX && (at = strstr(at, "CPU#")) != NULL; n++) {
		char *end = strstr(at + 4, "CPU#"), keep = end ? *end : '\0';
		if (end)
			*end = '\0';
		qemu_state(at, &cpus[n]);
		if (end)
			*end = keep;
		at += 4;
	}
	free(text);
	return n;
}

/* A QEMU before 7.2 shows no single CPU, nor does v86. */
struct cpu_state machine_cpu(struct machine *m, unsigned cpu)
{
	struct cpu_state cpus[CPUS_MAX], c;
	char command[40];
	if (m->o.bochs) {
		bochs_state(m, cpu, &c);
		return c;
	}
	snprintf(command, sizeof(command), "info registers %u", cpu);
	char *text = m->o.cpus > 1 ? ask(m, command) : NULL;
	bool shown = text && strstr(text, "CPU#");
	if (shown)
		qemu_state(text, &c);
	free(text);
	if (shown)
		return c;
	machine_state(m, cpus);
	return cpus[cpu];
}
