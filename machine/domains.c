/* SPDX-License-Identifier: MIT */
/*
 * The domains of a machine in virtual mode, judged from outside. D1: the owners' frames add up. D4:
 * a frame has no owner, and a timer no vCPU, that is gone. D5: charged time adds up. V3, V4 and V7
 * for guests: their tables map what is theirs or was lent to them, no table writable, and the
 * counts are right.
 * D2 and D3 (what the next one finds in registers and memory) are for tests of their own.
 */
#include "invariants.h"
#include "domain_abi.h"
#include "offsets.h"

struct entry_words { uint32_t home, generation, use, owner; }; /* owner | next << 8 */

struct view {
	struct machine *m;
	uint32_t cr3, nr;
	struct entry_words *frames;
	uint32_t *count; /* by mfn: writable mappings, references, loads */
	uint32_t owned[256];
};

struct guest_view { unsigned id; uint32_t at, state, owned, vcpus, generation, directory; };

static uint32_t vmm_word(const struct view *v, uint32_t address)
{
	uint32_t word;
	virtual_read(v->m, v->cr3, address, &word, 4);
	return word;
}

static unsigned owner(const struct view *v, uint32_t mfn) { return v->frames[mfn].owner & 0xFF; }
static unsigned type_of(const struct view *v, uint32_t mfn)
{
	return v->frames[mfn].use >> TYPE_SHIFT;
}

static bool is_current(const struct view *v, const struct guest_view *g, uint32_t mfn)
{
	uint32_t generation = v->frames[mfn].generation;
	return generation == g->generation || generation == FOR_EVER;
}

static struct guest_view guest_view(const struct view *v, unsigned id)
{
	uint32_t at = vmm_word(v, vmm_symbol("domains") + id * 4);
	uint32_t guest = at ? vmm_word(v, at + DOMAIN_GUEST) : 0;
	return (struct guest_view){
		.id = id, .at = at,
		.state = at ? vmm_word(v, at + DOMAIN_STATE) & 0xFF : DOMAIN_NONE,
		.vcpus = at ? vmm_word(v, at + DOMAIN_NR_VCPUS) & 0xFF : 0,
		.owned = guest ? vmm_word(v, guest + GUEST_OWNED) : 0,
		.generation = at ? vmm_word(v, at + DOMAIN_GENERATION) : 0,
		.directory = at ? vmm_word(v, at + DOMAIN_DIRECTORY) : 0,
	};
}

/* D1 and D4. */
static void check_owners(const struct view *v)
{
	struct guest_view control = guest_view(v, 1);
	uint32_t all = v->owned[1] + v->owned[VMM_OWNER], states = 0;
	for (unsigned id = 2; id < VMM_OWNER; id++) {
		struct guest_view g = { 0 };
		if (id <= MAX_DOMAINS)
			g = guest_view(v, id);
		CHECK(v->owned[id] == (g.at ? g.owned : 0),
		      "owner %u has %u frames, its domain %u (D1, D4)", id, v->owned[id], g.owned);
		all += v->owned[id];
		states += g.at ? DOMAIN_FRAMES(g.vcpus) : 0;
	}
	CHECK(v->owned[VMM_OWNER] == states, "%u frames hold the state of guests, not %u (D1)",
	      v->owned[VMM_OWNER], states);
	CHECK(all == vmm_word(v, control.at + DOMAIN_NR_PFNS),
	      "all domains own %u frames; domain 0 had %u (D1)", all,
	      vmm_word(v, control.at + DOMAIN_NR_PFNS));
}

/* One entry of a guest's table. */
static void check_entry(const struct view *v, const struct guest_view *g, unsigned type,
			uint32_t table, unsigned i, uint32_t pte)
{
	uint32_t mfn = pte >> PAGE_SHIFT;
	bool lent = mfn < v->nr && type_of(v, mfn) == LENT && v->frames[mfn].owner >> 8 == g->id;
	if (!(pte & PTE_P))
		return;
	CHECK(mfn < v->nr && (owner(v, mfn) == g->id || (type == SHARED && lent)),
	      "domain %u: entry %u of table %#x is %#x, which is not its own (V4)", g->id - 1, i,
	      table, pte);
	CHECK(type == DIRECTORY || lent || !(pte & PTE_W) || type_of(v, mfn) == WRITABLE ||
	      !is_current(v, g, mfn),
	      "domain %u: entry %u of table %#x, %#x, writes a table (V3)", g->id - 1, i, table,
	      pte);
	if (!lent && (type == DIRECTORY || pte & PTE_W))
		v->count[mfn]++;
}

static void check_table(const struct view *v, const struct guest_view *g, unsigned type,
			uint32_t mfn)
{
	uint32_t entries[1024];
	physical_read(v->m, mfn << PAGE_SHIFT, entries, sizeof(entries));
	for (unsigned i = 0; i < (type == DIRECTORY ? KERNEL_SLOT : 1024); i++)
		check_entry(v, g, type, mfn, i, entries[i]);
}

static void check_guest(const struct view *v, const struct guest_view *g)
{
	memset(v->count, 0, v->nr * sizeof(*v->count));
	for (unsigned slot = KERNEL_SLOT; slot < VMM_SLOT; slot++) {
		uint32_t pde = vmm_word(v, g->at + DOMAIN_KERNEL_PDES + (slot - KERNEL_SLOT) * 4);
		if (pde & PTE_P)
			check_table(v, g, SHARED, pde >> PAGE_SHIFT);
	}
	for (uint32_t mfn = 0; mfn < v->nr; mfn++)
		if (owner(v, mfn) == g->id && is_current(v, g, mfn) &&
		    (type_of(v, mfn) == TABLE || type_of(v, mfn) == DIRECTORY))
			check_table(v, g, type_of(v, mfn), mfn);
	for (unsigned i = 0; i < g->vcpus; i++)
		v->count[vmm_word(v, g->at + DOMAIN_VCPUS + i * VCPU_BYTES + VCPU_DIRECTORY)]++;
	v->count[vmm_word(v, g->at + DOMAIN_SHARED)]++; /* the VMM writes there */
	for (uint32_t mfn = 0; mfn < v->nr; mfn++) {
		uint32_t count = v->frames[mfn].use & COUNT_MASK;
		CHECK(owner(v, mfn) != g->id || !is_current(v, g, mfn) ||
		      (type_of(v, mfn) == SHARED && mfn != g->directory) || count == v->count[mfn],
		      "domain %u: frame %#x of type %u has count %u, but there are %u (V7)",
		      g->id - 1, mfn, type_of(v, mfn), count, v->count[mfn]);
	}
}

static uint64_t cpu_ns(const struct view *v, unsigned cpu, unsigned field)
{
	uint64_t ns;
	virtual_read(v->m, v->cr3, vmm_symbol("vmm_cpus") + cpu * CPU_BYTES + field, &ns, 8);
	return ns;
}

/* Whether a vCPU is one of a domain that lives. */
static bool lives(const struct view *v, uint32_t at)
{
	for (unsigned id = 1; id <= MAX_DOMAINS; id++) {
		struct guest_view g = guest_view(v, id);
		uint32_t offset = at - (g.at + DOMAIN_VCPUS);
		if (g.at && g.state < DOMAIN_DYING && offset / VCPU_BYTES < g.vcpus)
			return offset % VCPU_BYTES == 0;
	}
	return false;
}

/* How long the vCPUs of a processor have run. */
static uint64_t ran_here(const struct view *v, unsigned cpu)
{
	uint64_t all = 0, ns;
	for (unsigned id = 1; id <= MAX_DOMAINS; id++) {
		struct guest_view g = guest_view(v, id);
		for (unsigned i = 0; g.at && i < g.vcpus; i++) {
			uint32_t at = g.at + DOMAIN_VCPUS + i * VCPU_BYTES;
			virtual_read(v->m, v->cr3, at + VCPU_RAN, &ns, sizeof(ns));
			all += (vmm_word(v, at + VCPU_CPU) & 0xFF) == cpu ? ns : 0;
		}
	}
	return all;
}

/* D4 and D5 of each CPU that does not hold its queue_lock: with it the CPU changes its account. */
static void check_time(const struct view *v, unsigned cpus)
{
	for (unsigned i = 0; i < cpus; i++) {
		uint32_t cpu = vmm_symbol("vmm_cpus") + i * CPU_BYTES;
		if (vmm_word(v, cpu + CPU_QUEUE_LOCK))
			continue;
		for (uint32_t at = vmm_word(v, cpu + CPU_TIMERS); at;
		     at = vmm_word(v, at + VCPU_TIMER_NEXT))
			CHECK(lives(v, at), "CPU %u: the timer of a dead vCPU, %#x (D4)", i, at);
		uint64_t hosted = cpu_ns(v, i, CPU_SINCE) - cpu_ns(v, i, CPU_BEGAN);
		uint64_t charged = cpu_ns(v, i, CPU_ENDED) + ran_here(v, i);
		CHECK(hosted == charged + cpu_ns(v, i, CPU_IDLED),
		      "CPU %u: %llu ns passed, %llu are charged (D5)", i,
		      (unsigned long long)hosted, (unsigned long long)charged);
	}
}

void check_domains(struct machine *m)
{
	struct cpu_state cpus[CPUS_MAX];
	unsigned n = machine_state(m, cpus);
	struct view v = { .m = m, .cr3 = cpus[0].cr3,
			  .nr = frame_table_entries(m, cpus[0].cr3) };
	_Static_assert(sizeof(*v.frames) == FRAME_ENTRY_BYTES, "the VMM's struct frame_entry");
	_Static_assert(FRAME_ENTRY_OWNER == 12, "its last word");
	v.frames = malloc(v.nr * sizeof(*v.frames));
	v.count = malloc(ALL_FRAMES * sizeof(*v.count));
	virtual_read(m, v.cr3, vmm_word(&v, vmm_symbol("frames")), v.frames,
		     v.nr * sizeof(*v.frames));
	for (uint32_t mfn = 0; mfn < v.nr; mfn++)
		v.owned[owner(&v, mfn)]++;
	check_owners(&v);
	for (unsigned id = 2; id <= MAX_DOMAINS; id++) {
		struct guest_view g = guest_view(&v, id);
		if (g.state == DOMAIN_PAUSED || g.state == DOMAIN_RUNS)
			check_guest(&v, &g);
	}
	check_time(&v, n);
	free(v.frames), free(v.count);
}
