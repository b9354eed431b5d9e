/* SPDX-License-Identifier: MIT */
/*
 * Why a check failed, read from the state in which it left the machine: a panic or an empty
 * exercise, the VMM's report, a triple fault with the traps before it, or a hang and its place. It
 * names lines of the student's own files where it can. Nothing here changes the verdict.
 */
#include "judge.h"
#include "x86.h"
#include <ctype.h>
#include <signal.h>

enum { MAX_CALLS = 24, MAX_TRAPS = 5, TRACE_SECONDS = 60 };

/* Whether "function (file:line)" is in one of the student's files. */
static bool students(const char *where)
{
	const char *open = strchr(where, '('), *colon = strrchr(where, ':');
	if (!judge_files || !open || !colon)
		return false;
	size_t n = (size_t)(colon - open - 1);
	for (const char *line = judge_files; *line;) {
		size_t length = strcspn(line, "\n");
		if (length == n && strncmp(line, open + 1, n) == 0)
			return true;
		line += length + (line[length] == '\n');
	}
	return false;
}

/*
 * Print the place of an instruction and its first caller in the student's files.
 * addresses: the instruction's, then the return addresses of the calls that led there.
 */
static void print_where(FILE *f, const char *label, const uint32_t *addresses, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char *where = symbol_where(addresses[i] - (i > 0));
		bool found = students(where);
		if (i == 0)
			fprintf(f, "\n%s%s%s", label, where, found ? ", which is your code" : "");
		else if (found)
			fprintf(f, "\nin your code: %s", where);
		if (found)
			return;
	}
}

/* The address in a line of a back trace, which begins "eip", "  called from" or "  XXXXXXXX ". */
static bool trace_address(const char *line, uint32_t *a)
{
	if (sscanf(line, "eip %8x", a) == 1 || sscanf(line, "  called from %8x", a) == 1)
		return true;
	return strncmp(line, "  ", 2) == 0 && isxdigit((unsigned char)line[2]) &&
	       sscanf(line, "  %8x ", a) == 1;
}

/* Read the back traces that follow in the serial log. Result: how many addresses they have. */
static unsigned trace_addresses(const char *log, uint32_t *addresses)
{
	unsigned n = 0;
	for (const char *line = log; line && n < MAX_CALLS; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (trace_address(line, &addresses[n]))
			n++;
		if (!*line)
			break;
	}
	return n;
}

/* Where the first message of those that end a run begins in the log; NULL if there is none. */
static const char *last_words(const struct machine *m)
{
	static const char *const words[] = {
		"kernel panic: ", "vmm: failed: ", "vmm: the kernel broke a rule: ",
	};
	const char *first = NULL;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const char *at = strstr(m->log, words[i]);
		if (at && (!first || at < first))
			first = at;
	}
	return first;
}

/*
 * The registers and callers of the exception that caused a panic, which stand above its message;
 * NULL if it was no exception.
 */
static const char *exception_trace(const char *log, const char *message)
{
	const char *last = NULL;
	if (strncmp(message, "kernel panic: exception ", 24) == 0)
		for (const char *at = log; (at = strstr(at, "\neip ")) && at < message; at++)
			last = at + 1;
	return last;
}

static void print_message(FILE *f, const char *log, const char *message)
{
	const char *line = message + strcspn(message, ":") + 2; /* after "kernel panic: " */
	const char *exception = exception_trace(log, message);
	uint32_t addresses[MAX_CALLS];
	unsigned lab, exercise;
	int length = (int)strcspn(message, "\n");
	if (strncmp(message, "vmm: failed: ", 13) == 0)
		line = message + 13;
	if (sscanf(line, "lab %u, exercise %u is empty", &lab, &exercise) == 2)
		fprintf(f, "empty exercise: %.*s", (int)strcspn(line, "\n"), line);
	else
		fprintf(f, "%.*s", length, message);
	unsigned n = trace_addresses(exception ? exception : message, addresses);
	/* A back trace of panic() itself begins with a return address: that of its call. */
	if (n > 0 && *message == 'k' && !exception)
		addresses[0]--;
	print_where(f, "at: ", addresses, n);
}

/* --- a triple fault: the test runs once more, with QEMU's log of traps --- */

static const char *trap_name(unsigned vector)
{
	static const char *const names[] = {
		"#DE divide error", "#DB debug", "NMI", "#BP breakpoint", "#OF overflow",
		"#BR bounds", "#UD invalid opcode", "#NM no FPU", "#DF double fault", "",
		"#TS invalid TSS", "#NP segment not present", "#SS stack fault",
		"#GP general protection", "#PF page fault",
	};
	return vector < sizeof(names) / sizeof(names[0]) ? names[vector] : "interrupt";
}

struct trap { unsigned vector, error, cpl; uint32_t pc, cr2; };

/* QEMU's "     3: v=0e e=0002 i=0 cpl=0 IP=0008:c0101234 pc=c0101234 SP=... CR2=fc000000" */
static bool parse_trap(const char *line, struct trap *t)
{
	const char *v = strstr(line, ": v="), *pc = strstr(line, " pc=");
	const char *cr2 = strstr(line, " CR2=");
	*t = (struct trap){ 0 };
	if (!v || !pc || sscanf(v, ": v=%x e=%x i=%*u cpl=%u", &t->vector, &t->error, &t->cpl) != 3)
		return false;
	sscanf(pc, " pc=%x", &t->pc);
	if (cr2)
		sscanf(cr2, " CR2=%x", &t->cr2);
	return true;
}

/* Print the last traps of the log before the triple fault, the latest first. */
static void print_traps(FILE *f, const char *path)
{
	struct trap traps[MAX_TRAPS], t;
	unsigned n = 0;
	char line[400];
	FILE *log = fopen(path, "r");
	while (log && fgets(line, sizeof(line), log))
		if (strncmp(line, "Triple fault", 12) == 0)
			break;
		else if (parse_trap(line, &t))
			traps[n++ % MAX_TRAPS] = t;
	if (log)
		fclose(log);
	unsigned count = n < MAX_TRAPS ? n : MAX_TRAPS;
	for (unsigned i = 0; i < count; i++) {
		t = traps[(n - 1 - i) % MAX_TRAPS];
		fprintf(f, "\n%s: %s, error code %#x, ring %u", i ? "before it" : "last trap",
			trap_name(t.vector), t.error, t.cpl);
		if (t.vector == VEC_PF)
			fprintf(f, ", address %#x", t.cr2);
		print_where(f, "    at ", &t.pc, 1);
	}
}

static void print_triple_fault(FILE *f, const struct test *t)
{
	fprintf(f, "triple fault: the CPU could not even report the last trap");
	if (machines->o.cpus > 1 || machines->o.bochs || machines->next || machine_traced)
		return;
	const char *dir = work_path("traced");
	shell_must(5, "mkdir %s", dir);
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
	print_traps(f, work_path("traced/traps"));
}

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

/* Stop the machine and print where each CPU is. */
static void print_hang(FILE *f, struct machine *m)
{
	struct cpu_state cpus[CPUS_MAX];
	machine_stop(m);
	unsigned n = machine_state(m, cpus);
	bool booted = strstr(m->log, "Cinnabar: ") != NULL;
	fprintf(f, "%sthe machine hangs", booted ? "" : "no boot: ");
	for (unsigned i = 0; i < n; i++) {
		const struct cpu_state *c = &cpus[i];
		uint32_t addresses[MAX_CALLS];
		const char *halted = c->eflags & EFLAGS_IF ? ", halted" :
							     ", halted with interrupts off";
		fprintf(f, "\ncpu %u, ring %u%s", i, c->cpl, c->halted ? halted : "");
		print_where(f, "    at ", addresses, read_calls(m, c, addresses));
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

char *diagnose(const struct test *t)
{
	static const char proves_nothing[] = " (that of success: which proves nothing)";
	struct machine *m = machines;
	if (!m)
		return NULL;
	if (m->pid && !m->o.bochs)
		free(qmp_if_there(m, "query-status", NULL)); /* notices an end of this moment */
	machine_pump(m);
	const char *message = last_words(m);
	if (!message && (m->o.bochs || (!m->late && m->pid)))
		return NULL;
	out = open_memstream(&text, &size);
	if (message)
		print_message(out, m->log, message);
	else if (m->late)
		print_hang(out, m);
	else if (m->exit_status == 0)
		print_triple_fault(out, t);
	else
		fprintf(out, "the machine ended by itself, with status %d, before the check was "
			"done%s", m->exit_status, m->exit_status == EXIT_OK ? proves_nothing : "");
	return diagnosis_so_far();
}
