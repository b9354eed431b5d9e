/* SPDX-License-Identifier: MIT */
/* A fault of the judged code, told where it happens: while one CPU creeps (creep.h). */
#include "creep.h"

/* The vector whose gate leads to where the CPU is. */
static unsigned vector_here(struct guest *g)
{
	look(g, g->cpu);
	for (unsigned v = 0; v < VEC_EXCEPTIONS; v++) {
		uint32_t low = word_at(g, g->c.idt.base + 8 * v);
		uint32_t high = word_at(g, g->c.idt.base + 8 * v + 4);
		if ((low & 0xFFFF) + (high & 0xFFFF0000) == g->c.eip)
			return v;
	}
	return VEC_EXCEPTIONS;
}

/* A sentence more about a fault, if the instruction tells it. */
static const char *about(struct guest *g, uint32_t eip, uint32_t error)
{
	static const uint8_t ltr[] = { 0x0F, 0x00 };
	static char text[200];
	uint8_t code[3];
	virtual_read(g->m, g->c.cr3, eip, code, sizeof(code));
	if (memcmp(code, ltr, sizeof(ltr)) != 0 || (code[2] >> 3 & 7) != 3)
		return "";
	uint32_t high = word_at(g, g->c.gdt.base + (error & 0xFFF8) + 4);
	snprintf(text, sizeof(text),
		 ": LTR of selector %#x, whose descriptor in the loaded GDT, at %#x, has type %#x: "
		 "%s (SDM vol. 3, 8.2.2)", error & 0xFFF8, g->c.gdt.base,
		 high >> 8 & 15, (high >> 8 & 15) == 11 ? "the TSS is still marked busy" :
		 "no available TSS");
	return text;
}

void want_no_exception(struct guest *g, uint32_t eip, uint32_t esp)
{
	static const char *const names[] = {
		[VEC_UD] = "#UD", [VEC_GP] = "#GP", [VEC_PF] = "#PF", [10] = "#TS", [11] = "#NP",
		[12] = "#SS", [0] = "#DE",
	};
	bool code = g->c.esp == esp - 16;
	if (!code && g->c.esp != esp - 12)
		return;
	if (word_at(g, g->c.esp + (code ? 4 : 0)) != eip ||
	    (word_at(g, g->c.esp + (code ? 8 : 4)) & 0xFFF8) != SEL_KCODE)
		return;
	uint32_t error = code ? word_at(g, g->c.esp) : 0;
	unsigned vector = vector_here(g);
	give_up(FAILED, "fault in %s: %s(%#x), exception %u, at %s, instruction %#x%s",
		eip >= VMM_BASE ? "the VMM" : "the kernel",
		vector < LENGTH(names) && names[vector] ? names[vector] : "", error, vector,
		symbol_place(eip), eip, about(g, eip, error));
}
