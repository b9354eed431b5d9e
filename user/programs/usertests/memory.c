/* SPDX-License-Identifier: MIT */
/*
 * Memory that runs out: a call fails, or the process that wanted too much ends; afterwards all is
 * as before. And the stack: how far it grows, and what happens without one.
 */
#include "test.h"

static uint32_t total_pages(void) { return proc_number("/proc/meminfo", "total") / 4; }

static void limit_size(void)
{
	if (!big && total_pages() > 40000)
		skip("more than 156 MiB of memory: only with -big");
}

/* Touch more pages than there are frames: the process ends before it comes to exit(1). */
static void eat_memory(void)
{
	uint32_t bytes = (total_pages() + 1000) * PAGE;
	uint8_t *p = map(0, bytes, PROT_READ | PROT_WRITE);
	for (uint32_t at = 0; at < bytes; at += PAGE)
		p[at] = 1;
	exit(1);
}

/* A process that takes all memory ends; others go on, and all the memory comes back. */
TEST(memory_full)
{
	limit_size();
	for (int i = 0; i < 2; i++) {
		int status = status_of(eat_memory);
		check(status == WSTATUS_FAULT(VEC_PF) || status == WSTATUS_KILLED);
	}
	uint8_t *p = map(0, 1 << 20, PROT_READ | PROT_WRITE);
	memset(p, 1, 1 << 20);
}

/* Take blocks of 1 MiB until malloc gives NULL, and free them. Result: how many there were. */
static int take_all(void)
{
	struct block { struct block *next; } *all = NULL, *b;
	int n = 0;
	for (; (b = malloc(1 << 20)); n++) {
		b->next = all;
		all = b;
	}
	for (; (b = all); free(b))
		all = b->next;
	return n;
}

/* malloc gives NULL when the addresses run out; after free() they are all there again. */
TEST(memory_malloc_until_null)
{
	limit_size();
	int n = take_all();
	check(n > 1000 && n < 3072);
	for (int i = 0; i < 3; i++)
		check_is(take_all(), n);
	char *small = malloc(100);
	check(small);
	memset(small, 1, 100);
	free(small);
}

/* With hardly any memory left, each system call gives an error or works. */
static void scrape(void)
{
	static char *argv[] = {"/bin/true", NULL};
	int go[2], pid, status;
	check_is(pipe(go), 0);
	pid = check_ok(fork());
	if (pid == 0) { /* take memory bit by bit, until less than 1200 KiB are left */
		char c = 1;
		while (proc_number("/proc/meminfo", "free") +
		       proc_number("/proc/meminfo", "cached") > 1200) {
			uint8_t *p = map(0, 64 * PAGE, PROT_READ | PROT_WRITE);
			for (uint32_t at = 0; at < 64 * PAGE; at += PAGE)
				p[at] = 1;
		}
		write(go[1], &c, 1);
		sleep(100000);
	}
	char c;
	close(go[1]);
	check_is(read(go[0], &c, 1), 1);
	for (int i = 0; i < 40; i++) {
		int child = fork();
		if (child == 0) {
			static uint8_t more[30 * PAGE];
			for (uint32_t at = 0; at < sizeof(more); at += PAGE)
				more[at] = 1;
			sleep(50);
			exit(-exec("/bin/true", argv));
		}
		check(child > 0 || child == -ENOMEM || child == -EAGAIN);
		int fd = open("f", O_RDWR | O_CREAT, 0644);
		if (fd >= 0) {
			write(fd, "x", 1);
			close(fd);
		}
		raw_call(CALL_mmap, 0, PAGE, PROT_READ, (uint32_t)-1, 0);
	}
	end(pid);
	while (waitpid(-1, &status, 0) > 0)
		check(WIFEXITED(status) || WIFFAULT(status) || WIFKILLED(status));
}
TEST(memory_scarce)
{
	limit_size();
	int status = status_of(scrape); /* may miss a page of its own: a page fault */
	check(status == 0 || status == WSTATUS_FAULT(VEC_PF));
}

/*
 * fork of a large process whose copy does not fit into memory: fork fails, or the child ends when
 * memory is out; never does the parent see a wrong byte.
 */
static void fork_large(void)
{
	uint32_t pages = total_pages() * 6 / 10;
	uint8_t *p = map(0, pages * PAGE, PROT_READ | PROT_WRITE);
	for (uint32_t i = 0; i < pages; i++)
		*(uint32_t *)(p + i * PAGE) = i;
	int pid = fork();
	if (pid == 0) {
		for (uint32_t i = 0; i < pages; i++)
			*(uint32_t *)(p + i * PAGE) = ~i;
		exit(0);
	}
	if (pid > 0) {
		int status = wait_for(pid);
		check(status == WSTATUS_FAULT(VEC_PF) || status == WSTATUS_KILLED);
	}
	for (uint32_t i = 0; i < pages; i++)
		check_is(*(uint32_t *)(p + i * PAGE), i);
}
TEST(memory_fork_too_large)
{
	limit_size();
	check_child(fork_large);
}

static void stack_user(int depth)
{
	volatile uint8_t page[PAGE];
	page[0] = (uint8_t)depth;
	if (depth > 0)
		stack_user(depth - 1);
	check_is(page[0], (uint8_t)depth);
}

/* The stack grows as far as its 256 KiB go. */
static void use_stack(void) { stack_user(56); }
TEST(stack_grows) { check_child(use_stack); }

static void overflow(void) { stack_user(1000); }

/* Below the stack nothing is mapped: a page fault. */
TEST(stack_overflow) { check_fault(overflow, VEC_PF); }

static void no_stack(void) { __asm__ volatile("movl %0, %%esp; pushl $1" : : "r"(8)); }
static void kernel_stack(void) { __asm__ volatile("movl %0, %%esp; pushl $1" : : "r"(0xC0200000)); }
static void system_call_without_stack(void)
{
	__asm__ volatile("movl $0xC0200000, %%esp; int $0x80; movl %%eax, %%ebx\n"
			 "movl %0, %%eax; xorl %%ebx, %%ebx; int $0x80"
			 : : "i"(CALL_exit), "a"(CALL_getpid) : "ebx");
}

/* ESP may point anywhere: a push faults then, and a system call works without a stack. */
TEST(stack_anywhere)
{
	int status = status_of(no_stack);
	check(WIFFAULT(status));
	status = status_of(kernel_stack);
	check(WIFFAULT(status));
	check_child(system_call_without_stack);
}
