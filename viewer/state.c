/* SPDX-License-Identifier: MIT */
/* One moment of a machine as JSON: bare numbers, whose meaning decode.js knows. */
#include "viewer.h"
#include "offsets.h"
#include "vmm_abi.h"
#include "x86.h"
#include <string.h>

enum { IDT_VECTORS = 256, SAVED_MAX = 16 };

static json_t *number(uint32_t n)
{
	return json_integer(n);
}

static json_t *pair(uint32_t a, uint32_t b)
{
	return json_pack("[o,o]", number(a), number(b));
}

/* --- the CPU --- */

static json_t *registers(const struct cpu_state *c)
{
	const struct { const char *name; uint32_t value; } all[] = {
		{ "eax", c->eax }, { "ebx", c->ebx }, { "ecx", c->ecx }, { "edx", c->edx },
		{ "esi", c->esi }, { "edi", c->edi }, { "ebp", c->ebp }, { "esp", c->esp },
		{ "eip", c->eip }, { "eflags", c->eflags },
		{ "cr0", c->cr0 }, { "cr2", c->cr2 }, { "cr3", c->cr3 }, { "cr4", c->cr4 },
	};
	json_t *object = json_object();
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		json_object_set_new(object, all[i].name, number(all[i].value));
	return object;
}

static json_t *segments(const struct cpu_state *c)
{
	const struct { const char *name; const struct segment *s; } all[] = {
		{ "cs", &c->cs }, { "ss", &c->ss }, { "ds", &c->ds }, { "es", &c->es },
		{ "fs", &c->fs }, { "gs", &c->gs }, { "tr", &c->tr }, { "ldtr", &c->ldt },
	};
	json_t *object = json_object();
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		json_object_set_new(object, all[i].name, number(all[i].s->selector));
	return object;
}

/* Entries of eight bytes, each as two words; entries that are 0 are left out. */
static json_t *descriptors(const uint32_t *words, size_t n)
{
	json_t *object = json_object();
	char key[24];
	for (size_t i = 0; i < n / 2; i++) {
		if (!words[2 * i] && !words[2 * i + 1])
			continue;
		snprintf(key, sizeof(key), "%zu", i);
		json_object_set_new(object, key, pair(words[2 * i], words[2 * i + 1]));
	}
	return object;
}

static json_t *table(struct machine *m, struct cached *cache, uint32_t cr3, const struct segment *t)
{
	uint32_t words[2 * IDT_VECTORS], bytes = sizeof(words);
	if (t->limit + 1 < bytes)
		bytes = (t->limit + 1) & ~7u;
	virtual_read(m, cr3, t->base, words, bytes);
	return cached(cache, words, bytes / 4, descriptors);
}

static json_t *tss(struct machine *m, const struct cpu_state *c)
{
	struct tss t;
	virtual_read(m, c->cr3, c->tr.base, &t, sizeof(t));
	return json_pack("{s:o,s:i,s:o,s:i,s:o,s:i,s:i}", "base", number(c->tr.base),
			 "ss0", t.ss0, "esp0", number(t.esp0), "ss1", t.ss1, "esp1", number(t.esp1),
			 "link", t.link, "iomap", t.iomap);
}

/* --- kernel and VMM --- */

/* CPU 0's part of the page that kernel and VMM share. */
static json_t *events(struct machine *m)
{
	static const char *const names[] = VMM_EXIT_NAMES;
	struct vmm_shared s;
	json_t *exits = json_object();
	physical_read(m, symbol("vmm_shared") - KERNEL_BASE, &s, sizeof(s));
	for (unsigned i = 0; i < NR_EXITS; i++)
		json_object_set_new(exits, names[i], number(s.exits[i]));
	return json_pack("{s:o,s:o,s:o,s:o}", "vif", number(s.vif), "pending", number(s.pending),
			 "address", number(s.address), "exits", exits);
}

/* The table that `vo` is a copy of; "exchanging" while it equals neither. */
static const char *vo_in_use(struct machine *m)
{
	static const struct { const char *name, *table; } all[] = {
		{ "native", "native_vo" }, { "virtual", "virtual_vo" },
	};
	uint32_t vo[VO_BYTES / 4], table[VO_BYTES / 4];
	physical_read(m, symbol("vo") - KERNEL_BASE, vo, sizeof(vo));
	for (unsigned i = 0; i < 2; i++) {
		physical_read(m, symbol(all[i].table) - KERNEL_BASE, table, sizeof(table));
		if (memcmp(vo, table, sizeof(vo)) == 0)
			return all[i].name;
	}
	return "exchanging";
}

/* Trap frames of the task's interrupted kernel code, which phase translate changes. */
static json_t *trap_frames(struct machine *m, uint32_t cr3, uint32_t task)
{
	/* A frame from the CPU's own ring ends below ESP. */
	uint32_t at, frame[TRAP_FRAME_ESP / 4];
	json_t *array = json_array();
	if (!task)
		return array;
	virtual_read(m, cr3, task + TASK_TRAP_FRAMES, &at, 4);
	for (unsigned n = 0; at && n < SAVED_MAX; at = frame[TRAP_FRAME_OUTER / 4], n++) {
		virtual_read(m, cr3, at, frame, sizeof(frame));
		json_array_append_new(array, json_pack(
			"[o,o,o,o]", number(at), number(frame[TRAP_FRAME_EIP / 4]),
			number(frame[TRAP_FRAME_CS / 4]), number(frame[TRAP_FRAME_EFLAGS / 4])));
	}
	return array;
}

/* --- domains --- */

static uint32_t word_at(struct machine *m, uint32_t cr3, uint32_t address)
{
	uint32_t word;
	virtual_read(m, cr3, address, &word, sizeof(word));
	return word;
}

unsigned domain_now(struct machine *m, uint32_t cr3)
{
	uint32_t vcpu = word_at(m, cr3, vmm_symbol("vmm_cpus") + CPU_CURRENT);
	return (word_at(m, cr3, word_at(m, cr3, vcpu + VCPU_DOMAIN) + DOMAIN_ID) & 0xFF) - 1;
}

json_t *ring_read(struct machine *m, uint32_t cr3, uint32_t back_pages)
{
	enum { WAYS = 4, SLOTS = 64, MESSAGE = 4 };
	uint32_t domain0 = word_at(m, cr3, vmm_symbol("domains") + 4), ways[WAYS], slot[MESSAGE];
	cr3 = word_at(m, cr3, domain0 + DOMAIN_DIRECTORY) << PAGE_SHIFT;
	uint32_t back = word_at(m, cr3, symbol("backs"));
	if (!back)
		return json_null();
	uint32_t page = word_at(m, cr3, back + back_pages);
	virtual_read(m, cr3, page, ways, sizeof(ways));
	virtual_read(m, cr3, page + SLOTS, slot, sizeof(slot));
	return json_pack("{s:[o,o,o,o],s:[o,o,o,o]}", "ways", number(ways[0]), number(ways[1]),
			 number(ways[2]), number(ways[3]), "slot", number(slot[0]),
			 number(slot[1]), number(slot[2]), number(slot[3]));
}

json_t *state_read(struct machine *m, struct caches *caches, const struct cpu_state *c,
		   uint32_t task)
{
	const char *mode = c->gdt.base >= VMM_BASE ? "virtual" : "native";
	return json_pack("{s:i,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}",
			 "ring", c->cpl, "mode", mode, "vo", vo_in_use(m),
			 "regs", registers(c), "segments", segments(c),
			 "gdtr", pair(c->gdt.base, c->gdt.limit),
			 "gdt", table(m, &caches->gdt, c->cr3, &c->gdt),
			 "idtr", pair(c->idt.base, c->idt.limit),
			 "idt", table(m, &caches->idt, c->cr3, &c->idt),
			 "tss", tss(m, c), "events", events(m),
			 "saved", trap_frames(m, c->cr3, task),
			 "map", space_map(m, &caches->map, c->cr3),
			 "frames", space_frames(m, &caches->frames, c->cr3));
}
