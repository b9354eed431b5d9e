/* SPDX-License-Identifier: MIT */
/*
 * fuzz: random system calls with nasty arguments. Children make them, 100 each, and may end in any
 * way. The parent makes sure that they end, and that afterwards no frame is missing and no file is
 * still open. A child's calls follow from the seed and its number alone, so a failure can be
 * repeated.
 *
 *	fuzz COUNT SEED [FIRST]     FIRST: index of the call to begin with, a multiple of 100
 */
#include "layout.h"
#include "user.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define HOME "/tmp/fuzz"
enum { PER_CHILD = 100, CHILD_MS = 3000, PAGE = 4096 };
/* Frames by which the kernel's caches may grow. Measured: 5 in 600,000 calls, 10 in 1,000,000. */
enum { SLACK = 16 };

enum {
#define SYSCALL(number, name, arguments) CALL_##name = number,
#include "syscalls.def"
#undef SYSCALL
};

static const uint8_t calls[] = {
#define SYSCALL(number, name, arguments) number,
#include "syscalls.def"
#undef SYSCALL
};

static uint32_t seed, area;
static uint8_t buf[2 * PAGE];
static char strings[][40] = {
	"a", "b", "d", "d/a", "d/b", ".", "..", "/", "", "a/b", "/tmp/fuzz/d/../a", "/bin/true",
	"/proc/tasks", "/proc/meminfo", "/dev/console", "/proc", "/dev", "d/d", "./././a",
	"//tmp//fuzz//b", "a/", "nameless/b",
};
static char *arguments[] = {"x", "y", NULL};

static uint32_t random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	return seed ^= seed << 5;
}

static uint32_t pick(const uint32_t *v, int n) { return v[random() % (uint32_t)n]; }

static uint32_t number(void)
{
	static const uint32_t v[] = {
		0, 1, 2, 3, 4, 7, 8, 100, 511, 512, 4095, 4096, 4097, 8192, 65536, 1 << 20,
		0x7FFFFFFF, 0x80000000, 0xBFFFF000, 0xC0000000, 0xFFFFF000, 0xFFFFFFFE, 0xFFFFFFFF,
	};
	return random() % 4 ? pick(v, COUNT(v)) : random() >> random() % 32;
}

static uint32_t pointer(void)
{
	static const uint32_t v[] = {
		0, 1, 0xFFF, 0x1000, 0x20000000, 0x30000000, 0x40000000, USER_END - 4,
		USER_END - 0x1000, KERNEL_BASE, KERNEL_BASE + KERNEL_LOAD, KERNEL_MAP_BASE,
		VMM_BASE - 1, VMM_BASE, 0xFFFFF000, 0xFFFFFFFF,
	};
	switch (random() % 6) {
	case 0: return pick(v, COUNT(v));
	case 1: return area + random() % (6 * PAGE); /* has holes: see child() */
	case 2: return (uint32_t)arguments;
	case 3: return (uint32_t)buf + random() % sizeof(buf);
	default: return (uint32_t)strings[random() % COUNT(strings)];
	}
}

static uint32_t argument(void)
{
	switch (random() % 4) {
	case 0: return pointer();
	case 1: return number();
	case 2: return random() % 12; /* descriptors, flags, modes */
	default: return random() % 3 ? pointer() : random();
	}
}

/* Calls that could stop the machine or disturb other processes get harmless arguments. */
static uint32_t tame(uint32_t call, uint32_t first)
{
	switch (call) {
	case CALL_shutdown: return 0x1000 | first;
	case CALL_sleep: return first % 20;
	case CALL_kill: return 0x10000000 | (first & 0x6FFFFFFF);
	case CALL_tty_foreground: return 0x80000000 | first;
	case CALL_tty_raw: return 2 | first;
	default: return first;
	}
}

static void one_call(void)
{
	uint32_t nr = random() % 50 ? calls[random() % COUNT(calls)] : random(), a[5];
	int result;
	for (int i = 0; i < COUNT(a); i++)
		a[i] = argument();
	if (nr == CALL_exit || (nr == CALL_fork && random() % 4))
		return; /* no exit, and few forks */
	if (nr == CALL_open)
		a[1] &= random();
	if (nr == CALL_net_open && random() % 4) {
		a[0] = random() % 2 ? NET_UDP : NET_ICMP;
		a[1] &= 0xFFFF;
	}
	if (nr == CALL_net_receive)
		a[4] %= 20; /* milliseconds */
	if (nr == CALL_mmap && random() % 4) {
		a[1] %= 20 * PAGE;
		a[2] &= 7;
		a[3] = random() % 2 ? (uint32_t)-1 : a[3];
		a[4] &= ~4095u;
	}
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(nr), "b"(tame(nr, a[0])), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4])
			 : "memory");
	if (nr == CALL_fork && result == 0)
		exit(0);
}

/* Descriptors 0 to 2 become a file: the child neither writes to the console nor waits for it. */
static void silence(void)
{
	int in = open("b", O_RDWR | O_CREAT, 0644);
	for (int i = 0; i < 3; i++)
		dup2(in, i);
	close(in);
}

static void __attribute__((noreturn)) child(uint32_t index, uint32_t first_seed)
{
	setpgid(0, 0);
	silence();
	seed = (index + 1) * 2654435761u ^ first_seed;
	seed = seed ? seed : 1;
	area = (uint32_t)mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, -1, 0);
	memset((void *)area, 'a', 6 * PAGE);
	mprotect((void *)(area + PAGE), PAGE, PROT_READ);
	munmap((void *)(area + 3 * PAGE), PAGE);
	mprotect((void *)(area + 5 * PAGE), PAGE, PROT_NONE);
	for (int i = 0; i < PER_CHILD; i++)
		one_call();
	exit(0);
}

/*
 * Wait for a child, and kill it when it takes too long: it may wait for ever, for example for its
 * own empty pipe.
 */
static void await(int pid)
{
	int status;
	uint64_t until = now_ns() + (uint64_t)CHILD_MS * 1000000;
	for (int i = 0; waitpid(pid, &status, WNOHANG) == 0; i++) {
		if (now_ns() > until || i > 50)
			kill(pid);
		sleep(1);
	}
	kill(-pid);
}

static uint32_t proc_number(const char *path, const char *word)
{
	static char text[1024];
	int fd = open(path, O_RDONLY, 0), n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	const char *p = strstr(text, word);
	while (p && *p && (*p < '0' || *p > '9'))
		p++;
	return p ? strtou(p, NULL) : 0;
}

static uint32_t frames(void)
{
	sync();
	return (proc_number("/proc/meminfo", "free") + proc_number("/proc/meminfo", "cached")) / 4;
}

static void scrub(void)
{
	static const char *const names[] = {
		"d/a", "d/b", "d/d/a", "d/d/b", "d/d", "d", "a/b", "a", "b", "x",
	};
	for (int i = 0; i < COUNT(names); i++)
		if (unlink(names[i]) < 0)
			rmdir(names[i]);
}

static uint32_t loss(uint32_t frames_before, uint32_t files_before)
{
	for (int i = 0; i < 50; i++) { /* orphans need a moment to be reaped */
		if (frames() + SLACK >= frames_before &&
		    proc_number("/proc/files", "") <= files_before)
			return 0;
		sleep(20);
	}
	uint32_t now = frames(), files = proc_number("/proc/files", "");
	printf("fuzz: %d frames lost, %d files open too many\n", (int)(frames_before - now),
	       (int)(files - files_before));
	return 1;
}

static void run_child(uint32_t index, uint32_t first_seed)
{
	mkdir(HOME, 0755);
	chdir(HOME);
	mkdir("d", 0755);
	int pid = fork();
	if (pid == 0)
		child(index, first_seed);
	if (pid > 0)
		await(pid);
	scrub();
	chdir("/");
}

int main(int argc, char **argv)
{
	static const char how[] = "COUNT SEED [FIRST]";
	if (argc < 3)
		usage(how, help_wanted(argc, argv));
	uint32_t count = number_of(argv[1], how), first_seed = number_of(argv[2], how);
	uint32_t at = argc > 3 ? number_of(argv[3], how) : 0;
	printf("fuzz: %u calls, seed %u\n", count, first_seed);
	for (uint32_t i = 0; i < 3; i++)
		run_child(i, first_seed); /* the caches, and this program, reach their size */
	uint32_t frames_before = frames(), files_before = proc_number("/proc/files", "");
	for (uint32_t done = 0; done < count; done += PER_CHILD) {
		if (done % 10000 == 0)
			printf("fuzz: call %u\n", at + done);
		run_child((at + done) / PER_CHILD, first_seed);
	}
	uint32_t lost = loss(frames_before, files_before);
	printf("fuzz: %s, %u calls, seed %u\n", lost ? "FAIL" : "ok", count, first_seed);
	return lost != 0;
}
