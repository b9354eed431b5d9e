/* SPDX-License-Identifier: MIT */
/*
 * Faults that are delivered to the program: it sees what happened, may repair the cause and go on,
 * and gains no privilege.
 */
#include "test.h"

/* A handler returns to here, with its argument on top of the stack: fault_return(argument). */
void restorer(void);
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

/* The handler gets vector, place and registers; it skips the instruction; the program goes on. */
TEST(handler_skips)
{
	uint32_t eax = 1, ebx = 2, ecx = 3, edx = 4, esi = 5, edi = 6;
	catch(skip_two);
	__asm__ volatile("ud2" : "+a"(eax), "+b"(ebx), "+c"(ecx), "+d"(edx), "+S"(esi), "+D"(edi));
	check_is(faults, 1);
	check_is(seen.vector, VEC_UD);
	check(seen.eax == 1 && seen.ebx == 2 && seen.ecx == 3);
	check(seen.edx == 4 && seen.esi == 5 && seen.edi == 6);
	check(eax == 1 && ebx == 2 && ecx == 3 && edx == 4 && esi == 5 && edi == 6);
	check_is(seen.eflags & (EFLAGS_IF | EFLAGS_IOPL), EFLAGS_IF);
}

static void change_all(struct fault_context *c)
{
	c->eax = 10, c->ebx = 20, c->ecx = 30, c->edx = 40, c->esi = 50, c->edi = 60;
	c->eip += 2;
}

/* What the handler writes into the context is in the registers when the program goes on. */
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

/* The handler makes a page writable: the write is repeated and succeeds. */
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

/* The handler maps pages when they are touched: a program can do demand paging itself. */
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

/* Faults in the handler nest, and each returns to its own place. */
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

/* A handler that always faults uses up the stack, and the process ends. */
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

/* A handler's address without code: the process ends. */
TEST(handler_bad_address)
{
	static const uint32_t at[] = {
		1, 0x30000000, KERNEL_BASE, KERNEL_BASE + 0x100000, VMM_BASE, 0xFFFFFFFF,
	};
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

/* No stack for the delivery: the process ends, and nothing of the kernel's has been written. */
TEST(handler_bad_stack)
{
	static const uint32_t at[] = {
		0, 4, 16, 64, 0x1000, 0x30000000, KERNEL_BASE + 16, KERNEL_BASE + 0x100000,
		VMM_BASE, VMM_BASE + 64, 0xFFFFFFFF,
	};
	for (int i = 0; i < COUNT(at); i++) {
		bad_stack = at[i];
		int status = status_of(use_bad_stack);
		if (status != WSTATUS_FAULT(VEC_UD))
			fail("stack at 0x%x: status 0x%x", at[i], (uint32_t)status);
	}
}

/* After on_fault(NULL) there is no handler: a fault ends the process. */
static void take_back(void)
{
	catch(exit_7);
	catch(NULL);
	__asm__ volatile("ud2");
}
TEST(handler_removed) { check_fault(take_back, VEC_UD); }

/* A child inherits its parent's handler. */
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
	const uint32_t vm_vif_vip = 0x1A0000;
	check_is(flags & (EFLAGS_IF | EFLAGS_IOPL | vm_vif_vip), EFLAGS_IF);
}

/* fault_return does not set flags that are the kernel's: IF, IOPL, VM, NT, VIF, VIP. */
TEST(handler_hostile_flags)
{
	static const uint32_t flags[] = {
		0, 0x3000, 0x3200, 0x4000, 0x20000, 0x23202, 0x80000, 0x100000, 0x18F000,
		0xFFFFFEFF,
	};
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
	raw_call(CALL_on_fault, 0, 0, 0, 0, 0); /* the next fault ends the process */
}

static void fault_and_go(void)
{
	catch(set_place);
	__asm__ volatile("ud2");
	exit(1);
}

/* A context that goes on in the kernel, or where nothing is, leads to the next fault. */
TEST(handler_hostile_place)
{
	static const struct { uint32_t eip, esp; } places[] = {
		{KERNEL_BASE, 0}, {KERNEL_BASE + 0x100000, 0}, {VMM_BASE, 0}, {0xFFFFFFFF, 0},
		{0, 0}, {0x30000000, 0}, {KERNEL_BASE + 0x100000, KERNEL_BASE + 0x200000},
		{0, 0xFFFFFFFF},
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

/* fault_return also works without a fault before it: it is a jump within ring 3. */
TEST(handler_return_without_fault) { check_is(status_of(jump_by_context), WSTATUS_EXIT(7)); }
