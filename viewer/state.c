/* SPDX-License-Identifier: MIT */
/* One moment of a machine as JSON: numbers as they are; what they mean is the viewer's affair. */
#include "trace.h"
#include "vmm_abi.h"
#include "x86.h"
#include <string.h>

enum { IDT_VECTORS = 256, VO_WORDS = 33 /* operations of struct vo */, SAVED_MAX = 16 };

static json_t *registers(const struct cpu_state *c)
{
	const struct { const char *name; uint32_t value; } all[] = {
		{ "eax", c->eax }, { "ebx", c->ebx }, { "ecx", c->ecx }, { "edx", c->edx }, { "esi", c->esi }, { "edi", c->edi },
		{ "ebp", c->ebp }, { "esp", c->esp }, { "eip", c->eip }, { "eflags", c->eflags }, { "cr0", c->cr0 },
		{ "cr2", c->cr2 }, { "cr3", c->cr3 }, { "cr4", c->cr4 },
	};
	json_t *object = json_object();
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		json_object_set_new(object, all[i].name, json_integer(all[i].value));
	return object;
}

static json_t *segments(const struct cpu_state *c)
{
	const struct { const char *name; const struct segment *s; } all[] = {
		{ "cs", &c->cs }, { "ss", &c->ss }, { "ds", &c->ds }, { "es", &c->es }, { "fs", &c->fs }, { "gs", &c->gs },
		{ "tr", &c->tr }, { "ldtr", &c->ldt },
	};
	json_t *object = json_object();
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		json_object_set_new(object, all[i].name, json_integer(all[i].s->selector));
	return object;
}

/* Eight bytes each, as two words; entries that are 0 are left out. */
static json_t *descriptors(const uint32_t *words, size_t n)
{
	json_t *object = json_object();
	char key[24];
	for (size_t i = 0; i < n / 2; i++) {
		if (!words[2 * i] && !words[2 * i + 1])
			continue;
		snprintf(key, sizeof(key), "%zu", i);
		json_object_set_new(object, key, json_pack("[I,I]", (json_int_t)words[2 * i], (json_int_t)words[2 * i + 1]));
	}
	return object;
}

static json_t *table(struct machine *m, struct cached *cache, uint32_t cr3, const struct segment *t)
{
	uint32_t words[2 * IDT_VECTORS], bytes = t->limit + 1 < sizeof(words) ? (t->limit + 1) & ~7u : sizeof(words);
	virtual_read(m, cr3, t->base, words, bytes);
	return cached(cache, words, bytes / 4, descriptors);
}

static json_t *pointer(const struct segment *t)
{
	return json_pack("[I,I]", (json_int_t)t->base, (json_int_t)t->limit);
}

static json_t *tss(struct machine *m, const struct cpu_state *c)
{
	struct tss t;
	virtual_read(m, c->cr3, c->tr.base, &t, sizeof(t));
	return json_pack("{s:I,s:i,s:I,s:i,s:I,s:i,s:i}", "base", (json_int_t)c->tr.base, "ss0", t.ss0,
			 "esp0", (json_int_t)t.esp0, "ss1", t.ss1, "esp1", (json_int_t)t.esp1, "link", t.link, "iomap", t.iomap);
}

/* The page that kernel and VMM share, as far as it is CPU 0's. */
static json_t *events(struct machine *m)
{
	static const char *const names[] = VMM_EXIT_NAMES;
	struct vmm_shared s;
	json_t *exits = json_object();
	physical_read(m, symbol("vmm_shared") - KERNEL_BASE, &s, sizeof(s));
	for (unsigned i = 0; i < NR_EXITS; i++)
		json_object_set_new(exits, names[i], json_integer(s.exits[i]));
	return json_pack("{s:I,s:I,s:I,s:o}", "vif", (json_int_t)s.vif, "pending", (json_int_t)s.pending, "address",
			 (json_int_t)s.address, "exits", exits);
}

/* Which table `vo` is a copy of; "exchanging" while it is neither. */
static const char *vo_in_use(struct machine *m)
{
	static const char *const names[] = { "native", "virtual" }, *const tables[] = { "native_vo", "virtual_vo" };
	uint32_t now[VO_WORDS], table[VO_WORDS];
	physical_read(m, symbol("vo") - KERNEL_BASE, now, sizeof(now));
	for (unsigned i = 0; i < 2; i++) {
		physical_read(m, symbol(tables[i]) - KERNEL_BASE, table, sizeof(table));
		if (memcmp(now, table, sizeof(now)) == 0)
			return names[i];
	}
	return "exchanging";
}

/* Frames of interrupted kernel code, from the task's chain: what `translate` fixes up (struct trap_frame, struct task). */
static json_t *saved_frames(struct machine *m, uint32_t cr3, uint32_t task)
{
	enum { TASK_FRAMES = 2, OUTER = 7, EIP = 14, CS = 15, EFLAGS = 16, WORDS = 17 };
	uint32_t at, frame[WORDS];
	json_t *array = json_array();
	if (!task)
		return array;
	virtual_read(m, cr3, task + 4 * TASK_FRAMES, &at, 4);
	for (unsigned n = 0; at && n < SAVED_MAX; at = frame[OUTER], n++) {
		virtual_read(m, cr3, at, frame, sizeof(frame));
		json_array_append_new(array, json_pack("[I,I,I,I]", (json_int_t)at, (json_int_t)frame[EIP], (json_int_t)frame[CS],
						       (json_int_t)frame[EFLAGS]));
	}
	return array;
}

json_t *state_read(struct machine *m, struct caches *caches, const struct cpu_state *c, uint32_t task)
{
	const char *mode = c->gdt.base >= VMM_BASE ? "virtual" : "native";
	return json_pack("{s:i,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}",
			 "ring", c->cpl, "mode", mode, "vo", vo_in_use(m), "regs", registers(c), "segments", segments(c),
			 "gdtr", pointer(&c->gdt), "gdt", table(m, &caches->gdt, c->cr3, &c->gdt),
			 "idtr", pointer(&c->idt), "idt", table(m, &caches->idt, c->cr3, &c->idt),
			 "tss", tss(m, c), "events", events(m), "saved", saved_frames(m, c->cr3, task),
			 "map", space_map(m, &caches->map, c->cr3), "frames", space_frames(m, &caches->frames, c->cr3));
}
