/* SPDX-License-Identifier: MIT */
/*
 * Rule 51: what belongs to a vCPU, read from outside by its owner rule (vmm/sched/exchange.h): from
 * the processor while it is the owner, else from the copy. Three guests give all registers other
 * values in each round, and yield. The machine is stopped at random hypercalls; the images of all
 * guests are noted by round. EXIT=delayed and EXIT=eager must give the same image for the same
 * round. In the debug build the copy is poisoned while the processor is the owner.
 */
#include "isolation_guests.h"
#include "offsets.h"
#include <unistd.h>

enum { GUESTS = 3, ROUNDS = 64, STOPS = 150, LEAST = 30, SECONDS = 20 };
enum { XMM = 160, ST = 32, POISON = 0xBD };

struct image {
	uint32_t general[7], eip, cs, ss, flags, ds, es, fs, gs, traps;
	uint32_t fpu[8]; /* ST0's fraction, XMM0, one word of XMM7 */
};
struct note { bool there; struct image image; };
static struct note notes[2][GUESTS][ROUNDS]; /* delayed, eager */
static unsigned poisoned[2];                 /* copies of registers, of FPUs */

static uint32_t vmm_word(struct victim *v, uint32_t address)
{
	uint32_t word;
	virtual_read(v->m, v->start.cr3, address, &word, 4);
	return word;
}

static void copy_of_fpu(struct victim *v, uint32_t vcpu, uint32_t fpu[8])
{
	virtual_read(v->m, v->start.cr3, vcpu + VCPU_FPU + ST, fpu, 8);
	virtual_read(v->m, v->start.cr3, vcpu + VCPU_FPU + XMM, fpu + 2, 16);
	virtual_read(v->m, v->start.cr3, vcpu + VCPU_FPU + XMM + 7 * 16 + 4, fpu + 6, 4);
}

/* What QEMU says of the FPU. FNINIT and one load: ST0 is the physical register 7. */
static void processor_fpu(struct victim *v, uint32_t fpu[8])
{
	char *text = qmp_human(v->m, "info registers"), *st = strstr(text, "FPR7=");
	char *xmm0 = strstr(text, "XMM00="), *xmm7 = strstr(text, "XMM07=");
	unsigned long long fraction, high, low;
	CHECK(st && xmm0 && xmm7, "QEMU does not show the FPU:\n%s", text);
	sscanf(st, "FPR7=%llx", &fraction);
	sscanf(xmm0, "XMM00=%16llx%16llx", &high, &low);
	memcpy(fpu, &fraction, 8), memcpy(fpu + 2, &low, 8), memcpy(fpu + 4, &high, 8);
	sscanf(xmm7, "XMM07=%16llx%16llx", &high, &low);
	fpu[6] = (uint32_t)(low >> 32);
	free(text);
}

/* The registers of the vCPU that has just entered the VMM. */
static struct image in_processor(struct victim *v, const struct cpu_state *c)
{
	uint32_t frame[5]; /* what the CPU pushed */
	virtual_read(v->m, c->cr3, c->esp, frame, sizeof(frame));
	return (struct image){
		.general = { c->ebx, c->ecx, c->edx, c->esi, c->edi, c->ebp, frame[3] },
		.eip = frame[0], .cs = frame[1], .flags = frame[2], .ss = frame[4],
		.ds = c->ds.selector, .es = c->es.selector, .fs = c->fs.selector,
		.gs = c->gs.selector, .traps = (c->cr0 & CR0_TS) != 0,
	};
}

static struct image in_copy(struct victim *v, uint32_t vcpu)
{
	uint32_t r[REGS_BYTES / 4];
	virtual_read(v->m, v->start.cr3, vcpu + VCPU_REGS, r, sizeof(r));
	return (struct image){
		.general = { r[REGS_EBX / 4], r[REGS_ECX / 4], r[REGS_EDX / 4], r[REGS_ESI / 4],
			     r[REGS_EDI / 4], r[REGS_EBP / 4], r[REGS_ESP / 4] },
		.eip = r[REGS_EIP / 4], .cs = r[REGS_CS / 4], .flags = r[REGS_EFLAGS / 4],
		.ss = r[REGS_SS / 4], .ds = r[REGS_DS / 4], .es = r[REGS_ES / 4],
		.fs = vmm_word(v, vcpu + VCPU_FS), .gs = vmm_word(v, vcpu + VCPU_GS),
		.traps = vmm_word(v, vcpu + VCPU_FPU_TRAPS) & 1,
	};
}

static void check_poison(struct victim *v, uint32_t at, unsigned bytes, unsigned kind)
{
	uint8_t copy[512];
	virtual_read(v->m, v->start.cr3, at, copy, bytes);
	for (unsigned i = 0; i < bytes; i++)
		CHECK(copy[i] == POISON, "byte %u of a copy whose owner is live is %#x", i,
		      copy[i]);
	poisoned[kind]++;
}

/* Note what belongs to a guest now, if it is at its yield. */
static void note(struct victim *v, const struct guest_plan *g, const struct cpu_state *c,
		 struct note notes_of[ROUNDS], bool debug)
{
	uint32_t cpu = vmm_symbol("vmm_cpus") + v->cpu * CPU_BYTES;
	uint32_t vcpu = vmm_word(v, vmm_symbol("domains") + (g->number + 1) * 4) + DOMAIN_VCPUS;
	uint32_t round = guest_word(v, g, GUEST_DATA, 0);
	bool here = vmm_word(v, cpu + CPU_CURRENT) == vcpu;
	bool has_fpu = vmm_word(v, cpu + CPU_FPU_OWNER) == vcpu;
	struct image image = here ? in_processor(v, c) : in_copy(v, vcpu);
	if (debug && here)
		check_poison(v, vcpu + VCPU_REGS, REGS_BYTES, 0);
	if (debug && has_fpu)
		check_poison(v, vcpu + VCPU_FPU, 512, 1);
	if (round == 0 || round >= ROUNDS ||
	    image.eip != KERNEL_BASE + attack_symbol("attack_guest_evolved"))
		return;
	if (guest_word(v, g, GUEST_DATA, 12))
		has_fpu ? processor_fpu(v, image.fpu) : copy_of_fpu(v, vcpu, image.fpu);
	struct note *n = &notes_of[round];
	CHECK(!n->there || memcmp(&n->image, &image, sizeof(image)) == 0,
	      "the image of guest %u changed in round %u", g->number, round);
	*n = (struct note){ true, image };
}

static void take_notes(struct victim *v, struct note notes_of[GUESTS][ROUNDS], bool debug)
{
	struct guest_plan g[GUESTS];
	struct cpu_state c[CPUS_MAX];
	uint32_t entry = vmm_symbol("hypercall_entry");
	/* Domain 0 runs before all others until it yields: so the guests' first rounds are seen. */
	int64_t first = -1000000000000;
	uint32_t turn = vmm_word(v, vmm_symbol("domains") + 4) + DOMAIN_VCPUS + VCPU_TURN;
	physical_write(v->m, page_walk(v->m, v->start.cr3, turn + TURN_KEY).machine, &first,
		       sizeof(first));
	for (unsigned i = 0; i < GUESTS; i++) {
		g[i] = (struct guest_plan){ .first = 16 + i * 16, .vcpus = 1,
					    .label = "guest_evolves" };
		guest_make(v, &g[i]);
		guest_set_word(v, &g[i], GUEST_DATA, 8, 0x01234567u * (2 * i + 1));
		guest_set_word(v, &g[i], GUEST_DATA, 12, i != 1);
	}
	for (unsigned i = 0; i < GUESTS; i++)
		guest_run(v, &g[i], true);
	debug_set_register(v->m, GDB_EAX, HC_YIELD);
	debug_set_register(v->m, GDB_ESP, pool_address(v, STACK_PAGE) + PAGE_SIZE / 2);
	debug_set_register(v->m, GDB_EIP, place(v, "yields", false));
	debug_break(v->m, entry, true);
	for (unsigned stop = 0; stop < STOPS; gdb_step(v->m)) {
		CHECK(debug_run(v->m, SECONDS), "nobody calls the VMM any more");
		machine_state(v->m, c);
		CHECK(c[v->cpu].eip == entry, "stopped at %#x", c[v->cpu].eip);
		if (rand() % 3)
			continue;
		for (unsigned i = 0; i < GUESTS; i++)
			note(v, &g[i], &c[v->cpu], notes_of[i], debug);
		stop++;
	}
	debug_break(v->m, entry, false);
	CHECK(debug_run(v->m, SECONDS), "domain 0 yields for ever");
	for (unsigned i = 0; i < GUESTS; i++)
		guest_end(v, &g[i]);
}

static unsigned compare(void)
{
	unsigned both = 0;
	for (unsigned i = 0; i < GUESTS; i++)
		for (unsigned round = 0; round < ROUNDS; round++) {
			const struct note *a = &notes[0][i][round], *b = &notes[1][i][round];
			if (!a->there || !b->there)
				continue;
			const uint32_t *x = (const uint32_t *)&a->image;
			const uint32_t *y = (const uint32_t *)&b->image;
			for (unsigned k = 0; k < sizeof(a->image) / 4; k++)
				CHECK(x[k] == y[k], "guest %u, round %u, word %u of its image: "
				      "delayed %#x, eager %#x", i, round, k, x[k], y[k]);
			both++;
		}
	return both;
}

/* number: 0: delayed beside eager; 1: the debug build, for its poison. */
void images(const struct test *t)
{
	srand(1);
	if (t->number)
		use_debug_build();
	struct victim *v = victim_start(&t->machine);
	take_notes(v, notes[0], t->number);
	victim_end(v);
	if (t->number) {
		CHECK(poisoned[0] > GUESTS && poisoned[1] > GUESTS,
		      "%u copies of registers and %u of FPUs were poisoned", poisoned[0],
		      poisoned[1]);
		return;
	}
	use_eager_build();
	srand(2);
	v = victim_start(&t->machine);
	take_notes(v, notes[1], false);
	victim_end(v);
	unsigned both = compare();
	CHECK(both >= LEAST, "only %u images can be compared", both);
}
