/* SPDX-License-Identifier: MIT */
/*
 * Heavy instructions: those that take a real processor tens to hundreds of cycles, so that a
 * number of instructions does not show them. QEMU logs each block that it translates, with its
 * instructions' bytes, and each block that it executes. A block that an exception cuts short counts
 * as a whole.
 *
 * The program `bench` reads the time-stamp counter before and after each measurement, and equally
 * often for each row: so these instructions tell the rows apart.
 */
#include "bench.h"
#include <errno.h>

static const char *const names[NR_CLASSES] = { "int", "iret", "cr3", "cr", "invlpg", "io",
	"cli-sti", "selector", "tables", "locked", "fxsave" };
enum { REPETITIONS = 6, INTERVALS = 2 * REPETITIONS, READS_A_ROW = 2 * INTERVALS, ROWS_MOST = 16,
       BLOCKS = 1 << 17 };

static struct block { unsigned long long host; uint32_t n[NR_COUNTS]; } blocks[BLOCKS];

static struct block *block_of(unsigned long long host)
{
	struct block *b = &blocks[(host >> 6) % BLOCKS];
	while (b->host && b->host != host)
		b = b == blocks + BLOCKS - 1 ? blocks : b + 1;
	b->host = host;
	return b;
}

/* The class of 0F OP: what moves control registers, tables, and so on. */
static int class_of_0f(const uint8_t *op)
{
	unsigned reg = op[2] >> 3 & 7;
	switch (op[1]) {
	case 0x00: return reg == 2 || reg == 3 ? SYSTEM_TABLES : -1;
	case 0x01: return reg == 7 ? INVLPG : reg == 2 || reg == 3 ? SYSTEM_TABLES : -1;
	case 0x06: case 0x20: return CR;
	case 0x22: return reg == 3 ? CR3 : CR;
	case 0x31: return READS;
	case 0xAE: return reg < 2 ? FXSAVE : -1;
	case 0xA1: case 0xA9: return SELECTOR;
	default: return -1;
	}
}

static int class_of(const uint8_t *op)
{
	switch (op[0]) {
	case 0x0F: return class_of_0f(op);
	case 0xCD: return INT;
	case 0xCF: return IRET;
	case 0xFA: case 0xFB: case 0xF4: case 0x9D: return CLI_STI;
	case 0x07: case 0x17: case 0x1F: case 0x8E: return SELECTOR;
	case 0x86: case 0x87: return op[1] >> 6 != 3 ? LOCKED : -1;
	case 0xDD: return (op[1] >> 3 & 7) == 6 || (op[1] >> 3 & 7) == 4 ? FXSAVE : -1;
	default: return (op[0] & 0xF4) == 0xE4 || (op[0] & 0xFC) == 0x6C ? IO : -1;
	}
}

/* A line of a translated block, as "0xc0100097:  0f 22 d8   movl ...". */
static void add_instruction(struct block *b, const char *line)
{
	uint8_t bytes[17] = { 0 }, *op = bytes;
	unsigned n = 0, byte;
	uint32_t at = (uint32_t)strtoul(line, NULL, 16);
	for (line += 13; n < 15 && sscanf(line, " %2x ", &byte) == 1 && line[2] == ' '; line += 3)
		bytes[n++] = (uint8_t)byte;
	b->n[INSTRUCTIONS]++;
	for (; *op && strchr("\x66\xF0\xF2\xF3\x2E\x36\x3E\x26", *op); op++)
		if (*op == 0xF0)
			b->n[LOCKED]++;
	int class = class_of(op);
	if (class >= 0 && (class != READS || at < 0xC0000000))
		b->n[class]++;
}

void bench_follow(const struct blocks_run *run, block_fn *fn, void *context)
{
	char command[1000], line[300];
	struct block fresh = { 0 };
	snprintf(command, sizeof(command), "qemu-system-i386 -nodefaults -m %u -smp %u -icount "
		 "shift=0,sleep=off -rtc clock=vm -bios qboot.rom -kernel %s -append 'run=\"%s\"' "
		 "-initrd '%s vmm,%s/rootfs.ext2 rootfs' -display none -no-reboot -device "
		 "isa-debug-exit,iobase=0xf4,iosize=4 -serial file:%s -d in_asm,exec,nochain "
		 "-D /dev/stdout 2>/dev/null", run->mib, run->cpus, kernel_file, run->command,
		 vmm_file, build_dir, run->serial);
	FILE *log = popen(command, "r");
	memset(blocks, 0, sizeof(blocks));
	while (log && fgets(line, sizeof(line), log)) {
		unsigned long long host;
		unsigned cpu, pc, flags;
		if (strncmp(line, "IN:", 3) == 0)
			fresh = (struct block){ 0 };
		else if (strncmp(line, "0x", 2) == 0)
			add_instruction(&fresh, line);
		if (sscanf(line, "Trace %u: %llx [%*x/%x/%x", &cpu, &host, &pc, &flags) != 4)
			continue;
		struct block *b = block_of(host);
		if (fresh.n[INSTRUCTIONS]) {
			memcpy(b->n, fresh.n, sizeof(b->n));
			fresh = (struct block){ 0 };
		}
		fn(context, cpu, flags & 3, pc, b->n); /* QEMU's HF_CPL_MASK */
	}
	if (!log || pclose(log) < 0)
		give_up(BROKEN, "%s: %s", command, strerror(errno));
}

/* Each interval between two reads of the counter. */
struct intervals { unsigned reads; uint64_t sums[ROWS_MOST * READS_A_ROW][NR_COUNTS]; };

static void add_up(void *context, unsigned cpu, unsigned cpl, uint32_t pc, const uint32_t *n)
{
	struct intervals *s = context;
	(void)cpu, (void)cpl, (void)pc;
	for (unsigned i = 0; i < NR_COUNTS && s->reads < ROWS_MOST * READS_A_ROW; i++)
		s->sums[s->reads][i] += n[i];
	s->reads += n[READS];
}

/* One row: sums has its READS_A_ROW intervals, of which every other one lies between two rows. */
static json_t *row_counts(uint64_t (*sums)[NR_COUNTS], long value)
{
	const uint64_t *run = sums[2 * REPETITIONS - 1], *overhead = sums[READS_A_ROW - 1];
	double n = (double)(run[INSTRUCTIONS] - overhead[INSTRUCTIONS]) / (double)value;
	json_t *row = json_object();
	for (unsigned i = 0; i < NR_CLASSES; i++)
		json_object_set_new(row, names[i], json_real((double)(int64_t)
			(run[i] - overhead[i]) / n));
	return row;
}

json_t *bench_heavy(bool virtual, const char *wanted)
{
	static struct intervals s;
	char command[300], serial[300], line[300], name[64];
	long value;
	unsigned row = 0;
	json_t *rows = json_object();
	snprintf(serial, sizeof(serial), "%s/heavy.serial", build_dir);
	snprintf(command, sizeof(command), "%sbench %s",
		 virtual ? "echo virtual > /proc/mode && " : "", wanted);
	memset(&s, 0, sizeof(s));
	bench_follow(&(struct blocks_run){ 1, 64, command, serial }, add_up, &s);
	FILE *values = fopen(serial, "r");
	if (!values)
		give_up(BROKEN, "%s: %s", serial, strerror(errno));
	while (fgets(line, sizeof(line), values))
		if (sscanf(line, "bench %63s %ld", name, &value) == 2 && row < ROWS_MOST)
			json_object_set_new(rows, name,
					    row_counts(s.sums + row++ * READS_A_ROW, value));
	fclose(values);
	CHECK(s.reads == row * READS_A_ROW, "%u reads of the counter for %u rows", s.reads, row);
	return rows;
}

void bench_heavy_print(json_t *native, json_t *virtual)
{
	const char *row;
	json_t *unused;
	printf("\n%-22s %-8s", "heavy instructions", "mode");
	for (unsigned i = 0; i < NR_CLASSES; i++)
		printf(" %8s", names[i]);
	putchar('\n');
	json_object_foreach(native, row, unused)
		for (unsigned mode = 0; mode < 2; mode++) {
			printf("%-22s %-8s", row, mode ? "virtual" : "native");
			for (unsigned i = 0; i < NR_CLASSES; i++)
				printf(" %8.1f", json_number_value(json_object_get(json_object_get(
					mode ? virtual : native, row), names[i])));
			putchar('\n');
		}
}
