/* SPDX-License-Identifier: MIT */
/*
 * ticks: let the timer's tick fall at chosen instructions of a mode switch, and count the ticks:
 * none may be lost, and none may come twice. The machine must have one CPU, and a time-stamp
 * counter that counts instructions (QEMU's -icount).
 *
 * A tick shows as a gap between two readings of the counter. Two such ticks tell the period, and
 * then the time of every tick is known exactly.
 */
#include "user.h"

#define GAP 60       /* counts between two readings, at most, if no tick came in between */
enum { SLED = 2048 }; /* NOPs in wait_until() */

static int mode_fd, interrupts_fd;
static uint64_t first; /* time of the first tick that was seen */
static uint32_t first_count, period;
static uint32_t longest[2], retried;

static void __attribute__((noreturn)) fail(const char *what, int error)
{
	complain(what, error);
	exit(1);
}

/* Timer interrupts so far, as the kernel counts them. */
static uint32_t count(void)
{
	char buf[1024];
	lseek(interrupts_fd, 0, SEEK_SET);
	int n = read(interrupts_fd, buf, sizeof(buf) - 1);
	buf[n > 0 ? n : 0] = '\0';
	const char *line = strstr(buf, "ef ");
	if (!line)
		fail("/proc/interrupts", n < 0 ? n : -EINVAL);
	return strtou(line + 3, NULL);
}

static uint64_t await_tick(void)
{
	for (uint64_t before = rdtsc();;) {
		uint64_t t = rdtsc();
		if (t - before > GAP)
			return before;
		before = t;
	}
}

static uint32_t ticks_until(uint64_t t)
{
	return first_count + (uint32_t)div_u64(t - first, period);
}

static void learn_ticks(void)
{
	first = await_tick();
	first_count = count();
	for (int i = 0; i < 50; i++)
		sleep(1);
	uint64_t last = await_tick();
	uint32_t n = count() - first_count;
	period = (uint32_t)div_u64(last - first + n / 2, n);
}

/* Return at exactly this time: a loop with two instructions a round, then one NOP for each left. */
static void wait_until(uint64_t t)
{
	for (uint64_t left; (left = t - rdtsc()) >= SLED;) {
		uint32_t rounds = ((uint32_t)left - SLED / 2) / 2;
		__asm__ volatile("1: decl %0; jnz 1b" : "+r"(rounds));
	}
	uint32_t left = (uint32_t)(t - rdtsc()), at;
	__asm__ volatile("movl $1f, %0; subl %1, %0; jmp *%0; .rept %c2; nop; .endr; 1:"
			 : "=&r"(at) : "r"(left), "i"(SLED));
}

static void check(uint32_t k, bool to_virtual)
{
	uint32_t counted, wanted;
	do {
		wanted = ticks_until(rdtsc());
		counted = count();
	} while (ticks_until(rdtsc()) != wanted);
	if (counted == wanted)
		return;
	printf("ticks: at instruction %u of a switch to %s mode: %u ticks counted, %u came\n", k,
	       to_virtual ? "virtual" : "native", counted, wanted);
	exit(1);
}

static void change(uint32_t k, bool to_virtual)
{
	const char *word = to_virtual ? "virtual" : "native";
	uint64_t start = rdtsc();
	int result = write(mode_fd, word, (uint32_t)strlen(word));
	uint32_t took = (uint32_t)(rdtsc() - start);
	if (result < 0)
		fail(word, result);
	if (took > period / 2)
		retried++;
	else if (took > longest[to_virtual])
		longest[to_virtual] = took;
	sleep(1); /* until the next tick */
	check(k, to_virtual);
}

/* A switch with a tick k instructions after the start of the write. */
static void aimed(uint32_t k, bool to_virtual)
{
	uint32_t ticks = ticks_until(rdtsc() + k + 3 * SLED) - first_count + 1;
	uint64_t tick = first + (uint64_t)ticks * period;
	wait_until(tick - k);
	change(k, to_virtual);
}

/* After each aimed switch a pair with no tick near it: it shows what the aimed switch left over. */
static void switches(uint32_t k)
{
	aimed(k, true);
	change(k, false), change(k, true);
	aimed(k, false);
	change(k, true), change(k, false);
}

int main(int argc, char **argv)
{
	static const char how[] = "FROM TO STEP\n\n"
		"Switch to virtual and to native mode with a tick FROM, FROM + STEP .. TO\n"
		"instructions after the write.";
	if (argc != 4 || help_wanted(argc, argv))
		usage(how, argc == 2);
	uint32_t from = number_of(argv[1], how), to = number_of(argv[2], how);
	uint32_t step = number_of(argv[3], how), n = 0;
	mode_fd = open("/proc/mode", O_RDWR);
	interrupts_fd = open("/proc/interrupts", O_RDONLY);
	if (mode_fd < 0 || interrupts_fd < 0)
		fail("/proc", mode_fd < 0 ? mode_fd : interrupts_fd);
	learn_ticks();
	for (uint32_t k = from; k <= to && step; k += step, n += 6)
		switches(k);
	printf("ticks: period %u, switches %u, ticks %u, longest %u %u, retried %u, "
	       "first 0x%08x%08x\n", period, n, count() - first_count, longest[1], longest[0],
	       retried, (uint32_t)(first >> 32), (uint32_t)first);
	return 0;
}
