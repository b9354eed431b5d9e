/* SPDX-License-Identifier: MIT */
/*
 * Why a machine ended its run. The kernel and the VMM print that last, and any code can print the
 * same. So a message counts only if the machine's state agrees: the kernel's word `panicking`, the
 * VMM's exit status. An exercise is called empty only if the call of panic() lies in its hole, and
 * the hole holds nothing else.
 */
#include "diagnosis.h"
#include "vmm_abi.h"
#include "x86.h"
#include <ctype.h>

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

/* --- callers in the VMM --- */

/* A directory that maps the VMM: the kernel's own. Result: its machine address; 0: not known. */
static uint32_t kernel_cr3(struct machine *m)
{
	uint32_t p2m = kernel_word(m, "p2m"), mfn = 0;
	uint32_t pfn = (kernel_word(m, "kernel_directory") - KERNEL_BASE) / PAGE_SIZE;
	uint32_t at = p2m - KERNEL_BASE + 4 * pfn;
	if (p2m < KERNEL_BASE || pfn >= m->ram_bytes / PAGE_SIZE || at > m->ram_bytes - 4)
		return 0;
	physical_read(m, at, &mfn, 4);
	return mfn < m->ram_bytes / PAGE_SIZE ? mfn * PAGE_SIZE : 0;
}

static uint32_t begin_of_function(uint32_t address)
{
	char *name = symbol_offset(address), *plus = name ? strrchr(name, '+') : NULL;
	uint32_t begin = plus ? address - (uint32_t)strtoul(plus + 1, NULL, 16) : 0;
	free(name);
	return begin;
}

/* Whether a word on the stack is a return address of a call of the function. */
static bool returns_from(struct machine *m, uint32_t cr3, uint32_t word, uint32_t function)
{
	enum { CALL = 0xE8, CALL_BYTES = 5 };
	uint8_t code[CALL_BYTES];
	uint32_t distance, from = word - CALL_BYTES;
	if (from < VMM_BASE || word < VMM_BASE || !page_walk(m, cr3, from).present ||
	    !page_walk(m, cr3, word).present || !begin_of_function(from))
		return false;
	virtual_read(m, cr3, from, code, sizeof(code));
	memcpy(&distance, code + 1, 4);
	return code[0] == CALL && word + distance == function;
}

/*
 * The VMM's functions have no frame pointers. Their callers are the words on the stack that return
 * from a call of the function before. registers: the line with ESP. Result: how many addresses
 * there are now; the first is known.
 */
static unsigned vmm_callers(struct machine *m, const char *registers,
			    uint32_t addresses[MAX_CALLS])
{
	uint32_t cr3 = kernel_cr3(m), function = begin_of_function(addresses[0]), word, at;
	unsigned n = 1;
	if (!cr3 || sscanf(registers, "esi %*x edi %*x ebp %*x esp %x\neip ", &at) != 1)
		return n;
	for (uint32_t end = (at | (PAGE_SIZE - 1)) - 3; at < end && n < MAX_CALLS; at += 4) {
		if (!page_walk(m, cr3, at).present)
			break;
		virtual_read(m, cr3, at, &word, 4);
		if (returns_from(m, cr3, word, function))
			addresses[n++] = word, function = begin_of_function(word);
	}
	return n;
}

/* The line above that with EIP: of an exception's trace, or after the message; "" if none. */
static const char *registers_before(const char *log, const char *exception, const char *message)
{
	const char *eip = exception ? exception - 1 : strstr(message, "\neip ");
	while (eip && eip > log && eip[-1] != '\n')
		eip--;
	return eip ? eip : "";
}

/* --- which message counts --- */

static const char *last_of(const char *log, const char *words)
{
	const char *last = NULL;
	for (const char *at = log; (at = strstr(at, words)); at++)
		last = at;
	return last;
}

/*
 * The status with which Bochs's CPU has left the VMM: it stands in end_run() for good. The register
 * with the status is used again there, so the last message tells. 0: it is not at its end.
 */
static unsigned bochs_vmm_status(struct machine *m)
{
	const char *failed = last_of(m->log, "vmm: failed: ");
	const char *rule = last_of(m->log, "vmm: the kernel broke a rule: ");
	struct cpu_state cpus[CPUS_MAX];
	unsigned n = m->stopped && (failed || rule) ? machine_state(m, cpus) : 0;
	for (unsigned i = 0; i < n; i++) {
		const char *where = cpus[i].eip >= VMM_BASE ? symbol_offset(cpus[i].eip) : NULL;
		if (where && strncmp(where, "end_run+", 8) == 0)
			return failed > rule ? VMM_FAULT_STATUS : VMM_STOPPED_STATUS;
	}
	return 0;
}

/* The message of the end that the machine's state shows; NULL if it shows none. */
static const char *proved_message(struct machine *m)
{
	unsigned status = m->o.bochs ? bochs_vmm_status(m) :
			  m->pid ? 0 : (unsigned)m->exit_status / 2;
	if (status == VMM_FAULT_STATUS)
		return last_of(m->log, "vmm: failed: ");
	if (status == VMM_STOPPED_STATUS)
		return last_of(m->log, "vmm: the kernel broke a rule: ");
	if (m->o.bochs && !m->stopped)
		return NULL;
	return kernel_word(m, "panicking") ? last_of(m->log, "kernel panic: ") : NULL;
}

/* --- empty exercises --- */

/*
 * A panic whose text is that of an empty exercise, called at an address. The text alone is no
 * proof: any code can pass it.
 */
static bool print_empty(FILE *f, const char *line, uint32_t address)
{
	unsigned lab, exercise;
	if (sscanf(line, "lab %u, exercise %u is empty", &lab, &exercise) != 2)
		return false;
	struct hole h = hole_of(address);
	if (h.exercise == exercise && h.lab == lab)
		fprintf(f, "%s exercise: lab %u, exercise %u", h.empty ? "empty" : "unfinished",
			lab, exercise);
	else if (is_students(address))
		fprintf(f, "a panic of the submission's own, with the text of an empty exercise "
			"that is not the cause");
	else
		fprintf(f, "the machine has come to an exercise of lab %u, which is not part of "
			"this lab", lab);
	if (h.exercise == exercise && !h.empty)
		fprintf(f, ": the handout's panic() is still in it");
	return true;
}

/* --- exceptions --- */

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

/* An exception at an address: in the VMM, in the kernel, or after a jump to nowhere. */
static void print_exception(FILE *f, bool in_program, uint32_t eip, unsigned vector,
			    unsigned error, uint32_t address)
{
	const char *symbol = symbol_offset(eip);
	if (in_program)
		fprintf(f, "the kernel cannot handle a program's fault: ");
	else if (symbol)
		fprintf(f, "fault in the %s at %s: ", eip >= VMM_BASE ? "VMM" : "kernel", symbol);
	else
		fprintf(f, "fault at %#x, which is code of neither kernel nor VMM: ", eip);
	print_trap(f, vector, error, address);
}

static bool print_panic_exception(FILE *f, const char *message, const char *trace)
{
	unsigned vector, error;
	uint32_t eip, address = 0;
	char who[12] = "";
	if (!trace || sscanf(message, "kernel panic: exception %u, error %x, in %11[a-z ]", &vector,
			     &error, who) != 3 ||
	    sscanf(trace, "eip %x cs %*x eflags %*x ds %*x es %*x address %x", &eip, &address) < 1)
		return false;
	print_exception(f, strncmp(who, "a program", 9) == 0, eip, vector, error, address);
	return true;
}

static bool print_vmm_exception(FILE *f, const char *message, uint32_t eip)
{
	unsigned vector, error;
	uint32_t address;
	const char *numbers = strstr(message, ", vector ");
	if (!numbers || sscanf(numbers, ", vector %u, error %x, address %x", &vector, &error,
			       &address) != 3)
		return false;
	if (strncmp(message, "vmm: failed: exception,", 23) != 0)
		fprintf(f, "%.*s: ", (int)(numbers - message), message);
	print_exception(f, false, eip, vector, error, address);
	return true;
}

/* Init must not end. If an exception ended it, that is the cause; the kernel printed it before. */
static bool print_end_of_init(FILE *f, const char *log, const char *message)
{
	enum { BY_EXCEPTION = 0x40, VECTOR = 31 }; /* WSTATUS_FAULT() (abi.h) */
	const char *fault = NULL;
	unsigned status, error = 0;
	uint32_t eip, address = 0;
	if (sscanf(message, "kernel panic: init ended with status %x", &status) != 1 ||
	    (status & ~VECTOR) != BY_EXCEPTION)
		return false;
	for (const char *at = log; (at = strstr(at, "\ninit (1): ")) && at < message; at++)
		fault = at;
	fprintf(f, "init, the first program, is ended by its fault: ");
	if (fault && (fault = strstr(fault, ", error ")) && fault < message &&
	    sscanf(fault, ", error %x) at %x, address %x", &error, &eip, &address) == 3) {
		print_trap(f, status & VECTOR, error, address);
		fprintf(f, ", at its address %#x", eip);
	} else {
		print_trap(f, status & VECTOR, error, address);
	}
	return true;
}

/* --- all of it --- */

bool print_last_words(FILE *f, struct machine *m)
{
	const char *message = proved_message(m);
	uint32_t addresses[MAX_CALLS] = { 0 };
	if (!message)
		return false;
	const char *exception = exception_trace(m->log, message);
	unsigned n = trace_addresses(exception ? exception : message, addresses);
	if (exception && addresses[0] >= judge_planted_on_stack.begin &&
	    addresses[0] < judge_planted_on_stack.end)
		return false;
	if (n > 0 && addresses[0] >= VMM_BASE)
		n = vmm_callers(m, registers_before(m->log, exception, message), addresses);
	/* A back trace of panic() itself begins with a return address: that of its call. */
	if (n > 0 && *message == 'k' && !exception)
		addresses[0]--;
	const char *line = strncmp(message, "vmm: failed: ", 13) == 0 ? message + 13 :
			   message + strcspn(message, ":") + 2; /* after "kernel panic: " */
	if (!print_empty(f, line, addresses[0]) &&
	    !print_panic_exception(f, message, exception) &&
	    !print_vmm_exception(f, message, addresses[0]) &&
	    (is_students(addresses[0]) || !print_end_of_init(f, m->log, message)))
		fprintf(f, "%.*s", (int)strcspn(message, "\n"), message);
	print_where(f, "at: ", addresses, n);
	return true;
}
