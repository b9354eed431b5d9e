/* SPDX-License-Identifier: MIT */
/*
 * bench switch KIND NUMBER: attach and detach a few times in a chosen state; /proc/switch then
 * tells what each switch cost. The kinds:
 *	pages      this process has so many resident pages in a row
 *	tables     this process has so many page tables, with one resident page in each
 *	ran        so many other processes run, for a moment, while the VMM is there
 *	preempted  so many other processes are interrupted inside the kernel at any time
 * What an attach leaves for later, this process pays when it uses its pages again: the line "later
 * INSTRUCTIONS" tells how much more the first access to each page costs than the second one. The
 * line "leave INSTRUCTIONS" is the whole of a detach for its writer, with all that comes before it.
 */
#include "bench.h"

enum { PAIRS = 4, OTHERS_MAX = 200, TABLE_BYTES = 4 << 20 };

static int others[OTHERS_MAX], go[2], back[2];

static void start(uint32_t n, void (*run)(void))
{
	if (n > OTHERS_MAX)
		need(-EINVAL);
	for (uint32_t i = 0; i < n; i++) {
		need(others[i] = fork());
		if (others[i] == 0)
			run();
	}
}

/* Answer each byte with a byte. */
static void answer(void)
{
	char c;
	while (read(go[0], &c, 1) == 1) {
		need(write(back[1], &c, 1));
		sleep(50); /* or this process would take a byte that is another one's */
	}
	exit(0);
}

/* Once all are started: long calls of the kernel that share no lock, one after the other. */
static void call(void)
{
	static char bytes[PAGE];
	int own[2];
	need(read(go[0], bytes, 1));
	need(pipe(own));
	for (;;) {
		need(write(own[1], bytes, PAGE));
		need(read(own[0], bytes, PAGE));
	}
}

static void wake(uint32_t n)
{
	char c = 'c';
	for (uint32_t i = 0; i < n; i++)
		need(write(go[1], &c, 1));
	for (uint32_t i = 0; i < n; i++)
		need(read(back[0], &c, 1));
	if (n)
		sleep(100); /* until all of them sleep */
}

static void switch_mode(const char *word)
{
	int fd = open("/proc/mode", O_WRONLY), error;
	need(fd);
	while ((error = write(fd, word, (uint32_t)strlen(word))) == -EBUSY)
		;
	need(error);
	need(close(fd));
}

static volatile uint8_t *area;
static uint32_t area_pages, area_step; /* so many bytes apart */

/* Write to each page. Result: instructions. */
static uint32_t use_area(void)
{
	uint64_t before = rdtsc();
	for (uint32_t i = 0; i < area_pages; i++)
		area[i * area_step] = 1;
	return (uint32_t)(rdtsc() - before);
}

static void occupy(uint32_t n, uint32_t step)
{
	area_pages = n;
	area_step = step;
	if (n)
		area = mmap(NULL, n * step, PROT_READ | PROT_WRITE, -1, 0);
	need((int)area);
	use_area();
}

static void end(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		kill(others[i]);
	for (uint32_t i = 0; i < n; i++)
		need(waitpid(others[i], NULL, 0));
}

int switch_in_state(const char *kind, uint32_t n)
{
	static const char tokens[OTHERS_MAX];
	bool ran = !strcmp(kind, "ran"), preempted = !strcmp(kind, "preempted");
	need(pipe(go));
	need(pipe(back));
	if (ran || preempted)
		start(n, ran ? answer : call);
	else
		occupy(n, !strcmp(kind, "tables") ? TABLE_BYTES : PAGE);
	if (preempted)
		need(write(go[1], tokens, n));
	sleep(50 + (preempted ? 20 * n : 0)); /* each had the CPU */
	for (int i = 0; i < PAIRS; i++) {
		switch_mode("virtual\n");
		uint32_t first = use_area(), second = use_area();
		printf("later %d\n", (int)(first - second));
		wake(ran ? n : 0);
		uint64_t before = rdtsc();
		switch_mode("native\n");
		printf("leave %u\n", (uint32_t)(rdtsc() - before));
	}
	end(ran || preempted ? n : 0);
	return 0;
}
