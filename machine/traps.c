/* SPDX-License-Identifier: MIT */
/*
 * Exceptions in words. After a triple fault the test runs once more, with QEMU's log of traps: the
 * machine itself can report nothing.
 */
#include "diagnosis.h"
#include "x86.h"
#include <signal.h>

enum { MAX_TRAPS = 5, TRACE_SECONDS = 60 };

const char *trap_name(unsigned vector)
{
	static const char *const names[] = {
		"#DE divide error", "#DB debug", "NMI", "#BP breakpoint", "#OF overflow",
		"#BR bounds", "#UD invalid opcode", "#NM no FPU", "#DF double fault",
		"exception 9", "#TS invalid TSS", "#NP segment not present", "#SS stack fault",
		"#GP general protection", "#PF page fault", "exception 15", "#MF x87 error",
		"#AC alignment check", "#MC machine check", "#XM SIMD error",
	};
	return vector < sizeof(names) / sizeof(names[0]) ? names[vector] : "interrupt";
}

/* The error code of #TS, #NP, #SS and #GP names a selector or a gate (SDM vol. 3, 6.13). */
static void print_selector(FILE *f, unsigned error)
{
	enum { IDT = 2, LDT = 4 };
	if (error & IDT)
		fprintf(f, " (the gate of vector %u)", error >> 3);
	else if (error)
		fprintf(f, " (selector %#x, of the %s)", error & ~7u, error & LDT ? "LDT" : "GDT");
}

void print_trap(FILE *f, unsigned vector, unsigned error, uint32_t address)
{
	static const char *const accesses[] = { "a read of", "a write to" };
	enum { PRESENT = 1, WRITE = 2, FROM_RING_3 = 4 }; /* SDM vol. 3, 4.7 */
	bool write = error & WRITE;
	fprintf(f, "%s, error code %#x", trap_name(vector), error);
	if (vector == VEC_PF)
		fprintf(f, " (%s address %#x, %s%s)", accesses[write], address,
			error & FROM_RING_3 ? "from ring 3, " : "",
			!(error & PRESENT) ? "where nothing is mapped" :
			write ? "which the page tables do not allow" : "which is not this ring's");
	else if (vector >= VEC_TS && vector <= VEC_GP)
		print_selector(f, error);
}

/* --- a triple fault --- */

struct trap { unsigned vector, error, cpl, times; uint32_t pc, cr2; };
struct traps { struct trap last[MAX_TRAPS]; unsigned n; }; /* number n - 1 is the latest */

static struct trap *trap(struct traps *all, unsigned i) { return &all->last[i % MAX_TRAPS]; }

/* QEMU's "     3: v=0e e=0002 i=0 cpl=0 IP=0008:c0101234 pc=c0101234 SP=... CR2=fc000000" */
static bool parse_trap(const char *line, struct trap *t)
{
	const char *v = strstr(line, ": v="), *pc = strstr(line, " pc=");
	const char *cr2 = strstr(line, " CR2=");
	*t = (struct trap){ 0 };
	if (!v || !pc || sscanf(v, ": v=%x e=%x i=%*u cpl=%u", &t->vector, &t->error, &t->cpl) != 3)
		return false;
	t->times = 1;
	sscanf(pc, " pc=%x", &t->pc);
	if (cr2)
		sscanf(cr2, " CR2=%x", &t->cr2);
	return true;
}

static bool same_trap(const struct trap *a, const struct trap *b)
{
	return a->vector == b->vector && a->error == b->error && a->pc == b->pc;
}

/* Read the log up to the triple fault. A trap that comes again and again is one. */
static void read_traps(const char *path, struct traps *all)
{
	struct trap t;
	char line[400];
	FILE *log = fopen(path, "r");
	while (log && fgets(line, sizeof(line), log))
		if (strncmp(line, "Triple fault", 12) == 0)
			break;
		else if (parse_trap(line, &t) && all->n > 0 &&
			 same_trap(trap(all, all->n - 1), &t))
			trap(all, all->n - 1)->times++;
		else if (t.times)
			*trap(all, all->n++) = t;
	if (log)
		fclose(log);
}

static void print_one(FILE *f, const char *label, const struct trap *t)
{
	fprintf(f, "%s", label);
	print_trap(f, t->vector, t->error, t->cr2);
	fprintf(f, ", ring %u", t->cpl);
	if (t->times > 1)
		fprintf(f, ", %u times", t->times);
}

/*
 * The cause is the trap with which the chain began: what came during its delivery interrupted the
 * same instruction.
 */
static void print_traps(FILE *f, struct traps *all)
{
	unsigned oldest = all->n > MAX_TRAPS ? all->n - MAX_TRAPS : 0, first = all->n - 1;
	while (first > oldest && trap(all, first - 1)->pc == trap(all, first)->pc)
		first--;
	print_one(f, "triple fault, which began with ", trap(all, first));
	print_where(f, "at: ", &trap(all, first)->pc, 1);
	for (unsigned i = first + 1; i < all->n; i++)
		print_one(f, "\nthen: ", trap(all, i));
	for (unsigned i = first; i-- > oldest;) {
		print_one(f, "\nbefore that: ", trap(all, i));
		print_where(f, "    at: ", &trap(all, i)->pc, 1);
	}
}

void print_triple_fault(FILE *f, const struct test *t)
{
	static const char untraced[] = "triple fault: the CPU could not even report the last trap";
	struct traps all = { .n = 0 };
	if (machines->o.cpus > 1 || machines->o.bochs || machines->next || machine_traced) {
		fputs(untraced, f);
		return;
	}
	const char *dir = work_path("traced");
	shell_must(5, "mkdir '%s'", dir);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		machine_traced = true;
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		judge_alone(t, dir);
	}
	if (process_wait(pid, TRACE_SECONDS) < 0)
		process_kill(pid);
	read_traps(work_path("traced/traps"), &all);
	if (all.n > 0)
		print_traps(f, &all);
	else
		fputs(untraced, f);
}
