/* SPDX-License-Identifier: MIT */
/* The probe: a machine that is stopped during its attach at boot, and brought to ring 1. */
#include "checks.h"

/*
 * Bytes from the end of a process's kernel stack to ESP and EIP in the frame of its first return to
 * ring 3.
 */
enum { FRAME_ESP = 8, FRAME_EIP = 20 };
#define SLOT_BYTES 0x400000u /* of the address space, by one entry of a directory */

/* --- start --- */

static struct probe *start_at(const struct test *t)
{
	struct probe *p = calloc(1, sizeof(*p));
	struct machine_options o = t->machine;
	const char *more = o.cmdline ? o.cmdline : "";
	o.cmdline = text_of("mode=virtual%s%s", *more ? " " : "", more);
	if (!o.bochs)
		o.mem = random_below(2) ? 64 : 40 + random_below(24);
	p->t = t;
	p->nr_cpus = 1;
	p->g = guest_start(&o, o.bochs ? BOCHS_SECONDS : SECONDS);
	return p;
}

static void read_handlers(struct probe *p)
{
	uint32_t idt[512];
	look(&p->g, 0);
	virtual_read(p->g.m, p->g.c.cr3, p->g.c.idt.base, idt, sizeof(idt));
	for (unsigned v = 0; v < 256; v++)
		p->handlers[v] = (idt[2 * v] & 0xFFFF) | (idt[2 * v + 1] & 0xFFFF0000);
}

void show_user(struct probe *p, bool on)
{
	uint32_t directory = p->g.c.cr3 & PAGE_MASK, pde = 0;
	if (on)
		pde = physical_word(p->g.m, directory + (p->user_page >> 22) * 4);
	physical_write(p->g.m, directory + (p->user_text >> 22) * 4, &pde, 4);
}

/* The first process, of which only the kernel stack is known. It never runs in the probe. */
static void find_user(struct probe *p)
{
	uint32_t end = task_of(&p->g.c) + TASK_STACK_BYTES;
	p->user_esp = word_at(&p->g, end - FRAME_ESP);
	p->user_page = p->user_esp & PAGE_MASK;
	p->user_text = word_at(&p->g, end - FRAME_EIP) & -SLOT_BYTES;
	p->user_text |= p->user_page & (SLOT_BYTES - 1);
	p->free_user = p->user_text + 4 * random_below(64);
	show_user(p, true);
}

void probe_next_step(struct probe *p, uint32_t op)
{
	struct guest *g = &p->g;
	do
		probe_arrive(p, vmm_symbol("vmm_call_entry"),
			     "the next step of the attach, by a VMM call");
	while (argument(g, 0) != op);
	p->back = return_address(g);
	p->stack = argument(g, 2); /* the second one is the CPU */
	p->entry = g->c;
}

struct probe *probe_boot(const struct test *t)
{
	struct probe *p = start_at(t);
	probe_next_step(p, VMM_WARM_UP);
	read_handlers(p);
	p->nr_cpus = 2 + random_below(VMM_MAX_CPUS - 1);
	p->cpu = 1 + random_below(p->nr_cpus - 1);
	uint32_t machine = argument(&p->g, 2); /* vmm_boot begins with it */
	set_word(&p->g, machine + offsetof(struct vmm_machine, nr_cpus), p->nr_cpus);
	set_words(&p->g, machine + offsetof(struct vmm_machine, apic_id),
		  WORDS(0x03020100, 0x07060504));
	watch_ends(p, true);
	return p;
}

struct probe *probe_own_way(const struct test *t, uint32_t op)
{
	struct probe *p = start_at(t);
	probe_next_step(p, VMM_WARM_UP);
	read_handlers(p);
	probe_next_step(p, op);
	find_user(p);
	allow_interrupts(p, false);
	return p;
}

void probe_to_install(struct probe *p)
{
	PROBE_RUN(p, "the VMM call VMM_INSTALL", vmm_symbol("cpu_install"));
	allow_interrupts(p, false);
}

/* --- by the check's own hands --- */

/*
 * Exercises 1 and 2 run as they are, and may fail in any way: what they leave is replaced. The
 * warm-up has done all else before.
 */
void probe_warm(struct probe *p)
{
	struct cpu_state call = p->g.c;
	PROBE_RUN(p, "the VMM's warm-up", vmm_symbol("cpus_warm_up"));
	probe_pass(p);
	store_tables(p);
	if (RUN(&p->g, p->back) != 0) {
		CHECK(!machine_ended(p->g.m), "cannot be judged until exercise 2 (check idt) lets "
		      "warm-up go on: the machine has ended there");
		break_off(&p->g, p->back);
		call.eax = 0;
		call.eip = p->back;
		call.esp += 4;
		set_registers(&p->g, &call);
		look(&p->g, 0);
	}
	store_tables(p);
	store_idt(p);
}

struct probe *probe_enter(const struct test *t, uint32_t op)
{
	struct probe *p = probe_boot(t);
	probe_warm(p);
	watch_ends(p, false); /* the native kernel has traps and interrupts of its own */
	probe_next_step(p, op);
	watch_ends(p, true);
	find_user(p);
	allow_interrupts(p, false);
	if (op == VMM_INSTALL)
		set_word(&p->g, p->g.c.esp + 8, p->cpu);
	return p;
}

void probe_load(struct probe *p)
{
	struct guest *g = &p->g;
	uint32_t gdt = CPU_AT(p->cpu, GDT), idt = vmm_symbol("vmm_idt");
	const uint32_t pointers[] = { (8 * VMM_GDT_ENTRIES - 1) | gdt << 16, gdt >> 16,
				      0x7FF | idt << 16, idt >> 16 };
	uint32_t at = plant(g, pointers, sizeof(pointers)), idtr = at + 8;
	uint8_t code[] = {
		0x0F, 0x01, 0x15, 0, 0, 0, 0,               /* lgdt at */
		0x0F, 0x01, 0x1D, 0, 0, 0, 0,               /* lidt idtr */
		0xB8, SEL_TSS, 0, 0, 0, 0x0F, 0x00, 0xD8,   /* mov $SEL_TSS, %eax; ltr %ax */
		0x31, 0xC0, 0x0F, 0x00, 0xD0,               /* xor %eax, %eax; lldt %ax */
	};
	memcpy(code + 3, &at, 4);
	memcpy(code + 10, &idtr, 4);
	store_tables(p);
	for (unsigned i = 0; i < p->nr_cpus; i++) {
		uint32_t other = KERNEL_BASE + (1 + random_below(1024)) * TASK_STACK_BYTES;
		set_word(g, CPU_AT(i, TSS) + offsetof(struct tss, esp1),
			 i == p->cpu ? p->stack : other);
		set_word(g, CPU_AT(i, NATIVE_TR), SEL_TSS);
	}
	run_here(g, code, sizeof(code));
}

void probe_descend(struct probe *p)
{
	static const uint8_t segments[] = {
		0xB8, SEL_KDATA, 0, 0, 0,                       /* mov $SEL_KDATA, %eax */
		0x8E, 0xD8, 0x8E, 0xC0, 0x8E, 0xE0, 0x8E, 0xE8, /* to DS, ES, FS, GS */
	};
	struct guest *g = &p->g;
	struct cpu_state c = p->entry;
	uint32_t vcpu = word_at(g, CPU_AT(p->cpu, CURRENT));
	uint32_t vcpu_0 = word_at(g, CPU_AT(0, CURRENT));
	set_word(g, vcpu + VCPU_DIRECTORY, word_at(g, vcpu_0 + VCPU_DIRECTORY));
	set_word(g, CPU_AT(p->cpu, HAZARD), 0);
	for (unsigned i = 0; i < p->nr_cpus; i++)
		set_word(g, CPU_AT(i, ATTACHED), 1);
	set_word(g, task_of(&c) + TASK_CPU, p->cpu);
	run_here(g, segments, sizeof(segments));
	go_ring(p, 1, p->back, p->entry.esp + 4);
	c.eax = 0;
	c.eip = p->back;
	c.esp = p->entry.esp + 4;
	set_registers(g, &c);
	look(g, 0);
}

struct probe *probe_start(const struct test *t)
{
	struct probe *p = probe_enter(t, VMM_INSTALL);
	probe_load(p);
	/* mov %cr3, %eax; mov %eax, %cr3: QEMU drops the whole TLB */
	run_here(&p->g, (const uint8_t[]){ 0x0F, 0x20, 0xD8, 0x0F, 0x22, 0xD8 }, 6);
	probe_descend(p);
	for (unsigned i = 0; i < VMM_MAX_CPUS; i++) {
		set_shared_word(&p->g, 4 * SHARED_WORDS * i + VMM_SHARED_VIF, random_word());
		set_shared_word(&p->g, 4 * SHARED_WORDS * i + VMM_SHARED_PENDING, random_word());
	}
	set_shared(p, 0, 0);
	return p;
}
