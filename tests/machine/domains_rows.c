/* SPDX-License-Identifier: MIT */
/*
 * The program `bench` in all places where this kernel runs, in one run: native, virtual, in a guest
 * whose root lies in its memory, and in one that has a disk, through the ring. It measures itself
 * by the time-stamp counter, which counts what the whole machine executes.
 */
#include "domains_bench.h"
#include "judge.h"

#define GUEST "mem=24M "
enum { NATIVE, VIRTUAL, IN_MEMORY, ON_DISK, PLACES };
static const char *const places[PLACES] = { "native", "virtual", "guest", "disk" };

/* The rows that a command prints in each place. Result: place -> row -> instructions. */
static json_t *everywhere(const struct machine_options *o, const char *words)
{
	static const char *const options[PLACES] = { [IN_MEMORY] = GUEST "net ",
						     [ON_DISK] = GUEST "net disk=/disk " };
	struct machine *m = start_host(o, NULL, 0);
	json_t *result = json_object();
	char text[300];
	for (unsigned place = 0; place < PLACES; place++) {
		const char *said = text;
		size_t from = m->log_bytes;
		if (place == VIRTUAL)
			command(m, "echo virtual >/proc/mode", 20);
		snprintf(text, sizeof(text), place < IN_MEMORY ? "%s" :
			 "%s'cmdline=run=\"%s\"'", place < IN_MEMORY ? words :
			 options[place], words);
		if (place < IN_MEMORY)
			command(m, text, 400), said = m->log + from;
		else
			said = life_words(m, 2, text);
		json_t *rows = bench_parse(said, "");
		CHECK(json_object_size(rows) > 0, "`%s` prints nothing: %s", words,
		      places[place]);
		json_object_set_new(result, places[place], rows);
	}
	machine_quit(m);
	return result;
}

static double cell(json_t *table, unsigned place, const char *row)
{
	json_t *rows = json_object_get(table, places[place]);
	return json_number_value(json_object_get(rows, row));
}

static void print_rows(json_t *table)
{
	const char *row;
	json_t *unused;
	printf("\n%-22s", "instructions");
	for (unsigned place = 0; place < PLACES; place++)
		printf(" %18s", places[place]);
	printf(" %8s %8s\n", "guest", "disk");
	json_object_foreach(json_object_get(table, places[NATIVE]), row, unused) {
		printf("%-22s", row);
		for (unsigned place = 0; place < PLACES; place++)
			printf(" %18.0f", cell(table, place, row));
		for (unsigned place = IN_MEMORY; place < PLACES; place++)
			printf(" %8.3f", cell(table, place, row) / cell(table, NATIVE, row));
		putchar('\n');
	}
	puts("guest: its root in its memory; disk: a guest with a disk; last: these two to native");
}

/* The row with the largest ratio of place to native. */
static double worst(json_t *table, unsigned place, const char *prefix, const char **which)
{
	const char *row;
	json_t *unused;
	double most = 0;
	json_object_foreach(json_object_get(table, places[NATIVE]), row, unused) {
		double ratio = cell(table, place, row) / cell(table, NATIVE, row);
		if (strncmp(row, prefix, strlen(prefix)) == 0 && ratio > most)
			most = ratio, *which = row;
	}
	return most;
}

/* What virtual mode costs in rows of `bench` with a VMM that stores all state at each exit. */
static void whole_machine(void)
{
	char path[300];
	const char *usual = vmm_file, *row;
	json_t *sides[2], *value;
	double sum = 0, most = 0, n = 0;
	snprintf(path, sizeof(path), "%s/kernel-eager/vmm.elf", build_dir);
	for (unsigned eager = 0; eager < 2; eager++) {
		vmm_file = eager ? path : usual;
		struct machine *m = run_command(&(struct machine_options){ 0 },
						"echo virtual > /proc/mode && bench", EXIT_OK, 400);
		sides[eager] = bench_parse(m->log, "");
	}
	vmm_file = usual;
	json_object_foreach(sides[0], row, value) {
		double eager = json_number_value(json_object_get(sides[1], row));
		double gain = (1 - json_number_value(value) / eager) * 100;
		sum += gain, n++;
		most = gain > most ? gain : most;
	}
	keep("delayed", sides[0]);
	keep("eager", sides[1]);
	figure("delayed storing: gain on the rows of `bench`, mean", sum / n, "%", -3,
	       "virtual mode to EXIT=eager");
	figure("the same: the row with the largest gain", most, "%", 0, "");
}

void bench_rows(void)
{
	const char *which = "";
	char text[100];
	json_t *table = everywhere(&(struct machine_options){ .mem = 128 }, "bench");
	print_rows(table);
	double ratio = worst(table, IN_MEMORY, "", &which);
	snprintf(text, sizeof(text), "largest: %s", which);
	figure("rows of `bench`: a guest to native", ratio, "", 1.3, text);
	ratio = worst(table, ON_DISK, "file_", &which);
	snprintf(text, sizeof(text), "largest: %s; native: a RAM disk", which);
	figure("rows about files, through the ring: to native", ratio, "", 1.3, text);
	keep("rows", table);
	whole_machine();
}

/* 1 MiB of a file that is in nobody's cache. */
static void disk(void)
{
	struct machine *m = start_host(&(struct machine_options){ .mem = 128 }, NULL, 0);
	size_t from = m->log_bytes;
	command(m, "load disk /data", 400);
	double native = json_number_value(json_object_get(bench_parse(m->log + from, ""),
							  "disk_1m"));
	command(m, "echo virtual >/proc/mode", 20);
	json_t *rows = bench_parse(life_words(m, 2, GUEST "disk=/disk "
					      "'cmdline=run=\"load disk /data\"'"), "");
	double guest = json_number_value(json_object_get(rows, "disk_1m"));
	machine_quit(m);
	CHECK(native > 0 && guest > 0, "`load disk` prints nothing");
	figure("1 MiB read in order, native", native, "instr.", 0, "a RAM disk: 2 copies");
	figure("1 MiB read in order: a guest to native", guest / native, "", 1.2,
	       "its disk is a file of the RAM disk: 2 copies, too");
}

void applications(void)
{
	/* The host that answers is QEMU's, within the instruction that sends: nobody waits. */
	struct machine_options o = { .mem = 128, .net_files = work_path("host") };
	json_t *table = everywhere(&o, "load apps; load udp 10.0.2.2 data"), *unused;
	const char *row;
	char text[100];
	print_rows(table);
	json_object_foreach(json_object_get(table, places[NATIVE]), row, unused)
		for (unsigned place = VIRTUAL; place < PLACES; place++) {
			snprintf(text, sizeof(text), "%s: native / %s", row, places[place]);
			figure(text, cell(table, NATIVE, row) / cell(table, place, row), "",
			       place == VIRTUAL ? -0.97 : -0.9, place != ON_DISK ? "" :
			       "native: a RAM disk, without waiting");
		}
	keep("applications", table);
	disk();
}

/*
 * Processes that fork at the same time, one for each CPU: instructions of all CPUs for one fork.
 * Counted in Bochs, whose CPUs take turns after 16 instructions at most: they meet at locks.
 */
void several_cpus(void)
{
	double cost[2][2];
	for (unsigned many = 0; many < 2; many++) {
		struct machine_options o = { .bochs = true, .cpus = many ? 4 : 1 };
		struct machine *m = run_command(&o, many ?
			"echo mode native && load parallel 4 && echo virtual > /proc/mode && "
			"echo mode virtual && load parallel 4" :
			"echo mode native && load parallel 1 && echo virtual > /proc/mode && "
			"echo mode virtual && load parallel 1", EXIT_OK, 400);
		for (unsigned i = 0; i < 2; i++)
			cost[i][many] = o.cpus * json_number_value(json_object_get(bench_parse(
				m->log, i ? "mode virtual" : "mode native"), "parallel"));
	}
	for (unsigned i = 0; i < 2; i++) {
		const char *mode = i ? "virtual" : "native";
		char text[80];
		snprintf(text, sizeof(text), "fork, exit, wait on 1 CPU, %s", mode);
		figure(text, cost[i][0], "instr.", 0, "Bochs");
		snprintf(text, sizeof(text), "4 CPUs fork at once: one fork to that, %s", mode);
		figure(text, cost[i][1] / cost[i][0], "", i ? 1.3 : 1.2, "Bochs");
	}
}
