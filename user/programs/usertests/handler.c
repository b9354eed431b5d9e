/* SPDX-License-Identifier: MIT */
/* Faults delivered to the program: it sees what happened, may repair it and go on, and cannot gain anything by it. */
#include "test.h"

void restorer(void); /* calls fault_return with the handler's argument, which is on top of the stack after its return */
__asm__(".text\n"
	"restorer: movl (%esp), %ebx\n"
	"	movl $33, %eax\n"
	"	int $0x80\n"
	"	ud2\n");
_Static_assert(CALL_fault_return == 33, "restorer uses it");

static struct fault_context seen;
static volatile int faults;
static volatile uint8_t *page;

static void catch(void (*handler)(struct fault_context *))
{
	check_is(raw_call(CALL_on_fault, (uint32_t)handler, (uint32_t)restorer, 0, 0, 0), 0);
}

static void skip_two(struct fault_context *c)
{
	seen = *c;
	faults++;
	c->eip += 2;
}

/* The handler learns vector, place and registers; skipping the instruction goes on behind it. */
TEST(handler_skips)
{
	uint32_t eax = 1, ebx = 2, ecx = 3, edx = 4, esi = 5, edi = 6;
	catch(skip_two);
	__asm__ volatile("ud2" : "+a"(eax), "+b"(ebx), "+c"(ecx), "+d"(edx), "+S"(esi), "+D"(edi));
	check_is(faults, 1);
	check_is(seen.vector, VEC_UD);
	check(seen.eax == 1 && seen.ebx == 2 && seen.ecx == 3 && seen.edx == 4 && seen.esi == 5 && seen.edi == 6);
	check(eax == 1 && ebx == 2 && ecx == 3 && edx == 4 && esi == 5 && edi == 6);
	check_is(seen.eflags & (EFLAGS_IF | EFLAGS_IOPL), EFLAGS_IF);
}

static void change_all(struct fault_context *c)
{
	c->eax = 10, c->ebx = 20, c->ecx = 30, c->edx = 40, c->esi = 50, c->edi = 60;
	c->eip += 2;
}

/* What the handler writes into the context is in the registers afterwards. */
TEST(handler_changes_registers)
{
	uint32_t eax = 1, ebx = 2, ecx = 3, edx = 4, esi = 5, edi = 6;
	catch(change_all);
	__asm__ volatile("ud2" : "+a"(eax), "+b"(ebx), "+c"(ecx), "+d"(edx), "+S"(esi), "+D"(edi));
	check(eax == 10 && ebx == 20 && ecx == 30 && edx == 40 && esi == 50 && edi == 60);
}

static void make_writable(struct fault_context *c)
{
	seen = *c;
	faults++;
	check_is(mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE), 0);
}

/* A page made writable by the handler: the write is repeated and succeeds. */
TEST(handler_repairs_page)
{
	page = map(0, PAGE, PROT_READ);
	catch(make_writable);
	page[123] = 45;
	check_is(page[123], 45);
	check_is(faults, 1);
	check_is(seen.vector, VEC_PF);
	check_is(seen.address, (uint32_t)page + 123);
	check_is(seen.error & (PF_WRITE | PF_USER), PF_WRITE | PF_USER);
}

static void map_page(struct fault_context *c)
{
	faults++;
	map(c->address & ~(PAGE - 1), PAGE, PROT_READ | PROT_WRITE);
}

/* Memory made as it is touched: a program can have its own demand paging. */
TEST(handler_maps_pages)
{
	catch(map_page);
	for (uint32_t i = 0; i < 50; i++)
		*(volatile uint32_t *)(0x20000000 + i * PAGE) = i;
	for (uint32_t i = 0; i < 50; i++)
		check_is(*(volatile uint32_t *)(0x20000000 + i * PAGE), i);
	check_is(faults, 50);
}

static void nest(struct fault_context *c)
{
	if (++faults < 5)
		__asm__ volatile("ud2");
	c->eip += 2;
}

/* Faults within the handler nest, each returning to its own place. */
TEST(handler_nests)
{
	catch(nest);
	__asm__ volatile("ud2");
	check_is(faults, 5);
}

static void fault_again(struct fault_context *c)
{
	(void)c;
	__asm__ volatile("ud2");
}

/* A handler that only faults uses its stack up, and that is the end. */
static void recurse_for_ever(void)
{
	catch(fault_again);
	__asm__ volatile("ud2");
}
TEST(handler_recursion_ends)
{
	int status = status_of(recurse_for_ever);
	check(WIFFAULT(status));
}

static uint32_t bad_handler;

static void use_bad_handler(void)
{
	raw_call(CALL_on_fault, bad_handler, (uint32_t)restorer, 0, 0, 0);
	__asm__ volatile("ud2");
}

/* A handler where no code is: the process ends. */
TEST(handler_bad_address)
{
	static const uint32_t at[] = {1, 0x30000000, KERNEL_BASE, KERNEL_BASE + 0x100000, VMM_BASE, 0xFFFFFFFF};
	for (int i = 0; i < COUNT(at); i++) {
		bad_handler = at[i];
		int status = status_of(use_bad_handler);
		if (!WIFFAULT(status))
			fail("handler at 0x%x: status 0x%x", at[i], (uint32_t)status);
	}
}

static void exit_7(struct fault_context *c)
{
	(void)c;
	exit(7);
}

static uint32_t bad_stack;

static void use_bad_stack(void)
{
	catch(exit_7);
	__asm__ volatile("movl %0, %%esp; ud2" : : "r"(bad_stack));
}

/* No stack to deliver to: the process ends, and nothing of the kernel's was written. */
TEST(handler_bad_stack)
{
	static const uint32_t at[] = {0, 4, 16, 64, 0x1000, 0x30000000, KERNEL_BASE + 16, KERNEL_BASE + 0x100000, VMM_BASE,
		VMM_BASE + 64, 0xFFFFFFFF};
	for (int i = 0; i < COUNT(at); i++) {
		bad_stack = at[i];
		int status = status_of(use_bad_stack);
		if (status != WSTATUS_FAULT(VEC_UD))
			fail("stack at 0x%x: status 0x%x", at[i], (uint32_t)status);
	}
}

/* Without a handler again after on_fault(0). */
static void take_back(void)
{
	catch(exit_7);
	catch(NULL);
	__asm__ volatile("ud2");
}
TEST(handler_removed) { check_fault(take_back, VEC_UD); }

/* A child has its parent's handler. */
static void fault_once(void)
{
	__asm__ volatile("ud2");
	check_is(faults, 1);
}
TEST(handler_inherited)
{
	catch(skip_two);
	check_child(fault_once);
	check_is(faults, 0);
}

static uint32_t wanted_flags;

static void set_flags(struct fault_context *c)
{
	c->eflags = wanted_flags;
	c->eip += 2;
}

static void fault_and_look(void)
{
	uint32_t flags;
	catch(set_flags);
	__asm__ volatile("ud2; pushfl; popl %0; pushl $0x202; popfl; cld" : "=r"(flags) : : "cc");
	check_is(flags & (EFLAGS_IF | EFLAGS_IOPL | 0x1A0000), EFLAGS_IF); /* VM, VIF and VIP neither */
}

/* No flag that is the kernel's comes through fault_return: IF, IOPL, VM, NT, VIF, VIP. */
TEST(handler_hostile_flags)
{
	static const uint32_t flags[] = {0, 0x3000, 0x3200, 0x4000, 0x20000, 0x23202, 0x80000, 0x100000, 0x18F000, 0xFFFFFEFF};
	catch(NULL);
	for (int i = 0; i < COUNT(flags); i++) {
		wanted_flags = flags[i];
		int status = status_of(fault_and_look);
		if (status != 0)
			fail("flags 0x%x: status 0x%x", flags[i], (uint32_t)status);
	}
}

static uint32_t wanted_eip, wanted_esp;

static void set_place(struct fault_context *c)
{
	c->eip = wanted_eip;
	c->esp = wanted_esp ? wanted_esp : c->esp;
	raw_call(CALL_on_fault, 0, 0, 0, 0, 0); /* the next one ends it */
}

static void fault_and_go(void)
{
	catch(set_place);
	__asm__ volatile("ud2");
	exit(1);
}

/* Going on in the kernel, or nowhere, is one more fault. */
TEST(handler_hostile_place)
{
	static const struct { uint32_t eip, esp; } places[] = {
		{KERNEL_BASE, 0}, {KERNEL_BASE + 0x100000, 0}, {VMM_BASE, 0}, {0xFFFFFFFF, 0}, {0, 0}, {0x30000000, 0},
		{KERNEL_BASE + 0x100000, KERNEL_BASE + 0x200000}, {0, 0xFFFFFFFF},
	};
	for (int i = 0; i < COUNT(places); i++) {
		wanted_eip = places[i].eip;
		wanted_esp = places[i].esp;
		int status = status_of(fault_and_go);
		if (status != WSTATUS_FAULT(VEC_PF) && status != WSTATUS_FAULT(VEC_GP))
			fail("eip 0x%x: status 0x%x", wanted_eip, (uint32_t)status);
	}
}

static void arrived(void) { exit(7); }

static void jump_by_context(void)
{
	static uint32_t stack[256];
	static struct fault_context c;
	c.eip = (uint32_t)arrived;
	c.esp = (uint32_t)(stack + 250);
	raw_call(CALL_fault_return, (uint32_t)&c, 0, 0, 0, 0);
	exit(1);
}

/* fault_return needs no fault before it: it is a jump, with the same limits. */
TEST(handler_return_without_fault) { check_is(status_of(jump_by_context), WSTATUS_EXIT(7)); }
