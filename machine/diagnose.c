/* SPDX-License-Identifier: MIT */
/*
 * Why a check failed, read from the state in which it left the machine: how the run ended, a triple
 * fault with the traps before it, or a hang and its place. It names the exercise, and lines of the
 * student's own files, where it can. Nothing here changes the verdict.
 */
#include "diagnosis.h"
#include "x86.h"

const char *judge_files;
unsigned judge_lab;

/* --- a machine that still runs --- */

/* Follow a chain of frame pointers. Result: how many addresses there are, EIP and all callers. */
static unsigned read_calls(struct machine *m, const struct cpu_state *c,
			   uint32_t addresses[MAX_CALLS])
{
	unsigned n = 1;
	uint32_t ebp = c->ebp, pair[2]; /* the caller's EBP, the return address */
	addresses[0] = c->eip;
	while (c->cpl < 3 && n < MAX_CALLS && ebp >= KERNEL_BASE &&
	       ebp % PAGE_SIZE <= PAGE_SIZE - sizeof(pair)) {
		struct walk w = page_walk(m, c->cr3, ebp);
		if (!w.present || w.machine > m->ram_bytes - sizeof(pair))
			break;
		physical_read(m, w.machine, pair, sizeof(pair));
		if (pair[0] <= ebp)
			break;
		addresses[n++] = pair[1];
		ebp = pair[0];
	}
	return n;
}

/* A lower limit of the instructions that the log has cost: a byte, and a line that scrolls. */
static uint64_t cost_of_printing(const struct machine *m)
{
	enum { A_BYTE = 200, A_LINE = 3000 };
	uint64_t lines = 0;
	for (const char *s = m->log; (s = strchr(s, '\n')); s++)
		lines++;
	return m->log_bytes * A_BYTE + lines * A_LINE;
}

/*
 * Whether printing took much of what the machine was given; sound kernels print some 2 KiB in a
 * check. Machines without a budget are not counted. Result: whether it said so.
 */
static bool print_flood(FILE *f, const struct machine *m)
{
	enum { MUCH = 16 << 10, PART = 4 };
	bool counted = m->instructions > 0;
	if (m->log_bytes < MUCH || (counted && cost_of_printing(m) < m->instructions / PART))
		return false;
	fprintf(f, "%zu KiB were printed and the %s went there", m->log_bytes >> 10,
		counted ? "instruction budget" : "time");
	return true;
}

static void print_first_line(FILE *f, const struct machine *m, const struct cpu_state *cpus,
			     unsigned n)
{
	unsigned halted = 0, deaf = 0;
	for (unsigned i = 0; i < n; i++) {
		halted += cpus[i].halted;
		deaf += cpus[i].halted && !(cpus[i].eflags & EFLAGS_IF);
	}
	if (print_flood(f, m))
		return;
	fprintf(f, "%sthe machine hangs", strstr(m->log, "Cinnabar: ") ? "" : "no boot: ");
	if (n > 0 && halted == n)
		fprintf(f, deaf == n ? ": every CPU is halted with interrupts off" :
			": every CPU is halted and waits for an interrupt");
}

/* Stop the machine and print where each CPU is. */
static void print_hang(FILE *f, struct machine *m)
{
	struct cpu_state cpus[CPUS_MAX];
	machine_stop(m);
	unsigned n = machine_state(m, cpus);
	print_first_line(f, m, cpus, n);
	for (unsigned i = 0; i < n; i++) {
		const struct cpu_state *c = &cpus[i];
		uint32_t addresses[MAX_CALLS];
		const char *halted = c->eflags & EFLAGS_IF ? ", halted" :
							     ", halted with interrupts off";
		fprintf(f, "\ncpu %u, ring %u%s", i, c->cpl, c->halted ? halted : "");
		print_where(f, "    at: ", addresses, read_calls(m, c, addresses));
	}
}

/* --- the diagnosis: written to memory, so that one that gives up leaves what it has --- */

static FILE *out;
static char *text;
static size_t size;

char *diagnosis_so_far(void)
{
	if (!out)
		return NULL;
	fclose(out);
	out = NULL;
	return size > 0 ? text : NULL;
}

static void print_end(FILE *f, const struct machine *m, const struct test *t)
{
	if (m->exit_status == 0 && machine_triple_fault(m))
		print_triple_fault(f, t);
	else if (m->exit_status == 0)
		fprintf(f, "the machine %s, before the check was done", machine_end(m));
	else
		fprintf(f, "the machine ended by itself, with status %d, before the check was "
			"done%s", m->exit_status, m->exit_status == EXIT_OK ?
			" (that of success: which proves nothing)" : "");
}

char *diagnose(const struct test *t)
{
	struct machine *m = machines;
	if (!m)
		return NULL;
	if (m->pid && !m->o.bochs)
		free(qmp_if_there(m, "query-status", NULL)); /* notices an end of this moment */
	machine_pump(m);
	bool hangs = m->o.bochs ? !m->stopped && m->pid : m->late && m->pid;
	if (hangs && m->o.bochs)
		machine_stop(m); /* it may stand in the loop at the end of a run */
	out = open_memstream(&text, &size);
	if (print_last_words(out, m))
		return diagnosis_so_far();
	if (hangs)
		print_hang(out, m);
	else if (!m->pid && !m->o.bochs)
		print_end(out, m, t);
	return diagnosis_so_far();
}
