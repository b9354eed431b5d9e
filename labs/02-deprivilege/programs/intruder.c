/* SPDX-License-Identifier: MIT */
/*
 * intruder: a program that tries one thing after the other that a program may not do: raise each
 * vector by INT (with the number of a hypercall in EAX that would end the machine), use ports, turn
 * interrupts off, load the segments of VMM and kernel, jump into the VMM, read its memory. Each
 * attempt must end with an exception. The program's own handler catches it and goes on.
 */
#include "layout.h"
#include "user.h"

#define EFLAGS_IOPL 0x3000
enum { HC_SHUTDOWN = 7, PORT_OF_DEBUG_EXIT = 0xF4, GP = 13, PF = 14, NOTHING = 0xFF, MAX = 512 };

static uint8_t code[32]; /* the attempt, then RET */
static uint32_t length;
static struct record { uint32_t vector, error; } records[MAX]; /* how each attempt ended */
static uint32_t attempts, successes;

static void handler(struct fault_context *c)
{
	records[attempts] = (struct record){ c->vector, c->error };
	c->eip = (uint32_t)&code[length];
}

/* bytes: the attempt's code; eax, ebx, edx: before it. */
static void attempt(const char *what, uint32_t number, const void *bytes, uint32_t n, uint32_t eax,
		    uint32_t ebx, uint32_t edx)
{
	struct record *r = &records[attempts];
	memcpy(code, bytes, n);
	code[n] = 0xC3;
	length = n;
	r->vector = NOTHING;
	__asm__ volatile("call *%3" : "+a"(eax), "+b"(ebx), "+d"(edx) : "r"(code) : "memory", "cc");
	attempts++;
	if (r->vector == GP || r->vector == PF)
		return;
	successes++;
	printf("intruder: %s %#x: ", what, number);
	if (r->vector == NOTHING)
		printf("succeeded\n");
	else
		printf("exception %u\n", r->vector);
}

/* An ordinary system call, whose arguments tell a check from outside where the records are. */
static void tell(void)
{
#define SYSCALL(number, name, arguments) CALL_##name = number,
	enum {
#include "syscalls.def"
	};
	int result;
	__asm__ volatile("int %1"
			 : "=a"(result)
			 : "i"(SYSCALL_VECTOR), "a"(CALL_getppid), "b"(records), "c"(attempts),
			 "d"(successes)
			 : "memory");
}

int main(int argc, char **argv)
{
	static const uint8_t in[] = { 0xEC }, out[] = { 0xEE };
	static const uint8_t cli[] = { 0xFA }, sti[] = { 0xFB }, hlt[] = { 0xF4 };
	static const uint8_t with_iopl[] = { 0x50, 0x9D, 0xFA }; /* push %eax; popf; cli */
	static const uint8_t load_ds[] = { 0x8E, 0xD8 }, load_ss[] = { 0x8E, 0xD0 };
	static const uint8_t read[] = { 0x8B, 0x03 }, sysenter[] = { 0x0F, 0x34 };
	static const uint8_t far_jump[] = { 0xEA, 0, 0, 0, 0xFC, 0x38, 0 };
	static const uint16_t ports[] = { 0x20, 0x60, 0x64, 0x3F8, PORT_OF_DEBUG_EXIT };
	if (argc > 1)
		usage("", help_wanted(argc, argv));
	on_fault(handler);
	for (unsigned n = 0; n < 256; n++) {
		uint8_t interrupt[] = { 0xCD, (uint8_t)n };
		if (n != 3 && n != 4 && n != SYSCALL_VECTOR) /* these are for programs */
			attempt("int", n, interrupt, 2, HC_SHUTDOWN, 0x10, 0);
	}
	for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		attempt("in from port", ports[i], in, 1, 0, 0, ports[i]);
		attempt("out to port", ports[i], out, 1, 0x10, 0, ports[i]);
	}
	attempt("cli", 0, cli, 1, 0, 0, 0);
	attempt("sti", 0, sti, 1, 0, 0, 0);
	attempt("hlt", 0, hlt, 1, 0, 0, 0);
	attempt("cli with EFLAGS", EFLAGS_IOPL, with_iopl, 3, EFLAGS_IOPL | 0x202, 0, 0);
	for (unsigned selector = 8; selector < 0x48; selector++)
		if (selector / 8 != 3 && selector / 8 != 4) {
			attempt("ds loaded with", selector, load_ds, 2, selector, 0, 0);
			attempt("ss loaded with", selector, load_ss, 2, selector, 0, 0);
		}
	attempt("jump to VMM code", 0x38, far_jump, 7, 0, 0, 0);
	attempt("sysenter", 0, sysenter, 2, 0, 0, 0);
	attempt("read at", VMM_BASE, read, 2, 0, VMM_BASE, 0);
	tell();
	printf("intruder: %u attempts, %u succeeded\n", attempts, successes);
	return successes > 0;
}
