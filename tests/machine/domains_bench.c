/* SPDX-License-Identifier: MIT */
/*
 * make bench-domains: what domains cost, and what they cost each other. All figures come from
 * outside: instructions that QEMU counts (one a nanosecond), counters of the VMM, the rings'
 * indices, and variables of programs, read from the machine's memory. Where a program measures
 * itself (domains_rows.c), it reads the time-stamp counter, which counts the same. The figures go
 * to bench-domains.json in the build folder.
 */
#include "domains_bench.h"
#include "judge.h"
#include "offsets.h"
#include "vmm_abi.h"
#include "x86.h"
#include <math.h> /* fabs, which is built in */

static json_t *all;

void figure(const char *what, double value, const char *unit, double goal, const char *unequal)
{
	bool least = goal < 0, met = least ? value >= -goal : value <= goal;
	char text[40] = "";
	if (goal)
		snprintf(text, sizeof(text), "%s %g%s", least ? ">=" : "<=", fabs(goal),
			 met ? "" : ", missed");
	printf("%-62s %11.3f %-12s %-14s %s\n", what, value, unit, text, unequal);
	fflush(stdout);
	json_array_append_new(json_object_get(all, "figures"), json_pack(
		"{s:s, s:f, s:s, s:f, s:b, s:s}", "what", what, "value", value, "unit", unit,
		"goal", fabs(goal), "least", least, "unequal", unequal));
}

void keep(const char *name, json_t *table) { json_object_set_new(all, name, table); }

/* --- machines --- */

/* The text for QEMU's -initrd. */
static const char *host_root(const char *programs, unsigned kib)
{
	static char text[700];
	const char *dir = work_path("host");
	char bin[300], small[80] = "";
	snprintf(bin, sizeof(bin), "%s/bin", build_dir);
	if (programs)
		snprintf(small, sizeof(small), "ROOT_KIB=%u ROOT_BLOCK=1024", kib);
	shell_must(60, "bin=$(realpath %s) && mkroot=$(realpath tools/mkroot) && mkdir -p %s && "
		   "%s $mkroot %s/guest.ext2 $(cd %s && realpath %s) && "
		   "head -c %uM /dev/urandom >%s/data && "
		   "ROOT_MIB=9 ROOT_FILES=%s/data $mkroot %s/disk $bin/* && "
		   "ROOT_MIB=24 ROOT_FILES=\"%s/data %s/disk\" ROOT_BOOT=\"%s/boot/cinnabar "
		   "%s/guest.ext2\" $mkroot %s/root.ext2 $bin/*",
		   bin, dir, small, dir, bin, programs ? programs : "*", DATA_MIB, dir, dir, dir,
		   dir, dir, build_dir, dir, dir);
	snprintf(text, sizeof(text), "%s vmm,%s/root.ext2 rootfs", vmm_file, dir);
	return text;
}

struct machine *start_host(const struct machine_options *o, const char *programs, unsigned kib)
{
	struct machine_options with = *o;
	with.modules = host_root(programs, kib);
	return start_to_prompt(&with);
}

static void go_virtual(struct machine *m) { command(m, "echo virtual >/proc/mode", 20); }

/* --- the VMM's counters --- */

uint32_t vcpu_at(struct machine *m, uint32_t *cr3, unsigned id)
{
	struct cpu_state c[CPUS_MAX];
	uint32_t at;
	machine_state(m, c);
	*cr3 = c[0].cr3;
	virtual_read(m, *cr3, vmm_symbol("domains") + id * 4, &at, 4);
	return at ? at + DOMAIN_VCPUS : 0;
}

struct times times_of(struct machine *m, unsigned id)
{
	struct times t = { 0 };
	uint32_t cr3, at = vcpu_at(m, &cr3, id);
	if (at)
		virtual_read(m, cr3, at + VCPU_RAN, &t, sizeof(t));
	return t;
}

/* --- jobs --- */

static struct times live(struct machine *m, unsigned id, const char *words)
{
	machine_stop(m);
	gdb_connect(m);
	gdb_break(m, symbol("domain_destroy"), true);
	machine_send(m, "dom create g ");
	machine_send(m, words);
	machine_send(m, "\n");
	CHECK(gdb_run(m, 400), "the guest does not end");
	struct times t = times_of(m, id);
	gdb_break(m, symbol("domain_destroy"), false);
	gdb_disconnect(m);
	machine_expect(m, PROMPT, 100);
	return t;
}

struct times life(struct machine *m, unsigned id, const char *words)
{
	struct times t = live(m, id, words);
	command(m, "dom kill g", 20);
	return t;
}

const char *life_words(struct machine *m, unsigned id, const char *words)
{
	live(m, id, words);
	size_t from = m->log_bytes;
	command(m, "dom console g </dev/null; dom kill g", 60);
	return m->log + from;
}

/* --- rows --- */

#define COUNTS "'cmdline=run=\"load count\"'"
#define FEW "init sh load ls sleep"
enum { FEW_KIB = 192, SHARE_SECONDS = 10, MANY = 100, MANY_SECONDS = 3 };

/* How far the program `load count` of each guest has come: 1 to n. The machine is stopped. */
static void read_counts(struct machine *m, unsigned n, uint32_t counts[])
{
	static uint32_t counted;
	uint32_t cr3, directory;
	char text[100];
	if (!counted && (shell(text, sizeof(text), 20, "nm %s/symbols/load | sed -n "
			       "'s/ B counted$//p'", build_dir) ||
			 sscanf(text, "%x", &counted) != 1))
		give_up(BROKEN, "load has no variable `counted`: %s", text);
	for (unsigned i = 0; i < n; i++) {
		uint32_t at = vcpu_at(m, &cr3, 2 + i);
		CHECK(at, "guest %u is not there", 1 + i);
		virtual_read(m, cr3, at + VCPU_DIRECTORY, &directory, 4);
		virtual_read(m, directory << PAGE_SHIFT, counted, &counts[i], 4);
	}
}

/* What n guests that count do in some seconds. *sum: all of it, for a million instructions. */
static void counted_in(struct machine *m, unsigned n, unsigned seconds, uint32_t done[],
		       double *sum)
{
	uint32_t before[MANY];
	char words[40];
	snprintf(words, sizeof(words), "sleep %u", seconds);
	machine_stop(m);
	uint64_t from = qmp_instructions(m);
	read_counts(m, n, before);
	machine_continue(m);
	command(m, words, 1000);
	machine_stop(m);
	uint64_t passed = qmp_instructions(m) - from;
	read_counts(m, n, done);
	machine_continue(m);
	*sum = 0;
	for (unsigned i = 0; i < n; i++)
		*sum += done[i] -= before[i];
	*sum *= 1e6 / (double)passed;
}

static void create(struct machine *m, unsigned i, const char *options)
{
	char words[200];
	snprintf(words, sizeof(words), "dom create g%u %s", i, options);
	command(m, words, 100);
}

/* Three guests that compute, with weights 1:2:4: what they have done. */
static void shares(void)
{
	struct machine *m = start_host(&(struct machine_options){ 0 }, FEW, FEW_KIB);
	uint32_t done[3];
	double worst = 0, sum, all_done = 0;
	go_virtual(m);
	for (unsigned i = 0; i < 3; i++) {
		char options[100];
		snprintf(options, sizeof(options), "mem=3M weight=%u " COUNTS, 128u << i);
		create(m, i, options);
	}
	command(m, "sleep 1", 60);
	counted_in(m, 3, SHARE_SECONDS, done, &sum);
	for (unsigned i = 0; i < 3; i++)
		all_done += done[i];
	for (unsigned i = 0; i < 3; i++) {
		double error = fabs(done[i] * 7.0 / all_done / (1 << i) - 1) * 100;
		worst = error > worst ? error : worst;
	}
	figure("shares 1:2:4 of work over 10 s: largest error", worst, "%", 1, "");
	machine_quit(m);
}

/* 1 guest that computes, then 100: the sum of what they do. */
static void many(void)
{
	struct machine *m = start_host(&(struct machine_options){ .mem = 512 }, FEW, FEW_KIB);
	uint32_t done[MANY], least = UINT32_MAX, most = 0;
	double one, sum;
	go_virtual(m);
	create(m, 0, "mem=3M " COUNTS);
	command(m, "sleep 1", 60);
	counted_in(m, 1, 1, done, &one);
	for (unsigned i = 1; i < MANY; i++)
		create(m, i, "mem=3M " COUNTS);
	command(m, "sleep 1", 1000);
	counted_in(m, MANY, MANY_SECONDS, done, &sum);
	for (unsigned i = 0; i < MANY; i++) {
		least = done[i] < least ? done[i] : least;
		most = done[i] > most ? done[i] : most;
	}
	figure("100 domains compute in 512 MiB: their work to one's", sum / one, "", -0.97,
	       "5 ms slices");
	figure("the one of the 100 that did least, to the one that did most",
	       (double)least / most, "", 0, "over 3 s: 6 slices each");
	machine_quit(m);
}

/* How long a computation of domain 0 takes, by its own clock, which runs while others do. */
static double computation(struct machine *m)
{
	size_t from = m->log_bytes;
	command(m, "load apps", 100);
	double n = json_number_value(json_object_get(bench_parse(m->log + from, ""), "compute"));
	CHECK(n > 0, "`load apps` prints nothing");
	return n;
}

/* 99 guests that wait for input cost a domain 0 that computes. */
static void blocked(void)
{
	struct machine *m = start_host(&(struct machine_options){ .mem = 512 }, FEW, FEW_KIB);
	go_virtual(m);
	double alone = computation(m);
	create(m, 0, "mem=3M");
	command(m, "sleep 1", 60);
	figure("1 guest that waits: cost to a busy domain 0",
	       (computation(m) / alone - 1) * 100, "%", 0.5, "");
	for (unsigned i = 1; i < MANY - 1; i++)
		create(m, i, "mem=3M");
	command(m, "sleep 3", 60);
	figure("99 guests that wait: cost to a busy domain 0",
	       (computation(m) / alone - 1) * 100, "%", 0.5, "");
	machine_quit(m);
}

/* A victim works alone, and then beside each attacker: the time that it is charged for it. */
static void victims(void)
{
	static const struct { const char *name, *words; } attackers[] = {
		{ "a disk hog", "disk=/disk 'cmdline=run=\"stress 10000\"'" },
		{ "a fork and memory hog", "'cmdline=run=\"stress 10000\"'" },
		{ "a packet flood", "net 'cmdline=run=\"cat /dev/zero | nc -u 10.0.2.16 9\"'" },
		{ "an exit storm", "'cmdline=run=\"cat /dev/zero | cat >/dev/null\"'" },
	};
	static const char victim[] = "'cmdline=run=\"work 60\"'";
	struct machine *m = start_to_prompt(&(struct machine_options){ 0 });
	char words[200];
	go_virtual(m);
	command(m, "cp /boot/guest.ext2 /disk; dom create sink net", 60);
	command(m, "sleep 1", 60);
	struct times alone = life(m, 3, victim);
	for (unsigned i = 0; i < sizeof(attackers) / sizeof(attackers[0]); i++) {
		snprintf(words, sizeof(words), "dom create hog %s", attackers[i].words);
		command(m, words, 60);
		command(m, "sleep 1", 60);
		struct times hog = times_of(m, 3), beside = life(m, 4, victim);
		snprintf(words, sizeof(words), "beside %s: a victim's loss", attackers[i].name);
		CHECK(hog.ran > 100000000, "%s does nothing", attackers[i].name);
		figure(words, ((double)beside.ran / (double)alone.ran - 1) * 100, "%", 2,
		       "in its own time");
		command(m, "dom kill hog; dom kill hog", 60);
	}
	machine_quit(m);
}

/* A guest that sleeps wakes up beside eight that compute; it may borrow time, or not. */
static void wake_up(void)
{
	static const uint32_t warps[2] = { 0, 20000000 };
	struct machine *m = start_host(&(struct machine_options){ 0 }, FEW, FEW_KIB);
	go_virtual(m);
	for (unsigned i = 0; i < 8; i++)
		create(m, i, "mem=3M " COUNTS);
	for (unsigned k = 0; k < 2; k++) {
		uint32_t cr3, mean = 0, most = 0;
		create(m, 8, "mem=3M 'cmdline=run=\"sleep 1; load wake 20\"'");
		machine_stop(m);
		uint32_t at = vcpu_at(m, &cr3, 10) + VCPU_TURN + TURN_WARP_NS;
		physical_write(m, page_walk(m, cr3, at).machine, &warps[k], 4);
		machine_continue(m);
		size_t from = m->log_bytes;
		command(m, "dom console g8 </dev/null; dom kill g8", 400);
		const char *said = strstr(m->log + from, "\nbench wake_mean");
		CHECK(said && sscanf(said, "\nbench wake_mean %u\nbench wake_most %u", &mean,
				     &most) == 2, "the guest does not wake up");
		const char *how = k ? "warped" : "not warped", *note = k ? "" : "for comparison";
		char text[100];
		snprintf(text, sizeof(text), "wake-up among 8 busy domains, %s: mean of 100", how);
		figure(text, mean / 1e3, "us", k ? 200 : 0, note);
		snprintf(text, sizeof(text), "wake-up among 8 busy domains, %s: the latest", how);
		figure(text, most / 1e3, "us", k ? 200 : 0, note);
	}
	machine_quit(m);
}

/* The index of the ring of guest 1's disk: its requests so far. */
static uint32_t requests_of(struct machine *m)
{
	uint32_t cr3, backs, page, n;
	vcpu_at(m, &cr3, 1);
	virtual_read(m, cr3, symbol("backs"), &backs, 4);
	CHECK(backs, "no disk");
	virtual_read(m, cr3, backs + kernel_member("back", "pages"), &page, 4);
	virtual_read(m, cr3, page, &n, 4); /* the first word: requests produced */
	return n;
}

/* Notifications of both ends, and requests, in the whole life of a guest with a disk. */
static void count_notifications(struct machine *m, const char *words, unsigned counts[2])
{
	struct cpu_state c[CPUS_MAX];
	machine_stop(m);
	gdb_connect(m);
	gdb_break(m, symbol("port_notify"), true);
	gdb_break(m, symbol("domain_destroy"), true);
	machine_send(m, words);
	for (counts[0] = 0;; counts[0]++) {
		CHECK(gdb_run(m, 60), "the guest does not end");
		machine_state(m, c);
		if (c[0].eip == symbol("domain_destroy"))
			break;
		gdb_step(m);
	}
	counts[1] = requests_of(m);
	gdb_break(m, symbol("port_notify"), false);
	gdb_break(m, symbol("domain_destroy"), false);
	gdb_disconnect(m);
	machine_expect(m, PROMPT, 100);
	command(m, "dom kill g", 20);
}

static void notifications(void)
{
	struct machine *m = start_host(&(struct machine_options){ .mem = 128 }, FEW, FEW_KIB);
	unsigned life[2], nothing[2], reads[2];
	go_virtual(m);
	count_notifications(m, "dom create g disk=/disk 'cmdline=run=\"cat /bin/*\"'\n", life);
	count_notifications(m, "dom create g disk=/disk cmdline=run=true\n", nothing);
	count_notifications(m, "dom create g disk=/disk 'cmdline=run=\"load disk /data\"'\n",
			    reads);
	figure("notifications per 1,000 block requests at depth 16",
	       (reads[0] - nothing[0]) * 1000.0 / (reads[1] - nothing[1]), "", 150,
	       "reading in order");
	figure("the same in the life of a guest that reads its programs",
	       life[0] * 1000.0 / life[1], "", 0,
	       "directories are read at depth 1");
	machine_quit(m);
}

/* --- births and deaths --- */

/* Frames that an owner has: a domain's id, or VMM_OWNER. */
static unsigned frames_of(struct machine *m, unsigned owner)
{
	struct cpu_state c[CPUS_MAX];
	unsigned n = 0, frames = 64 * 256;
	machine_stop(m);
	machine_state(m, c);
	struct frame_state *f = frame_table_read(m, c[0].cr3, frames);
	for (unsigned i = 0; i < frames; i++)
		n += f[i].owner == owner;
	free(f);
	machine_continue(m);
	return n;
}

/* Whether a guest of so much memory runs `ls` and ends well. */
static bool runs_ls(struct machine *m, unsigned kib)
{
	struct cpu_state c[CPUS_MAX];
	uint32_t end = vmm_symbol("guest_shutdown");
	char words[100];
	snprintf(words, sizeof(words), "dom create g mem=%uK 'cmdline=run=\"ls -l /bin\"'\n", kib);
	machine_stop(m);
	gdb_connect(m);
	gdb_break(m, end, true);
	gdb_break(m, symbol("domain_destroy"), true);
	machine_send(m, words);
	CHECK(gdb_run(m, 100), "the guest does not end");
	machine_state(m, c);
	bool well = c[0].eip == end && c[0].edx == 0x10;
	gdb_break(m, end, false);
	gdb_break(m, symbol("domain_destroy"), false);
	gdb_disconnect(m);
	machine_expect(m, PROMPT, 100);
	command(m, "dom kill g; dom kill g; dom kill g", 60);
	return well;
}

/* Instructions from a kernel function's entry to its return. */
static uint64_t cost_of(struct machine *m, const char *order, const char *function)
{
	uint32_t caller;
	machine_stop(m);
	gdb_connect(m);
	machine_send(m, order);
	gdb_break(m, symbol(function), true);
	CHECK(gdb_run(m, 60), "%s() is not called", function);
	gdb_break(m, symbol(function), false);
	uint64_t from = qmp_instructions(m);
	gdb_read(m, gdb_register(m, GDB_ESP), &caller, sizeof(caller));
	gdb_break(m, caller, true);
	CHECK(gdb_run(m, 60), "%s() does not return", function);
	gdb_break(m, caller, false);
	uint64_t n = qmp_instructions(m) - from;
	gdb_disconnect(m);
	machine_expect(m, PROMPT, 20);
	return n;
}

static void births(void)
{
	enum { PAGES = 2048, WORDS = 1024, ROOT = 256 * 256, IMAGE = 32 * 1024 };
	struct machine *m = start_to_prompt(&(struct machine_options){ 0 });
	unsigned kib = 3072;
	go_virtual(m);
	command(m, "dom create a; dom kill a; dom kill a", 60);
	unsigned before = frames_of(m, 1);
	uint64_t made = cost_of(m, "dom create a\n", "domain_create");
	unsigned taken = before - frames_of(m, 1) - frames_of(m, 2);
	uint64_t ended = cost_of(m, "dom kill a\n", "domain_destroy");
	command(m, "dom kill a", 20);
	figure("VMM memory for a guest of 1 vCPU", taken * 4, "KiB", 16, "");
	figure("beside that, for each frame of the machine", FRAME_ENTRY_BYTES, "bytes", 16, "");
	while (runs_ls(m, kib - 64))
		kib -= 64;
	figure("smallest guest that runs ls", kib / 1024.0, "MiB", 3, "with 256 KiB of root");
	figure("create and kill 8 MiB, beside zeroing and copying",
	       ((double)(made + ended) - (2.0 * PAGES * WORDS + ROOT + IMAGE)) / 1e6,
	       "M instr.", 4, "each page is cleared twice");
	machine_quit(m);
}

/* What an exit and a switch cost. */
static void exits(void)
{
	json_t *table = exit_cost_table(&(struct machine_options){ .mem = 96 }, true), *row;
	const char *name;
	printf("\n%-28s %8s %8s %8s\n", "instructions", "delayed", "eager", "less");
	json_object_foreach(table, name, row) {
		double n[2];
		for (unsigned i = 0; i < 2; i++)
			n[i] = json_number_value(json_object_get(json_object_get(
				row, i ? "eager" : "delayed"), "instructions"));
		printf("%-28s %8.0f %8.0f %6.1f %%\n", name, n[0], n[1], (1 - n[0] / n[1]) * 100);
	}
	fflush(stdout);
	keep("exits", table);
}

void bench_domains(const struct test *t)
{
	static const struct { const char *name; void (*run)(void); } parts[] = {
		{ "births", births }, { "notifications", notifications }, { "shares", shares },
		{ "wake", wake_up }, { "blocked", blocked }, { "many", many },
		{ "victims", victims }, { "rows", bench_rows }, { "applications", applications },
		{ "cpus", several_cpus }, { "exits", exits },
	};
	const char *only = getenv("ONLY"); /* a part, which goes to a file of its own */
	char path[300];
	bool any = false;
	(void)t;
	all = json_pack("{s:s, s:[]}", "unit", "instructions", "figures");
	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!only || strcmp(only, parts[i].name) == 0)
			parts[i].run(), any = true;
	if (!any)
		give_up(BROKEN, "ONLY=%s is no part of it; 'make help' lists them", only);
	snprintf(path, sizeof(path), "%s/bench-domains%s%s.json", build_dir, only ? "-" : "",
		 only ? only : "");
	CHECK(json_dump_file(all, path, JSON_INDENT(2)) == 0, "cannot write %s", path);
	json_decref(all);
}
