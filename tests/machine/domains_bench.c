/* SPDX-License-Identifier: MIT */
/*
 * make bench-domains: what domains cost each other. All figures come from outside: instructions
 * that QEMU counts (one a nanosecond), and the VMM's own counters and the rings' indices, read from
 * the machine's memory. They are the same in every run. The rows go to bench-domains.json in the
 * build folder.
 */
#include "rollback.h"
#include "offsets.h"
#include <jansson.h>

static json_t *rows;

/* goal: what the figure should be at most, or at least if it begins with ">". */
static void row(const char *what, double figure, const char *unit, const char *goal)
{
	printf("%-58s %12.3f %-14s goal %s\n", what, figure, unit, goal);
	fflush(stdout);
	json_array_append_new(rows, json_pack("{s:s, s:f, s:s, s:s}", "what", what, "figure",
					      figure, "unit", unit, "goal", goal));
}

/* --- the VMM's counters --- */

/* The machine is stopped for it. A domain's id: 1 is domain 0, a guest's is its number + 1. */
static uint32_t domain_at(struct machine *m, uint32_t *cr3, unsigned id)
{
	struct cpu_state c[CPUS_MAX];
	uint32_t at;
	machine_state(m, c);
	*cr3 = c[0].cr3;
	virtual_read(m, *cr3, vmm_symbol("domains") + id * 4, &at, 4);
	return at;
}

struct times { uint64_t ran, stolen; };
static struct times times_of(struct machine *m, unsigned id)
{
	struct times t = { 0 };
	uint32_t cr3, at = domain_at(m, &cr3, id);
	if (at)
		virtual_read(m, cr3, at + DOMAIN_VCPUS + VCPU_RAN, &t, sizeof(t));
	return t;
}

/* --- jobs --- */

static struct machine *start_virtual(unsigned mem)
{
	struct machine_options o = { .mem = mem };
	struct machine *m = start_to_prompt(&o);
	command(m, "echo virtual >/proc/mode", 20);
	return m;
}

/* Instructions until domain 0 has done a command; a first time fills the caches. */
static uint64_t job(struct machine *m, const char *words)
{
	command(m, words, 100);
	uint64_t from = qmp_instructions(m);
	command(m, words, 100);
	return qmp_instructions(m) - from;
}

/* Let a guest of this text, which is the last one, live; what it had used when it ended. */
static struct times life(struct machine *m, unsigned id, const char *words)
{
	machine_stop(m);
	gdb_connect(m);
	debug_break(m, symbol("domain_destroy"), true);
	machine_send(m, words);
	machine_send(m, "\n");
	CHECK(debug_run(m, 400), "the guest does not end");
	struct times t = times_of(m, id);
	debug_break(m, symbol("domain_destroy"), false);
	gdb_disconnect(m);
	machine_expect(m, PROMPT, 100);
	command(m, "dom kill victim", 20);
	return t;
}

/* --- rows --- */

#define COMPUTES "'cmdline=run=\"cat /dev/zero >/dev/null\"'"
enum { SHARE_SECONDS = 3 };

/* Three guests that compute, with weights 1:2:4. */
static void shares(void)
{
	struct machine *m = start_virtual(0);
	uint64_t ran[3], all = 0;
	double worst = 0;
	char words[100];
	for (unsigned i = 0; i < 3; i++) {
		snprintf(words, sizeof(words), "dom create g%u weight=%u " COMPUTES, i, 128u << i);
		command(m, words, 60);
	}
	command(m, "sleep 1", 60);
	for (int end = 0; end < 2; end++) {
		machine_stop(m);
		for (unsigned i = 0; i < 3; i++) {
			uint64_t now = times_of(m, 2 + i).ran;
			ran[i] = end ? now - ran[i] : now;
		}
		machine_continue(m);
		snprintf(words, sizeof(words), "sleep %u", SHARE_SECONDS);
		if (!end)
			command(m, words, 400);
	}
	for (unsigned i = 0; i < 3; i++)
		all += ran[i];
	for (unsigned i = 0; i < 3; i++) {
		double error = ((double)ran[i] * 7 / (double)all / (1 << i) - 1) * 100;
		worst = error > worst ? error : -error > worst ? -error : worst;
	}
	row("shares 1:2:4 over 3 s: largest error", worst, "%", "1");
	machine_quit(m);
}

/* 99 guests that wait for input cost a domain 0 that computes. */
static void blocked(void)
{
	struct machine *m = start_virtual(512);
	double alone = (double)job(m, "work 100");
	for (unsigned i = 0; i < 99; i++) {
		char words[60];
		snprintf(words, sizeof(words), "dom create g%u mem=3M", i);
		command(m, words, 60);
		if (i == 0)
			command(m, "sleep 1", 60);
		if (i == 0)
			row("1 blocked guest: cost to a busy domain 0",
			    ((double)job(m, "work 100") / alone - 1) * 100, "%", "0.5");
	}
	command(m, "sleep 3", 60);
	row("99 blocked guests: cost to a busy domain 0",
	    ((double)job(m, "work 100") / alone - 1) * 100, "%", "0.5");
	machine_quit(m);
}

/* A victim works alone, and then beside each attacker: the time that it is charged for it. */
static void victims(void)
{
	static const struct { const char *name, *words; } attackers[] = {
		{ "a disk hog", "disk=/tmp/hog 'cmdline=run=\"stress 10000\"'" },
		{ "a fork and memory hog", "'cmdline=run=\"stress 10000\"'" },
		{ "a packet flood", "net 'cmdline=run=\"cat /dev/zero | nc -u 10.0.2.16 9\"'" },
		{ "an exit storm", "'cmdline=run=\"cat /dev/zero | cat >/dev/null\"'" },
	};
	static const char victim[] = "dom create victim 'cmdline=run=\"work 60\"'";
	struct machine *m = start_virtual(0);
	char words[200];
	command(m, "cp /boot/guest.ext2 /tmp/hog; dom create sink net", 60);
	command(m, "sleep 1", 60);
	struct times alone = life(m, 3, victim);
	for (unsigned i = 0; i < sizeof(attackers) / sizeof(attackers[0]); i++) {
		snprintf(words, sizeof(words), "dom create hog %s", attackers[i].words);
		command(m, words, 60);
		command(m, "sleep 1", 60);
		struct times hog = times_of(m, 3), beside = life(m, 4, victim);
		snprintf(words, sizeof(words), "beside %s: a victim's loss", attackers[i].name);
		CHECK(hog.ran > 100000000, "%s does nothing", attackers[i].name);
		row(words, ((double)beside.ran / (double)alone.ran - 1) * 100, "%", "2");
		command(m, "dom kill hog; dom kill hog", 60);
	}
	machine_quit(m);
}

/* The indices of the ring of guest 1's disk: its requests, and the hypercalls for them. */
static uint32_t requests_of(struct machine *m)
{
	uint32_t cr3, backs, area, n;
	domain_at(m, &cr3, 1);
	virtual_read(m, cr3, symbol("backs"), &backs, 4);
	CHECK(backs, "no disk");
	virtual_read(m, cr3, backs + 4, &area, 4); /* struct back: next, area */
	virtual_read(m, cr3, area, &n, 4); /* the first word: requests produced */
	return n;
}

/* How often both ends notify in the whole life of a guest that reads its disk. */
static void notifications(void)
{
	struct machine *m = start_virtual(0);
	struct cpu_state c[CPUS_MAX];
	unsigned n = 0;
	command(m, "cp /boot/guest.ext2 /tmp/disk", 60);
	machine_stop(m);
	gdb_connect(m);
	gdb_break(m, symbol("port_notify"), true);
	gdb_break(m, symbol("domain_destroy"), true);
	machine_send(m, "dom create g disk=/tmp/disk 'cmdline=run=\"cat /bin/*\"'\n");
	for (;; n++) {
		CHECK(gdb_run(m, 60), "the guest does not end");
		machine_state(m, c);
		if (c[0].eip == symbol("domain_destroy"))
			break;
		gdb_step(m);
	}
	row("notifications per 1,000 block requests, a guest's whole life",
	    n * 1000.0 / requests_of(m), "", "150");
	machine_quit(m);
}

/* Build-like work: native, virtual, in a guest, in one run. */
static void applications(void)
{
	struct machine_options o = { 0 };
	struct machine *m = start_to_prompt(&o);
	uint64_t native = job(m, "work 60");
	command(m, "echo virtual >/proc/mode", 20);
	uint64_t virtual = job(m, "work 60");
	row("build-like (pipes, forks, files): virtual of native",
	    (double)native / (double)virtual, "", "> 0.97");
	struct times all = life(m, 2, "dom create victim 'cmdline=run=\"work 60; work 60\"'");
	struct times one = life(m, 2, "dom create victim 'cmdline=run=\"work 60\"'");
	row("build-like: guest of native", (double)native / (double)(all.ran - one.ran), "",
	    "> 0.9");
	machine_quit(m);
}

void bench_domains(const struct test *t)
{
	(void)t;
	char path[300];
	rows = json_array();
	notifications();
	shares();
	blocked();
	applications();
	victims();
	snprintf(path, sizeof(path), "%s/bench-domains.json", build_dir);
	CHECK(json_dump_file(rows, path, JSON_INDENT(2)) == 0, "cannot write %s", path);
	json_decref(rows);
}
