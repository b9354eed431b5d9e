/* SPDX-License-Identifier: MIT */
/*
 * load: what `bench` has no rows for, because it takes longer, and is measured natively, in virtual
 * mode and in guests: small applications, a network, a disk, several CPUs, a sleeper that wakes up;
 * and a loop that counts, for measurements from outside. A figure is a line "bench NAME VALUE", as
 * of `bench`, in counts of the time-stamp counter.
 */
#include "lib/ipv4.h"
#include "median.h"

static const char how[] =
	"WHAT\n"
	"  apps                 applications: a computation, a build, a database, a file server\n"
	"  udp ADDRESS FILE     a datagram and its answer: one of 1,000 blocks of TFTP\n"
	"  disk FILE            one MiB of a file, in order, each read for the first time\n"
	"  parallel N           N processes fork at the same time: for one fork, exit and wait\n"
	"  wake MS              nanoseconds too late: the mean and the most of 100 sleeps\n"
	"  count                a loop for ever; the variable `counted` tells how far it is";

enum { PAGE = 4096, MIB = 1 << 20, TIMES = 5, SLEEPS = 100, FORKS = 200 };
#define DIR "/tmp/load"

static char bytes[MIB / 16];

static void need_at(int result, int line)
{
	if (result >= 0)
		return;
	dprintf(2, "load: line %d: %s\n", line, strerror(result));
	exit(1);
}
#define need(result) need_at(result, __LINE__)

static void wait_good(int pid)
{
	int status = -1;
	need(pid);
	need(waitpid(pid, &status, 0));
	if (status != 0)
		need(-ECHILD);
}

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags, 0644);
	need(fd);
	return fd;
}

static void print_row(const char *name, uint64_t value)
{
	printf("bench %s %u\n", name, (uint32_t)value);
}

/* --- applications --- */

/* Sieve numbers: memory and arithmetic, no system call. */
static void compute(void)
{
	for (uint32_t turn = 0; turn < 20; turn++) {
		memset(bytes, 1, sizeof(bytes));
		for (uint32_t i = 2; i * i < sizeof(bytes); i++)
			for (uint32_t k = i * i; bytes[i] && k < sizeof(bytes); k += i)
				bytes[k] = 0;
	}
}

/* Each object is written by a program of its own, as by a compiler; then all become one file. */
static void build(void)
{
	enum { OBJECTS = 16 };
	char path[40];
	char *compile[] = { "/bin/cp", "/bin/true", path, NULL };
	int got = 0;
	for (uint32_t i = 0; i < OBJECTS; i++) {
		snprintf(path, sizeof(path), DIR "/%u.o", i);
		int pid = fork();
		if (pid == 0) {
			exec(compile[0], compile);
			exit(1);
		}
		wait_good(pid);
	}
	int out = open_file(DIR "/out", O_WRONLY | O_CREAT | O_TRUNC);
	for (uint32_t i = 0; i < OBJECTS; i++) {
		snprintf(path, sizeof(path), DIR "/%u.o", i);
		int in = open_file(path, O_RDONLY);
		while ((got = read(in, bytes, PAGE)) > 0)
			need(write(out, bytes, (uint32_t)got));
		need(got);
		close(in);
		need(unlink(path));
	}
	close(out);
	need(unlink(DIR "/out"));
}

/* Transactions: read four records, write one; each eighth one is made durable. */
static void database(void)
{
	enum { TRANSACTIONS = 128, RECORD = 128, RECORDS = sizeof(bytes) / RECORD };
	int fd = open_file(DIR "/db", O_RDWR);
	uint32_t at = 1;
	for (uint32_t i = 0; i < TRANSACTIONS; i++) {
		for (uint32_t k = 0; k < 5; k++) {
			at = at * 1103515245 + 12345;
			need(lseek(fd, (int)((at >> 16) % RECORDS * RECORD), SEEK_SET));
			need(k < 4 ? read(fd, bytes, RECORD) : write(fd, bytes, RECORD));
		}
		if (i % 8 == 7)
			need(sync());
	}
	close(fd);
}

/* A client asks for pages of a file through a pipe; the server opens, reads, answers. */
static void server(void)
{
	enum { REQUESTS = 64 };
	int ask[2], answer[2];
	uint32_t page;
	need(pipe(ask));
	need(pipe(answer));
	int pid = fork();
	if (pid == 0) {
		close(ask[0]), close(answer[1]);
		for (page = 0; page < REQUESTS; page++) {
			need(write(ask[1], &page, sizeof(page)));
			for (int got = 0; got < (int)PAGE;)
				got += read(answer[0], bytes + got, PAGE - (uint32_t)got);
		}
		exit(0);
	}
	close(ask[1]), close(answer[0]);
	while (read(ask[0], &page, sizeof(page)) == sizeof(page)) {
		int fd = open_file(DIR "/db", O_RDONLY);
		need(lseek(fd, (int)(page * PAGE % sizeof(bytes)), SEEK_SET));
		need(read(fd, bytes, PAGE));
		close(fd);
		need(write_all(answer[1], bytes, PAGE));
	}
	close(ask[0]), close(answer[1]);
	wait_good(pid);
}

static int apps(void)
{
	static const struct { const char *name; void (*run)(void); } all[] = {
		{ "compute", compute }, { "build", build }, { "database", database },
		{ "file_server", server },
	};
	uint32_t costs[TIMES];
	need(mkdir(DIR, 0755));
	int fd = open_file(DIR "/db", O_WRONLY | O_CREAT);
	need(write_all(fd, bytes, sizeof(bytes)));
	close(fd);
	for (uint32_t i = 0; i < ARRAY_SIZE(all); i++) {
		all[i].run(); /* warms up */
		for (uint32_t k = 0; k < TIMES; k++) {
			uint64_t before = rdtsc();
			all[i].run();
			costs[k] = (uint32_t)(rdtsc() - before);
		}
		print_row(all[i].name, median(costs, TIMES));
	}
	need(unlink(DIR "/db"));
	need(rmdir(DIR));
	return 0;
}

/* --- the others --- */

/*
 * A TFTP server sends block after block (RFC 1350). Each one but the first answers the datagram
 * that acknowledges the block before it; that datagram is the block's own head with another code.
 */
static int udp(const char *address, const char *file)
{
	enum { BLOCKS = 1000, PORT = 69, REQUEST = 1, DATA = 3, ACKNOWLEDGE = 4, HEAD = 4 };
	struct net_address server = { .port = PORT };
	int fd = net_open(NET_UDP, 0), size = HEAD;
	uint64_t before = 0;
	need(ipv4_parse(address, &server.address) ? fd : -EINVAL);
	bytes[1] = REQUEST;
	need(size = snprintf(bytes + 2, NAME_MAX, "%s%coctet", file, 0) + 3);
	for (uint32_t block = 1; block <= 1 + BLOCKS; block++) {
		need(net_send(fd, &server, bytes, (uint32_t)size));
		need(net_receive(fd, &server, bytes, PAGE, 1000));
		need(bytes[1] == DATA && (uint8_t)bytes[3] == (uint8_t)block ? 0 : -EIO);
		bytes[1] = ACKNOWLEDGE;
		size = HEAD;
		if (block == 1)
			before = rdtsc();
	}
	print_row("udp", div_u64(rdtsc() - before, BLOCKS));
	return 0;
}

static int disk(const char *file)
{
	uint32_t costs[16], n = 0;
	int fd = open_file(file, O_RDONLY), got = 1;
	while (n < 16 && got > 0) {
		uint64_t before = rdtsc();
		for (uint32_t done = 0; done < MIB && got > 0; done += (uint32_t)got)
			need(got = read(fd, bytes, sizeof(bytes)));
		if (got > 0)
			costs[n++] = (uint32_t)(rdtsc() - before);
	}
	if (!n)
		need(-EINVAL);
	print_row("disk_1m", median(costs, n));
	return 0;
}

/* The clock is the domain's own: it goes on while others run. */
static int wake(uint32_t ms)
{
	uint64_t sum = 0, most = 0;
	for (uint32_t i = 0; i < SLEEPS; i++) {
		uint64_t until = now_ns() + ms * 1000000;
		need(sleep(ms));
		uint64_t late = now_ns() - until;
		sum += late;
		most = late > most ? late : most;
	}
	print_row("wake_mean", div_u64(sum, SLEEPS));
	print_row("wake_most", most);
	return 0;
}

/* All begin when the pipe's last writer is gone. */
static int parallel(uint32_t n)
{
	int go[2], pids[16];
	need(n <= 16 ? pipe(go) : -EINVAL);
	for (uint32_t i = 0; i < n; i++) {
		need(pids[i] = fork());
		if (pids[i])
			continue;
		close(go[1]);
		need(read(go[0], bytes, 1));
		for (uint32_t k = 0; k < FORKS; k++) {
			int pid = fork();
			if (pid == 0)
				exit(0);
			wait_good(pid);
		}
		exit(0);
	}
	need(sleep(100));
	uint64_t before = rdtsc();
	close(go[1]);
	for (uint32_t i = 0; i < n; i++)
		wait_good(pids[i]);
	print_row("parallel", div_u64(rdtsc() - before, n * FORKS));
	return 0;
}

volatile uint32_t counted;
static void __attribute__((noreturn)) count(void)
{
	for (;;)
		counted++;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	uint32_t n = argc == 3 ? strtou(argv[2], NULL) : 0;
	if (argc == 2 && !strcmp(what, "apps"))
		return apps();
	if (argc == 2 && !strcmp(what, "count"))
		count();
	if (argc == 3 && !strcmp(what, "disk"))
		return disk(argv[2]);
	if (argc == 4 && !strcmp(what, "udp"))
		return udp(argv[2], argv[3]);
	if (n && !strcmp(what, "wake"))
		return wake(n);
	if (n && !strcmp(what, "parallel"))
		return parallel(n);
	usage(how, help_wanted(argc, argv));
}
