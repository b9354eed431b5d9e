/* SPDX-License-Identifier: MIT */
/*
 * Code outside of the kernel's and the VMM's text: in data, on a stack, in a page; and code within
 * the student's instructions (within.c). The look at a submission's objects (grader/instructions.c)
 * does not see it, so it could hold any instruction. QEMU writes each block that it translates
 * there to its log of resets: a block is translated before it is first executed. That costs next to
 * nothing while there is none.
 */
#include "emulators.h"
#include "vmm_abi.h"
#include <stdlib.h>
#include <string.h>

enum { DEVICES = 0xFEC00000 }; /* interrupt controllers and, above, the firmware */

bool machine_strict;
/* What the test has planted: from each address to the next one. */
static uint32_t *planted;
static unsigned nr_planted;

void outside_allow(uint32_t begin, uint32_t end)
{
	planted = realloc(planted, (nr_planted + 2) * sizeof(*planted));
	planted[nr_planted++] = begin, planted[nr_planted++] = end;
}

static bool is_planted(uint32_t address)
{
	for (unsigned i = 0; i < nr_planted; i += 2)
		if (address - planted[i] < planted[i + 1] - planted[i])
			return true;
	return false;
}

void outside_arguments(struct arguments *a)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	fprintf(f, "%#x..%#x,%#x..%#x", symbol("text_end"), VMM_BASE - 1,
		vmm_symbol("vmm_text_end"), (uint32_t)DEVICES - 1);
	within_filter(f);
	fclose(f);
	arg(a, "-dfilter"), arg(a, "%s", text);
	free(text);
}

static bool is_outside(uint32_t address)
{
	uint32_t end = address < VMM_BASE ? symbol("text_end") : vmm_symbol("vmm_text_end");
	return address >= end && !is_planted(address);
}

static void check_block(uint32_t address)
{
	if (is_outside(address))
		give_up(FAILED, "code outside of all functions was executed, at %#x: no exercise "
			"needs such code, and no look at the functions sees what it does", address);
	if (within_instruction(address))
		give_up(FAILED, "code within an instruction was executed, at %#x: no exercise "
			"needs such code, and no look at the functions sees what it does", address);
}

/* Of each block the first line says where it begins. */
static void check_machine(const struct machine *m)
{
	char line[300] = "";
	bool first = false;
	FILE *f = fopen(machine_path(m, "resets"), "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (first)
			check_block((uint32_t)strtoul(line, NULL, 16));
		first = strncmp(line, "IN:", 3) == 0;
	}
	if (f)
		fclose(f);
}

void outside_check(void)
{
	for (const struct machine *m = machines; machine_strict && m; m = m->next)
		if (!m->o.bochs)
			check_machine(m);
}
